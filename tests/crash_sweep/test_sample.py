"""A sample of the sweep: one death in each of the scenarios that are about instances."""

from __future__ import annotations

from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

import pytest

from tests.crash_sweep.sweep import Point, die

SAMPLE = [
    Point(1, 8, is_after=True),
    Point(2, 10, is_after=False),
    Point(5, 4, is_after=True),
    Point(7, 10, is_after=True),
]


@pytest.mark.parametrize("point", SAMPLE, ids=str)
def test_a_run_that_was_killed_is_gone_on_with(point: Point) -> None:
    # In a process of its own: a sandbox that serves patches moto for all of it.
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        assert pool.submit(die, point).result().problem == ""
