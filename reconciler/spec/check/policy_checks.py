"""What AWS would refuse in a policy document, found offline and shown at its place: its elements
and their form. Conditions, ARNs and principals are in modules of their own.

Source: docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_grammar.html, and AWS's answers
as getmoto/moto's ``tests/test_iam/test_iam_policies.py`` has them.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any

from reconciler.diagnostics import Diagnostic, Near
from reconciler.model.policy_document import PolicyDocument
from reconciler.model.trust import matches
from reconciler.spec.check import aws_limits
from reconciler.spec.check.policy_arns import resource
from reconciler.spec.check.policy_conditions import conditions
from reconciler.spec.check.policy_principals import principals
from reconciler.spec.check.spots import Spot, members

_CURRENT = "2012-10-17"
_VERSIONS = ("2008-10-17", _CURRENT)
_DOCUMENT_KEYS = ("Version", "Id", "Statement")
_STATEMENT = ("Sid", "Effect", "Action", "NotAction", "Condition")
_IDENTITY_STATEMENT = (*_STATEMENT, "Resource", "NotResource")
_TRUST_STATEMENT = (*_STATEMENT, "Principal", "NotPrincipal")
_VENDOR = re.compile(r"[A-Za-z0-9.-]+")
_STS_ACTIONS = (
    "sts:AssumeRole",
    "sts:AssumeRoleWithSAML",
    "sts:AssumeRoleWithWebIdentity",
    "sts:SetContext",
    "sts:SetSourceIdentity",
    "sts:TagSession",
)
_ADD_VERSION = f'add "Version: {_CURRENT}"'

Check = Callable[[str, Spot], Iterator[Diagnostic]]


def managed_policy(document: PolicyDocument, spot: Spot) -> Iterator[Diagnostic]:
    value = document.value
    yield from _document(document, value, spot, _IDENTITY_STATEMENT, action)
    if value and value.get("Version", _VERSIONS[0]) == _VERSIONS[0]:
        message = f"a managed policy needs Version {_CURRENT}: AWS refuses it otherwise"
        yield spot.inside("Version").value_error("policy-version", message, _ADD_VERSION)


def inline_policy(document: PolicyDocument, spot: Spot) -> Iterator[Diagnostic]:
    value = document.value
    yield from _document(document, value, spot, _IDENTITY_STATEMENT, action)
    if value and value.get("Version", _VERSIONS[0]) == _VERSIONS[0]:
        message = f"without Version {_CURRENT}, AWS reads ${{...}} in this policy as plain text"
        yield spot.inside("Version").value_warning("policy-version", message, _ADD_VERSION)


def trust_policy(document: PolicyDocument, spot: Spot) -> Iterator[Diagnostic]:
    yield from _document(document, document.value, spot, _TRUST_STATEMENT, _sts_action)


def _document(
    document: PolicyDocument, value: Any, spot: Spot, keys: tuple[str, ...], check: Check
) -> Iterator[Diagnostic]:
    if not aws_limits.DOCUMENT_TEXT.fullmatch(document.text):
        message = "has characters outside Latin-1, which AWS refuses"
        yield spot.key_error("policy-text", message)
    yield from _nulls(value, spot)
    yield from _known_keys(value, _DOCUMENT_KEYS, spot)
    version = value.get("Version")
    if version is not None and version not in _VERSIONS:
        message = f"Version is {' or '.join(_VERSIONS)}"
        yield spot.inside("Version").value_error("policy-version", message)
    if not isinstance(value.get("Id", ""), str | None):
        yield spot.inside("Id").value_error("policy-statement", "Id is text")
    if "Statement" not in value or value["Statement"] in ([], {}, ""):
        message = "a policy needs a Statement"
        yield spot.inside("Statement").value_error("policy-statement", message)
    elif value["Statement"] is not None:
        yield from _statements(value["Statement"], spot.inside("Statement"), keys, check)


def _nulls(value: Any, spot: Spot) -> Iterator[Diagnostic]:
    """AWS refuses a null wherever it stands; the other checks pass over it."""
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from _nulls(inner, spot.inside(key))
    elif isinstance(value, list):
        for number, inner in enumerate(value):
            yield from _nulls(inner, spot.inside(number))
    elif value is None:
        name = next((str(s) for s in reversed(spot.path) if isinstance(s, str)), "")
        message = f"{name}: is null, which AWS refuses"
        yield spot.value_error("policy-null", message, "give it a value, or remove it")


def _known_keys(value: dict[str, Any], known: tuple[str, ...], spot: Spot) -> Iterator[Diagnostic]:
    for key in value:
        if key not in known:
            near = Near(key, known, otherwise=f"known keys: {', '.join(known)}")
            yield spot.inside(key).key_error("unknown-key", f"unknown key {key!r}", near=near)


def _statements(
    value: Any, spot: Spot, keys: tuple[str, ...], check: Check
) -> Iterator[Diagnostic]:
    seen: set[str] = set()
    for statement, here in members(value, spot):
        if not isinstance(statement, dict):
            if statement is not None:
                yield here.value_error("policy-statement", "a statement is a mapping")
            continue
        yield from _statement(statement, here, keys, check)
        sid = statement.get("Sid")
        if isinstance(sid, str) and sid:
            if sid in seen:
                message = f"the Sid {sid!r} is given twice"
                yield here.inside("Sid").value_error("policy-sid", message)
            seen.add(sid)


def _statement(
    statement: dict[str, Any], spot: Spot, keys: tuple[str, ...], check: Check
) -> Iterator[Diagnostic]:
    yield from _known_keys(statement, keys, spot)
    effect = statement.get("Effect", "")
    if effect not in ("Allow", "Deny", None):
        near = Near(effect, ("Allow", "Deny")) if isinstance(effect, str) else None
        message = "Effect is Allow or Deny"
        yield spot.inside("Effect").value_error("policy-effect", message, near=near)
    yield from _one_of(statement, ("Action", "NotAction"), spot)
    yield from _texts(statement, ("Action", "NotAction"), "policy-action", spot, check)
    if "Principal" in keys:
        yield from _one_of(statement, ("Principal", "NotPrincipal"), spot)
        yield from principals(statement, spot)
    else:
        names = ("Resource", "NotResource")
        yield from _one_of(statement, names, spot)
        yield from _texts(statement, names, "policy-resource", spot, resource)
    sid = statement.get("Sid")
    if sid is not None and not (isinstance(sid, str) and aws_limits.SID.fullmatch(sid)):
        message = "a Sid has only letters and digits"
        yield spot.inside("Sid").value_error("policy-sid", message)
    if statement.get("Condition") is not None:
        yield from conditions(statement["Condition"], spot.inside("Condition"))


def _one_of(statement: dict[str, Any], names: tuple[str, str], spot: Spot) -> Iterator[Diagnostic]:
    given = [name for name in names if name in statement]
    if len(given) != 1:
        message = f"a statement has either {names[0]} or {names[1]}"
        yield spot.inside(*given[:1]).key_error("policy-statement", message)


def _texts(
    statement: dict[str, Any], names: tuple[str, str], code: str, spot: Spot, check: Check
) -> Iterator[Diagnostic]:
    """``check`` looks at each text; ``code`` is for what is none."""
    for name in names:
        value, here = statement.get(name), spot.inside(name)
        if value == []:
            yield here.value_error(code, f"{name} is empty: AWS wants one at least")
        for member, at in members(value, here):
            if isinstance(member, str):
                yield from check(member, at)
            elif member is not None:
                yield at.value_error(code, f"{name} is text, or a list of texts")


def action(text: str, spot: Spot) -> Iterator[Diagnostic]:
    """Of an identity policy. AWS takes a blank in the action's name, which then matches nothing."""
    vendor, colon, name = text.partition(":")
    if text == "*":
        return
    if not colon or not name:
        message = f"an action is SERVICE:ACTION, or *, not {text!r}"
        yield spot.value_error("policy-action", message)
    elif ":" in name:
        yield spot.value_error("policy-action", f"an action has one colon, not {text!r}")
    elif vendor != "*" and not _VENDOR.fullmatch(vendor):
        message = f"{vendor!r} is not the prefix of a service, such as s3"
        yield spot.value_error("policy-action", message)
    elif re.search(r"\s", name):
        message = f"{text!r} has a blank, so it matches no action"
        yield spot.value_warning("policy-action", message, "remove the blank")


def _sts_action(text: str, spot: Spot) -> Iterator[Diagnostic]:
    """Of a trust policy."""
    near = Near(text, _STS_ACTIONS, otherwise="such as sts:AssumeRole")
    is_sts = text.casefold().startswith("sts:") and text.count(":") == 1
    if not is_sts:
        message = f"a trust policy has actions of sts alone, not {text!r}"
        yield spot.value_error("policy-action", message, near=near)
    elif not any(matches(text, known) for known in _STS_ACTIONS):
        message = f"{text!r} lets nobody take the role"
        yield spot.value_warning("policy-action", message, near=near)
