"""Calls go as fast as AWS takes them: on a server with a limit, an apply takes little longer than the
limit allows. The server, the workers and the time are simulated."""

from __future__ import annotations

import random
from heapq import heappop, heappush

import pytest

from reconciler.executor.pace import WINDOW_SECONDS, Pace
from reconciler.executor.retry_rules import FIRST_SECONDS, THROTTLED_PAUSE_SECONDS

LATENCY = 0.04
WORKERS = 16


def seconds_for(
    calls: int, limit: float, burst: float, *, pace: Pace, workers: int = WORKERS
) -> tuple[float, int]:
    """Seconds, and how often the server refused. It is a bucket of ``burst`` that fills with
    ``limit`` a second."""
    dice = random.Random(1)
    tokens, filled_at, now, number, refused = burst, 0.0, 0.0, 0, 0
    waiting = calls
    events: list[tuple[float, int, str, int]] = []

    def plan(at: float, what: str, attempt: int) -> None:
        nonlocal number
        number += 1
        heappush(events, (at, number, what, attempt))

    for _ in range(min(workers, calls)):
        waiting -= 1
        plan(0.0, "begin", 0)
    while events:
        now, _, what, attempt = heappop(events)
        if what == "begin":
            plan(pace.reserve(now), "arrive", attempt)
        elif what == "arrive":
            tokens, filled_at = min(burst, tokens + (now - filled_at) * limit), now
            is_taken = tokens >= 1
            tokens -= is_taken
            plan(now + LATENCY, "taken" if is_taken else "refused", attempt + 1)
        elif what == "taken":
            pace.passed(now)
            if waiting:
                waiting -= 1
                plan(now, "begin", 0)
        else:
            refused += 1
            pace.throttled(now)
            pause = min(FIRST_SECONDS * 2.0 ** (attempt - 1), THROTTLED_PAUSE_SECONDS)
            plan(now + pause * (0.5 + dice.random() / 2), "begin", attempt)
    return now, refused


@pytest.mark.parametrize("calls", [250, 1000])
@pytest.mark.parametrize("burst", [1, 4])
@pytest.mark.parametrize("limit", [5, 15, 50])
def test_an_apply_takes_little_longer_than_the_limit_allows(
    limit: int, burst: int, calls: int
) -> None:
    full = burst * limit
    took, refused = seconds_for(calls, limit, full, pace=Pace())
    at_best = max((calls - full) / limit, calls * LATENCY / WORKERS)
    # A run that is over in two seconds is over before the rate is known.
    assert took <= max(1.3 * at_best, at_best + 0.75)
    assert refused < calls


def test_nothing_is_slowed_down_before_the_first_throttle() -> None:
    pace = Pace()
    took, refused = seconds_for(200, 1e9, 1e9, pace=pace)
    assert refused == 0
    assert took == pytest.approx(200 / WORKERS * LATENCY, abs=LATENCY)
    assert pace.rate(took) is None


def test_many_throttles_at_a_time_are_one_reason_to_slow_down() -> None:
    pace = Pace()
    pace.reserve(0.0)
    for n in range(100):
        pace.passed(n / 100)
    for n in range(16):
        pace.throttled(1.0 + n / 100)
    rate = pace.rate(1.2)
    assert rate is not None
    assert 75 < rate < 85
    pace.throttled(1.0 + WINDOW_SECONDS)
    assert (pace.rate(2.0) or 0.0) < rate


def test_a_limit_of_a_person_is_kept_and_a_throttle_lowers_it_further() -> None:
    pace = Pace(most=10)
    took, _ = seconds_for(100, 1e9, 1e9, pace=pace)
    assert 9.5 < took < 10.5
    pace.throttled(took)
    assert (pace.rate(took) or 0.0) < 10
    assert pace.rate(took + 3600) == 10


def test_calls_are_spread_over_the_second() -> None:
    pace = Pace(most=4)
    assert [pace.reserve(0.0) for _ in range(5)] == [0.0, 0.25, 0.5, 0.75, 1.0]
