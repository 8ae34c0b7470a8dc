"""What of a change matters to security: one table (``WIDENINGS``), and what in a difference between
two resources applies. Drift takes its severities from it, a plan its marks.

When in doubt a document counts as wider: a missed widening is worse than a needless page. What is
equal in effect is not in doubt.
Source: docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_evaluation-logic.html
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal, get_args

from reconciler.model.policy_document import as_list, canonical
from reconciler.model.policy_effect import Effect, compared, covers

Kind = Literal[
    "new-principal",
    "other-account",
    "everyone",
    "more-for-a-principal",
    "deny-gone",
    "any-action",
    "pass-role",
    "boundary-removed",
]
WIDENINGS: Mapping[Kind, str] = {
    "new-principal": "a trust policy lets in somebody new: a service, a role, an identity provider",
    "other-account": "a trust policy lets in another account",
    "everyone": "a trust policy lets in everyone (`*`)",
    "more-for-a-principal": "a principal needs fewer conditions to assume the role, or may do more",
    "deny-gone": "a trust policy loses a Deny",
    "any-action": "a policy allows `*`, a pattern that covers `iam:PassRole`, or all but some "
    "actions; or it no longer denies them",
    "pass-role": "a policy allows `iam:PassRole`, or no longer denies it",
    "boundary-removed": "a permissions boundary is removed",
}
"""What is relevant to security, and nothing else is."""
OF_TRUSTS: frozenset[Kind] = frozenset(
    {"new-principal", "other-account", "everyone", "more-for-a-principal", "deny-gone"}
)
OF_NEW_ROLES: frozenset[Kind] = frozenset({"other-account", "everyone", "any-action", "pass-role"})
"""Of something that is created everything is new: only these are worth a mark."""
assert set(get_args(Kind)) == WIDENINGS.keys()

PASS_ROLE = "iam:passrole"
_BROAD = frozenset({"AdministratorAccess", "PowerUserAccess", "IAMFullAccess"})
"""Policies of AWS that count where their documents are not known."""


@dataclass(frozen=True, slots=True)
class Widening:
    """``text`` says whom or what it lets in, without the verb."""

    kind: Kind
    text: str

    @property
    def in_words(self) -> str:
        """What a change does: ``lets in 222222222222 (another account)``."""
        if self.kind == "deny-gone":
            return "its trust policy loses a Deny"
        if self.kind in OF_TRUSTS:
            return f"lets in {self.text}"
        if self.kind == "boundary-removed":
            return f"loses its permissions boundary {self.text}"
        return self.text


def widenings(
    path: str,
    narrower: Any,
    wider: Any,
    documents: Mapping[str, object],
    account: str | None = None,
) -> tuple[Widening, ...]:
    """What the second value of an attribute lets in that the first does not; ``None`` for an
    attribute that is absent. ``documents`` are of managed policies, by ARN; ``account`` is the one
    that the resource is in."""
    attribute, _, name = path.partition(".")
    match attribute:
        case "trust_policy":
            return tuple(_of_trust(narrower, wider, account))
        case "permissions_boundary" if wider is None and narrower is not None:
            return (Widening("boundary-removed", str(narrower)),)
        case "managed_policies" if wider not in (None, narrower):
            document = documents.get(str(wider))
            found = tuple(_broad_in(None, document, name))
            if not found and name in _BROAD:
                return (Widening("any-action", f"{name} allows *"),)
            return found
        case "inline_policies" if wider is not None:
            return tuple(_broad_in(narrower, wider, f"inline policy {name}"))
        case "document" if wider is not None:
            return tuple(_broad_in(narrower, wider, "its document"))
        case _:
            return ()


def _broad_in(narrower: object, wider: object, name: str) -> Iterator[Widening]:
    """One for each kind, so that all of it is in one text."""
    found = compared(narrower, wider)
    allowed = [e for e in found.gained if e.effect == "Allow"]
    freed = [e for e in found.lost if e.effect == "Deny"]
    for verb, effects in (("allows", allowed), ("no longer denies", freed)):
        grants = sorted({grant for effect in effects for grant in _broad(effect)})
        if grants:
            kind: Kind = "pass-role" if grants == ["iam:PassRole"] else "any-action"
            yield Widening(kind, f"{name} {verb} {', '.join(grants)}")


def _broad(effect: Effect) -> Iterator[str]:
    """The actions that reach beyond a service, as they are written: ``*``, ``iam:PassRole`` and
    whatever covers it, and all but some."""
    for action in effect.actions:
        if action.is_exclusion:
            yield action.text
        elif action.key == PASS_ROLE:
            yield "iam:PassRole"
        elif covers(action.key, PASS_ROLE):
            yield action.text


def _of_trust(narrower: object, wider: object, account: str | None) -> Iterator[Widening]:
    before, after = _statements(narrower), _statements(wider)
    allowed = [s for s in before if s.get("Effect") == "Allow"]
    found: set[tuple[Kind, str]] = set()
    for statement in after:
        if statement.get("Effect") == "Allow" and statement not in allowed:
            found.update(_newly_admitted(statement, allowed, account))
    if any(s.get("Effect") == "Deny" and s not in after for s in before):
        found.add(("deny-gone", "a Deny is missing"))
    yield from (Widening(kind, text) for kind, text in sorted(found, key=lambda pair: pair[1]))


def _newly_admitted(
    statement: Mapping[str, Any], allowed: list[Mapping[str, Any]], account: str | None
) -> Iterator[tuple[Kind, str]]:
    if "NotPrincipal" in statement or "NotAction" in statement:
        yield "everyone", "a statement by what it excludes (NotPrincipal, NotAction)"
        return
    for principal in _principals(statement):
        same = [s for s in allowed if principal in _principals(s)]
        name = principal.partition(":")[2]
        if not same:
            yield _newcomer(principal, name, account)
        elif not any(_covers(s, statement) for s in same):
            yield "more-for-a-principal", f"{name} with fewer conditions or more actions"


def _newcomer(principal: str, name: str, account: str | None) -> tuple[Kind, str]:
    if name == "*":
        return "everyone", "everyone (*)"
    of = name if name.isdecimal() else name.partition(":iam::")[2].partition(":")[0]
    if principal.startswith("AWS:") and account is not None and of.isdecimal() and of != account:
        return "other-account", f"{name} (another account)"
    return "new-principal", name


def _covers(wide: Mapping[str, Any], narrow: Mapping[str, Any]) -> bool:
    """Whether all that ``narrow`` allows a principal, ``wide`` allows it under conditions that are
    no stricter."""
    actions = [str(a) for a in as_list(wide.get("Action", []))]
    is_allowed = all(
        any(covers(known, str(action)) for known in actions)
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
