"""What AWS would refuse in a policy document, found offline and shown at its place.

Source: docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_grammar.html
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from reconciler.diagnostics import Diagnostic, Near
from reconciler.model.policy_document import PolicyDocument, as_list
from reconciler.spec.check import aws_limits
from reconciler.spec.desired import Place

_VERSIONS = ("2008-10-17", "2012-10-17")
_IDENTITY_KEYS = ("Version", "Id", "Statement")
_STATEMENT = ("Sid", "Effect", "Action", "NotAction", "Condition")
_IDENTITY_STATEMENT = (*_STATEMENT, "Resource", "NotResource")
_TRUST_STATEMENT = (*_STATEMENT, "Principal", "NotPrincipal")
_PRINCIPALS = ("AWS", "Service", "Federated", "CanonicalUser")

At = tuple[str | int, ...]


def identity_policy(document: PolicyDocument, place: Place, at: At) -> Iterator[Diagnostic]:
    yield from _document(document, place, at, _IDENTITY_STATEMENT)
    value = document.value
    if isinstance(value, dict) and value.get("Version", "2008-10-17") == "2008-10-17":
        message = "without Version 2012-10-17, AWS reads ${...} in this policy as plain text"
        hint = 'add "Version: 2012-10-17"'
        yield Diagnostic("warning", "policy-version", message, place.at(*at), hint)


def trust_policy(document: PolicyDocument, place: Place, at: At) -> Iterator[Diagnostic]:
    yield from _document(document, place, at, _TRUST_STATEMENT)


def _error(code: str, message: str, place: Place, at: At, hint: str | None = None) -> Diagnostic:
    return Diagnostic("error", code, message, place.at(*at), hint)


def _document(
    document: PolicyDocument, place: Place, at: At, keys: tuple[str, ...]
) -> Iterator[Diagnostic]:
    value = document.value
    if not aws_limits.DOCUMENT_TEXT.fullmatch(document.text):
        yield _error("policy-text", "has characters outside Latin-1, which AWS refuses", place, at)
    for key in value:
        if key not in _IDENTITY_KEYS:
            yield _unknown(key, _IDENTITY_KEYS, place, at)
    version = value.get("Version")
    if version is not None and version not in _VERSIONS:
        yield _error(
            "policy-version", f"Version is {' or '.join(_VERSIONS)}", place, (*at, "Version")
        )
    if not value.get("Statement"):
        yield _error("policy-statement", "a policy needs a Statement", place, at)
        return
    yield from _statements(value["Statement"], place, (*at, "Statement"), keys)


def _statements(value: Any, place: Place, at: At, keys: tuple[str, ...]) -> Iterator[Diagnostic]:
    seen: set[str] = set()
    for number, statement in enumerate(as_list(value)):
        here = (*at, number) if isinstance(value, list) else at
        if not isinstance(statement, dict):
            yield _error("policy-statement", "a statement is a mapping", place, here)
            continue
        yield from _statement(statement, place, here, keys)
        sid = statement.get("Sid")
        if isinstance(sid, str) and sid and sid in seen:
            yield _error("policy-sid", f"the Sid {sid!r} is given twice", place, (*here, "Sid"))
        seen.add(str(sid))


def _statement(
    statement: dict[str, Any], place: Place, at: At, keys: tuple[str, ...]
) -> Iterator[Diagnostic]:
    for key in statement:
        if key not in keys:
            yield _unknown(key, keys, place, at)
    if statement.get("Effect") not in ("Allow", "Deny"):
        yield _error("policy-effect", "Effect is Allow or Deny", place, (*at, "Effect"))
    yield from _one_of(statement, ("Action", "NotAction"), place, at)
    if "Principal" in keys:
        yield from _one_of(statement, ("Principal", "NotPrincipal"), place, at)
        yield from _principal(statement, place, at)
    else:
        yield from _one_of(statement, ("Resource", "NotResource"), place, at)
    yield from _texts(statement, place, at)
    sid = statement.get("Sid")
    if sid is not None and not (isinstance(sid, str) and aws_limits.SID.fullmatch(sid)):
        yield _error("policy-sid", "a Sid has only letters and digits", place, (*at, "Sid"))
    yield from _condition(statement.get("Condition"), place, (*at, "Condition"))


def _one_of(
    statement: dict[str, Any], names: tuple[str, str], place: Place, at: At
) -> Iterator[Diagnostic]:
    given = [name for name in names if name in statement]
    if len(given) != 1:
        message = f"a statement has either {names[0]} or {names[1]}"
        yield _error("policy-statement", message, place, (*at, *given[:1]))


def _texts(statement: dict[str, Any], place: Place, at: At) -> Iterator[Diagnostic]:
    for name in ("Action", "NotAction", "Resource", "NotResource"):
        values = as_list(statement.get(name, []))
        if name in statement and (not values or not all(isinstance(v, str) and v for v in values)):
            message = f"{name} is text, or a list of texts"
            yield _error("policy-statement", message, place, (*at, name))
        elif name.endswith("Action") and any(":" not in v and v != "*" for v in values):
            message = f"{name} is SERVICE:ACTION, or *"
            yield _error("policy-action", message, place, (*at, name))


def _principal(statement: dict[str, Any], place: Place, at: At) -> Iterator[Diagnostic]:
    for name in ("Principal", "NotPrincipal"):
        value = statement.get(name, "*")
        if value == "*":
            continue
        if not isinstance(value, dict) or not value:
            message = f'{name} is "*" or a mapping with {", ".join(_PRINCIPALS)}'
            yield _error("policy-principal", message, place, (*at, name))
            continue
        for key, members in value.items():
            if key not in _PRINCIPALS:
                yield _unknown(key, _PRINCIPALS, place, (*at, name))
            elif not all(isinstance(m, str) and m for m in as_list(members)):
                message = f"{key} is text, or a list of texts"
                yield _error("policy-principal", message, place, (*at, name, key))


def _condition(value: Any, place: Place, at: At) -> Iterator[Diagnostic]:
    if value is None:
        return
    if not isinstance(value, dict) or not all(isinstance(keys, dict) for keys in value.values()):
        message = "Condition maps an operator to a mapping of keys to values"
        yield _error("policy-condition", message, place, at)
        return
    for operator, keys in value.items():
        for key, members in keys.items():
            if not all(isinstance(m, str) for m in as_list(members)):
                message = f"the value of {key} is text, or a list of texts"
                yield _error("policy-condition", message, place, (*at, operator, key))


def _unknown(key: str, known: tuple[str, ...], place: Place, at: At) -> Diagnostic:
    near = Near(key, known, otherwise=f"known keys: {', '.join(known)}")
    message = f"unknown key {key!r}"
    return Diagnostic("error", "unknown-key", message, place.at(*at, key), near=near)
