"""An emulator that others wrote, as it is: moto without our layer in front of it, in this process,
and with the sweep as its own server in a process of its own."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from moto import mock_aws
from moto.core.responses import BaseResponse
from werkzeug.exceptions import InternalServerError

from reconciler.sandbox.embedded import JumpingClock
from reconciler.sandbox.state import World
from tests.behaviour.test_ownership import TRUST
from tests.program import ROOT, Program
from tests.rig import Rig

pytestmark = pytest.mark.slow  # moto's own server, and moto before anything patched it

LONGEST_START_SECONDS = 60.0


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    """Its URL. A start takes it longer than most of what is asked of it."""
    port = free_port()
    own = {k: v for k, v in os.environ.items() if not k.startswith(("AWS_", "MOTO_"))}
    with subprocess.Popen(
        [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)],
        env={**own, "MOTO_IAM_LOAD_MANAGED_POLICIES": "true"},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    ) as started:
        try:
            _until_it_answers(port)
            yield f"http://127.0.0.1:{port}"
        finally:
            started.terminate()


@pytest.fixture
def program(tmp_path: Path, server: str, request: pytest.FixtureRequest) -> Program:
    shutil.copytree(ROOT / request.param, tmp_path / "specs")
    urllib.request.urlopen(f"{server}/moto-api/reset", b"", timeout=30).close()
    return Program(tmp_path, server)


def _until_it_answers(port: int) -> None:
    until = time.monotonic() + LONGEST_START_SECONDS
    while time.monotonic() < until:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.1)
    raise AssertionError("moto's server does not start")


def client(program: Program, service: str) -> Any:
    made: Any = boto3.client(  # type: ignore[call-overload]
        service,
        region_name="us-east-1",
        endpoint_url=program.endpoint,
        aws_access_key_id="test",
        aws_secret_access_key="test",
    )
    return made


def launch(program: Program, app: str) -> list[str]:
    tags = [{"ResourceType": "instance", "Tags": [{"Key": "app", "Value": app}]}]
    answer = client(program, "ec2").run_instances(
        ImageId="ami-12c6146b", MinCount=2, MaxCount=2, TagSpecifications=tags
    )
    return [i["InstanceId"] for i in answer["Instances"]]


def done(program: Program, *arguments: str) -> str:
    run = program.run(*arguments, AWS_REGION="us-east-1")
    assert run.returncode == 0, (arguments, run.stdout, run.stderr)
    return run.stdout + run.stderr


def held(program: Program) -> dict[str, str]:
    rows = client(program, "ec2").describe_iam_instance_profile_associations()
    return {
        row["InstanceId"]: row["IamInstanceProfile"]["Arn"].rpartition("/")[2]
        for row in rows["IamInstanceProfileAssociations"]
    }


def association_ids(ec2: Any) -> set[str]:
    rows = ec2.describe_iam_instance_profile_associations()
    return {row["AssociationId"] for row in rows["IamInstanceProfileAssociations"]}


@pytest.fixture
def emulated(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Rig]:
    """What moto has not implemented its server answers with 500."""
    call_action = BaseResponse.call_action

    def answered(request: Any) -> Any:
        try:
            return call_action(request)
        except NotImplementedError:
            return 500, {}, InternalServerError().get_body()

    monkeypatch.setattr(BaseResponse, "call_action", answered)
    monkeypatch.setattr("time.sleep", lambda _seconds: None)
    with mock_aws():
        yield Rig(tmp_path, World(), JumpingClock())


def test_moto_in_this_process(emulated: Rig) -> None:
    """Made, found in order, swapped and cut over, changed, and taken down."""
    instances = emulated.launch(2, tags={"app": "web"})
    specs = ROOT / "examples" / "emulators" / "specs"
    settings, text = ((specs / name).read_text() for name in ("reconciler.yaml", "web.yaml"))
    emulated.write(text, settings)
    emulated.settle()
    before = emulated.associations()
    assert before == {instance: [("web", "associated")] for instance in instances}
    ids = association_ids(emulated.ec2())
    swapped = text.replace("{role: web-v1", "{role: web-v2")
    emulated.write(swapped, settings)
    assert [c.actions for c in emulated.settle().changes if c.actions == ("cutover",)] == [
        ("cutover",)
    ] * 2
    assert emulated.role_in("web") == "web-v2"
    assert emulated.associations() == before
    assert not ids & association_ids(emulated.ec2())
    emulated.write(swapped.replace("s3:GetObject", "s3:ListBucket"), settings)
    emulated.settle()
    emulated.ec2().terminate_instances(InstanceIds=instances)
    allowed = frozenset({("delete", "4"), ("release", "*")})
    emulated.apply(destroy=True, allow=allowed)
    assert emulated.names() == {"roles": [], "profiles": [], "policies": []}


@pytest.mark.parametrize("program", ["examples/emulators/specs"], indirect=True)
def test_moto_as_it_is(program: Program) -> None:
    """Made, found in order, swapped and cut over, changed, moved back by hand, and taken down."""
    instances = launch(program, "web")
    done(program, "apply", "specs", "--auto-approve")
    assert held(program) == dict.fromkeys(instances, "web")
    before = association_ids(client(program, "ec2"))
    path = program.folder / "specs" / "web.yaml"
    path.write_text(path.read_text().replace("{role: web-v1", "{role: web-v2"))
    told = done(program, "apply", "specs", "--auto-approve")
    assert "2 instances cut over" in told
    profile = client(program, "iam").get_instance_profile(InstanceProfileName="web")
    assert [r["RoleName"] for r in profile["InstanceProfile"]["Roles"]] == ["web-v2"]
    assert held(program) == dict.fromkeys(instances, "web")
    assert not before & association_ids(client(program, "ec2"))
    path.write_text(path.read_text().replace("s3:GetObject", "s3:ListBucket"))
    done(program, "apply", "specs", "--auto-approve")
    done(program, "plan", "specs", "--detailed-exitcode")
    client(program, "ec2").terminate_instances(InstanceIds=instances)
    done(
        program, "destroy", "specs", "--auto-approve", "--allow", "delete=4", "--allow", "release=*"
    )
    assert client(program, "iam").list_instance_profiles()["InstanceProfiles"] == []


@pytest.mark.parametrize("program", ["specs"], indirect=True)
def test_the_set_that_comes_with_it(program: Program) -> None:
    instances = launch(program, "web")
    done(program, "apply", "specs", "--auto-approve")
    assert set(held(program)) >= set(instances)
    done(program, "plan", "specs", "--detailed-exitcode")


def test_a_probe_leaves_motos_own_server_as_it_was(tmp_path: Path, server: str) -> None:
    """What differs there is told; nothing is left."""
    urllib.request.urlopen(f"{server}/moto-api/reset", b"", timeout=30).close()
    program = Program(tmp_path, server)
    iam, ec2 = client(program, "iam"), client(program, "ec2")
    tags = [{"Key": "reconciler:probe", "Value": "yes"}]
    for role in "ab":
        iam.create_role(RoleName=role, AssumeRolePolicyDocument=TRUST, Tags=tags)
    iam.create_instance_profile(InstanceProfileName="mine")
    iam.add_role_to_instance_profile(InstanceProfileName="mine", RoleName="a")
    (instance,) = ec2.run_instances(
        ImageId="ami-12c6146b",
        MinCount=1,
        MaxCount=1,
        IamInstanceProfile={"Name": "mine"},
        TagSpecifications=[{"ResourceType": "instance", "Tags": tags}],
    )["Instances"]
    name = instance["InstanceId"]
    given = ("--instance", name, "--role", "a", "--role", "b", "--region", "us-east-1")
    names = ("young", "lists", "refusals-iam", "refusals-ec2", "dry-run", "on-the-way")
    only = [flag for one in names for flag in ("--experiment", one)]
    told = done(program, "probe", "--i-own-this-account", "--yes", *given, *only)
    assert "An emulator on this machine, and not AWS" in told
    assert "differs replace-none: replace no existing association" in told
    assert held(program) == {name: "mine"}
    profiles = iam.list_instance_profiles()["InstanceProfiles"]
    assert [one["InstanceProfileName"] for one in profiles] == ["mine"]
    left = ec2.describe_tags(Filters=[{"Name": "resource-id", "Values": [name]}])["Tags"]
    assert [tag["Key"] for tag in left] == ["reconciler:probe"]
