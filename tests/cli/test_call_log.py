"""The log of AWS calls: what ``-vv`` and ``--log-file`` say of each attempt, and never say."""

from __future__ import annotations

import json
import os
import re
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from reconciler.cli.app import run
from reconciler.cli.call_log import CallSinks, LogFile
from reconciler.cli.console import Console
from reconciler.ports import Attempt
from reconciler.render.json.schemas import schema_of
from tests.behaviour.faults import refusing
from tests.receiver import receiver
from tests.rig import ACCOUNT, Rig

SETTINGS = "owner: tests\nregions: [us-east-1]\nconsumer_regions: [us-east-1]\npropagation: 0s\n"
ROLE = "roles: {web: {trust: ec2}}"
LINE = re.compile(
    r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z (?P<run>[0-9a-f]{12}) (?P<call>[a-z0-9]+:[A-Z]\w+) "
    r"(?P<region>\S+) attempt (?P<attempt>\d+), \d+ ms, (?P<answer>[^,]+)(, request \S+)?"
)
Capture = pytest.CaptureFixture[str]


@pytest.fixture
def folder(aws: Rig, monkeypatch: pytest.MonkeyPatch) -> Iterator[Rig]:
    monkeypatch.chdir(aws.folder)
    monkeypatch.delenv("RECONCILER_LOG", raising=False)
    (aws.folder / "specs").mkdir()
    aws.folder = aws.folder / "specs"
    aws.write(ROLE, SETTINGS)
    yield aws


def logged(path: Path = Path("calls.jsonl")) -> list[dict[str, Any]]:
    return [json.loads(text) for text in path.read_text().splitlines()]


def told(stderr: str) -> list[re.Match[str]]:
    return [found for text in stderr.splitlines() if (found := LINE.fullmatch(text))]


@pytest.mark.parametrize(
    "command", ["plan", "drift", "apply --auto-approve", "import --all --out x"]
)
def test_every_call_is_a_line_on_stderr_and_in_the_file(
    folder: Rig, capsys: Capture, command: str
) -> None:
    run([*command.split(), "-vv", "--log-file", "calls.jsonl"])
    out, err = capsys.readouterr()
    lines, objects = told(err), logged()
    for one in objects:
        jsonschema.validate(one, schema_of("log"))
    assert sorted((f["call"], int(f["attempt"])) for f in lines) == sorted(
        (o["call"], o["attempt"]) for o in objects
    )
    sent = [f"{one.service}:{one.operation}" for one in folder.aws.log]
    assert sorted(o["call"] for o in objects) == sorted(sent)
    assert {o["status"] for o in objects} <= {200, 404}
    assert not told(out)


def test_without_them_nothing_is_logged(folder: Rig, capsys: Capture) -> None:
    run(["plan", "-v"])
    assert not told(capsys.readouterr().err)


def test_the_variable_names_the_file_and_runs_follow_each_other(
    folder: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RECONCILER_LOG", "calls.jsonl")
    assert run(["plan", "--quiet"]) == 0
    first = logged()
    assert run(["plan", "--quiet"]) == 0
    assert logged()[: len(first)] == first
    assert len({one["run"] for one in logged()}) == 2


def test_an_attempt_that_botocore_repeats_is_a_line_of_its_own(folder: Rig) -> None:
    with refusing(folder, "ListRoles", "Throttling", 1):
        assert run(["plan", "--log-file", "calls.jsonl"]) == 0
    tries = [o for o in logged() if o["call"] == "iam:ListRoles"][:2]
    assert [(o["attempt"], o["code"]) for o in tries] == [(1, "Throttling"), (2, None)]
    assert tries[0]["status"] >= 400
    assert tries[1]["status"] == 200


def test_a_write_that_we_repeat_counts_on(folder: Rig) -> None:
    with refusing(folder, "CreateRole", "Throttling", 1):
        assert run(["apply", "--auto-approve", "--log-file", "calls.jsonl"]) == 0
    tries = [o for o in logged() if o["call"] == "iam:CreateRole"]
    assert [(o["attempt"], o["code"]) for o in tries] == [(1, "Throttling"), (2, None)]


@pytest.mark.parametrize("path", ["missing/calls.jsonl", "specs", "a\0b"])
def test_a_file_that_cannot_be_opened_stops_before_anything_is_read(
    folder: Rig, capsys: Capture, path: str
) -> None:
    assert run(["apply", "--auto-approve", "--log-file", path]) == 1
    err = capsys.readouterr().err
    assert "the log file" in err
    assert "RECONCILER_LOG" in err
    assert not folder.aws.log


def test_stdout_is_no_file(folder: Rig, capsys: Capture) -> None:
    assert run(["plan", "--log-file", "-"]) == 64
    assert "-vv" in capsys.readouterr().err
    assert not folder.aws.log


def test_a_full_disk_ends_the_log_and_not_the_apply(folder: Rig, capsys: Capture) -> None:
    assert run(["apply", "--auto-approve", "--log-file", "/dev/full"]) == 0
    err = capsys.readouterr().err
    assert err.count("the log ends here") == 1
    assert "No space left" in err
    assert folder.names()["roles"] == ["web"]


def test_a_pipe_whose_reader_is_gone_or_asleep_ends_the_log(
    tmp_path: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("reconciler.cli.call_log.PATIENCE_SECONDS", 0.05)
    for is_gone in (True, False):
        path = tmp_path / f"pipe-{is_gone}"
        os.mkfifo(path)
        with pytest.raises(OSError, match="No such device"):
            LogFile(str(path))
        reader = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
        sinks = CallSinks(Console(), LogFile(str(path)))
        if is_gone:
            os.close(reader)
        for _ in range(2_000):
            sinks.attempted(attempt())
        assert capsys.readouterr().err.count("the log ends here") == 1


def attempt(**more: Any) -> Attempt:
    given = {"at": 1.8e9, "run": "0" * 12, "call": "iam:GetRole", "region": "aws-global"}
    given |= {"number": 1, "seconds": 0.1, "status": 200, "code": None, "request_id": "r"}
    return Attempt(**{**given, **more})


def test_threads_write_whole_lines(tmp_path: Path, capsys: Capture) -> None:
    path = tmp_path / "calls.jsonl"
    sinks = [CallSinks(Console(verbose=2), LogFile(str(path))) for _ in range(2)]
    one = attempt(request_id="x" * 200)

    def work(sink: CallSinks) -> None:
        for _ in range(50):
            sink.attempted(one)

    threads = [threading.Thread(target=work, args=(sinks[n % 2],)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(logged(path)) == 400
    assert len(told(capsys.readouterr().err)) == 400


SECRETS = {
    "AWS_ACCESS_KEY_ID": "AKIAHUSHHUSHHUSHHUSH",
    "AWS_SECRET_ACCESS_KEY": "hush/secret+key",
    "AWS_SESSION_TOKEN": "hush-session-token",
}
EXTERNAL = "hush-external-id"
VALUE = "hush-value ::error:: \\e[31m ##[command]"
SPEC = f"""
roles:
  web:
    trust: ec2
    description: "{VALUE.encode("unicode_escape").decode()}"
    tags: {{password: hush-tag}}
"""


@pytest.mark.filterwarnings("ignore::UserWarning")  # moto's, about a code that it does not know
def test_it_says_no_secret_and_no_value(
    folder: Rig, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Credentials, tokens (also assumed ones), an external id, a webhook's address, parameters and
    answers: the log has none of them, whatever AWS answers."""
    for name, value in SECRETS.items():
        monkeypatch.setenv(name, value)
    target = f"arn:aws:iam::{ACCOUNT}:role/deploy"
    settings = SETTINGS + f"targets: {{a: {{role_arn: '{target}', external_id: {EXTERNAL}}}}}\n"
    folder.write(SPEC, settings)
    # The last response cannot be parsed, and a plan waits a minute, in real time, for a better one.
    monkeypatch.setattr("reconciler.executor.retry_rules.LOST_SECONDS", 1.0)
    with receiver() as web:
        place = f"{web.url}/hush-webhook"
        options = ["-vv", "--log-file", "calls.jsonl"]
        run(["drift", *options, "--baseline", "b.json", "--notify", f"webhook={place}"])
        run(["apply", "--auto-approve", *options])
        with refusing(folder, "GetRole", "hush code\n\x1b[31m ::error::"):
            run(["plan", "--only", "role/web", *options])
    assumed = [one for one in folder.aws.log if one.operation == "AssumeRole"]
    assert assumed
    assert assumed[0].params["ExternalId"] == EXTERNAL
    out, err = capsys.readouterr()
    log = Path("calls.jsonl").read_text() + "\n".join(found[0] for found in told(err))
    assert "sts:AssumeRole" in log
    assert "hush" not in log.lower()
    assert "\x1b" not in log + err
    assert "::error" not in log
    for secret in (*SECRETS.values(), EXTERNAL, "hush-webhook"):
        assert secret not in out + err, secret
