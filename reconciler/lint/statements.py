"""Findings about the statements of all policies of a set: what AWS takes, and what then does
nothing of what its author meant."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from reconciler.diagnostics import Diagnostic, Near
from reconciler.lint.catalog import ANYWHERE_KEYS, GLOBAL_KEYS, Catalog, KeyNames
from reconciler.spec.check.documents import documents
from reconciler.spec.check.spots import Spot, members
from reconciler.spec.desired import DesiredState

_TRUE_WITHOUT_THE_KEY = re.compile(r"Not|^Null$|IfExists$|^ForAllValues:")
"""Operators that a call without the key meets.
Source: reference_policies_elements_condition_operators.html of docs.aws.amazon.com/IAM/latest"""


def findings(desired: DesiredState, catalog: Catalog) -> Iterator[Diagnostic]:
    """Warnings, each at its place."""
    for written in documents(desired):
        yield from findings_of(written.document.value, written.spot, catalog)


def findings_of(value: Any, spot: Spot, catalog: Catalog) -> Iterator[Diagnostic]:
    if not isinstance(value, dict):
        return
    for statement, here in members(value.get("Statement", []), spot.inside("Statement")):
        if isinstance(statement, dict):
            yield from _statement(statement, here, catalog)


def _statement(statement: Mapping[str, Any], spot: Spot, catalog: Catalog) -> Iterator[Diagnostic]:
    for name in ("Action", "NotAction"):
        for text, at in _texts(statement, name, spot):
            if (found := unlisted(text, catalog)) is not None:
                yield at.value_warning(found[0], found[1], near=found[2])
    for operator, key, at in _keys(statement, spot):
        prefix = key.partition(":")[0].casefold()
        # The keys of identity providers have a host before the colon, and are what they say.
        is_global = prefix == "aws"
        if not is_global and prefix not in catalog.services:
            continue
        known = GLOBAL_KEYS if is_global else catalog.keys(prefix)
        if catalog.is_beyond(key) or key in ANYWHERE_KEYS:
            continue
        if key not in known:
            yield _unknown_key(key, known, at, catalog)
        elif not _TRUE_WITHOUT_THE_KEY.search(operator):
            yield from _unfit(statement, key, at, spot, catalog)


def _texts(statement: Mapping[str, Any], name: str, spot: Spot) -> Iterator[tuple[str, Spot]]:
    """Those that are ``SERVICE:ACTION``, the service without a pattern."""
    for text, at in members(statement.get(name, []), spot.inside(name)):
        if isinstance(text, str) and re.fullmatch(r"[^:*?\s]+:[^:\s]+", text):
            yield text, at


def _keys(statement: Mapping[str, Any], spot: Spot) -> Iterator[tuple[str, str, Spot]]:
    conditions = statement.get("Condition")
    for operator, keys in conditions.items() if isinstance(conditions, dict) else ():
        for key in keys if isinstance(keys, dict) else ():
            if ":" in key:
                yield operator, key, spot.inside("Condition", operator, key)


def unlisted(text: str, catalog: Catalog) -> tuple[str, str, Near | None] | None:
    """The code of the finding, what it says, and the names that may have been meant; ``None`` for
    an action that there is."""
    service, _, name = text.partition(":")
    is_pattern = "*" in name or "?" in name
    if catalog.is_beyond(text) or catalog.matching(text):
        return None
    if service.casefold() not in catalog.services:
        near = Near(text, catalog.alike(service, name)) if not is_pattern else None
        message = f"{text!r}: AWS lists no service {service!r}{_as_of(catalog)}"
        return "unknown-action", message, near
    if is_pattern:
        return "action-matches-nothing", f"{text!r} matches no action{_as_of(catalog)}", None
    known = tuple(catalog.actions(service.casefold()).values())
    return "unknown-action", f"AWS lists no action {text!r}{_as_of(catalog)}", Near(text, known)


def _unknown_key(key: str, known: KeyNames, spot: Spot, catalog: Catalog) -> Diagnostic:
    if known is GLOBAL_KEYS:
        message = f"AWS lists no global condition key {key!r}"
    else:
        message = f"AWS lists no condition key {key!r}{_as_of(catalog)}"
    place, near = spot.place.at(*spot.path), Near(key, known.names)
    return Diagnostic("warning", "unknown-condition-key", message, place, near=near)


def _unfit(
    statement: Mapping[str, Any], key: str, at: Spot, spot: Spot, catalog: Catalog
) -> Iterator[Diagnostic]:
    """A call without the key never meets the condition. One finding if that holds for the whole
    statement, else one for each action."""
    verb = "denies" if statement.get("Effect") == "Deny" else "allows"
    given = [text for text, _ in members(statement.get("Action", []), spot.inside("Action"))]
    unfit = []
    for text, there in _texts(statement, "Action", spot):
        # There are such actions, and none of them has the key.
        found = () if catalog.is_beyond(text) else catalog.matching(text)
        if found and not any(key in catalog.keys_of(action) for action in found):
            unfit.append((text, there))
    if unfit and len(unfit) == len(given):
        whom = repr(given[0]) if len(given) == 1 else "any action of the statement"
        message = f"AWS lists no condition key {key!r} for {whom}, so the statement {verb} nothing"
        place = at.place.at(*at.path)
        yield Diagnostic("warning", "condition-does-not-fit", message, place)
        return
    for text, there in unfit:
        message = f"AWS lists no condition key {key!r} for {text!r}: the statement never {verb} it"
        yield there.value_warning("condition-does-not-fit", message)


def _as_of(catalog: Catalog) -> str:
    return f" (as of {catalog.updated})"
