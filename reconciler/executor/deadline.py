"""How long something new may still begin: until the time that a person gave is over, and only if
our credentials outlive it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from reconciler.errors import AwsError
from reconciler.ports import Clock

BATCH_SECONDS = 600.0
"""Seconds for one batch: at most 300 s for the disassociations, and as long for the
associations."""


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

    def forbids_batch(self, *, is_roll_back: bool) -> str | None:
        """Why no instance may be disassociated now: it might not be restored in time. ``None`` if
        it may.

        A roll-back completes what was begun, so only expiring credentials prevent it.
        """
        if not is_roll_back and (why := self.is_over()):
            return why
        try:
            lasts = self.outlives(BATCH_SECONDS)
        except AwsError as error:
            return f"the credentials cannot be renewed ({error.message})"
        minutes = f"{BATCH_SECONDS / 60:.0f} minutes"
        return None if lasts else f"the credentials expire within {minutes}; sign in again first"
