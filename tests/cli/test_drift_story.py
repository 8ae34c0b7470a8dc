"""A cron job's days: clean, drift, the same, another, resolved; and what goes wrong on the way."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest

from tests.program import Program
from tests.receiver import Received, Receiver, Reply, receiver

SPEC = "roles: {a: {trust: ec2}, b: {trust: ec2}}\n"
SETTINGS = "owner: tests\nregions: [us-east-1]\nconsumer_regions: [us-east-1]\npropagation: 0s\n"


@pytest.fixture(scope="module")
def sandbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Program]:
    made = Program(tmp_path_factory.mktemp("story"))
    with made.sandbox("instances: []\n"):
        yield made


@pytest.fixture
def program(sandbox: Program) -> Program:
    """Specs that have been applied."""
    specs = sandbox.folder / "specs"
    specs.mkdir(exist_ok=True)
    (specs / "reconciler.yaml").write_text(SETTINGS)
    (specs / "a.yaml").write_text(SPEC)
    applied = sandbox.run("apply", "--auto-approve", "-q")
    assert applied.returncode == 0, applied.stderr
    for left in ("last.json", "metrics.prom"):
        (sandbox.folder / left).unlink(missing_ok=True)
    return sandbox


def describe(program: Program, role: str, text: str) -> None:
    """As somebody does by hand."""
    iam = boto3.client(
        "iam",
        endpoint_url=program.endpoint,
        region_name="us-east-1",
        aws_access_key_id="x",
        aws_secret_access_key="x",
    )
    iam.update_role(RoleName=role, Description=text, MaxSessionDuration=3600)


def metric(program: Program, name: str) -> float:
    text = (program.folder / "metrics.prom").read_text()
    found = re.search(rf"^{re.escape(name)} (\S+)$", text, re.M)
    assert found, text
    return float(found[1])


def drift(program: Program, there: Receiver, *more: str) -> tuple[int, Any]:
    flags = ("--baseline", "last.json", "--notify", f"slack={there.url}/T0/secret")
    done = program.run("drift", "--json", *flags, "--metrics", "prometheus=metrics.prom", *more)
    assert "secret" not in done.stdout + done.stderr
    return done.returncode, json.loads(done.stdout)


def test_notifications_over_several_runs(program: Program) -> None:
    """Clean, drift, the same, another, resolved: three notifications."""
    with receiver() as there:
        assert drift(program, there)[0] == 0
        assert there.received == []
        describe(program, "a", "by hand")
        code, found = drift(program, there)
        assert (code, len(there.received)) == (2, 1)
        assert [f["transition"] for f in found["findings"]] == ["new"]
        code, found = drift(program, there)
        assert (code, len(there.received)) == (2, 1)
        assert [f["transition"] for f in found["findings"]] == ["ongoing"]
        describe(program, "a", "by another hand")
        assert drift(program, there)[1]["findings"][0]["transition"] == "changed"
        assert len(there.received) == 2
        describe(program, "a", "")
        code, found = drift(program, there)
        assert (code, len(there.received)) == (0, 3)
        assert [f["transition"] for f in found["resolved"]] == ["resolved"]
        assert drift(program, there)[0] == 0
        assert len(there.received) == 3
    texts = [came.json["text"] for came in there.received]
    assert texts[0].startswith("Drift in tests, account 123456789012: 1 new; now 1 modified")
    assert texts[2].startswith("Drift resolved in tests")
    labels = 'account="123456789012",spec="tests",target="default",status="modified"'
    assert metric(program, f"reconciler_drift_resources{{{labels}}}") == 0
    assert metric(program, "reconciler_last_run_success") == 1


def test_a_failed_notification_is_sent_again(program: Program) -> None:
    """The findings are there, the exit code says so, and it is told when it can be."""
    states = {"broken": True}

    def broken(_: Received) -> Reply:
        return (400 if states["broken"] else 200), {}, b"invalid_token"

    describe(program, "a", "x")
    with receiver(broken) as there:
        flags = ("--baseline", "last.json", "--notify", f"slack={there.url}/T0/secret")
        measured = ("--metrics", "prometheus=metrics.prom")
        done = program.run("drift", *flags, *measured)
        assert done.returncode == 1
        assert "modified" in done.stdout
        assert "slack at 127.0.0.1 could not be notified: 127.0.0.1: answered 400" in done.stderr
        assert "secret" not in done.stdout + done.stderr
        assert "secret" not in (program.folder / "last.json").read_text()
        assert metric(program, "reconciler_undelivered_notifications") == 1
        assert metric(program, "reconciler_last_run_success") == 0
        states["broken"] = False
        assert drift(program, there)[0] == 2
        assert "1 new" in there.received[-1].json["text"]
        count = len(there.received)
        assert drift(program, there)[0] == 2
        assert len(there.received) == count
    describe(program, "a", "")


def test_a_failed_run_keeps_baseline_and_last_success(program: Program) -> None:
    """The baseline stays; the metrics say when it could tell last."""
    with receiver() as there:
        drift(program, there)
        before = (program.folder / "last.json").read_text()
        last = metric(program, "reconciler_last_success_timestamp_seconds")
        (program.folder / "specs" / "a.yaml").write_text("roles: {a: {}}")
        done = program.run(
            "drift", "--baseline", "last.json", "--metrics", "prometheus=metrics.prom"
        )
        assert done.returncode == 1
    assert (program.folder / "last.json").read_text() == before
    assert metric(program, "reconciler_last_success_timestamp_seconds") == last
    assert metric(program, "reconciler_last_run_timestamp_seconds") > last
    assert metric(program, "reconciler_last_run_success") == 0


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (("--notify", "slack=https://h.test/secret"), "--notify needs --baseline"),
        (("--baseline", "x", "--notify", "mail=secret"), "takes KIND=PLACE"),
        (("--baseline", "s3://bucket"), "s3://BUCKET/KEY"),
        (("--metrics", "x=secret"), "takes prometheus=FILE"),
        (("--report", "sarif=x"), "takes FORMAT=PATH"),
        (("--json", "--report", "markdown=-"), "stdout takes one result"),
    ],
)
def test_wrong_usage(tmp_path: Path, flags: tuple[str, ...], said: str) -> None:
    done = Program(tmp_path).run("drift", *flags)
    assert done.returncode == 64
    assert said in done.stderr


def test_an_invalid_baseline_is_refused(program: Program) -> None:
    """It is not written over: somebody may want to know what it was."""
    path: Path = program.folder / "last.json"
    path.write_text("{")
    done = program.run("drift", "--baseline", "last.json")
    assert done.returncode == 1
    assert "last.json is not a baseline written by drift" in done.stderr
    assert path.read_text() == "{"


def test_an_unwritable_baseline(program: Program) -> None:
    done = program.run("drift", "--baseline", "no/such/folder/last.json")
    assert done.returncode == 1
    assert "No drift." in done.stdout
    assert "no/such/folder/last.json: No such file or directory" in done.stderr


def test_who_prints_the_author(program: Program) -> None:
    describe(program, "b", "x")
    done = program.run("drift", "--who")
    assert re.search(r"UpdateRole by arn:aws:iam::\d+:user/sandbox at 20", done.stdout), done.stdout
    describe(program, "b", "")


def test_accept_as_patch_and_in_place(program: Program) -> None:
    """A patch that git takes, or the files themselves."""
    path = program.folder / "specs" / "a.yaml"
    path.write_text("# ours\nroles:\n  a: {trust: ec2}  # one\n  b: {trust: ec2}\n")
    describe(program, "a", "by hand")
    git = "git init -q . && git add specs/a.yaml && "
    done = program.shell(
        f"{git} reconciler drift -q --accept role/a > p.patch && git apply p.patch"
    )
    assert done.returncode == 0, done.stderr
    assert path.read_text() == (
        "# ours\nroles:\n  a: {trust: ec2, description: by hand}  # one\n  b: {trust: ec2}\n"
    )
    assert program.run("drift").returncode == 0
    describe(program, "b", "too")
    done = program.run("drift", "--accept", "role/*", "--accept", "role/x", "--write")
    assert done.returncode == 64
    assert "Error: --accept role/x matches nothing" in done.stderr
    assert "too" not in path.read_text()
    done = program.run("drift", "--accept", "role/b", "--accept", "role/a", "--write")
    assert done.returncode == 1
    assert done.stdout == "Changed specs/a.yaml\n"
    assert "role/b: accepted in specs/a.yaml" in done.stderr
    assert "role/a: not accepted: no finding matches" in done.stderr
    assert "b: {trust: ec2, description: too}" in path.read_text()
    assert program.run("drift").returncode == 0
    for role in ("a", "b"):
        describe(program, role, "")
