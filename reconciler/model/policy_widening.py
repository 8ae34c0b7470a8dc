"""What one policy document allows and another does not, as far as it matters to security: who may
assume a role, and whether everything, or the passing of any role, is allowed.

When in doubt a document counts as wider: a missed widening is worse than a needless page.
Source: docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_evaluation-logic.html
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from fnmatch import fnmatchcase
from typing import Any

from reconciler.model.policy_document import as_list, canonical

PASS_ROLE = "iam:passrole"


def broad_grants(document: object) -> tuple[str, ...]:
    """The grants of a document that reach beyond a service, as they are written: ``*``,
    ``iam:PassRole`` and whatever covers it, and ``Allow`` with ``NotAction``. Sorted."""
    return tuple(sorted({grant for s in _allowing(document) for grant in _broad(s)}))


def _broad(statement: Mapping[str, Any]) -> Iterator[str]:
    if "NotAction" in statement:
        listed = ", ".join(str(action) for action in as_list(statement["NotAction"]))
        yield f"all actions but {listed}"
    for action in as_list(statement.get("Action", [])):
        text = str(action)
        if text.casefold() == PASS_ROLE:
            yield "iam:PassRole"
        elif fnmatchcase(PASS_ROLE, text.casefold()):
            yield text


def gained_grants(wanted: object, found: object) -> tuple[str, ...]:
    """Broad grants of ``found`` in statements that ``wanted`` does not have."""
    known = [canonical({"Statement": [s]}) for s in _allowing(wanted)]
    added = [s for s in _allowing(found) if canonical({"Statement": [s]}) not in known]
    return broad_grants({"Statement": added})


def admitted(wanted: object, found: object) -> tuple[str, ...]:
    """Whom a trust policy lets in and ``wanted`` does not, in words, sorted; also that a condition
    or a ``Deny`` is missing."""
    before, after = _statements(wanted), _statements(found)
    allowed = [s for s in before if s.get("Effect") == "Allow"]
    reasons: set[str] = set()
    for statement in after:
        if statement.get("Effect") == "Allow" and statement not in allowed:
            reasons.update(_newly_admitted(statement, allowed))
    if any(s.get("Effect") == "Deny" and s not in after for s in before):
        reasons.add("a Deny is missing")
    return tuple(sorted(reasons))


def _newly_admitted(
    statement: Mapping[str, Any], allowed: list[Mapping[str, Any]]
) -> Iterator[str]:
    if "NotPrincipal" in statement or "NotAction" in statement:
        yield "a statement by what it excludes (NotPrincipal, NotAction)"
        return
    for principal in _principals(statement):
        same = [s for s in allowed if principal in _principals(s)]
        if not same:
            yield "everyone (*)" if principal.endswith(":*") else principal.partition(":")[2]
        elif not any(_covers(s, statement) for s in same):
            yield f"{principal.partition(':')[2]} with fewer conditions or more actions"


def _covers(wide: Mapping[str, Any], narrow: Mapping[str, Any]) -> bool:
    """Whether all that ``narrow`` allows a principal, ``wide`` allows it under conditions that are
    no stricter."""
    actions = [str(a) for a in as_list(wide.get("Action", []))]
    is_allowed = all(
        any(fnmatchcase(str(action), known) for known in actions)
        for action in as_list(narrow.get("Action", []))
    )
    required = wide.get("Condition") or {}
    given = narrow.get("Condition") or {}
    is_as_strict = all(given.get(operator) == keys for operator, keys in required.items())
    return is_allowed and is_as_strict and "NotAction" not in wide


def _principals(statement: Mapping[str, Any]) -> set[str]:
    """``AWS:111111111111``, ``Service:ec2.amazonaws.com``, … of a statement in its canonical
    form."""
    principal = statement.get("Principal")
    if not isinstance(principal, Mapping):
        return set()
    return {f"{kind}:{one}" for kind, many in principal.items() for one in as_list(many)}


def _statements(document: object) -> list[Mapping[str, Any]]:
    made = canonical(document)
    listed = made["Statement"] if isinstance(made, Mapping) else []
    return [s for s in listed if isinstance(s, Mapping)]


def _allowing(document: object) -> list[Mapping[str, Any]]:
    if not isinstance(document, Mapping):
        return []
    listed = as_list(document.get("Statement", []))
    return [s for s in listed if isinstance(s, Mapping) and s.get("Effect") == "Allow"]
