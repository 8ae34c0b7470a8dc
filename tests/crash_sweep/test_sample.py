"""A sample of the sweep: every way of striking, in scenarios that are about instances."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

import pytest

from tests.crash_sweep.sweep import Point, struck

pytestmark = pytest.mark.slow  # a process of its own; tests/cutover/test_walk.py strikes as well

SAMPLE = [
    Point(1, 9, is_after=True),
    Point(5, 9, is_after=True, way="killed twice"),
    Point(1, 5, is_after=False, way="two at once"),
    Point(1, 9, is_after=False, way="interrupted"),
    Point(5, 9, is_after=True),
    Point(7, 4, is_after=True, way="killed twice"),
    Point(5, 8, is_after=False, way="beside another owner"),
]


@pytest.fixture(scope="module")
def elsewhere() -> Iterator[ProcessPoolExecutor]:
    """A process of its own: a sandbox that serves patches moto for all of it."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        yield pool


@pytest.mark.parametrize("point", SAMPLE, ids=str)
def test_a_run_that_was_struck_is_gone_on_with(
    elsewhere: ProcessPoolExecutor, point: Point
) -> None:
    assert elsewhere.submit(struck, point).result().problem == ""
