"""What of a sweep stands in every run of the suite, and what waits for ``make sweep``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest


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
