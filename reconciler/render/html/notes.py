"""What a person must know besides the changes, for the page."""

from __future__ import annotations

from collections.abc import Iterator

from reconciler.render import phrases
from reconciler.render.json.drift_types import DriftShape
from reconciler.render.json.types import PlanShape

Note = tuple[str, str]
"""A look and words."""


def plan_notes(document: PlanShape) -> Iterator[Note]:
    if "outcome" in document:
        outcome = document["outcome"]
        yield ("stop" if outcome["exit_code"] else "", phrases.ended(outcome))
        for lost in outcome["stranded"]:
            yield "stop", f"{phrases.lacking(lost)}. To give it back: {lost['command']}"
        for one in outcome["failures"]:
            yield "stop", f"{one['address']} {one['status']}: {one['what']}: {one['reason']}"
    for target in document["targets"]:
        for guard in target["guards"]:
            yield "stop", f"Apply stops: {guard['reason']}; {guard['lift']}"
        for conflict in target["conflicts"]:
            said = f"{conflict['reason']}; {conflict['lift']} takes it over"
            yield "stop", f"{conflict['address']} {said}"
        for unread in target["unread"]:
            name = unread["region"] or unread["address"]
            yield "stop", f"{name} cannot be read: {unread['reason']}"
    yield from warnings(document)
    for target in document["targets"]:
        for kept in (*target["kept"], *target["ignored"]):
            yield "", f"{kept['address']}: {kept['reason']}"


def warnings(document: PlanShape | DriftShape) -> Iterator[Note]:
    for found in document["diagnostics"]:
        place = f"{found['file']}:{found['line']}"
        yield "warning", f"{place}: {found['message']} ({found['code']})"
