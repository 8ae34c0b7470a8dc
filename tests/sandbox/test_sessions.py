"""Credentials of instances in the sandbox, the calls that are made with them, and what CloudTrail
and Systems Manager tell of them, as AWS does."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest

from reconciler.aws.run_command import SCRIPTS
from reconciler.sandbox.fault_config import Chaos
from reconciler.sandbox.switches import with_switches
from tests.rig import ACCOUNT, AWAY, HOME, Rig
from tests.sandbox.test_fidelity import TRUST, code_of

MINUTE = 60.0


@pytest.fixture
def one(aws: Rig) -> str:
    """An instance whose agent answers to Systems Manager, and that has called AWS."""
    aws.iam.create_role(RoleName="r", AssumeRolePolicyDocument=TRUST)
    core = "arn:aws:iam::aws:policy/AmazonSSMManagedInstanceCore"
    aws.iam.attach_role_policy(RoleName="r", PolicyArn=core)
    aws.iam.create_instance_profile(InstanceProfileName="p")
    aws.iam.add_role_to_instance_profile(InstanceProfileName="p", RoleName="r")
    aws.clock.sleep(MINUTE)
    (made,) = aws.launch(1, profile="p")
    aws.clock.sleep(MINUTE)
    aws.aws.sessions.use((ACCOUNT, HOME, made), "s3:ListBuckets", aws.clock.now())
    return made


def lookup(aws: Rig, key: str, value: str, **more: Any) -> dict[str, Any]:
    attribute = {"AttributeKey": key, "AttributeValue": value}
    found: dict[str, Any] = aws.client("cloudtrail", HOME).lookup_events(
        LookupAttributes=[attribute], **more
    )
    return found


def test_a_session_is_named_after_the_instance(aws: Rig, one: str) -> None:
    (event,) = lookup(aws, "Username", one)["Events"]
    assert (event["EventName"], event["Username"]) == ("ListBuckets", one)
    assert event["EventTime"].timestamp() == aws.clock.now()
    identity = json.loads(event["CloudTrailEvent"])["userIdentity"]
    assert identity["arn"] == f"arn:aws:sts::{ACCOUNT}:assumed-role/r/{one}"
    assert identity["principalId"] == f"{aws.role_id('r')}:{one}"
    context = identity["sessionContext"]
    assert context["ec2RoleDelivery"] == "2.0"
    assert context["sessionIssuer"]["principalId"] == aws.role_id("r")


def test_what_gave_an_instance_its_profile(aws: Rig, one: str) -> None:
    (row,) = aws.ec2().describe_iam_instance_profile_associations()[
        "IamInstanceProfileAssociations"
    ]
    aws.ec2().disassociate_iam_instance_profile(AssociationId=row["AssociationId"])
    aws.clock.sleep(1)
    made = aws.ec2().associate_iam_instance_profile(
        InstanceId=one, IamInstanceProfile={"Name": "p"}
    )["IamInstanceProfileAssociation"]["AssociationId"]
    (event,) = lookup(aws, "EventName", "AssociateIamInstanceProfile")["Events"]
    answered = json.loads(event["CloudTrailEvent"])["responseElements"]
    assert answered["AssociateIamInstanceProfileResponse"] == {
        "iamInstanceProfileAssociation": {"associationId": made, "instanceId": one}
    }
    assert lookup(aws, "EventName", "RunInstances")["Events"]
    assert not lookup(aws, "ResourceName", "nobody")["Events"]


def test_events_come_late_by_time_and_by_page(aws: Rig, one: str) -> None:
    key = (ACCOUNT, HOME, one)
    for _ in range(60):
        aws.clock.sleep(1)
        aws.aws.sessions.use(key, "s3:ListBuckets", aws.clock.now())
    first = lookup(aws, "Username", one)
    assert len(first["Events"]) == 50
    rest = lookup(aws, "Username", one, NextToken=first["NextToken"])
    assert len(rest["Events"]) == 11
    assert "NextToken" not in rest
    times = [e["EventTime"] for e in (*first["Events"], *rest["Events"])]
    assert times == sorted(times, reverse=True)
    since = aws.aws.moment().replace(tzinfo=times[0].tzinfo)
    assert len(lookup(aws, "Username", one, StartTime=since)["Events"]) == 1
    aws.aws.lags = replace(aws.aws.lags, trail=5 * MINUTE)
    assert not lookup(aws, "Username", one)["Events"]


def test_an_instance_calls_by_itself(aws: Rig, one: str) -> None:
    aws.aws.lags = replace(aws.aws.lags, calls=5 * MINUTE)
    aws.clock.sleep(20 * MINUTE)
    events = lookup(aws, "Username", one)["Events"]
    assert [e["EventName"] for e in events] == [*["UpdateInstanceInformation"] * 3, "ListBuckets"]


@pytest.mark.parametrize(
    ("asked", "code"),
    [
        ({"MaxResults": 51}, "InvalidMaxResultsException"),
        ({"NextToken": "x"}, "InvalidNextTokenException"),
        ({"StartTime": 20, "EndTime": 10}, "InvalidTimeRangeException"),
        (
            {"LookupAttributes": [{"AttributeKey": "Username", "AttributeValue": "x"}] * 2},
            "InvalidLookupAttributesException",
        ),
    ],
)
def test_what_cloudtrail_refuses(aws: Rig, asked: dict[str, Any], code: str) -> None:
    assert code_of(lambda: aws.client("cloudtrail", HOME).lookup_events(**asked)) == code


def test_two_lookups_a_second_in_each_region(
    aws: Rig, one: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    # botocore sends it again, and this clock stands still meanwhile.
    monkeypatch.setattr("botocore.endpoint.time", SimpleNamespace(sleep=lambda _seconds: None))
    aws.aws.chaos = Chaos(throttle=1.0)
    for _ in range(2):
        lookup(aws, "Username", one)
    assert code_of(lambda: lookup(aws, "Username", one)) == "ThrottlingException"
    aws.client("cloudtrail", AWAY).lookup_events()
    aws.clock.sleep(0.5)
    lookup(aws, "Username", one)


def test_ec2_renews_credentials(aws: Rig, one: str) -> None:
    key = (ACCOUNT, HOME, one)
    aws.iam.create_role(RoleName="r2", AssumeRolePolicyDocument=TRUST)
    aws.iam.remove_role_from_instance_profile(InstanceProfileName="p", RoleName="r")
    aws.iam.add_role_to_instance_profile(InstanceProfileName="p", RoleName="r2")
    aws.clock.sleep(60 * MINUTE)
    assert aws.served(one) == "r"
    aws.aws.lags = replace(aws.aws.lags, renewing=30 * MINUTE)
    assert aws.served(one) == "r2"
    assert [s.role for s in aws.aws.sessions.issued[key]] == ["r", "r2", "r2"]


def send(aws: Rig, *names: str, document: str = "AWS-RunShellScript", **more: Any) -> str:
    answer = aws.client("ssm", HOME).send_command(
        InstanceIds=list(names),
        DocumentName=document,
        Parameters={"commands": list(SCRIPTS["shell"])},
        **more,
    )
    found: str = answer["Command"]["CommandId"]
    return found


def invocation(aws: Rig, command: str) -> dict[str, Any]:
    found: dict[str, Any]
    (found,) = aws.client("ssm", HOME).list_command_invocations(CommandId=command, Details=True)[
        "CommandInvocations"
    ]
    return found


def test_a_command_asks_the_metadata_service(aws: Rig, one: str) -> None:
    found = invocation(aws, send(aws, one))
    assert found["Status"] == "Success"
    printed = found["CommandPlugins"][0]["Output"]
    assert "reconciler role r\n" in printed
    assert '"InstanceProfileId"' in printed


@pytest.mark.parametrize(
    ("call", "code"),
    [
        (lambda aws, one: send(aws, one, "i-0123456789abcdef0"), "InvalidInstanceId"),
        (lambda aws, one: send(aws, one, document="AWS-Mine"), "InvalidDocument"),
        (
            lambda aws, one: send(aws, one, document="AWS-RunPowerShellScript"),
            "UnsupportedPlatformType",
        ),
        (lambda aws, one: invocation(aws, "00000000-0000-0000-0000-000000000000"), "InvalidCommandId"),
    ],
)  # fmt: skip
def test_what_systems_manager_refuses(
    aws: Rig, one: str, call: Callable[[Rig, str], Any], code: str
) -> None:
    assert code_of(lambda: call(aws, one)) == code


def test_an_agent_sleeps_after_a_time_without_a_role(aws: Rig, one: str) -> None:
    aws.aws.lags = replace(aws.aws.lags, agent_sleep=10 * MINUTE)
    (row,) = aws.ec2().describe_iam_instance_profile_associations()[
        "IamInstanceProfileAssociations"
    ]
    aws.ec2().disassociate_iam_instance_profile(AssociationId=row["AssociationId"])
    aws.clock.sleep(1)
    aws.ec2().associate_iam_instance_profile(InstanceId=one, IamInstanceProfile={"Name": "p"})
    aws.clock.sleep(MINUTE)

    def ping() -> str:
        found = aws.client("ssm", HOME).describe_instance_information()["InstanceInformationList"]
        return str(found[0]["PingStatus"])

    assert ping() == "Online"
    command = send(aws, one, TimeoutSeconds=60)
    assert invocation(aws, command)["Status"] == "Pending"
    aws.clock.sleep(2 * MINUTE)
    assert invocation(aws, command)["StatusDetails"] == "DeliveryTimedOut"
    aws.clock.sleep(3 * MINUTE)
    assert ping() == "ConnectionLost"
    aws.clock.sleep(5 * MINUTE)
    assert ping() == "Online"
    assert invocation(aws, send(aws, one))["Status"] == "Success"


def test_instances_are_made_to_call_from_outside(aws: Rig, one: str) -> None:
    def post(query: str) -> str:
        status: list[str] = []
        environ = {
            "PATH_INFO": "/_sandbox/use",
            "REQUEST_METHOD": "POST",
            "QUERY_STRING": query,
        }
        application = with_switches(aws.aws, lambda *_: [])
        b"".join(application(environ, lambda code, _: status.append(code)))
        return status[0]

    assert post("call=ec2:DescribeInstances&error=UnauthorizedOperation") == "200 OK"
    assert post(f"instance={one}") == "200 OK"
    events = lookup(aws, "Username", one)["Events"]
    assert sorted(e["EventName"] for e in events) == [
        "DescribeInstances",
        "GetCallerIdentity",
        "ListBuckets",
    ]
    errors = [json.loads(e["CloudTrailEvent"]).get("errorCode") for e in events]
    assert sorted(filter(None, errors)) == ["UnauthorizedOperation"]
    for wrong in ("instance=i-0", "call=s3", "earlier=x", f"instance={one}&earlier=5"):
        assert post(wrong) == "400 Bad Request", wrong
