"""A clock that somebody sets is none to wait by."""

from __future__ import annotations

import time

import pytest

from reconciler.clock import SystemClock


@pytest.mark.parametrize("jump", [-3600.0, 86400.0])
def test_the_machine_s_clock_is_set(monkeypatch: pytest.MonkeyPatch, jump: float) -> None:
    clock, before = SystemClock(), time.time()
    assert abs(clock.now() - before) < 1
    monkeypatch.setattr(time, "time", lambda: before + jump)
    assert abs(clock.now() - before) < 5


def test_it_goes_on() -> None:
    clock = SystemClock()
    before = clock.now()
    clock.sleep(0.02)
    clock.sleep(-1)
    assert clock.now() - before >= 0.02
