"""What roll-outs watch, as boto3 gives it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest

from reconciler.aws.gates import AwsGates
from reconciler.aws.session import Login, Session, reading
from reconciler.errors import AwsError
from reconciler.model.ownership import InstanceKey
from reconciler.plan.gates import AlarmState, DeniedCall
from reconciler.sandbox.embedded import JumpingClock, embedded
from reconciler.sandbox.state import Alarm, World
from tests.rig import ACCOUNT, HOME

KEY = InstanceKey(HOME, "i-0123456789abcdef0")


class Answers:
    """A client of CloudTrail."""

    def __init__(self, *details: dict[str, Any]) -> None:
        self.details = details
        self.asked: list[dict[str, Any]] = []

    def get(self, service: str, region: str) -> Answers:
        assert (service, region) == ("cloudtrail", HOME)
        return self

    def lookup_events(self, **asked: Any) -> dict[str, Any]:
        self.asked.append(asked)
        at = datetime.fromtimestamp(1000.0, tz=UTC)
        return {
            "Events": [
                {"EventTime": at, "CloudTrailEvent": json.dumps(one)} for one in self.details
            ]
        }


def denied(**more: Any) -> dict[str, Any]:
    return {
        "userIdentity": {"principalId": f"AROANEW:{KEY.instance}"},
        "eventSource": "s3.amazonaws.com",
        "eventName": "ListBuckets",
        "errorCode": "AccessDenied",
        **more,
    }


SAID = "User: arn:aws:sts::1:assumed-role/v2/i-0 is not authorized to perform: s3:ListAllMyBuckets"
CASES: dict[str, tuple[dict[str, Any], tuple[str, str] | None]] = {
    "by its event": (denied(), ("s3:ListBuckets", "*")),
    "as the message says": (
        denied(errorMessage=f"{SAID} on resource: arn:aws:s3:::* because no policy allows it"),
        ("s3:ListAllMyBuckets", "arn:aws:s3:::*"),
    ),
    "without a resource": (denied(errorMessage=SAID), ("s3:ListAllMyBuckets", "*")),
    "with one in the event": (
        denied(resources=[{"ARN": "arn:aws:kms:x"}]),
        ("s3:ListBuckets", "arn:aws:kms:x"),
    ),
    "of EC2": (
        denied(errorCode="Client.UnauthorizedOperation", eventSource="ec2.amazonaws.com"),
        ("ec2:ListBuckets", "*"),
    ),
    "allowed": (denied(errorCode=None), None),
    "refused for another reason": (denied(errorCode="NoSuchBucket"), None),
    "of somebody who named a session so": (
        denied(userIdentity={"principalId": "AROANEW:i-0123456789abcdef0-x"}),
        None,
    ),
    "of nobody": (denied(userIdentity=None), None),
}


@pytest.mark.parametrize("case", CASES)
def test_what_was_denied(case: str) -> None:
    detail, what = CASES[case]
    answers: Any = Answers(detail)
    found = AwsGates(answers, JumpingClock()).denied(HOME, KEY, 900.0)
    assert found == ((DeniedCall(KEY, 1000.0, *what, "AROANEW"),) if what else ())
    (asked,) = answers.asked
    assert asked["LookupAttributes"] == [
        {"AttributeKey": "Username", "AttributeValue": KEY.instance}
    ]
    assert asked["StartTime"].timestamp() == 900.0


def test_two_lookups_a_second() -> None:
    answers: Any = Answers()
    clock = JumpingClock()
    gates, began = AwsGates(answers, clock), clock.now()
    for _ in range(5):
        gates.denied(HOME, KEY, 0.0)
    assert clock.now() - began == 2.0


def test_text_of_others_is_bounded() -> None:
    answers: Any = Answers(denied(errorMessage=f"{SAID} on resource: {'x' * 5000}"))
    (call,) = AwsGates(answers, JumpingClock()).denied(HOME, KEY, 0.0)
    assert len(call.resource) == 200


@pytest.fixture
def world() -> Iterator[World]:
    with embedded(World()) as made:
        yield made


def gates_of(world: World) -> AwsGates:
    return AwsGates(reading(Session(Login(run="test", region=HOME))), world.clock)


def test_alarms_of_both_kinds_and_of_any_number(world: World) -> None:
    world.alarms[ACCOUNT, HOME, "a"] = Alarm("ALARM")
    world.alarms[ACCOUNT, HOME, "b"] = Alarm("OK", is_composite=True)
    world.alarms[ACCOUNT, "eu-west-1", "c"] = Alarm("ALARM")
    names = ["a", "b", "c", *(f"n{number}" for number in range(150))]
    assert gates_of(world).alarms(HOME, names) == (
        AlarmState(HOME, "a", "ALARM", "switched"),
        AlarmState(HOME, "b", "OK", "switched"),
    )


def test_a_target_group_that_does_not_exist(world: World) -> None:
    group = f"arn:aws:elasticloadbalancing:{HOME}:{ACCOUNT}:targetgroup/web/0123456789abcdef"
    with pytest.raises(AwsError) as raised:
        gates_of(world).targets(HOME, group)
    assert raised.value.code == "TargetGroupNotFound"
