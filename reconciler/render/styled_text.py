"""Lines of styled pieces: the text, separate from its colours on a terminal."""

from __future__ import annotations

from dataclasses import dataclass

from reconciler.render.escape import printable


@dataclass(frozen=True, slots=True)
class Piece:
    """``style`` is a name of rich's: ``green``, ``bold red``, ``dim``; ``""`` for none."""

    text: str
    style: str = ""


Line = tuple[Piece, ...]


def line(*pieces: Piece | str) -> Line:
    """Plain strings are our own words; what comes from outside goes through ``data``."""
    return tuple(Piece(p) if isinstance(p, str) else p for p in pieces)


def data(value: object, style: str = "") -> Piece:
    return Piece(printable(value), style)


def plain(lines: list[Line]) -> str:
    return "\n".join("".join(piece.text for piece in one) for one in lines)
