"""What roll-outs watch, as boto3 gives it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest

from reconciler.aws.cloudtrail import AwsTrail
from reconciler.aws.gates import AwsGates
from reconciler.aws.session import Login, Session, reading
from reconciler.errors import AwsError
from reconciler.model.ownership import InstanceKey
from reconciler.plan.gates import AlarmState, DeniedCall, DeniedCalls, WatchedSession
from reconciler.sandbox.embedded import JumpingClock, embedded
from reconciler.sandbox.state import Alarm, World
from tests.rig import ACCOUNT, HOME

KEY = InstanceKey(HOME, "i-0123456789abcdef0")
SESSION = WatchedSession(KEY, 900.0, 950.5, 1100.0)


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


ROLE_ID = "AROAABCDEFGHIJKLMNOPQ"


def caller(principal: str, **context: Any) -> dict[str, Any]:
    return {"principalId": principal, "sessionContext": {"ec2RoleDelivery": "2.0", **context}}


def denied(**more: Any) -> dict[str, Any]:
    return {
        "userIdentity": caller(f"{ROLE_ID}:{KEY.instance}"),
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
        denied(userIdentity=caller(f"{ROLE_ID}:i-0123456789abcdef0-x")),
        None,
    ),
    "of somebody who assumed the role and named the session after the instance": (
        denied(userIdentity=caller(f"{ROLE_ID}:{KEY.instance}", ec2RoleDelivery=None)),
        None,
    ),
    "of the instance's own identity": (
        denied(userIdentity=caller(f"aws:ec2-instance:{KEY.instance}")),
        None,
    ),
    "of an identity that is none": (denied(userIdentity="AROA"), None),
    "in a context that is none": (
        denied(userIdentity={**caller(f"{ROLE_ID}:{KEY.instance}"), "sessionContext": "x"}),
        None,
    ),
    "with attributes and resources that are none": (
        denied(
            userIdentity=caller(f"{ROLE_ID}:{KEY.instance}", attributes=[1]), resources=["x", 1]
        ),
        ("s3:ListBuckets", "*"),
    ),
    "of nobody": (denied(userIdentity=None), None),
}


@pytest.mark.parametrize("case", CASES)
def test_what_was_denied(case: str) -> None:
    detail, what = CASES[case]
    answers: Any = Answers(detail)
    found = AwsGates(answers, JumpingClock()).denied(HOME, SESSION)
    assert found == DeniedCalls((DeniedCall(KEY, 1000.0, *what, ROLE_ID),) if what else ())
    (asked,) = answers.asked
    assert asked["LookupAttributes"] == [
        {"AttributeKey": "Username", "AttributeValue": KEY.instance}
    ]
    assert asked["StartTime"].timestamp() == 900.0


@pytest.mark.parametrize("event", ["[]", "null", "5", '"x"', "{", ""])
def test_an_event_that_is_none_is_passed_over(event: str) -> None:
    answers: Any = Answers()
    at = datetime.fromtimestamp(1000.0, tz=UTC)
    answers.lookup_events = lambda **_: {"Events": [{"EventTime": at, "CloudTrailEvent": event}]}
    assert AwsGates(answers, JumpingClock()).denied(HOME, SESSION) == DeniedCalls(())
    (told,) = AwsTrail(answers, JumpingClock()).events(HOME, "web")
    assert told.by is None


class Busy(Answers):
    """Every second one call that is allowed, ``every`` seconds one that is denied."""

    def __init__(self, until: int, every: int = 10**9) -> None:
        super().__init__()
        self.all = [
            {
                "EventTime": datetime.fromtimestamp(at, tz=UTC),
                "CloudTrailEvent": json.dumps(
                    denied(errorCode=None if at % every else "AccessDenied")
                ),
            }
            for at in range(until, 0, -1)
        ]

    def lookup_events(self, **asked: Any) -> dict[str, Any]:
        self.asked.append(asked)
        newest = asked.get("EndTime", datetime.fromtimestamp(2**31, tz=UTC))
        found = [e for e in self.all if asked["StartTime"] <= e["EventTime"] <= newest]
        start = int(asked.get("NextToken", "0"))
        page = {"Events": found[start : start + 50]}
        return page | ({"NextToken": str(start + 50)} if start + 50 < len(found) else {})


def test_denied_calls_of_a_busy_instance_are_looked_through_before_and_after() -> None:
    answers: Any = Busy(10_000, every=300)
    session = WatchedSession(KEY, 8_500.5, 9_300.5, 10_000.5)
    found = AwsGates(answers, JumpingClock()).denied(HOME, session)
    assert found.is_whole
    assert [call.at for call in found.calls] == [9_000.0, 8_700.0, 9_900.0, 9_600.0, 9_300.0]
    assert len(answers.asked) == 4 + 16 + 15


@pytest.mark.parametrize(("before", "kept"), [(9_500.0, True), (1.0, False)])
def test_more_calls_than_can_be_looked_through(before: float, kept: bool) -> None:
    """What was denied afterwards counts, if it is known what was denied before."""
    answers: Any = Busy(20_000, every=500)
    session = WatchedSession(KEY, before, 10_000.5, 20_000.5)
    found = AwsGates(answers, JumpingClock()).denied(HOME, session)
    assert not found.is_whole
    assert (20_000.0 in [call.at for call in found.calls]) == kept
    assert len(answers.asked) <= 4 + 20 + 20


def test_two_lookups_a_second() -> None:
    answers: Any = Answers()
    clock = JumpingClock()
    gates, began = AwsGates(answers, clock), clock.now()
    for _ in range(5):
        gates.denied(HOME, SESSION)
    assert clock.now() - began == 2.0


def test_text_of_others_is_bounded() -> None:
    answers: Any = Answers(denied(errorMessage=f"{SAID} on resource: {'x' * 5000}"))
    (call,) = AwsGates(answers, JumpingClock()).denied(HOME, SESSION).calls
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
