"""How the run is asked to end from outside, and what must be restored before it ends."""

from __future__ import annotations

import threading
from collections.abc import Hashable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import IntEnum

from reconciler.ports import Clock

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
