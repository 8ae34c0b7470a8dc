"""A cut-over sees the world as of after its own writes, whatever IAM shows in between."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, cast

from reconciler.errors import AwsError
from reconciler.executor.interrupt import Interrupt
from reconciler.executor.observer import OWN_WRITE_LAG_SECONDS, Observer
from reconciler.executor.retrying_reader import RetryingReader
from reconciler.model.live import LiveProfile
from reconciler.model.resources import Identity, InstanceProfile, RollOut
from reconciler.plan.cut_over import CutOver, Observation, RoleRef
from reconciler.ports import Facts, Reader
from reconciler.sandbox.embedded import JumpingClock

BEFORE = LiveProfile(resource=InstanceProfile("web", "r"), id="AIPA", arn="arn", role_id="AROA")
NOTED = replace(BEFORE, marks={"in-flight": "us-east-1/i-00000001"})
CUTOVER = CutOver("web", None, RoleRef("r", "AROA"), RollOut(), ("us-east-1",), "reconciler:")


@dataclass
class Flapping:
    """Shows one thing after the other, then the last one for ever; errors are raised."""

    shown: list[LiveProfile | AwsError]
    asked: int = 0
    calls: Mapping[str, int] = field(default_factory=dict)

    def profile(self, name: str) -> LiveProfile:
        self.asked += 1
        found = self.shown.pop(0) if len(self.shown) > 1 else self.shown[0]
        if isinstance(found, AwsError):
            raise found
        return found

    def role(self, name: str) -> Facts:
        return Facts("AROA", "arn", {})


def observer(reader: Any, clock: JumpingClock) -> Observer:
    return Observer(Identity("1", "aws"), "mine", cast(Reader, reader), clock, Interrupt())


def seen(profile: LiveProfile) -> Observation:
    return Observation(0.0, profile, "AROA", {}, 0.0)


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
