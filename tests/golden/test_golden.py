"""What a user or a program sees is as the golden files have it; ``python -m tests.golden`` writes
them."""

from __future__ import annotations

import pytest

from tests.golden.cases import FILES, MAKERS, made


@pytest.mark.parametrize("name", MAKERS)
def test_everything_that_is_seen_is_as_written(name: str) -> None:
    for file, text in made(name).items():
        assert (FILES / file).read_text("utf-8") == text, file
