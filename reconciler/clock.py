"""The time of this machine, which does not jump while the program runs."""

from __future__ import annotations

import time
from collections.abc import Callable


def _steady() -> Callable[[], float]:
    """Counts on while the machine sleeps, where there is such a clock."""
    if hasattr(time, "CLOCK_BOOTTIME"):
        return lambda: time.clock_gettime(time.CLOCK_BOOTTIME)
    return time.monotonic


class SystemClock:
    """Seconds of the epoch, which advance monotonically from the start: setting the machine's clock
    makes no wait longer or shorter."""

    def __init__(self) -> None:
        self._count = _steady()
        self._epoch = time.time() - self._count()

    def now(self) -> float:
        return self._epoch + self._count()

    def sleep(self, seconds: float) -> None:
        time.sleep(max(seconds, 0.0))
