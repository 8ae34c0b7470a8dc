"""How a text is to look on the stream that it goes to."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Look:
    """``is_full`` folds and shortens nothing; ``is_alone`` is for a file, which is read without
    what stderr said."""

    unicode: bool = True
    is_full: bool = False
    is_alone: bool = False
