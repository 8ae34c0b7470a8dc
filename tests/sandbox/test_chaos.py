"""Each knob of the sandbox does what it says, and a seed does the same twice."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError, ConnectionClosedError, ReadTimeoutError

from reconciler.sandbox.fault_config import Chaos, mixture
from reconciler.sandbox.faults import Buckets
from tests.program import ROOT, Program
from tests.rig import Rig
from tests.sandbox.test_fidelity import DOCUMENT, POLICY, TRUST, associate, code_of


@pytest.fixture
def made(aws: Rig, monkeypatch: pytest.MonkeyPatch) -> Rig:
    """A role in a profile, and a policy. What botocore waits between tries passes at once."""
    aws.iam.create_role(RoleName="r", AssumeRolePolicyDocument=TRUST)
    aws.iam.create_instance_profile(InstanceProfileName="one")
    aws.iam.add_role_to_instance_profile(InstanceProfileName="one", RoleName="r")
    aws.iam.create_policy(PolicyName="p", PolicyDocument=DOCUMENT)
    aws.clock.sleep(60)
    monkeypatch.setattr("time.sleep", lambda _seconds: None)
    return aws


def make_role(aws: Rig, name: str = "new", trust: str = TRUST) -> Any:
    return aws.iam.create_role(RoleName=name, AssumeRolePolicyDocument=trust)


REFUSED: dict[str, tuple[Chaos, Callable[[Rig], Any], str]] = {
    "throttled by IAM": (
        Chaos(throttle=0.01),
        lambda a: [a.iam.get_role(RoleName="r") for _ in range(9)],
        "Throttling",
    ),
    "throttled by EC2": (
        Chaos(throttle=0.01),
        lambda a: [a.ec2().describe_instances() for _ in range(9)],
        "RequestLimitExceeded",
    ),
    "a role that is not known yet": (
        Chaos(unknown=600),
        lambda a: (
            make_role(a),
            a.iam.add_role_to_instance_profile(InstanceProfileName="one", RoleName="new"),
        ),
        "NoSuchEntity",
    ),
    "a role that is not known yet, in an attachment": (
        Chaos(unknown=600),
        lambda a: (make_role(a), a.iam.attach_role_policy(RoleName="new", PolicyArn=POLICY)),
        "NoSuchEntity",
    ),
    "a principal that is not known yet": (
        Chaos(unknown=600),
        lambda a: make_role(
            a,
            "second",
            TRUST.replace(
                '"Service":"ec2.amazonaws.com"', f'"AWS":"{make_role(a)["Role"]["Arn"]}"'
            ),
        ),
        "MalformedPolicyDocument",
    ),
    "a delete right after": (
        Chaos(conflict=600),
        lambda a: (
            a.iam.remove_role_from_instance_profile(InstanceProfileName="one", RoleName="r"),
            a.iam.delete_role(RoleName="r"),
        ),
        "DeleteConflict",
    ),
    "changed at the same time": (Chaos(concurrent=1), make_role, "ConcurrentModification"),
    "denied by IAM": (
        Chaos(denied=frozenset({"iam:CreateRole"})),
        make_role,
        "AccessDenied",
    ),
    "denied by EC2": (
        Chaos(denied=frozenset({"ec2:AssociateIamInstanceProfile"})),
        lambda a: associate(a, a.launch(1)[0]),
        "UnauthorizedOperation",
    ),
    "may not pass the role": (
        Chaos(denied=frozenset({"iam:PassRole"})),
        lambda a: associate(a, a.launch(1)[0]),
        "UnauthorizedOperation",
    ),
    "expired in IAM": (
        Chaos(expires_after=2),
        lambda a: [a.iam.get_role(RoleName="r") for _ in range(3)],
        "ExpiredToken",
    ),
    "expired in EC2": (
        Chaos(expires_after=2),
        lambda a: [a.ec2().describe_instances() for _ in range(3)],
        "RequestExpired",
    ),
}


@pytest.mark.parametrize("situation", REFUSED)
def test_refused(made: Rig, situation: str) -> None:
    chaos, call, code = REFUSED[situation]
    made.aws.chaos = chaos
    assert code_of(lambda: call(made)) == code


def test_throttling_is_over_when_the_bucket_fills() -> None:
    buckets, key = Buckets(), ("ec2", "1", "us-east-1", "StartInstances")
    assert [buckets.takes(key, 0.0, 1.0) for _ in range(6)] == [True] * 5 + [False]
    assert not buckets.takes(key, 0.4, 1.0)
    assert buckets.takes(key, 1.0, 1.0)
    assert buckets.takes(("ec2", "1", "eu-west-1", "StartInstances"), 0.0, 1.0)


def test_a_principal_that_is_not_known_yet_is_named_as_aws_names_it(made: Rig) -> None:
    """By its ARN, on which a caller decides whether to wait."""
    made.aws.chaos = Chaos(unknown=600)
    arn = make_role(made)["Role"]["Arn"]
    trust = TRUST.replace('"Service":"ec2.amazonaws.com"', f'"AWS":"{arn}"')
    with pytest.raises(made.iam.exceptions.MalformedPolicyDocumentException) as refused:
        make_role(made, "second", trust)
    message = refused.value.response["Error"]["Message"]
    assert message == f'Invalid principal in policy: "AWS":"{arn}"'


def test_what_passes_passes(made: Rig) -> None:
    made.aws.chaos = Chaos(unknown=30, conflict=30)
    make_role(made)
    made.clock.sleep(31)
    made.iam.remove_role_from_instance_profile(InstanceProfileName="one", RoleName="r")
    made.iam.add_role_to_instance_profile(InstanceProfileName="one", RoleName="new")
    made.clock.sleep(31)
    made.iam.delete_role(RoleName="r")


def test_lists_are_stale_for_longer_than_gets(made: Rig) -> None:
    made.aws.chaos = Chaos(stale_gets=20, stale_lists=60)
    make_role(made)

    def seen() -> tuple[bool, bool]:
        names = [r["RoleName"] for r in made.iam.list_roles()["Roles"]]
        try:
            made.iam.get_role(RoleName="new")
        except ClientError:
            return False, "new" in names
        return True, "new" in names

    assert {seen() for _ in range(9)} == {(False, False)}
    made.clock.sleep(10)
    assert {get for get, _ in (seen() for _ in range(20))} == {False, True}
    made.clock.sleep(11)
    assert {get for get, _ in (seen() for _ in range(9))} == {True}
    assert {listed for _, listed in (seen() for _ in range(30))} == {False, True}
    made.clock.sleep(60)
    assert {seen() for _ in range(9)} == {(True, True)}


def test_stale_answers_are_whole(made: Rig) -> None:
    """A profile shows the role that was in it, as it was."""
    made.iam.tag_role(RoleName="r", Tags=[{"Key": "a", "Value": "1"}])
    made.aws.chaos = Chaos(stale_lists=1e9)
    made.iam.tag_role(RoleName="r", Tags=[{"Key": "a", "Value": "2"}])
    made.iam.remove_role_from_instance_profile(InstanceProfileName="one", RoleName="r")
    details = made.iam.get_account_authorization_details(Filter=["Role"])["RoleDetailList"]
    role = next(r for r in details if r["RoleName"] == "r")
    assert role["Tags"] == [{"Key": "a", "Value": "1"}]
    assert [p["InstanceProfileName"] for p in role["InstanceProfileList"]] == ["one"]


@pytest.mark.parametrize("is_lost", [False, True])
def test_errors_come_before_or_after_the_effect(made: Rig, is_lost: bool) -> None:
    found: set[str] = set()
    for number in range(60):
        made.aws.chaos = Chaos(lost=1) if is_lost else Chaos(errors=1)
        name = f"n{number}"
        try:
            made.iam.create_instance_profile(InstanceProfileName=name)
        except ClientError as error:
            found.add(f"{error.response['ResponseMetadata']['HTTPStatusCode']}")
        except (ConnectionClosedError, ReadTimeoutError) as error:
            found.add(type(error).__name__)
        made.aws.chaos = Chaos()
        assert (name in made.names()["profiles"]) == is_lost, name
    # botocore repeats what failed; a repeated create meets its own name.
    assert found == (
        {"409", "500", "503", "ConnectionClosedError", "ReadTimeoutError"}
        if is_lost
        else {"500", "503", "ConnectionClosedError", "ReadTimeoutError"}
    )


def test_pages_are_short_everywhere(made: Rig) -> None:
    made.launch(3, profile="one")
    made.aws.chaos = Chaos(page=1)
    pages = list(made.ec2().get_paginator("describe_iam_instance_profile_associations").paginate())
    assert [len(p["IamInstanceProfileAssociations"]) for p in pages] == [1, 1, 1]


def test_only_whom_it_is_meant_for(made: Rig) -> None:
    made.aws.chaos = Chaos(errors=1, only="reconciler/")
    made.iam.get_role(RoleName="r")


def test_a_mixture_is_the_same_for_the_same_seed() -> None:
    assert mixture(7) == mixture(7)
    assert len({mixture(seed) for seed in range(50)}) == 50
    turned = [mixture(seed)[1] for seed in range(200)]
    for name in ("stale_gets", "stale_lists", "unknown", "conflict", "page", "throttle"):
        assert 60 < sum(bool(getattr(chaos, name)) for chaos in turned) < 140, name
    for name in ("errors", "lost", "concurrent"):
        assert 60 < sum(bool(getattr(chaos, name)) for chaos in turned) < 140, name
    assert not any(chaos.denied or chaos.expires_after for chaos in turned)
    assert any(mixture(seed, with_denials=True)[1].denied for seed in range(20))


def test_connections_end_on_the_wire(monkeypatch: pytest.MonkeyPatch) -> None:
    """In a process of its own, since a server patches moto for all of it."""
    script = """
import boto3
from botocore.config import Config
from botocore.exceptions import ClientError, ConnectionClosedError
from reconciler.sandbox import server
from reconciler.sandbox.fault_config import Chaos
from reconciler.sandbox.state import World

server.HANG_SECONDS = 0.2
world = World(chaos=Chaos(errors=1))
found = set()
with server.serving(world, 0) as address:
    iam = boto3.client("iam", region_name="us-east-1", endpoint_url=address,
                       aws_access_key_id="sandbox", aws_secret_access_key="sandbox",
                       config=Config(retries={"total_max_attempts": 1}))
    for number in range(40):
        try:
            iam.get_role(RoleName=f"r{number}")
        except ClientError as error:
            found.add(error.response["Error"]["Code"])
        except ConnectionClosedError:
            found.add("closed")
print(sorted(found))
"""
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, cwd=ROOT, check=True
    )
    assert done.stdout.strip() == "['ServiceFailure', 'ServiceUnavailable', 'closed']"
    assert done.stderr == ""


def test_an_outage_ends_though_its_port_is_refused_for_a_moment() -> None:
    """Linux does so where the last connection of the closed listener is still ending."""
    script = """
import socket, time
from reconciler.sandbox import server
from reconciler.sandbox.state import World

real, asked = server._bound, []

def refused_at_first(port):
    if port:
        asked.append(port)
        if len(asked) in (1, 2, 4):
            raise OSError(98, "Address already in use")
    return real(port)

server._bound = refused_at_first
world = World()
with server.serving(world, 0) as address:
    port = int(address.rpartition(":")[2])
    world.goes_out(0.0, 0.5)
    states, until = [], time.monotonic() + 20
    while time.monotonic() < until and states != [True, False, True]:
        with socket.socket() as asking:
            answered = asking.connect_ex(("127.0.0.1", port)) == 0
        if not states or states[-1] != answered:
            states.append(answered)
        time.sleep(0.01)
print(states, len(asked))
"""
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, cwd=ROOT, check=True
    )
    assert done.stdout.strip() == "[True, False, True] 5"
    assert done.stderr == ""


def test_a_rehearsal(tmp_path: Path) -> None:
    """As a person makes it: the server misbehaves, and the apply gets there all the same."""
    program = Program(tmp_path)
    (tmp_path / "specs").mkdir()
    (tmp_path / "specs" / "web.yaml").write_text(
        "roles: {web: {trust: ec2}}\ninstance_profiles: {web: {role: web}}\n"
    )
    knobs = ("--chaos", "3", "--lost", "0.3", "--stale-gets", "1", "--throttle", "0.5")
    quick = ("--errors", "0", "--unknown", "1", "--stale-lists", "1", "--conflict", "1")
    with program.sandbox("instances: []", *knobs, *quick) as told:
        assert "Faults: " in told
        assert "--lost 0.3" in told
        applied = program.run("apply", "specs", "--auto-approve", AWS_REGION="us-east-1")
        assert applied.returncode == 0, applied.stdout + applied.stderr
        drift = program.run("drift", "specs", AWS_REGION="us-east-1")
        assert drift.returncode == 0, drift.stdout + drift.stderr


@pytest.mark.parametrize(
    "operation", ["DisassociateIamInstanceProfile", "ReplaceIamInstanceProfileAssociation"]
)
def test_an_action_on_the_association_of_one_instance_is_denied(made: Rig, operation: str) -> None:
    """The request names the association alone."""
    first, second = made.launch(2, profile="one")
    made.aws.chaos = Chaos(denied=frozenset({f"ec2:{operation}@{first}"}))
    made.iam.create_instance_profile(InstanceProfileName="two")
    made.clock.sleep(60)
    rows = {r.instance: r.id for r in made.aws.rows}
    profile = {"IamInstanceProfile": {"Name": "two"}} if operation.startswith("Replace") else {}

    def send(instance: str) -> Any:
        method = (
            made.ec2().replace_iam_instance_profile_association
            if profile
            else made.ec2().disassociate_iam_instance_profile
        )
        return method(AssociationId=rows[instance], **profile)

    assert code_of(lambda: send(first)) == "UnauthorizedOperation"
    send(second)
