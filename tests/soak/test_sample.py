"""A sample of the soak; ``make soak`` makes 500 runs."""

from __future__ import annotations

import pytest

from tests.sampling import sampled
from tests.soak.run import soak

MIXED = (0, 1)
DENIED = (31, 55)
"""Seeds whose mixture has an action that is denied."""


@pytest.mark.parametrize("seed", sampled([DENIED[0]], [*MIXED, DENIED[1]]))
def test_it_ends_well_or_says_why(seed: int) -> None:
    ended = soak(seed)
    assert ended.problems == []
    assert ended.applies or ended.errors
