"""Lines of styled pieces: the text, separate from its colours on a terminal."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace

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


_AFTER_SPACE = re.compile(r"(?<= )(?=[^ ])")
_INSIDE = re.compile(r"(?<=[/:,])(?=[^ ])")


def wrapped(one: Line, width: int) -> list[Line]:
    """The line in parts of at most ``width`` characters, broken after a space; within a path or an
    ARN only where that fits on no line of its own, so that an address stays one word. What follows
    is indented a little more. A single longer word stays whole."""
    whole = "".join(piece.text for piece in one)
    if len(whole) <= width:
        return [one]
    indent = len(whole) - len(whole.lstrip(" ")) + 4
    parts: list[Line] = []
    here: list[Piece] = []
    used = 0
    for piece in one:
        text = ""
        for word in _words(piece.text, width - indent):
            if used + len(word.rstrip(" ")) > width and used > (indent if parts else 0):
                # A space at the very end would be a line of its own on the terminal.
                last = Piece(text, piece.style) if text else here.pop()
                here.append(replace(last, text=last.text.rstrip(" ")))
                parts.append(tuple(here))
                here, used, text = [Piece(" " * indent)], indent, ""
            text += word
            used += len(word)
        if text:
            here.append(Piece(text, piece.style))
    return [*parts, tuple(here)]


def _words(text: str, most: int) -> Iterator[str]:
    for word in _AFTER_SPACE.split(text):
        if len(word.rstrip(" ")) > most:
            yield from _INSIDE.split(word)
        else:
            yield word


def plain(lines: list[Line]) -> str:
    return "\n".join("".join(piece.text for piece in one) for one in lines)
