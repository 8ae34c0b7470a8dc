"""Policies in a JSON file: one, a list of them, or what ``permissions`` prints."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from reconciler.diagnostics import Diagnostic, Location, has_errors, in_order
from reconciler.errors import RefusedError, UnreadableError
from reconciler.exit_codes import ExitCode
from reconciler.model.policy_document import PolicyDocument
from reconciler.spec.check.policy_checks import inline_policy
from reconciler.spec.check.spots import Spot
from reconciler.spec.desired import Place
from reconciler.spec.yaml.parser import parse
from reconciler.spec.yaml.tree import Path

Document = dict[str, Any]
_ROLES = ("roles",)
_SHAPES = "pass a policy, a list of policies, or what `reconciler permissions` prints as JSON"


def policies_in(text: str, name: str) -> tuple[Document, ...]:
    """The documents in a JSON text; all of them are one identity's. ``name`` is that of the file.

    Raises ``RefusedError`` with the place of what is wrong."""
    value = _decoded(text, name)
    problems: list[Diagnostic] = []
    try:
        tree = parse(text, name, problems)
    except UnreadableError as error:
        raise _refused((error.diagnostic,), text, name) from error
    if tree is None:
        raise _refused((_error(Location(name), f"is empty: {_SHAPES}"),), text, name)
    found = []
    for path, document in _documents(value):
        spot = Spot(Place(tree, path), ())
        if path == _ROLES:
            problems.append(_error(spot.place.here, "has several roles: pass the policies of one"))
            continue
        if not isinstance(document, dict) or "Statement" not in document:
            problems.append(_error(spot.place.here, f"is not a policy: {_SHAPES}"))
            continue
        problems += inline_policy(PolicyDocument.of(document), spot)
        found.append(document)
    if not found and not problems:
        problems.append(_error(Location(name), f"has no policy: {_SHAPES}"))
    if has_errors(problems):
        raise _refused(problems, text, name)
    return tuple(found)


def _decoded(text: str, name: str) -> Any:
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        place = Location(name, error.lineno, error.colno)
        raise _refused((_error(place, f"is not JSON: {error.msg}"),), text, name) from error
    except RecursionError as error:
        raise _refused((_error(Location(name), "is nested too deeply"),), text, name) from error


def _documents(value: Any) -> Iterator[tuple[Path, Any]]:
    """Each with its path in the file."""
    match value:
        case {"Statement": _}:
            yield (), value
        case list():
            yield from (((number,), one) for number, one in enumerate(value))
        case {"roles": dict(roles)} if len(value) == 1:
            yield from _of_role(roles)
        case dict():
            yield from (((key,), one) for key, one in value.items())
        case _:
            yield (), value


def _of_role(roles: Mapping[str, Any]) -> Iterator[tuple[Path, Any]]:
    """What is printed for the roles of a pipeline has several identities."""
    if len(roles) == 1:
        ((name, role),) = roles.items()
        held = role.get("policies") if isinstance(role, dict) else None
        if isinstance(held, dict):
            yield from ((("roles", name, "policies", key), one) for key, one in held.items())
            return
    yield _ROLES, None


def _error(place: Location, message: str) -> Diagnostic:
    return Diagnostic("error", "policy-file", message, place)


def _refused(problems: Iterable[Diagnostic], text: str, name: str) -> RefusedError:
    found = tuple(d for d in in_order(problems) if d.severity == "error")
    return RefusedError("invalid policies", ExitCode.ERROR, found, {name: text})
