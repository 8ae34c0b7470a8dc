"""Which calls gave instances their profiles, as CloudTrail answers them."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest

from reconciler.aws.evidence import MOST_OF_INSTANCE, MOST_PAGES, AwsEvidence
from reconciler.commands.recorder import Silent
from reconciler.errors import AwsError
from reconciler.executor.evidence import Gatherer
from reconciler.model.evidence import Associated, Expectation
from reconciler.model.ownership import InstanceKey
from reconciler.sandbox.embedded import JumpingClock
from tests.rig import HOME

INSTANCE = "i-0123456789abcdef0"
KEY = InstanceKey(HOME, INSTANCE)
ROLE = "AROAABCDEFGHIJKLMNOPQ"


def event(at: float, name: str, instance: str = INSTANCE, **detail: Any) -> dict[str, Any]:
    made = {"associationId": f"iip-{at:.0f}", "instanceId": instance}
    return {
        "EventName": name,
        "EventTime": datetime.fromtimestamp(at, tz=UTC),
        "CloudTrailEvent": json.dumps(
            {"responseElements": {"iamInstanceProfileAssociation": made}, **detail}
        ),
        "Resources": [{"ResourceName": instance}],
    }


class Trail:
    """A client of CloudTrail with these events, ``size`` a page."""

    def __init__(self, events: list[dict[str, Any]], size: int) -> None:
        self.events, self.size = sorted(events, key=lambda e: e["EventTime"])[::-1], size
        self.counts: dict[str, int] = {}

    def get(self, *_: str) -> Trail:
        return self

    def lookup_events(self, **asked: Any) -> dict[str, Any]:
        (by,) = asked["LookupAttributes"]
        key, value = by["AttributeKey"], by["AttributeValue"]
        of: Callable[[Any], Any] = {
            "EventName": lambda e: e["EventName"] == value,
            "ResourceName": lambda e: any(r["ResourceName"] == value for r in e["Resources"]),
            "Username": lambda e: e.get("Username") == value,
        }[key]
        oldest = asked.get("StartTime", datetime.fromtimestamp(0, tz=UTC))
        found = [e for e in self.events if of(e) and e["EventTime"] >= oldest]
        start = int(asked.get("NextToken", "0"))
        page = {"Events": found[start : start + self.size]}
        more = start + self.size < len(found)
        return page | ({"NextToken": str(start + self.size)} if more else {})


def called(at: float, instance: str) -> dict[str, Any]:
    issued = datetime.fromtimestamp(at, tz=UTC).isoformat()
    identity = {
        "principalId": f"{ROLE}:{instance}",
        "sessionContext": {
            "sessionIssuer": {"principalId": ROLE, "userName": "web"},
            "attributes": {"creationDate": issued},
            "ec2RoleDelivery": "2.0",
        },
    }
    made = event(at, "ListBuckets", instance, userIdentity=identity, eventSource="s3.amazonaws.com")
    return {**made, "Username": instance}


def evidence(trail: Any) -> AwsEvidence:
    return AwsEvidence(trail, JumpingClock())


@pytest.mark.parametrize("size", [50, 10])
def test_a_listing_of_associations_says_since_when_it_is_whole(size: int) -> None:
    """However few AWS answers on a page."""
    count = MOST_PAGES * size + 100
    events = [event(1000 + n, "AssociateIamInstanceProfile", f"i-{n:x}") for n in range(count)]
    found = evidence(Trail(events, size)).associations(HOME, 900.0)
    assert found.since == 1000 + 100 + 1
    assert len(found.made) == MOST_PAGES * size
    whole = evidence(Trail(events[:100], size)).associations(HOME, 900.0)
    assert (whole.since, len(whole.made)) == (900.0, 100)


def test_an_association_that_is_hidden_behind_other_calls_is_not_none() -> None:
    """Whoever may tag an instance can make as many events of it as he likes."""
    call = event(1000, "AssociateIamInstanceProfile")
    some = [event(2000 + n, "CreateTags") for n in range(300)]
    many = [event(2000 + n, "CreateTags") for n in range(MOST_OF_INSTANCE * 50 + 1)]
    found = evidence(Trail([call, *some], 50)).association(HOME, INSTANCE, 900.0)
    assert found == Associated(1000, "iip-1000")
    assert evidence(Trail(some, 50)).association(HOME, INSTANCE, 900.0) is None
    with pytest.raises(AwsError, match="more events of it than can be looked through"):
        evidence(Trail([call, *many], 50)).association(HOME, INSTANCE, 900.0)


def test_what_is_hidden_so_proves_nothing_and_hides_nothing_of_others() -> None:
    """The role was issued for the profile that it had before."""
    other = InstanceKey(HOME, "i-0a")
    clock = JumpingClock()
    now = clock.now() - 100_000  # longer ago than the associations of a region are read
    trail: Any = Trail(
        [
            *(event(now + 60 + n, "CreateTags") for n in range(MOST_OF_INSTANCE * 50 + 1)),
            *(called(now, key.instance) for key in (KEY, other)),
        ],
        50,
    )
    expected = [Expectation(key, ROLE, "web", launched_at=now - 10) for key in (KEY, other)]
    found = Gatherer(AwsEvidence(trail, clock), clock, Silent()).judged(expected, ["cloudtrail"])
    assert found[KEY].status == "unknown"
    assert "more events of it than can be looked through" in found[KEY].because
    assert found[other].status == "proved"
