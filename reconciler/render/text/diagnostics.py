"""Findings about specs: one line each, or with the lines of the file that they are about."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping

from reconciler.diagnostics import MOST_SHOWN, Diagnostic, Location
from reconciler.render.styled_text import Line, Piece, data, line

_STYLES = {"error": "bold red", "warning": "bold yellow"}
_LONGEST = 120
_WORD = re.compile(r"(?:[^\s:,{}\[\]]|:(?!\s|$))*")
"""As YAML has it, where a colon inside a word is part of it."""
_MOST_MARKED = 40


def concise(diagnostics: Iterable[Diagnostic]) -> list[Line]:
    shown, left = _some(diagnostics)
    return [*(_head(d) for d in shown), *_more(left)]


def _some(diagnostics: Iterable[Diagnostic]) -> tuple[list[Diagnostic], list[Diagnostic]]:
    """The findings that are shown, in their order, and those that are counted: errors come first
    where not all fit."""
    found = list(diagnostics)
    ranked = sorted(range(len(found)), key=lambda n: (found[n].severity != "error", n))
    chosen = set(ranked[:MOST_SHOWN])
    shown = [d for n, d in enumerate(found) if n in chosen]
    return shown, [d for n, d in enumerate(found) if n not in chosen]


def _more(left: list[Diagnostic]) -> list[Line]:
    return [line(f"and {count(left)} more")] if left else []


def full(diagnostics: Iterable[Diagnostic], sources: Mapping[str, str]) -> list[Line]:
    lines: list[Line] = []
    shown, left = _some(diagnostics)
    for diagnostic in shown:
        lines.append(_head(diagnostic))
        lines.extend(_frame(diagnostic.location, sources, "^"))
        for label, place in diagnostic.related:
            lines.append(line(Piece("  = ", "blue"), data(f"{label}: {place}")))
            lines.extend(_frame(place, sources, "-"))
        if diagnostic.suggestion:
            lines.append(line(Piece("  = help: ", "blue"), data(diagnostic.suggestion)))
        lines.append(())
    return [*lines, *_more(left)]


def _head(diagnostic: Diagnostic) -> Line:
    return line(
        data(f"{diagnostic.location}: "),
        data(f"{diagnostic.severity}[{diagnostic.code}]", _STYLES[diagnostic.severity]),
        data(f": {diagnostic.message}"),
    )


def _frame(place: Location, sources: Mapping[str, str], mark: str) -> Iterator[Line]:
    """The line that a finding is about, with a mark under the place."""
    text = sources.get(place.file, "").splitlines()
    if not 1 <= place.line <= len(text):
        return
    number = str(place.line)
    shown = text[place.line - 1].replace("\t", " ")
    start = max(0, place.column - 1 - _LONGEST // 2) if len(shown) > _LONGEST else 0
    part = shown[start : start + _LONGEST]
    yield line(Piece(f"  {number} | ", "blue"), data(part))
    column = place.column - 1 - start
    length = min(token_length(shown, place.column - 1), _MOST_MARKED)
    indent = " " * (len(number) + 2)
    yield line(Piece(f"{indent} | ", "blue"), Piece(" " * column + mark * length, "bold red"))


def token_length(text: str, start: int) -> int:
    """How far the word goes, or the quoted text, that begins there in a line."""
    quote = text[start : start + 1]
    if quote in ("'", '"') and (end := text.find(quote, start + 1)) > 0:
        return end + 1 - start
    word = _WORD.match(text, start)
    return max(1, len(word[0])) if word is not None else 1


def count(diagnostics: Iterable[Diagnostic]) -> str:
    """``2 errors, 1 warning``."""
    severities = [d.severity for d in diagnostics]
    counted = [(severities.count(name), name) for name in ("error", "warning")]
    return ", ".join(f"{n} {name}{'' if n == 1 else 's'}" for n, name in counted if n)
