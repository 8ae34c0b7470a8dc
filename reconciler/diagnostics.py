"""Findings in specs: values with a code and a place, never exceptions."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from itertools import islice
from typing import Literal

MOST_SUGGESTIONS = 50
MOST_SHOWN = 100
"""Most findings that are shown; the number of further ones is printed."""
Severity = Literal["error", "warning"]


@dataclass(frozen=True, slots=True, order=True)
class Location:
    """A place in a file. Lines and columns count from 1; line 0 means the file as a whole."""

    file: str
    line: int = 0
    column: int = 0

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}" if self.line else self.file


@dataclass(frozen=True, slots=True)
class Near:
    """An unknown word, and the known ones. ``form`` is the suggestion of the nearest one;
    ``otherwise`` is used if none is near."""

    word: str
    known: tuple[str, ...]
    form: str = "did you mean {!r}?"
    otherwise: str | None = None


@dataclass(frozen=True, slots=True)
class Diagnostic:
    """One finding. ``code`` is stable and documented in ``docs/rules.md``."""

    severity: Severity
    code: str
    message: str
    location: Location
    suggestion: str | None = None
    related: tuple[tuple[str, Location], ...] = ()
    """Other places that belong to the finding, each with a text."""
    near: Near | None = field(default=None, compare=False)
    """Becomes the suggestion of the first findings; see ``in_order``."""

    def __str__(self) -> str:
        return f"{self.location}: {self.severity}[{self.code}]: {self.message}"


def in_order(diagnostics: Iterable[Diagnostic]) -> tuple[Diagnostic, ...]:
    """Sorted by place, each finding once. To look for the word that was meant takes longer than to
    read the file, so it is done for the first findings only."""
    unique = dict.fromkeys(diagnostics)
    ordered = sorted(unique, key=lambda d: (d.location, d.code, d.message))
    asked = ((place, d.near) for place, d in enumerate(ordered) if d.near is not None)
    for place, near in list(islice(asked, MOST_SUGGESTIONS)):
        close = nearest(near.word, near.known)
        suggestion = near.otherwise if close is None else near.form.format(close)
        ordered[place] = replace(ordered[place], suggestion=suggestion, near=None)
    return tuple(ordered)


def has_errors(diagnostics: Iterable[Diagnostic]) -> bool:
    return any(d.severity == "error" for d in diagnostics)


def meant(word: str, known: Iterable[str]) -> str:
    """``; did you mean X?``, to follow a message; empty if none is near, or it is known."""
    near = nearest(word, known)
    return "" if near is None or near == word else f"; did you mean {near}?"


def nearest(word: str, known: Iterable[str]) -> str | None:
    """The known word that ``word`` was probably meant to be."""
    folded = {k.casefold(): k for k in known}
    found = difflib.get_close_matches(word.casefold(), folded, n=1, cutoff=0.6)
    return folded[found[0]] if found else None
