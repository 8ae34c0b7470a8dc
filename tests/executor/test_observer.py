"""A cut-over sees the world as of after its own writes, whatever IAM shows in between."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, cast

import pytest

from reconciler.cutover.run_state import initial_state
from reconciler.errors import AwsError
from reconciler.executor.interrupt import Interrupt
from reconciler.executor.observer import (
    BEGIN_SECONDS,
    OWN_WRITE_LAG_SECONDS,
    PROFILE_SECONDS,
    UNREAD_SECONDS,
    Observer,
)
from reconciler.executor.retrying_reader import RetryingReader
from reconciler.model.live import AssociationRow, LiveInstance, LiveProfile, LiveState
from reconciler.model.ownership import InstanceKey, temporary_name
from reconciler.model.resources import Identity, InstanceProfile, RollOut
from reconciler.plan.cut_over import CutOver, Observation, RoleRef
from reconciler.ports import Facts, Reader
from reconciler.sandbox.embedded import JumpingClock

BEFORE = LiveProfile(resource=InstanceProfile("web", "r"), id="AIPA", arn="arn", role_id="AROA")
NOTED = replace(BEFORE, marks={"in-flight": "us-east-1/i-00000001"})
CUTOVER = CutOver("web", None, RoleRef("r", "AROA"), RollOut(), ("us-east-1",), "reconciler:")


KEY = InstanceKey("us-east-1", "i-00000001")
OTHER = InstanceKey("us-east-1", "i-00000002")
LEAVING = LiveInstance(KEY, "running", rows=(AssociationRow("a", "arn", "AIPA", "disassociating"),))


@dataclass
class Flapping:
    """Shows one thing after the other, then the last one for ever; errors are raised."""

    shown: list[LiveProfile | AwsError]
    asked: int = 0
    seen: tuple[LiveInstance, ...] = ()
    about_instances: int = 0
    about_associations: int = 0
    calls: Mapping[str, int] = field(default_factory=dict)

    def profile(self, name: str) -> LiveProfile:
        self.asked += 1
        found = self.shown.pop(0) if len(self.shown) > 1 else self.shown[0]
        if isinstance(found, AwsError):
            raise found
        return found

    def role(self, name: str) -> Facts:
        return Facts("AROA", "arn", {})

    def instances(self, keys: Collection[InstanceKey]) -> tuple[LiveInstance, ...]:
        self.about_instances += 1
        return tuple(one for one in self.seen if one.key in keys)

    def associations(
        self, keys: Collection[InstanceKey]
    ) -> Mapping[InstanceKey, tuple[AssociationRow, ...]]:
        self.about_associations += 1
        return {one.key: one.rows for one in self.seen if one.key in keys and one.rows}


def observer(reader: Any, clock: JumpingClock) -> Observer:
    return Observer(Identity("1", "aws"), "mine", cast(Reader, reader), clock, Interrupt())


def seen(profile: LiveProfile) -> Observation:
    return Observation(0.0, profile, "AROA", {}, 0.0)


def test_a_state_between_two_of_our_calls_is_old() -> None:
    """The profile was empty only until the second call of a swap, and nobody looked."""
    empty = replace(BEFORE, role_id=None, resource=InstanceProfile("web"))
    reader, clock = Flapping([BEFORE, empty, NOTED]), JumpingClock()
    made = observer(reader, clock)
    made.look(CUTOVER, seen(BEFORE), ())
    made.passed(seen(BEFORE))
    made.passed(seen(empty))
    made.wrote(seen(NOTED))
    assert made.look(CUTOVER, seen(NOTED), ()).profile == NOTED
    assert reader.asked == 3


def test_the_id_of_the_wanted_role_is_asked_for_once() -> None:
    empty = replace(BEFORE, role_id=None, resource=InstanceProfile("web"))
    reader = Names([empty])
    made = observer(reader, JumpingClock())
    for _ in range(3):
        assert made.look(CUTOVER, seen(empty), ()).after_id == "AROA"
    assert reader.named == ["web", "role/r", "web", "web"]


@dataclass
class Listed(Flapping):
    """A region that was listed some seconds ago."""

    since: list[float | None] = field(default_factory=list)
    listed_at: float = 0.0
    refused: str = ""

    def consumers(
        self,
        identity: Identity,
        regions: Collection[str],
        arns: Collection[str],
        since: float | None = None,
    ) -> LiveState:
        self.since.append(since)
        found = {one.key: one for one in self.seen}
        unread = dict.fromkeys(regions, self.refused) if self.refused else {}
        return LiveState(identity, instances=found, listed_at=self.listed_at, unread_regions=unread)


def test_a_cut_over_may_begin_with_a_listing_of_some_seconds_ago_and_lists_again_at_its_end() -> (
    None
):
    clock = JumpingClock()
    reader = Listed([BEFORE], listed_at=clock.now() - 3.0)
    observed = observer(reader, clock).begin(CUTOVER)
    assert reader.since == [clock.now() - BEGIN_SECONDS]
    assert (observed.now, observed.listed_at) == (clock.now(), clock.now() - 3.0)
    run_state = initial_state(CUTOVER, observed, "mine")
    assert run_state.changed_at > observed.listed_at


@pytest.mark.parametrize("left", [NOTED, replace(BEFORE, marks={"role-id": "pending/-/AROA/9/o"})])
def test_what_another_run_left_is_listed_anew(left: LiveProfile) -> None:
    reader = Listed([left])
    observer(reader, JumpingClock()).begin(CUTOVER)
    assert reader.since == [None]


@pytest.mark.parametrize("is_flying", [False, True])
def test_a_region_that_does_not_answer_is_not_waited_for_while_an_instance_is_in_flight(
    *, is_flying: bool
) -> None:
    clock = JumpingClock()
    reader = Listed([NOTED if is_flying else BEFORE], refused="ec2:X: RequestLimitExceeded")
    began = clock.now()
    observed = observer(reader, clock).begin(CUTOVER)
    assert observed.unread == {"us-east-1": "ec2:X: RequestLimitExceeded"}
    waited = clock.now() - began
    assert waited == 0.0 if is_flying else waited >= UNREAD_SECONDS


def test_after_what_this_run_did_a_listing_begins_anew() -> None:
    reader = Listed([BEFORE])
    observer(reader, JumpingClock()).observe(CUTOVER)
    assert reader.since == [None]


def test_a_note_of_ours_is_not_forgotten_by_an_old_read() -> None:
    """So an instance was lost: its note was not read, and taken off as nobody's."""
    reader, clock = Flapping([BEFORE, BEFORE, NOTED]), JumpingClock()
    made = observer(reader, clock)
    made.look(CUTOVER, seen(BEFORE), ())
    made.wrote(seen(NOTED))
    assert made.look(CUTOVER, seen(NOTED), ()).profile == NOTED
    assert reader.asked == 3


def test_what_somebody_else_changed_is_believed_in_the_end() -> None:
    clock = JumpingClock()
    made = observer(Flapping([BEFORE]), clock)
    made.look(CUTOVER, seen(BEFORE), ())
    made.wrote(seen(NOTED))
    began = clock.now()
    assert made.look(CUTOVER, seen(NOTED), ()).profile == BEFORE
    assert OWN_WRITE_LAG_SECONDS <= clock.now() - began < OWN_WRITE_LAG_SECONDS + 5
    made.look(CUTOVER, seen(NOTED), ())
    assert clock.now() - began < OWN_WRITE_LAG_SECONDS + 5


def test_what_was_never_so_is_believed_at_once() -> None:
    """Another run wrote a mark of its own."""
    theirs = replace(BEFORE, marks={"role-id": "pending/-/AROA/900/other"})
    reader, clock = Flapping([BEFORE, theirs]), JumpingClock()
    made, began = observer(reader, clock), clock.now()
    made.look(CUTOVER, seen(BEFORE), ())
    made.wrote(seen(NOTED))
    assert made.look(CUTOVER, seen(NOTED), ()).profile == theirs
    assert clock.now() == began


def test_two_who_apply_at_once_take_turns() -> None:
    clock = JumpingClock()
    mark = f"pending/-/AROA/{int(clock.now()) + 1}/other"
    theirs = replace(BEFORE, marks={"role-id": mark})
    made, began = observer(Flapping([theirs]), clock), clock.now()
    for _ in range(3):
        made.wrote(seen(NOTED))
        assert made.look(CUTOVER, seen(NOTED), ()).profile == theirs
    assert clock.now() == began


def test_what_is_not_known_is_not_waited_for() -> None:
    reader = Flapping([BEFORE])
    made = observer(reader, JumpingClock())
    made.look(CUTOVER, seen(BEFORE), ())
    made.wrote(seen(NOTED))
    made.forget()
    assert made.look(CUTOVER, seen(NOTED), ()).profile == BEFORE
    assert reader.asked == 2


def test_a_poll_reads_associations_alone() -> None:
    """The profile is read before the next thing is taken away; and an instance that was seen to
    run a moment ago still does, or the next call for it is refused."""
    reader, clock = Flapping([BEFORE], seen=(LEAVING,)), JumpingClock()
    made = observer(reader, clock)
    observed = made.look(CUTOVER, seen(BEFORE), [KEY])
    for _ in range(4):
        clock.sleep(2)
        observed = made.poll(CUTOVER, observed, [KEY])
        assert observed.now == clock.now()
    assert (reader.asked, reader.about_instances, reader.about_associations) == (1, 1, 4)
    reader.seen = (replace(LEAVING, rows=()),)
    reader.shown = [NOTED]
    observed = made.poll(CUTOVER, observed, [KEY])
    assert observed.instances == {KEY: replace(LEAVING, rows=())}
    assert (reader.asked, reader.about_instances, reader.about_associations) == (1, 1, 5)
    reader.seen = ()
    clock.sleep(PROFILE_SECONDS)
    observed = made.poll(CUTOVER, observed, [KEY])
    assert dict(observed.instances) == {}
    assert observed.profile == NOTED


def test_an_instance_that_was_seen_long_ago_is_read_again() -> None:
    reader, clock = Flapping([BEFORE], seen=(LEAVING,)), JumpingClock()
    made = observer(reader, clock)
    observed = made.look(CUTOVER, seen(BEFORE), [KEY])
    clock.sleep(PROFILE_SECONDS)
    reader.seen = (replace(LEAVING, state="stopping"),)
    observed = made.poll(CUTOVER, observed, [KEY])
    assert observed.instances[KEY].state == "stopping"
    assert reader.about_associations == 0


def test_an_instance_of_which_ec2_took_a_call_is_there() -> None:
    reader, clock = Flapping([BEFORE], seen=(LEAVING,)), JumpingClock()
    made = observer(reader, clock)
    observed = made.look(CUTOVER, seen(BEFORE), [KEY])
    clock.sleep(PROFILE_SECONDS * 6)
    reader.seen = ()
    observed = made.poll(CUTOVER, observed, [KEY], [KEY])
    assert observed.instances == {KEY: replace(LEAVING, rows=())}
    assert made.poll(CUTOVER, observed, [KEY]).instances == {}


@pytest.mark.parametrize(("shown", "ours"), [("running", "stopped"), ("stopped", "running")])
def test_an_instance_that_we_stop_or_start_is_read(shown: str, ours: str) -> None:
    """What is expected of it is not what was seen."""
    there = replace(LEAVING, state=shown)
    reader = Flapping([BEFORE], seen=(there,))
    made = observer(reader, JumpingClock())
    observed = made.look(CUTOVER, seen(BEFORE), [KEY])
    expected = replace(observed, instances={KEY: replace(there, state=ours)})
    assert made.poll(CUTOVER, expected, [KEY], [KEY]).instances == {KEY: there}
    assert (reader.about_instances, reader.about_associations) == (2, 0)


def test_a_doubtful_instance_is_read() -> None:
    reader = Flapping([BEFORE], seen=(LEAVING,))
    made = observer(reader, JumpingClock())
    observed = made.look(CUTOVER, seen(BEFORE), [KEY])
    reader.seen = ()
    assert made.recheck(observed, [KEY]).instances == {}
    assert reader.about_associations == 0


def test_a_long_poll_sees_the_mark_of_another_run() -> None:
    theirs = replace(BEFORE, marks={"role-id": "pending/-/AROA/900/other"})
    reader, clock = Flapping([BEFORE, theirs], seen=(LEAVING,)), JumpingClock()
    made = observer(reader, clock)
    observed, began = made.look(CUTOVER, seen(BEFORE), [KEY]), clock.now()
    while observed.profile == BEFORE:
        clock.sleep(2)
        observed = made.poll(CUTOVER, observed, [KEY])
    assert clock.now() - began <= PROFILE_SECONDS
    assert observed.instances == {KEY: LEAVING}


def test_a_poll_leaves_other_instances_as_they_were() -> None:
    other = LiveInstance(OTHER, "running")
    reader = Flapping([BEFORE], seen=(LEAVING, other))
    made = observer(reader, JumpingClock())
    observed = made.look(CUTOVER, seen(BEFORE), [KEY, OTHER])
    gone = replace(LEAVING, rows=())
    reader.seen = (other,)
    assert made.poll(CUTOVER, observed, [KEY]).instances == {KEY: gone, OTHER: other}


@dataclass
class Names(Flapping):
    """Says which profiles and roles it was asked for."""

    named: list[str] = field(default_factory=list)

    def profile(self, name: str) -> LiveProfile:
        self.named.append(name)
        return super().profile(name)

    def role(self, name: str) -> Facts:
        self.named.append(f"role/{name}")
        return super().role(name)


def test_what_cannot_exist_is_not_read() -> None:
    """No temporary profile, unless a run before ours or beside it may have made one; and no role
    that the profile has."""
    temporary = temporary_name("web")
    ours = replace(BEFORE, marks={"role-id": "pending/-/AROA/900/mine"})
    theirs = replace(BEFORE, marks={"role-id": "pending/-/AROA/900/other"})
    rows = [
        ([BEFORE, ours, ours], ["web"] * 3),
        ([theirs, theirs], ["web", temporary]),
        ([theirs, theirs, ours, ours], ["web", temporary] * 2),
        ([BEFORE, ours, theirs, BEFORE, ours, ours], ["web", "web", *["web", temporary] * 2]),
    ]
    for shown, named in rows:
        reader = Names(list(shown))
        made = observer(reader, JumpingClock())
        for _ in range(named.count("web")):
            made.look(CUTOVER, seen(BEFORE), ())
        assert reader.named == named
    reader = Names([replace(BEFORE, role_id=None, resource=InstanceProfile("web"))])
    observer(reader, JumpingClock()).look(CUTOVER, seen(BEFORE), ())
    assert reader.named == ["web", "role/r"]


def test_a_throttled_read_is_waited_out() -> None:
    refusals: list[LiveProfile | AwsError] = [AwsError("iam:X", "Throttling", "") for _ in range(9)]
    clock = JumpingClock()
    patient = RetryingReader(cast(Reader, Flapping([*refusals, NOTED])), clock, Interrupt())
    assert patient.profile("web") == NOTED


def test_a_denied_read_is_not() -> None:
    reader = Flapping([AwsError("iam:X", "AccessDenied", ""), NOTED])
    patient = RetryingReader(cast(Reader, reader), JumpingClock(), Interrupt())
    try:
        patient.profile("web")
    except AwsError as error:
        assert error.code == "AccessDenied"
    assert reader.asked == 1
