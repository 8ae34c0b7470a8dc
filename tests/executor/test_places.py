"""A step that waits takes no place, and one that goes on comes before a new one."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor

from reconciler.executor.places import PlacedClock, Places


class Blocking:
    """A clock on which a sleep lasts until it is ended."""

    def __init__(self) -> None:
        self.sleeping = threading.Semaphore(0)
        self.end = threading.Semaphore(0)

    def now(self) -> float:
        return 0.0

    def sleep(self, seconds: float) -> None:
        self.sleeping.release()
        self.end.acquire()


def test_so_many_and_no_more() -> None:
    places = Places(2)
    assert [places.take() for _ in range(3)] == [True, True, False]
    places.give()
    assert [places.take() for _ in range(2)] == [True, False]


def test_a_sleep_leaves_the_place_and_comes_back_before_new_work() -> None:
    places, clock = Places(1), Blocking()
    gone_on = threading.Event()

    def step() -> None:
        with places.held():
            PlacedClock(clock, places).sleep(1)
            gone_on.set()
        places.give()

    with ThreadPoolExecutor(1) as pool:
        assert places.take()
        done = pool.submit(step)
        clock.sleeping.acquire()
        assert places.take()
        clock.end.release()
        ends = time.monotonic() + 10
        while places._returning == 0:
            assert time.monotonic() < ends
            time.sleep(0.001)
        assert not gone_on.is_set()
        places.give()
        # It is for the one that returns, although it may not have noticed yet.
        assert not places.take()
        done.result()
    assert places.take()


def test_a_sleep_of_a_thread_without_a_place_gives_none_back() -> None:
    places, clock = Places(1), Blocking()
    clock.end.release()
    assert places.take()
    PlacedClock(clock, places).sleep(1)
    assert not places.take()


def test_a_change_before_the_wait_is_not_missed() -> None:
    places = Places(1)
    assert places.take()
    seen = places.changes
    places.give()
    began = time.monotonic()
    places.wait(seen, 30)
    assert time.monotonic() - began < 10


def test_a_place_that_was_not_used_wakes_nobody_up() -> None:
    places = Places(1)
    assert places.take()
    seen = places.changes
    places.leave()
    assert places.changes == seen
    assert places.take()
