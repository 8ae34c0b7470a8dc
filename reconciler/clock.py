"""The time of this machine, which does not jump while the program runs."""

from __future__ import annotations

import time
from functools import partial


class SystemClock:
    """Seconds of the epoch, which advance monotonically from the start: setting the machine's clock
    makes no wait longer or shorter."""

    def __init__(self) -> None:
        self._count = time.monotonic
        if hasattr(time, "CLOCK_BOOTTIME"):  # it counts on while the machine sleeps
            self._count = partial(time.clock_gettime, time.CLOCK_BOOTTIME)
        self._epoch = time.time() - self._count()

    def now(self) -> float:
        return self._epoch + self._count()

    def sleep(self, seconds: float) -> None:
        time.sleep(max(seconds, 0.0))
