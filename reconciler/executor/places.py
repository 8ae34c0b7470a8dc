"""How many steps of a plan work at a time. A step that only waits takes no place."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from reconciler.ports import Clock


@dataclass
class Places:
    """``number`` steps work at a time; those that go on after a wait come before new ones."""

    number: int
    _taken: int = 0
    _returning: int = 0
    _changes: int = 0
    _changed: threading.Condition = field(default_factory=threading.Condition)
    _here: threading.local = field(default_factory=threading.local)
    """Whether this thread has a place."""

    def take(self) -> bool:
        """A place for a new step, if there is one that nobody is waiting for."""
        with self._changed:
            is_free = self._taken + self._returning < self.number
            self._taken += is_free
            return is_free

    def give(self) -> None:
        with self._changed:
            self._taken -= 1
            self._note()

    def stir(self) -> None:
        """Something else changed that whoever is in ``wait`` looks at."""
        with self._changed:
            self._note()

    def leave(self) -> None:
        """Gives back a place that was not used."""
        with self._changed:
            self._taken -= 1
            self._changed.notify_all()

    @contextmanager
    def held(self) -> Iterator[None]:
        """This thread works in a place that was taken for it, and that others give back."""
        self._here.has = True
        try:
            yield
        finally:
            self._here.has = False

    @contextmanager
    def left(self) -> Iterator[None]:
        """Waits without a place, and then for one."""
        if not getattr(self._here, "has", False):
            yield
            return
        self.give()
        try:
            yield
        finally:
            self._return()

    @property
    def changes(self) -> int:
        """How often a place became free, or something else changed."""
        return self._changes

    def wait(self, seen: int, seconds: float) -> None:
        """Until there are more changes than were ``seen``."""
        with self._changed:
            if self._changes == seen:
                self._changed.wait(seconds)

    def _note(self) -> None:
        self._changes += 1
        self._changed.notify_all()

    def _return(self) -> None:
        with self._changed:
            self._returning += 1
            while self._taken >= self.number:
                self._changed.wait()
            self._returning -= 1
            self._taken += 1


@dataclass(frozen=True, slots=True)
class PlacedClock:
    """A clock on which a step sleeps without its place."""

    clock: Clock
    places: Places

    def now(self) -> float:
        return self.clock.now()

    def sleep(self, seconds: float) -> None:
        with self.places.left():
            self.clock.sleep(seconds)
