"""What an identity would be denied, in words and as JSON."""

from __future__ import annotations

from collections.abc import Iterator

from reconciler.rehearsal.access import Access, Denial
from reconciler.render.json.encode import json_text
from reconciler.render.json.rehearsal_types import AccessShape, DenialShape
from reconciler.render.phrases import few
from reconciler.render.styled_text import Line, Piece, data, line

MOST = 12
"""Denials of a phase that are listed one by one, and addresses."""
_PHASES = {
    "apply": "Denied",
    "beyond": "Would be denied next",
    "recovery": "Denied to the apply that follows a death",
}


def access_lines(access: Access, remaining: tuple[str, ...]) -> Iterator[Line]:
    source = data(access.policies.source)
    for phase, words in _PHASES.items():
        found = [one for one in access.needed if one.phase == phase]
        if found:
            yield line(Piece(words, "bold red"), " with the policies of ", source, ":")
            for one in found[:MOST]:
                yield from _denial(one)
            if len(found) > MOST:
                yield line(f"  and {len(found) - MOST} more, all of them with --json")
    if not access.needed:
        yield line(
            Piece("Allowed: ", "bold green"),
            "everything that the apply needs, with the policies of ",
            source,
        )
    unneeded = [f"{one.asked.action}" for one in access.denials if not one.is_needed]
    if unneeded:
        named = few(list(dict.fromkeys(unneeded)), most=MOST)
        yield line("  denied, and the result is the same: ", data(named))
    if unknown := access.policies.unknown_keys:
        named = few(list(unknown), most=MOST)
        yield line("  not known in a rehearsal, taken to be absent: ", data(named))
    if remaining:
        count = f"{len(remaining)} resource{'s' if len(remaining) > 1 else ''}"
        named = few(list(remaining), most=MOST)
        yield line(f"Afterwards, {count} would still differ from the specs: ", data(named))
    if access.allowing:
        yield line("To allow it, add:")
    for document in access.allowing:
        yield from (line(data(row)) for row in json_text(document).splitlines())
    if any(one.is_explicit for one in access.needed):
        yield line("What a statement denies, no other allows: change that statement.")


def _denial(one: Denial) -> Iterator[Line]:
    times = "" if one.times == 1 else f", {one.times} times"
    on = "" if one.asked.resource == "*" else f" on {one.asked.resource}"
    by = [call for call in one.calls if call != one.asked.action]
    asked_by = f" (by {few(by, most=MOST)})" if by else ""
    yield line("  ", data(f"{one.asked.action}{on}", "bold"), data(f"{asked_by}{times}: {one.why}"))
    for address, what in one.steps[:MOST]:
        yield line("    fails: ", data(f"{address} {what}"))
    if len(one.steps) > MOST:
        yield line(f"    and {len(one.steps) - MOST} more")


def access_json(access: Access, remaining: tuple[str, ...]) -> AccessShape:
    return {
        "source": access.policies.source,
        "questions": access.questions,
        "denied": [_shape(one) for one in access.denials],
        "allowing": list(access.allowing),
        "unknown_keys": list(access.policies.unknown_keys),
        "remaining": list(remaining),
    }


def _shape(one: Denial) -> DenialShape:
    return {
        "action": one.asked.action,
        "resource": one.asked.resource,
        "why": one.why,
        "explicit": one.is_explicit,
        "needed": one.is_needed,
        "phase": one.phase,
        "times": one.times,
        "calls": list(one.calls),
        "steps": [{"address": str(address), "what": what} for address, what in one.steps],
    }
