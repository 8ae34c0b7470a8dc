"""How long a connection is tried for, and what signals mean."""

from __future__ import annotations

import random
import signal
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, cast

import pytest

from reconciler.cli.signals import SignalHandler
from reconciler.errors import AwsError
from reconciler.executor.interrupt import Flights, Interrupt, Level
from reconciler.executor.retry_rules import IN_FLIGHT_SECONDS, LOST_SECONDS, UNREACHED_SECONDS
from reconciler.executor.retrying_reader import RetryingReader
from reconciler.executor.sender import Sender
from reconciler.plan.calls import ApiCall
from reconciler.ports import Reader
from reconciler.sandbox.embedded import JumpingClock
from tests.executor.test_sender import Known

TAG = ApiCall("iam", "TagRole", {"RoleName": "r", "Tags": []})
CREATE = ApiCall("iam", "CreateRole", {"RoleName": "r", "Tags": []})


@dataclass
class Unreached:
    """A writer, and a reader, that fail until a time, each try taking ``takes`` seconds."""

    clock: JumpingClock
    until: float
    lost: bool = False
    takes: float = 0.0
    tries: int = 0

    def send(self, _call: ApiCall) -> Mapping[str, Any]:
        self.tries += 1
        self.clock.sleep(self.takes)
        if self.clock.now() < self.until:
            code = "ReadTimeoutError" if self.lost else "EndpointConnectionError"
            raise AwsError("x", code, "", is_uncertain=self.lost, was_not_sent=not self.lost)
        return {"done": True}

    def role(self, _name: str) -> None:
        self.send(TAG)


def sender(writer: Unreached, stop: Interrupt, flights: Flights) -> Sender:
    dice = random.Random(1)
    return Sender(writer, Known(), writer.clock, stop, "", dice, flights=flights)


def flying() -> Flights:
    made = Flights()
    made.note("association/i-1", is_open=True)
    return made


CASES = [
    (False, False, UNREACHED_SECONDS),
    (False, True, UNREACHED_SECONDS),
    (True, False, IN_FLIGHT_SECONDS),
    (True, True, IN_FLIGHT_SECONDS),
]


@pytest.mark.parametrize(("in_flight", "stopped", "patience"), CASES)
@pytest.mark.parametrize("call", [TAG, CREATE])
def test_a_call_that_was_not_sent_is_sent_again(
    call: ApiCall, in_flight: bool, stopped: bool, patience: float
) -> None:
    """Whoever asks to stop shortens nothing while an instance is in flight."""
    clock, stop = JumpingClock(), Interrupt()
    if stopped:
        stop.set()
    flights = flying() if in_flight else Flights()
    writer = Unreached(clock, clock.now() + patience - 3)
    assert sender(writer, stop, flights).send(call) == {"done": True}
    writer = Unreached(clock, clock.now() + patience + 3)
    began = clock.now()
    with pytest.raises(AwsError):
        sender(writer, stop, flights).send(call)
    assert patience - 3 < clock.now() - began < patience + 3


@pytest.mark.parametrize(("in_flight", "stopped", "patience"), CASES)
def test_a_read_that_reaches_nobody(in_flight: bool, stopped: bool, patience: float) -> None:
    clock, stop = JumpingClock(), Interrupt()
    if stopped:
        stop.set()
    told: list[tuple[str, float]] = []
    for over in (-3, 3):
        failing = Unreached(clock, clock.now() + patience + over)
        reader = RetryingReader(
            cast(Reader, failing),
            clock,
            stop,
            flying() if in_flight else Flights(),
            lambda what, _seconds, of: told.append((what, of)),
        )
        if over < 0:
            assert reader.role("r") is None
        else:
            with pytest.raises(AwsError):
                reader.role("r")
    assert set(told) == {("the connection (EndpointConnectionError)", patience)}


def test_a_time_out_of_a_minute_does_not_use_up_a_minute() -> None:
    """Time counts from the first failure, so there are two tries at least."""
    clock = JumpingClock()
    writer = Unreached(clock, clock.now() + 65, lost=True, takes=60)
    assert sender(writer, Interrupt(), Flights()).send(TAG) == {"done": True}
    assert writer.tries == 2
    writer = Unreached(clock, clock.now() + 999, lost=True, takes=LOST_SECONDS + 1)
    with pytest.raises(AwsError):
        sender(writer, Interrupt(), Flights()).send(TAG)
    assert writer.tries == 2


def test_a_lost_answer_does_not_use_up_the_patience_with_the_network() -> None:
    """A connection dies in the middle of an answer, and no new one can be made for a while."""
    clock = JumpingClock()
    writer = Unreached(clock, clock.now() + 110)

    class Dying(Unreached):
        def send(self, call: ApiCall) -> Mapping[str, Any]:
            self.lost, self.takes = self.tries == 0, 60.0 if self.tries == 0 else 0.0
            return super().send(call)

    writer = Dying(clock, clock.now() + 110)
    assert sender(writer, Interrupt(), Flights()).send(TAG) == {"done": True}


def test_a_hurry_ends_a_long_pause() -> None:
    clock, stop = JumpingClock(), Interrupt()
    began = clock.now()
    stop.rest(clock, 20)
    assert clock.now() - began == pytest.approx(20)
    stop.hurry()
    stop.rest(clock, 20)
    assert clock.now() - began < 21


INT, TERM, HUP = signal.SIGINT, signal.SIGTERM, signal.SIGHUP
Heard = list[tuple[float, int]]
SEQUENCES: dict[str, tuple[Heard, Level, bool]] = {
    "one Ctrl-C": ([(0, INT)], Level.STOP, False),
    "a key that bounces": ([(0, INT), (0.3, INT), (1.9, INT)], Level.STOP, False),
    "Ctrl-C, and again": ([(0, INT), (2, INT)], Level.STOP, True),
    "an impatient hand": ([(0, INT), (1, INT), (2.5, INT)], Level.STOP, True),
    "GitHub": ([(0, INT), (7.5, TERM)], Level.HURRY, False),
    "SIGTERM right after": ([(0, INT), (0.2, TERM)], Level.HURRY, False),
    "timeout, to the child and the group": ([(0, TERM), (0.01, TERM)], Level.STOP, False),
    "a terminal that closes": ([(0, HUP), (0.01, HUP)], Level.STOP, False),
    "systemd": ([(0, TERM), (0.01, HUP)], Level.STOP, False),
    "SIGTERM, and later again": ([(0, TERM), (30, TERM)], Level.HURRY, False),
    "SIGTERM without end": ([(0, TERM), (30, TERM), (60, TERM)], Level.HURRY, False),
    "SIGTERM, then a person": ([(0, TERM), (5, INT)], Level.HURRY, False),
    "a person who means it": ([(0, TERM), (5, INT), (8, INT)], Level.HURRY, True),
}


@pytest.mark.parametrize("name", SEQUENCES)
def test_signals(name: str) -> None:
    sent, level, leaves = SEQUENCES[name]
    time, left, words = [0.0], [False], list[str]()
    stop = Interrupt()

    def leave() -> None:
        left[0] = True

    handler = SignalHandler(stop, words.append, leave, lambda: time[0])
    for at, number in sent:
        time[0] = at
        handler.receive(number)
    assert (stop.level, left[0]) == (level, leaves)
    assert len(words) == (2 if level is Level.HURRY else 1)
