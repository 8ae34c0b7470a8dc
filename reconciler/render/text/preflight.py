"""What a preflight found, for people."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator

from reconciler.commands.asking import Room
from reconciler.commands.preflight import Preflight
from reconciler.plan.authorization import Verdict
from reconciler.render.styled_text import Line, Piece, data, line

MOST_NAMED = 12


def preflight_lines(found: Iterable[Preflight]) -> list[Line]:
    return [one for preflight in found for one in _lines(preflight)]


def _lines(preflight: Preflight) -> Iterator[Line]:
    style = "bold red" if preflight.is_refused else "bold"
    yield line(
        Piece(f"Preflight of account {preflight.account_id}: ", style), data(counts(preflight))
    )
    for verdict in preflight.denied[:MOST_NAMED]:
        yield line("  ", Piece("denied", "red"), ": ", data(verdict_in_words(verdict)))
    if (more := len(preflight.denied) - MOST_NAMED) > 0:
        yield line(f"  and {more} more are denied")
    for room, needed in preflight.full:
        yield line("  ", Piece("no room", "red"), ": ", data(room_in_words(room, needed)))
    for verdict in preflight.unknown[:MOST_NAMED]:
        yield line("  ", Piece("not known", "yellow"), ": ", data(verdict_in_words(verdict)))
    if (more := len(preflight.unknown) - MOST_NAMED) > 0:
        yield line(f"  and {more} more are not known")
    for reason in preflight.asked.not_asked:
        yield line("  ", Piece("not asked", "yellow"), ": ", data(reason))


def counts(preflight: Preflight) -> str:
    """``31 permissions allowed, 2 denied``."""
    decisions = Counter(one.decision for one in preflight.asked.verdicts)
    words = []
    if preflight.asked.verdicts:
        allowed = decisions["allowed"]
        words.append(f"{allowed} permission{'' if allowed == 1 else 's'} allowed")
    if decisions["denied"]:
        words.append(f"{decisions['denied']} denied")
    if decisions["unknown"]:
        words.append(f"{decisions['unknown']} not known")
    if preflight.full:
        words.append("a quota is too small")
    if preflight.asked.not_asked:
        words.append("not everything could be asked")
    return ", ".join(words) or "nothing to ask"


def verdict_in_words(verdict: Verdict) -> str:
    why = f" ({verdict.why})" if verdict.why else ""
    return f"{verdict.action} on {verdict.resource}{why}"


def room_in_words(room: Room, needed: int) -> str:
    quota = f"; raise {room.code} in Service Quotas" if room.code else ""
    return f"{needed} more {room.what}, and {room.used} of {room.most} are there{quota}"
