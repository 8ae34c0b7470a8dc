"""How a run ends before its work is done, and what must be restored before it does: it is asked to
from outside (``Interrupt``), the time that a person gave is over, or our credentials will expire
(``Deadline``). Which signal asks for it is up to ``cli/signals.py``."""

from __future__ import annotations

import threading
from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import IntEnum

from reconciler.cutover.decisions import AGAIN, SIGN_IN, GiveUp
from reconciler.errors import AwsError
from reconciler.ports import Clock

BATCH_SECONDS = 600.0
"""Seconds for one batch: at most 300 s for the disassociations, and as long for the
associations."""
PIECE_SECONDS = 0.5
"""In the middle of a long pause it is looked this often whether there is a hurry."""
HURRIED_SECONDS = 0.25
"""The longest pause once there is one."""


class Level(IntEnum):
    NONE = 0
    STOP = 1
    """Nothing new starts; unfinished work is restored, however long that takes."""
    HURRY = 2
    """The process is about to be killed: unfinished work is restored by the calls alone, without
    any wait that they do not need."""


@dataclass
class Interrupt:
    """It only rises. A signal handler may raise it at any moment, so it takes no lock."""

    level: Level = Level.NONE

    def set(self) -> None:
        self.level = max(self.level, Level.STOP)

    def hurry(self) -> None:
        self.level = Level.HURRY

    def is_set(self) -> bool:
        return self.level >= Level.STOP

    @property
    def hurries(self) -> bool:
        return self.level >= Level.HURRY

    def rest(self, clock: Clock, seconds: float) -> None:
        """Sleeps, and no longer than need be once there is a hurry."""
        until = clock.now() + seconds
        while (left := until - clock.now()) > 0:
            if self.hurries:
                clock.sleep(min(left, HURRIED_SECONDS))
                return
            clock.sleep(min(left, PIECE_SECONDS))


@dataclass
class Flights:
    """Unfinished work: an instance without its profile or stopped, a profile between two roles.
    While there is any, network failures are retried for longer."""

    _open: set[Hashable] = field(default_factory=set)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def __bool__(self) -> bool:
        return bool(self._open)

    def note(self, of: Hashable, *, is_open: bool) -> None:
        with self._lock:
            if is_open:
                self._open.add(of)
            else:
                self._open.discard(of)

    @contextmanager
    def noted(self, of: Hashable, *, is_open: bool) -> Iterator[None]:
        """For as long as the block lasts."""
        self.note(of, is_open=is_open)
        try:
            yield
        finally:
            self.note(of, is_open=False)


def forever(_seconds: float) -> bool:
    return True


@dataclass(frozen=True, slots=True)
class Deadline:
    """``ends_at`` is in seconds of the epoch, ``None`` for no end. ``outlives`` says whether our
    credentials are good for so many seconds more."""

    clock: Clock
    ends_at: float | None = None
    outlives: Callable[[float], bool] = forever

    def is_over(self) -> str | None:
        """Why nothing new begins, or ``None``."""
        if self.ends_at is not None and self.clock.now() >= self.ends_at:
            return "the time limit of --max-time has passed"
        return None

    def forbids_batch(self, *, is_roll_back: bool) -> GiveUp | None:
        """Why no instance may be disassociated now: it might not be restored in time. ``None`` if
        it may.

        A roll-back completes what was begun, so only expiring credentials prevent it.
        """
        if not is_roll_back and (why := self.is_over()):
            return GiveUp(why, is_stop=True, advice=AGAIN)
        try:
            lasts = self.outlives(BATCH_SECONDS)
        except AwsError as error:
            reason = f"the credentials cannot be renewed ({error.message})"
            return GiveUp(reason, is_stop=True, advice=SIGN_IN)
        if lasts:
            return None
        reason = f"the credentials expire within {BATCH_SECONDS / 60:.0f} minutes"
        return GiveUp(reason, is_stop=True, advice=SIGN_IN)
