"""A check-up, for people: a line for each check, with what to do."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby

from reconciler.doctor.checks import Check, Status
from reconciler.render.styled_text import Line, Piece, data, line

FOLDED = 12
"""Above so many targets, those without anything to say are counted."""
_STYLES: dict[Status, str] = {
    "ok": "green",
    "warning": "bold yellow",
    "failure": "bold red",
    "unknown": "bold cyan",
}
_STATUS, _NAME = 8, 13
"""Columns."""


def doctor_lines(checks: Sequence[Check], *, is_whole: bool = False) -> list[Line]:
    """``is_whole`` names all that a message has some of, and folds nothing."""
    return [*_lines(checks, is_whole=is_whole), (), line(in_words(checks))]


def _lines(checks: Sequence[Check], *, is_whole: bool) -> Iterator[Line]:
    parts = [(target, list(group)) for target, group in groupby(checks, lambda c: c.target)]
    targets = [target for target, _ in parts if target is not None]
    folded: set[str] = set()
    if len(targets) > FOLDED and not is_whole:
        folded = {
            target
            for target, group in parts
            if target is not None and all(check.status == "ok" for check in group)
        }
    for target, group in parts:
        if target in folded:
            continue
        if target is not None:
            yield ()
            yield line(Piece("Target ", "bold"), data(target, "bold"))
        for check in group:
            status = Piece(f"{check.status:<{_STATUS}}", _STYLES[check.status])
            fix = [Piece(". Fix: ", "bold"), data(check.fix)] if check.fix else []
            yield line(status, f"{check.name:<{_NAME}}", data(check.message), *fix)
            if is_whole and check.status != "ok":
                yield from _details(check)
    if folded:
        yield ()
        yield line(f"{len(folded)} more targets: all ok")


_LISTED = ("denied", "unknown", "not_asked", "unreadable")
"""Facts of a check that may be many."""


def _details(check: Check) -> Iterator[Line]:
    for key in _LISTED:
        found = check.data.get(key) or ()
        named = [f"{k}: {v}" for k, v in found.items()] if isinstance(found, dict) else found
        for one in named:
            told = one
            if isinstance(one, dict):
                told = f"{one['action']} on {one['resource']} ({one['why']})"
            yield line("  ", data(f"{key.replace('_', ' ')}: {told}"))


def counts(checks: Iterable[Check]) -> dict[Status, int]:
    found = Counter(check.status for check in checks)
    statuses: tuple[Status, ...] = ("ok", "warning", "failure", "unknown")
    return {status: found[status] for status in statuses}


def in_words(checks: Iterable[Check]) -> str:
    """``12 ok, 1 warning, 0 failures, 2 unknown.``"""
    found = counts(checks)
    words = [f"{found['ok']} ok"]
    words += [
        f"{n} {name}{'' if n == 1 else 's'}"
        for name in ("warning", "failure")
        for n in (found[name],)
    ]
    return f"{', '.join(words)}, {found['unknown']} unknown."
