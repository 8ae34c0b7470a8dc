"""Many runs of the program without many starts of Python: a process that has imported it forks for
each run, with the folder, environment and streams of whoever asked.

A start takes half a second, the tests make hundreds. What is about starting, dying or Python's own
variables runs in a process of its own, see ``tests.program``.
"""

from __future__ import annotations

import array
import atexit
import contextlib
import functools
import gc
import importlib
import json
import os
import pkgutil
import selectors
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NoReturn

import boto3
import typer.main
from botocore import client
from botocore.loaders import Loader

import reconciler
from reconciler.aws.session import Login, Session
from reconciler.cli.app import app, run
from reconciler.sandbox.embedded import embedded
from reconciler.sandbox.moto_speed import methods_of_a_client
from reconciler.sandbox.state import World
from tests.botocore_once import Once

CLIENT = """\
import array, json, os, socket, sys
made = socket.socket(socket.AF_UNIX)
made.connect(sys.argv[1])
fds = array.array("i", [0, 1, 2, os.open(".", os.O_RDONLY)])
body = json.dumps({"arguments": sys.argv[2:], "environment": dict(os.environ)}).encode()
made.sendmsg([len(body).to_bytes(8, "big")], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, fds)])
made.sendall(body)
answer = made.recv(4)
os._exit(int(answer.decode() or 70))
"""
"""Started with ``-I -S``, in hundredths of a second."""
TRUST = (
    '{"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "sts:AssumeRole", '
    '"Principal": {"Service": "ec2.amazonaws.com"}}]}'
)
LONGEST_SECONDS = 120.0
NOT_ANSWERED = 70
_running: list[tuple[subprocess.Popen[str], str]] = []


def run_there(
    arguments: Sequence[str], folder: Path, environment: Mapping[str, str]
) -> subprocess.CompletedProcess[str]:
    """As ``subprocess.run`` of the command, without a process that asks for the run."""
    body = json.dumps({"arguments": arguments, "environment": dict(environment)}).encode()
    with (
        socket.socket(socket.AF_UNIX) as asking,
        Path(os.devnull).open("rb") as nothing,
        tempfile.TemporaryFile() as out,
        tempfile.TemporaryFile() as err,
    ):
        asking.settimeout(LONGEST_SECONDS)
        asking.connect(_socket())
        inside = os.open(folder, os.O_RDONLY)
        try:
            fds = [nothing.fileno(), out.fileno(), err.fileno(), inside]
            socket.send_fds(asking, [len(body).to_bytes(8, "big")], fds)
        finally:
            os.close(inside)
        asking.sendall(body)
        code = int(asking.recv(4).decode() or NOT_ANSWERED)
        for written in (out, err):
            written.seek(0)
        said = [written.read().decode() for written in (out, err)]
    return subprocess.CompletedProcess(list(arguments), code, *said)


def command() -> list[str]:
    """What to run in place of ``python -m reconciler``."""
    path = _socket()
    return [sys.executable, "-I", "-S", str(Path(path).parent / "client.py"), path]


def _socket() -> str:
    """Where it listens; the first call of a process starts it."""
    if not _running:
        folder = tempfile.mkdtemp(prefix="zygote.")
        path = str(Path(folder) / "socket")
        client = Path(folder) / "client.py"
        client.write_text(CLIENT)
        started = subprocess.Popen(
            [sys.executable, "-m", "tests.zygote", path],
            cwd=Path(__file__).parent.parent,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert started.stdout is not None
        assert started.stdout.readline() == "ready\n"
        _running.append((started, path))
        atexit.register(_end)
    return _running[0][1]


def _end() -> None:
    for started, path in _running:
        started.terminate()
        started.communicate()
        shutil.rmtree(Path(path).parent, ignore_errors=True)


def warm() -> None:
    """Reads what botocore and moto read at the first request to each service, which takes them longer
    than most runs: their models of EC2 and IAM, five megabytes each, and their lists."""
    Loader.FILE_LOADER_CLASS = Once
    with embedded(World()):
        session = Session(Login(run="warm", region="us-east-1"))
        own: Any = boto3.client("ec2", region_name="us-east-1")
        ec2, iam = (session.client(name, None, 1) for name in ("ec2", "iam"))
        session.client("sts", None, 1).get_caller_identity()
        session.client("cloudtrail", None, 1).can_paginate("lookup_events")
        own.run_instances(ImageId="ami-12c6146b", MinCount=1, MaxCount=1)
        list(ec2.get_paginator("describe_instances").paginate())
        iam.create_role(RoleName="warm", AssumeRolePolicyDocument=TRUST)
        list(iam.get_paginator("get_account_authorization_details").paginate())
    # What follows from names alone is made once: clients and commands.
    vars(client)["ClientCreator"]._create_methods = methods_of_a_client
    typer.main.get_command = functools.cache(typer.main.get_command)
    program: Any = typer.main.get_command(app)
    for command in program.commands.values():
        for parameter in command.params:
            parameter.get_runtime_param()
    # What a command imports when it runs.
    for module in pkgutil.walk_packages(reconciler.__path__, "reconciler."):
        importlib.import_module(module.name)
    # A fork copies a page of memory when the collector counts what is on it.
    gc.collect()
    gc.freeze()


def serve(path: str) -> NoReturn:
    """Forks for each run, says how it ended, and ends it if whoever asked has gone."""
    listening = socket.socket(socket.AF_UNIX)
    listening.bind(path)
    listening.listen(64)
    warm()
    ended, told = os.pipe()
    os.set_blocking(told, False)
    signal.set_wakeup_fd(told)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    waiting = selectors.DefaultSelector()
    waiting.register(listening, selectors.EVENT_READ)
    waiting.register(ended, selectors.EVENT_READ)
    askers: dict[int, socket.socket] = {}
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    while True:
        for key, _ in waiting.select():
            if key.fileobj is listening:
                asked, _ = listening.accept()
                askers[_begun(asked)] = asked
                waiting.register(asked, selectors.EVENT_READ)
            elif key.fd == ended:
                os.read(ended, 4096)
            else:
                # A signal reaches the client alone; when it has gone, its run is to end as well.
                waiting.unregister(key.fileobj)
                child = next(pid for pid, one in askers.items() if one is key.fileobj)
                os.kill(child, signal.SIGTERM)
        for pid, code in _ended():
            asked = askers.pop(pid)
            with contextlib.suppress(KeyError):  # who asked has gone
                waiting.unregister(asked)
            with contextlib.suppress(BrokenPipeError):
                asked.sendall(str(code if code >= 0 else 128 - code).encode())
            asked.close()


def _ended() -> Iterator[tuple[int, int]]:
    while True:
        try:
            pid, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return
        if pid == 0:
            return
        yield pid, os.waitstatus_to_exitcode(status)


def _begun(asked: socket.socket) -> int:
    """The process of the run."""
    fds = array.array("i")
    head, extra, _, _ = asked.recvmsg(8, socket.CMSG_LEN(4 * fds.itemsize))
    fds.frombytes(extra[0][2])
    size, body = int.from_bytes(head, "big"), b""
    while len(body) < size:
        body += asked.recv(size - len(body))
    child = os.fork()
    if child == 0:
        _become(list(fds), json.loads(body))
    for fd in fds:
        os.close(fd)
    return child


def _become(fds: list[int], asked: dict[str, Any]) -> NoReturn:
    signal.set_wakeup_fd(-1)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    for number in range(3):
        os.dup2(fds[number], number)
    os.fchdir(fds[3])
    os.closerange(3, max(fds) + 1)
    os.environ.clear()
    os.environ.update(asked["environment"])
    sys.stdin, sys.stdout, sys.stderr = (os.fdopen(n, "r" if n == 0 else "w") for n in range(3))
    sys.stderr.reconfigure(line_buffering=True)
    code = 1
    try:
        code = run(asked["arguments"])
    except SystemExit as ended:
        code = ended.code if isinstance(ended.code, int) else 1
    except BaseException:  # noqa: BLE001 - what Python itself would print and end with 1
        sys.excepthook(*sys.exc_info())
    try:
        sys.stdout.flush()
        sys.stderr.flush()
    except (OSError, ValueError):
        code = 120  # as Python ends when it cannot flush
    os._exit(code)


if __name__ == "__main__":
    serve(sys.argv[1])
