"""``probe``, and ``sandbox --calibrate``, as their users type them."""

from __future__ import annotations

import json
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest

from reconciler.exit_codes import ExitCode
from tests.program import Program

INSTANCE = "i-0abc1234abc1234ab"
SEED = f"""
roles:
  a: {{tags: {{"reconciler:probe": "yes"}}}}
  b: {{tags: {{"reconciler:probe": "yes"}}}}
  batch: {{}}
instance_profiles:
  mine: {{role: a}}
instances:
  - {{id: {INSTANCE}, tags: {{"reconciler:probe": "yes"}}, instance_profile: mine}}
"""
FLAGS = ("--region", "us-east-1", "--instance", INSTANCE, "--role", "a")
GIVEN = ("probe", "--i-own-this-account", *FLAGS, "--role", "b")


@pytest.fixture
def program(tmp_path: Path) -> Iterator[Program]:
    made = Program(tmp_path)
    with made.sandbox(SEED, "--disassociating", "1.5"):
        yield made


def client(program: Program, service: str) -> Any:
    made: Any = boto3.client(  # type: ignore[call-overload]
        service,
        region_name="us-east-1",
        endpoint_url=program.endpoint,
        aws_access_key_id="other",
        aws_secret_access_key="other",
    )
    return made


def profile_of(program: Program) -> str | None:
    answer = client(program, "ec2").describe_instances(InstanceIds=[INSTANCE])
    found = answer["Reservations"][0]["Instances"][0].get("IamInstanceProfile")
    return found["Arn"].rpartition("/")[2] if found else None


def is_as_before(program: Program) -> None:
    assert profile_of(program) == "mine"
    iam, ec2 = client(program, "iam"), client(program, "ec2")
    profiles = iam.list_instance_profiles()["InstanceProfiles"]
    assert [one["InstanceProfileName"] for one in profiles] == ["mine"]
    tags = ec2.describe_tags(Filters=[{"Name": "resource-id", "Values": [INSTANCE]}])["Tags"]
    assert [tag["Key"] for tag in tags] == ["reconciler:probe"]


def test_it_refuses_what_it_must_not_begin(program: Program) -> None:
    bare = program.run("probe", *FLAGS, "--role", "b", "--yes")
    assert bare.returncode == ExitCode.USAGE
    assert "it must not be run" in bare.stderr
    assert "--i-own-this-account" in bare.stderr

    one = program.run("probe", "--i-own-this-account", *FLAGS)
    assert one.returncode == ExitCode.USAGE
    assert "--role is needed twice" in one.stderr

    unknown = program.run(*GIVEN, "--experiment", "repalce")
    assert unknown.returncode == ExitCode.USAGE

    other = program.run("probe", "--i-own-this-account", *FLAGS, "--role", "batch", "--yes")
    assert other.returncode == ExitCode.UNDECIDED
    assert "the role batch does not have the tag reconciler:probe=yes" in other.stderr

    unasked = program.run(*GIVEN, "--experiment", "young")
    assert unasked.returncode == ExitCode.ERROR
    assert "pass --yes" in unasked.stderr
    assert "gets mine back" in unasked.stdout
    is_as_before(program)
    assert not (program.folder / "probe.json").exists()


@pytest.mark.slow  # it waits as long as the sandbox takes, in real time
def test_it_writes_what_a_sandbox_is_calibrated_with(program: Program) -> None:
    names = ("young", "replace", "disassociate")
    only = [flag for name in names for flag in ("--experiment", name)]
    made = program.run(*GIVEN, "--yes", *only)
    assert made.returncode == ExitCode.OK, made.stderr
    assert "The instance has its profile again, as before; that was checked." in made.stdout
    is_as_before(program)
    document = json.loads((program.folder / "probe.json").read_text())
    assert document["complete"]
    assert document["restored"]
    assert 1 <= document["times"]["disassociating"] < 30
    schema = program.run("schema", "--of", "probe")
    assert '"title": "reconciler probe --json"' in schema.stdout

    other = Program(program.folder)
    with other.sandbox("{}", "--calibrate", "probe.json", "--associating", "7") as told:
        measured = document["times"]["disassociating"]
        assert f"Times of probe.json: --ec2-lag 0 --associating 7 --disassociating {0.2}" in told
        assert measured


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "bad.json is not JSON"),
        ("[]", "bad.json is not what probe writes"),
        ('{"times": {"ec2_lag": -1}}', "times.ec2_lag: Input should be greater than or equal to 0"),
        ("\x00", "bad.json is not JSON"),
    ],
)
def test_a_bad_file_is_told(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "bad.json").write_text(text, "utf-8")
    program = Program(tmp_path)
    made = program.run("sandbox", "--port", "0", "--calibrate", "bad.json")
    assert made.returncode == ExitCode.ERROR
    assert message in made.stderr
    assert program.run("sandbox", "--calibrate", "none.json").returncode == ExitCode.ERROR


def until_it_has_another(program: Program) -> None:
    until = time.monotonic() + 60
    while profile_of(program) == "mine":
        assert time.monotonic() < until
        time.sleep(0.1)


@pytest.mark.parametrize(
    "number",
    [
        signal.SIGKILL,
        pytest.param(signal.SIGINT, marks=pytest.mark.slow),
        pytest.param(signal.SIGTERM, marks=pytest.mark.slow),
    ],
)
def test_a_signal_in_the_middle(program: Program, number: signal.Signals) -> None:
    process = program.start(*GIVEN, "--yes", "--experiment", "disassociate")
    until_it_has_another(program)
    process.send_signal(number)
    out, err = process.communicate(timeout=60)
    if number is signal.SIGKILL:
        assert profile_of(program) != "mine"
        cleaned = program.run(*GIVEN, "--clean", "--yes")
        assert cleaned.returncode == ExitCode.OK, cleaned.stderr
        assert "A probe of it was killed before" in cleaned.stdout
    else:
        assert process.returncode == ExitCode.INTERRUPTED, err
        assert "not to its end" in out
        document = json.loads((program.folder / "probe.json").read_text())
        assert not document["complete"]
        assert document["restored"]
    is_as_before(program)
