"""``--check``: how the command of a person is run, and what is made of its end."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest

from reconciler.cli import batch_command
from reconciler.cli.batch_command import MOST_TEXT, CommandCheck, command_check
from reconciler.model.ownership import InstanceKey
from reconciler.ports import Batch

KEYS = (InstanceKey("us-east-1", "i-0123456789abcdef0"), InstanceKey("eu-west-1", "i-0a"))
BATCH = Batch(2, "123456789012", "web; rm -rf $HOME", "v2", None, KEYS)


def never() -> bool:
    return False


def failure(
    script: str, is_over: Callable[[], bool] = never, seconds: float = 20.0, *arguments: str
) -> str:
    return CommandCheck((sys.executable, "-c", script, *arguments), seconds).failure(BATCH, is_over)


def test_exit_code_0_is_fine_whatever_it_writes() -> None:
    assert failure("print('all is lost')") == ""


def test_what_it_is_told(tmp_path: Path) -> None:
    script = (
        "import os, sys, json\n"
        "told = {k: v for k, v in os.environ.items() if k.startswith('RECONCILER_BATCH_')}\n"
        "open(sys.argv[1], 'w').write(json.dumps(told, sort_keys=True))"
    )
    path = tmp_path / "told"
    assert failure(script, never, 20.0, str(path)) == ""
    assert path.read_text("utf-8") == (
        '{"RECONCILER_BATCH_ACCOUNT": "123456789012", "RECONCILER_BATCH_COUNT": "2", '
        '"RECONCILER_BATCH_INSTANCES": "us-east-1/i-0123456789abcdef0 eu-west-1/i-0a", '
        '"RECONCILER_BATCH_INSTANCE_PROFILE": "web; rm -rf $HOME", '
        '"RECONCILER_BATCH_NUMBER": "2", "RECONCILER_BATCH_ROLE": "v2", '
        '"RECONCILER_BATCH_ROLE_BEFORE": ""}'
    )


def test_another_exit_code_with_the_end_of_its_output() -> None:
    script = "import sys; print('x' * 100_000); print('the end', file=sys.stderr); sys.exit(7)"
    said = failure(script)
    assert said.startswith("the check of batch 2 ended with exit code 7: ...")
    assert said.endswith("the end")
    assert len(said) < MOST_TEXT + 100


def test_what_is_not_text() -> None:
    said = failure("import os, sys; os.write(1, bytes(range(256))); sys.exit(1)")
    assert "ended with exit code 1" in said


def test_a_signal() -> None:
    assert "was killed by signal 9" in failure("import os; os.kill(os.getpid(), 9)")


SLEEPS = "import subprocess, sys; subprocess.run([sys.executable, '-c', CHILD])"


def sleeping(pid: Path) -> str:
    """A command that starts another one, which writes its id."""
    child = f"import os, time; open({str(pid)!r}, 'w').write(str(os.getpid())); time.sleep(60)"
    return SLEEPS.replace("CHILD", repr(child))


def has_ended(pid: Path) -> bool:
    until = time.monotonic() + 10
    while time.monotonic() < until:
        try:
            os.kill(int(pid.read_text("utf-8")), 0)
        except ProcessLookupError:
            return True
        time.sleep(0.05)
    return False


def test_it_has_a_time_and_what_it_started_ends_with_it(tmp_path: Path) -> None:
    pid = tmp_path / "pid"
    assert failure(sleeping(pid), never, 3.0) == "the check of batch 2 did not end within 3 s"
    assert has_ended(pid)


def test_an_interrupt_ends_it(tmp_path: Path) -> None:
    pid = tmp_path / "pid"
    began = time.monotonic()
    said = failure(sleeping(pid), lambda: pid.exists() and bool(pid.read_text("utf-8")))
    assert said == "the check of batch 2 was ended, since the run was interrupted"
    assert time.monotonic() - began < 15
    assert has_ended(pid)


def test_what_cannot_be_run(tmp_path: Path) -> None:
    said = CommandCheck((str(tmp_path / "gone"),)).failure(BATCH, never)
    assert "the check of batch 2 cannot be run" in said


def test_no_command() -> None:
    assert command_check(None) is None


@pytest.mark.parametrize("command", ["sh -c 'exit 0'", "env"])
def test_a_command(command: str) -> None:
    made = command_check(command)
    assert made is not None
    assert made.failure(BATCH, never) == ""


DEAF = (
    "import os, signal, subprocess, sys, time\n"
    "child = 'import os, signal, time; signal.signal(15, signal.SIG_IGN); '\n"
    "child += f'open({sys.argv[1]!r}, \"w\").write(str(os.getpid())); time.sleep(60)'\n"
    "subprocess.Popen([sys.executable, '-c', child])\n"
    "time.sleep(60)\n"
)


def test_what_it_started_ends_with_it_also_if_that_is_deaf(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The command itself ends when it is asked to, what it started does not."""
    monkeypatch.setattr(batch_command, "STOP_SECONDS", 0.5)
    pid = tmp_path / "pid"
    is_there = lambda: pid.exists() and bool(pid.read_text("utf-8"))  # noqa: E731
    assert "was ended" in failure(DEAF, is_there, 20.0, str(pid))
    assert has_ended(pid)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_one_that_may_not_be_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    """As a command that ``sudo`` runs as somebody else."""
    sent: list[int] = []

    def refuse(group: int, sign: int) -> None:
        sent.append(group)
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(batch_command, "STOP_SECONDS", 0.2)
    with monkeypatch.context() as patched:
        patched.setattr(os, "killpg", refuse)
        said = failure("import time; time.sleep(60)", lambda: True)
    assert said == "the check of batch 2 was ended, since the run was interrupted"
    os.killpg(sent[0], 9)


def test_who_asks_and_fails_leaves_no_command_behind(tmp_path: Path) -> None:
    pid = tmp_path / "pid"

    def broken() -> bool:
        if pid.exists() and pid.read_text("utf-8"):
            raise BrokenPipeError
        return False

    with pytest.raises(BrokenPipeError):
        failure(sleeping(pid), broken)
    assert has_ended(pid)


def test_one_that_leaves_something_that_goes_on_writing(tmp_path: Path) -> None:
    pid = tmp_path / "pid"
    script = (
        "import subprocess, sys\n"
        "child = 'import os\\nwhile True: os.write(1, b\"x \" * 3000)'\n"
        "left = subprocess.Popen([sys.executable, '-c', child])\n"
        f"open({str(pid)!r}, 'w').write(str(left.pid))\n"
        "sys.exit(3)"
    )
    try:
        for _ in range(2):
            assert "ended with exit code 3: ..." in failure(script)
            os.kill(int(pid.read_text("utf-8")), 9)
    finally:
        with suppress(ProcessLookupError):
            os.kill(int(pid.read_text("utf-8")), 9)


def test_a_batch_of_more_instances_than_fit_into_its_environment(tmp_path: Path) -> None:
    """Linux takes 128 KiB a variable."""
    keys = tuple(InstanceKey("ap-southeast-2", f"i-{number:017x}") for number in range(6000))
    script = (
        "import os, sys\n"
        "listed = os.environ['RECONCILER_BATCH_INSTANCES'].split()\n"
        "whole = all(len(one) == len('ap-southeast-2/i-') + 17 for one in listed)\n"
        "sys.exit(f\"{os.environ['RECONCILER_BATCH_COUNT']} {len(listed)} {whole}\")"
    )
    said = CommandCheck((sys.executable, "-c", script)).failure(
        replace(BATCH, instances=keys), never
    )
    assert said.endswith(": 6000 2857 True")
