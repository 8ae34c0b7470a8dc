"""Which cases every run of the suite has, and which wait for ``make sweep``."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

import pytest

FIRST_CASES = 1
"""How many cases of a test in ``tests/behaviour`` every run has. Each is some hundred calls to a
simulated AWS; the rest of them waits for ``make sweep``."""


def leave_to_the_sweep(items: Iterable[pytest.Item]) -> None:
    """Marks as slow what comes after the first cases of a test. A test that names its sample itself
    is left as it is."""
    met: Counter[str] = Counter()
    cases = [item for item in items if "/behaviour/" in item.path.as_posix()]
    own = {_function(item) for item in cases if item.get_closest_marker("slow")}
    for item in cases:
        met[_function(item)] += 1
        if met[_function(item)] > FIRST_CASES and _function(item) not in own:
            item.add_marker(pytest.mark.slow)


def _function(item: pytest.Item) -> str:
    return item.nodeid.partition("[")[0]


def sampled(sample: Sequence[Any], rest: Sequence[Any]) -> list[Any]:
    """The sample in every run, the rest with the sweep."""
    slow = (one if isinstance(one, tuple) else (one,) for one in rest)
    return [*sample, *(pytest.param(*one, marks=pytest.mark.slow) for one in slow)]


def deaths(points: Sequence[int], sample: Sequence[int]) -> list[Any]:
    """Pairs of the write at which a run dies, and whether it took effect: all of them with the
    sweep; of the sample each once, before and after by turns."""
    fast = {(at, bool(number % 2)) for number, at in enumerate(sample)}
    pairs = [(at, after) for at in points for after in (False, True)]
    return [
        pytest.param(*pair, marks=() if pair in fast else pytest.mark.slow, id=_named(*pair))
        for pair in pairs
    ]


def _named(at: int, after: bool) -> str:
    return f"{'after' if after else 'before'} write {at}"
