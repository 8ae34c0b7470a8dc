"""How fast calls are sent to one service of one account: as fast as they come, until AWS throttles.

AWS does not say what is left of a limit that all users of an account share, so it is found as TCP
finds the width of a line: cut by a share, at most once in a window, and grown by a constant.
Source: docs.aws.amazon.com/AWSEC2/latest/APIReference/throttling.html (token buckets for each
account and region; IAM publishes no numbers)
"""

from __future__ import annotations

import threading
from collections import deque
from dataclasses import dataclass, field

WINDOW_SECONDS = 1.0
"""Calls that are throttled within one window say one thing, and are one reason to slow down."""
CUT = 0.8
"""What is left of the rate that just went through."""
GROWTH = 0.1
"""How much of the rate after a cut is added to it in a second."""
CALM_SECONDS = 3.0
"""After so long without a throttle the limit is far away: the rate grows by ``CALM_GROWTH`` in each
further second."""
CALM_GROWTH = 1.5
MOST_CALM_SECONDS = 20.0
LEAST_RATE = 2.0
SHORTEST_SECONDS = 0.25
"""A shorter time says nothing about a rate."""


@dataclass
class Pace:
    """The rate of calls a second; without a limit until the first throttle. ``most`` is the limit
    that a person gave. Times are in seconds, of any clock."""

    most: float | None = None
    _rate: float | None = None
    _cut_at: float = float("-inf")
    _next: float = float("-inf")
    _began: float | None = None
    _passed: deque[float] = field(default_factory=deque)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def reserve(self, now: float) -> float:
        """When the next call may be sent; in the order in which it is asked for."""
        with self._lock:
            self._began = now if self._began is None else self._began
            rate = self.rate(now)
            if rate is None:
                return now
            at = max(now, self._next)
            self._next = at + 1 / rate
            return at

    def rate(self, now: float) -> float | None:
        """Calls a second; ``None`` for no limit."""
        if self._rate is None:
            return self.most
        since = max(now - self._cut_at, 0.0)
        grown = self._rate * (1 + GROWTH * min(since, CALM_SECONDS))
        grown *= float(CALM_GROWTH ** min(max(since - CALM_SECONDS, 0.0), MOST_CALM_SECONDS))
        return grown if self.most is None else min(grown, self.most)

    def passed(self, now: float) -> None:
        """AWS took a call, whatever it answered."""
        with self._lock:
            self._passed.append(now)
            self._forget(now)

    def throttled(self, now: float) -> None:
        with self._lock:
            if now - self._cut_at < WINDOW_SECONDS:
                return
            self._forget(now)
            measured = now - self._began if self._began is not None else WINDOW_SECONDS
            seconds = min(max(measured, SHORTEST_SECONDS), WINDOW_SECONDS)
            through = len(self._passed) / seconds
            # Where little was sent, little went through, and that says nothing about the limit.
            before = self.rate(now)
            rate = through if before is None else min(before, max(through, before / 2))
            self._rate = max(CUT * rate, LEAST_RATE)
            self._cut_at = now
            self._next = max(self._next, now + 1 / self._rate)

    def _forget(self, now: float) -> None:
        while self._passed and self._passed[0] <= now - WINDOW_SECONDS:
            self._passed.popleft()
