"""`--engine dask` as its users run it: a scheduler, two workers, and one of them is killed in the middle
of an apply."""

from __future__ import annotations

import importlib.util
import json
import re
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from tests.program import Program

NAMES = [f"t{number}" for number in range(1, 7)]
TARGETS = "".join(
    f"  {name}: {{role_arn: 'arn:aws:iam::{number:012d}:role/ci', regions: [us-east-1]}}\n"
    for number, name in enumerate(NAMES, 111)
)
SETTINGS = (
    f"version: 1\nowner: tests\npropagation: 0s\nconsumer_regions: [us-east-1]\ntargets:\n{TARGETS}"
)
ROLES = "".join(f"  r{n}: {{trust: ec2, instance_profile: true}}\n" for n in range(4))


@contextmanager
def running(
    program: Program, *arguments: str, packages: Path | None = None
) -> Iterator[subprocess.Popen[str]]:
    """A part of dask, with the credentials and the endpoint of the program. With ``packages`` it has
    only those in this folder."""
    alone, path = (["-S"], {"PYTHONPATH": str(packages)}) if packages else ([], {})
    process = subprocess.Popen(
        [sys.executable, *alone, "-m", *arguments],
        cwd=program.folder,
        env={**program.environment, **path},
        stderr=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        text=True,
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def said(process: subprocess.Popen[str], pattern: str) -> str:
    """What it says in a line."""
    assert process.stderr is not None
    for line in process.stderr:
        if found := re.search(pattern, line):
            return found[0]
    raise AssertionError(f"it ended without {pattern}")


@contextmanager
def cluster(
    program: Program, *packages: Path | None
) -> Iterator[tuple[str, list[subprocess.Popen[str]]]]:
    """The address of a scheduler, and its workers, of one process each: one for each ``packages``."""
    given = ("--host", "127.0.0.1", "--port", "0", "--no-dashboard")
    with ExitStack() as stack:
        begun = running(program, "distributed.cli.dask_scheduler", *given)
        address = said(stack.enter_context(begun), r"tcp://127\.0\.0\.1:\d+")
        asked = ("distributed.cli.dask_worker", address, "--nthreads", "2", "--no-dashboard")
        alone = (*asked, "--no-nanny", "--host", "127.0.0.1")
        workers = [running(program, *alone, packages=has) for has in packages]
        yield address, [stack.enter_context(one) for one in workers]


def written(folder: Path) -> None:
    """The specs."""
    (folder / "specs").mkdir()
    (folder / "specs" / "reconciler.yaml").write_text(SETTINGS, "utf-8")
    (folder / "specs" / "a.yaml").write_text(f"roles:\n{ROLES}", "utf-8")


@pytest.mark.slow
def test_what_is_said_of_a_scheduler_and_its_workers() -> None:
    """In a process of its own: dask leaves threads behind that use ``random``, by which Hypothesis
    draws, and binds ports."""
    path = Path(__file__).with_name("in_this_process.py")
    command = [sys.executable, "-m", "pytest", "-p", "no:xdist", "-o", "addopts=", "-q", str(path)]
    root = Path(__file__).parents[2]
    ended = subprocess.run(command, cwd=root, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert " passed" in ended.stdout


@pytest.mark.slow
def test_a_worker_is_killed_in_the_middle_of_an_apply(tmp_path: Path) -> None:
    program = Program(tmp_path)
    written(tmp_path)
    two = (None, None)
    with program.sandbox("{}", "--latency", "0.05"), cluster(program, *two) as (address, workers):
        engine = ("--engine", "dask", "--scheduler", address)
        here = json.loads(program.run("plan", "--json").stdout)
        there = json.loads(program.run("plan", "--json", *engine).stdout)
        assert there["summary"] == here["summary"]
        assert [one["target"] for one in there["targets"]] == NAMES
        assert [one["changes"] for one in there["targets"]] == [
            one["changes"] for one in here["targets"]
        ]
        apply = program.start("apply", "--auto-approve", "--report", "json=done.json", *engine)
        killed = kill_when_it_writes(program, workers)
        out, err = apply.communicate(timeout=120)
        assert apply.returncode == 0, out + err
        assert killed.wait() == -signal.SIGKILL
        done = json.loads((tmp_path / "done.json").read_text("utf-8"))
        assert done["outcome"]["failed"] == 0
        assert done["outcome"]["left"] == []
        again = program.run("plan", "--detailed-exitcode")
        assert (again.returncode, "No changes." in again.stdout) == (0, True), again.stdout


def kill_when_it_writes(
    program: Program, workers: list[subprocess.Popen[str]]
) -> subprocess.Popen[str]:
    """Kills the first worker once some roles are there."""
    until = time.monotonic() + 60
    while time.monotonic() < until:
        if roles_of(program) >= 3:
            workers[0].kill()
            return workers[0]
        time.sleep(0.02)
    raise AssertionError("nobody wrote anything")


def roles_of(program: Program) -> int:
    """In the account of the first target."""
    asked = urllib.request.Request(
        str(program.endpoint),
        data=b"Action=ListRoles&Version=2010-05-08",
        headers={"Authorization": "AWS4-HMAC-SHA256 Credential=x/1/us-east-1/iam/aws4_request"},
    )
    asked.add_header("x-moto-account-id", "000000000111")
    with urllib.request.urlopen(asked) as answer:
        return int(answer.read().count(b"<RoleName>"))


@pytest.mark.slow
def test_a_worker_without_the_package(tmp_path: Path) -> None:
    program, packages = Program(tmp_path), tmp_path / "packages"
    written(tmp_path)
    packages.mkdir()
    found = importlib.util.find_spec("distributed")
    assert found is not None
    for one in Path(found.origin or "").parent.parent.iterdir():
        if not one.name.startswith(("reconciler", "_reconciler", "__editable__")):
            (packages / one.name).symlink_to(one)
    with cluster(program, packages) as (address, _):
        ended = program.run("plan", "--engine", "dask", "--scheduler", address)
    assert ended.returncode == 1
    assert re.search("the worker at .* has no reconciler, and .* is needed", ended.stderr)
    assert "pip install 'reconciler[dask]==" in ended.stderr


def test_a_command_of_this_machine_is_not_left_out(tmp_path: Path) -> None:
    """On a worker it would not run, so nothing would hold the batch."""
    given = ["--engine", "dask", "--scheduler", "tcp://x:1", "--check", "true"]
    ended = Program(tmp_path).run("apply", *given)
    assert ended.returncode == 64
    assert "--check is a command of this machine" in ended.stderr


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (["--engine", "dask"], "--engine dask and --scheduler ADDRESS go together"),
        (["--scheduler", "tcp://x:1"], "--engine dask and --scheduler ADDRESS go together"),
        (
            ["--engine", "dask", "--scheduler", "tcp://x:1", "--log-file", "log"],
            "--log-file is of this machine",
        ),
        (["--engine", "spark", "--scheduler", "x"], "takes dask; not 'spark'"),
    ],
)
def test_flags_that_do_not_go_together(tmp_path: Path, flags: list[str], said: str) -> None:
    ended = Program(tmp_path).run("plan", *flags)
    assert ended.returncode == 64
    assert said in ended.stderr
