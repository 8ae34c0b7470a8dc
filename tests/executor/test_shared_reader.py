"""Those who wait for the same region ask once, and nobody gets an answer that is older than his
question."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Collection, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import cast

import pytest

from reconciler.errors import AwsError
from reconciler.executor.places import Places
from reconciler.executor.precondition import PreconditionCheck
from reconciler.executor.shared_reader import SharedReader, Together
from reconciler.model.address import Address
from reconciler.model.live import AssociationRow, LiveInstance, LiveProfile, LiveState
from reconciler.model.ownership import InstanceKey
from reconciler.model.resources import Identity, InstanceProfile
from reconciler.plan.calls import ApiCall
from reconciler.plan.plan import Users
from reconciler.ports import Reader
from reconciler.sandbox.embedded import JumpingClock

ME = Identity("1", "aws")


def key(number: int, region: str = "us-east-1") -> InstanceKey:
    return InstanceKey(region, f"i-{number:08x}")


ARN = ("arn",)
ROW = AssociationRow("a", "arn", "AIPA", "associated")


class Slow:
    """Answers when it is let; ``asked`` has the instances of each request."""

    def __init__(self) -> None:
        self.asked: list[frozenset[InstanceKey]] = []
        self.listed = 0
        self.of: list[list[str]] = []
        self.gate = threading.Event()
        self.error: AwsError | None = None

    def instances(self, keys: Collection[InstanceKey]) -> tuple[LiveInstance, ...]:
        self.asked.append(frozenset(keys))
        self.gate.wait(10)
        if self.error is not None:
            raise self.error
        return tuple(LiveInstance(one, "running") for one in sorted(keys))

    def associations(
        self, keys: Collection[InstanceKey]
    ) -> Mapping[InstanceKey, tuple[AssociationRow, ...]]:
        return {i.key: (ROW,) for i in self.instances(keys)}

    def read_regions(self, identity: Identity, regions: Collection[str]) -> LiveState:
        return self.consumers(identity, regions, ("all",))

    def consumers(
        self,
        identity: Identity,
        regions: Collection[str],
        arns: Collection[str],
        since: float | None = None,
    ) -> LiveState:
        self.of.append(sorted(arns))
        self.listed += 1
        self.gate.wait(10)
        if self.error is not None:
            raise self.error
        return LiveState(identity, regions=tuple(sorted(regions)))


def shared(slow: Slow, places: Places | None = None) -> SharedReader:
    return SharedReader(cast(Reader, slow), JumpingClock(), places or Places(10))


def until(condition: Callable[[], bool]) -> None:
    ends = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < ends
        time.sleep(0.002)


def test_who_comes_meanwhile_shares_the_next_request() -> None:
    slow = Slow()
    reader = shared(slow)
    with ThreadPoolExecutor(8) as pool:
        first = pool.submit(reader.instances, [key(0)])
        until(lambda: len(slow.asked) == 1)
        more = [pool.submit(reader.instances, [key(n), key(9)]) for n in range(1, 5)]
        poll = reader._polls["us-east-1"]
        until(lambda: poll._next is not None and len(poll._next.about) == 5)
        slow.gate.set()
        assert [i.key for i in first.result()] == [key(0)]
        assert [[i.key for i in one.result()] for one in more] == [
            [key(n), key(9)] for n in range(1, 5)
        ]
    assert slow.asked == [{key(0)}, {key(n) for n in (1, 2, 3, 4, 9)}]


def test_associations_are_asked_for_together() -> None:
    slow = Slow()
    reader = shared(slow)
    with ThreadPoolExecutor(8) as pool:
        first = pool.submit(reader.associations, [key(0)])
        until(lambda: len(slow.asked) == 1)
        more = [pool.submit(reader.associations, [key(n)]) for n in range(1, 5)]
        asked = reader._rows["us-east-1"]
        until(lambda: asked._next is not None and len(asked._next.about) == 4)
        slow.gate.set()
        assert first.result() == {key(0): (ROW,)}
        assert [one.result() for one in more] == [{key(n): (ROW,)} for n in range(1, 5)]
    assert slow.asked == [{key(0)}, {key(n) for n in (1, 2, 3, 4)}]


def test_each_region_is_asked_for_itself() -> None:
    slow = Slow()
    slow.gate.set()
    keys = [key(1), key(2, "eu-west-1")]
    assert {i.key for i in shared(slow).instances(keys)} == set(keys)
    assert sorted(map(sorted, slow.asked)) == sorted([[key(1)], [key(2, "eu-west-1")]])


def test_a_failure_is_told_to_all_who_share_it_and_the_next_request_is_made() -> None:
    slow = Slow()
    reader = shared(slow)
    slow.error = AwsError("ec2:DescribeInstances", "RequestLimitExceeded", "told")
    with ThreadPoolExecutor(8) as pool:
        first = pool.submit(reader.instances, [key(0)])
        until(lambda: len(slow.asked) == 1)
        more = [pool.submit(reader.instances, [key(n)]) for n in range(1, 4)]
        poll = reader._polls["us-east-1"]
        until(lambda: poll._next is not None and len(poll._next.about) == 3)
        slow.gate.set()
        for one in (first, *more):
            with pytest.raises(AwsError):
                one.result()
    slow.error = None
    assert [i.key for i in reader.instances([key(1)])] == [key(1)]
    assert len(slow.asked) == 3


def test_listings_of_the_same_regions_are_shared() -> None:
    slow = Slow()
    reader = shared(slow)
    with ThreadPoolExecutor(8) as pool:
        first = pool.submit(reader.consumers, ME, ("a", "b"), ARN)
        until(lambda: slow.listed == 1)
        same = [pool.submit(reader.consumers, ME, ("b", "a"), ARN) for _ in range(4)]
        other = pool.submit(reader.consumers, ME, ("c",), ARN)
        until(lambda: slow.listed == 2)
        time.sleep(0.05)
        slow.gate.set()
        found = [one.result().regions for one in (first, *same, other)]
    assert found == [("a", "b")] * 5 + [("c",)]
    assert slow.listed == 3


def test_a_listing_serves_those_who_say_how_old_it_may_be() -> None:
    slow, clock = Slow(), JumpingClock()
    slow.gate.set()
    reader = SharedReader(cast(Reader, slow), clock, Places(10))
    began = clock.now()
    assert reader.consumers(ME, ("a",), ARN).listed_at == began
    clock.sleep(5.0)
    assert reader.consumers(ME, ("a",), ARN, began).listed_at == began
    assert slow.listed == 1
    assert reader.consumers(ME, ("b",), ARN, began).listed_at == began + 5.0
    assert reader.consumers(ME, ("a",), ARN, began + 0.1).listed_at == began + 5.0
    assert slow.listed == 3
    clock.sleep(5.0)
    assert reader.consumers(ME, ("a",), ARN).listed_at == began + 10.0
    assert slow.listed == 4


def test_a_listing_under_way_serves_those_for_whom_it_began_late_enough() -> None:
    slow = Slow()
    reader = shared(slow)
    with ThreadPoolExecutor(3) as pool:
        first = pool.submit(reader.consumers, ME, ("a",), ARN)
        until(lambda: slow.listed == 1)
        began = reader._listings[frozenset("a")]._asked_at
        second = pool.submit(reader.consumers, ME, ("a",), ARN, began)
        time.sleep(0.05)
        slow.gate.set()
        assert first.result() is second.result()
    assert slow.listed == 1


def test_one_listing_serves_all_profiles_of_the_plan() -> None:
    slow, clock = Slow(), JumpingClock()
    slow.gate.set()
    reader = SharedReader(cast(Reader, slow), clock, Places(10), frozenset({"a", "b"}))
    began = clock.now()
    for arn in ("a", "b"):
        assert reader.consumers(ME, ("r",), (arn,), began).listed_at == began
    assert slow.of == [["a", "b"]]
    # One that nobody knew of before, such as a temporary profile.
    reader.consumers(ME, ("r",), ("a", "t"), began)
    reader.consumers(ME, ("r",), ("t",), began)
    assert slow.of == [["a", "b"], ["a", "b", "t"]]


def test_a_listing_that_failed_serves_nobody() -> None:
    slow, clock = Slow(), JumpingClock()
    slow.gate.set()
    reader = SharedReader(cast(Reader, slow), clock, Places(10))
    slow.error = AwsError("ec2:DescribeInstances", "RequestLimitExceeded", "told")
    began = clock.now()
    with pytest.raises(AwsError):
        reader.consumers(ME, ("a",), ARN)
    slow.error = None
    assert reader.consumers(ME, ("a",), ARN, began).regions == ("a",)
    assert slow.listed == 2


def test_nobody_asks_more_often_than_the_tick() -> None:
    clock, asked = JumpingClock(), list[float]()

    def ask(_about: frozenset[int]) -> int:
        asked.append(clock.now())
        return 1

    together = Together(ask, clock, Places(1), 0.2)
    began = clock.now()
    for _ in range(4):
        together([1])
    assert [round(at - began, 3) for at in asked] == [0.0, 0.2, 0.4, 0.6]


def test_who_waits_for_the_answer_of_another_takes_no_place() -> None:
    slow, places = Slow(), Places(1)
    reader = shared(slow, places)

    def step(number: int) -> None:
        with places.held():
            try:
                reader.instances([key(number)])
            finally:
                places.give()

    with ThreadPoolExecutor(4) as pool:
        assert places.take()
        first = pool.submit(step, 0)
        until(lambda: len(slow.asked) == 1)
        assert not places.take()
        slow.gate.set()
        first.result()
        assert places.take()
        slow.gate.clear()
        asking = pool.submit(step, 1)
        until(lambda: len(slow.asked) == 2)
        assert not places.take()
        slow.gate.set()
        asking.result()


def test_who_waits_for_a_listing_keeps_nobody_from_going_on() -> None:
    """One step looks for the users of a profile, and a second one begins in its place: if that
    waited for the first while it had the place, neither could go on."""
    slow, places = Slow(), Places(1)
    reader = shared(slow, places)
    gone = Address("instance-profile", "p")
    profile = LiveProfile(resource=InstanceProfile("p", None), id="AIPA", arn="arn")
    check = PreconditionCheck(
        cast(Reader, reader),
        JumpingClock(),
        {gone: profile},
        identity=ME,
        users={gone: Users(frozenset(), ("a",))},
    )

    def step() -> None:
        with places.held():
            try:
                check.check_unused(gone, ApiCall("iam", "DeleteInstanceProfile"))
            finally:
                places.give()

    with ThreadPoolExecutor(3) as pool:
        other = pool.submit(reader.consumers, ME, ("a",), ARN)
        until(lambda: slow.listed == 1)
        assert places.take()
        first = pool.submit(step)
        until(places.take)
        second = pool.submit(step)
        time.sleep(0.1)
        slow.gate.set()
        for one in (other, first, second):
            one.result(20)
