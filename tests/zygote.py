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
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from pathlib import Path
from typing import Any, NoReturn

import typer.main
from botocore import client

import reconciler.aws.cloudtrail
import reconciler.aws.outputs
import reconciler.aws.reader
import reconciler.aws.writer
import reconciler.sandbox.server  # noqa: F401 - the same; moto takes seconds
from reconciler.aws.session import Login, Session
from reconciler.cli.app import app, run
from reconciler.sandbox.embedded import embedded
from reconciler.sandbox.moto_speed import methods_of_a_client
from reconciler.sandbox.state import World

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
_running: list[tuple[subprocess.Popen[str], str]] = []


def command() -> list[str]:
    """What to run in place of ``python -m reconciler``; the first call of a process starts it."""
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
    path = _running[0][1]
    return [sys.executable, "-I", "-S", str(Path(path).parent / "client.py"), path]


def _end() -> None:
    for started, path in _running:
        started.terminate()
        started.communicate()
        shutil.rmtree(Path(path).parent, ignore_errors=True)


def warm() -> None:
    """Reads what botocore and moto read at the first request to each service, which takes them longer
    than most runs: their models of EC2 and IAM, five megabytes each, and their lists."""
    with embedded(World()):
        session = Session(Login(run="warm", region="us-east-1"))
        ec2, iam = (session.client(name, None, 1) for name in ("ec2", "iam"))
        session.client("sts", None, 1).get_caller_identity()
        session.client("cloudtrail", None, 1).can_paginate("lookup_events")
        ec2.run_instances(ImageId="ami-12c6146b", MinCount=1, MaxCount=1)
        list(ec2.get_paginator("describe_instances").paginate())
        iam.create_role(RoleName="warm", AssumeRolePolicyDocument=TRUST)
        list(iam.get_paginator("get_account_authorization_details").paginate())
    # What follows from names alone is made once: clients and commands.
    vars(client)["ClientCreator"]._create_methods = methods_of_a_client
    typer.main.get_command = functools.cache(typer.main.get_command)
    program: Any = typer.main.get_command(app)
    for command in program.commands.values():
        assert command.params  # imports its module
    # A fork copies a page of memory when the collector counts what is on it.
    gc.collect()
    gc.freeze()


def serve(path: str) -> NoReturn:
    listening = socket.socket(socket.AF_UNIX)
    listening.bind(path)
    listening.listen(64)
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    warm()
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    while True:
        asked, _ = listening.accept()
        if os.fork() == 0:
            listening.close()
            _answer(asked)
        asked.close()


def _answer(asked: socket.socket) -> NoReturn:
    """Waits for the run, and says how it ended."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    fds = array.array("i")
    head, extra, _, _ = asked.recvmsg(8, socket.CMSG_LEN(4 * fds.itemsize))
    fds.frombytes(extra[0][2])
    size, body = int.from_bytes(head, "big"), b""
    while len(body) < size:
        body += asked.recv(size - len(body))
    child = os.fork()
    if child == 0:
        asked.close()
        _become(list(fds), json.loads(body))
    for fd in fds:
        os.close(fd)
    threading.Thread(target=_end_with, args=(asked, child), daemon=True).start()
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    with contextlib.suppress(BrokenPipeError):  # who asked has gone
        asked.sendall(str(code if code >= 0 else 128 - code).encode())
    os._exit(0)


def _end_with(asked: socket.socket, child: int) -> None:
    """A signal reaches the client alone; when it has gone, its run is to end as well."""
    with contextlib.suppress(OSError):
        asked.recv(1)
        os.kill(child, signal.SIGTERM)


def _become(fds: list[int], asked: dict[str, Any]) -> NoReturn:
    for number in range(3):
        os.dup2(fds[number], number)
    os.fchdir(fds[3])
    for fd in fds:
        os.close(fd)
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
