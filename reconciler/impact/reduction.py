"""What one set of permissions allows and another may not, by the documents alone. What is called
kept is kept; what is called taken may turn out to be kept, so AWS is asked about it."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from reconciler.impact.takings import Permissions
from reconciler.model.policy_document import as_list, canonical, statements_of
from reconciler.model.policy_effect import Effect, compared, covers, rules

ANYTHING: Mapping[str, Any] = {
    "Version": "2012-10-17",
    "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}],
}
"""What no boundary allows."""


@dataclass(frozen=True, slots=True)
class LimitedPolicies:
    """``policies`` allow, ``boundary`` limits them; ``None`` for no boundary."""

    policies: tuple[Any, ...]
    boundary: Any = None

    @staticmethod
    def of(permissions: Permissions, fetched: Mapping[str, Any]) -> LimitedPolicies:
        """Raises ``KeyError`` for a document that is not known."""

        def document(arn: str) -> Any:
            found = permissions.document(arn, fetched)
            if found is None:
                raise KeyError(arn)
            return found

        managed = tuple(document(arn) for arn in permissions.managed)
        boundary = permissions.boundary
        return LimitedPolicies(
            (*permissions.inline, *managed), document(boundary) if boundary else None
        )

    @property
    def sides(self) -> tuple[Any, Any]:
        """As one document each: what is allowed, and what the boundary allows of it."""
        statements = [one for policy in self.policies for one in statements_of(policy)]
        policies = {"Version": "2012-10-17", "Statement": statements}
        return policies, ANYTHING if self.boundary is None else self.boundary

    def about(self, action: str) -> tuple[Effect, ...]:
        """What its statements say of the action, those of the boundary too."""
        held = (*self.policies, *(() if self.boundary is None else (self.boundary,)))
        found = (rule for one in held for rule in rules(one))
        return tuple(rule for rule in found if is_about(rule, action))

    def may_allow(self, action: str) -> bool:
        """Whether some statement does, on whatever resource."""
        return all(
            any(rule.effect == "Allow" and is_about(rule, action) for rule in rules(side))
            for side in self.sides
        )


def is_about(effect: Effect, action: str) -> bool:
    return any(pattern.matches(action.casefold()) for pattern in effect.actions)


@dataclass(frozen=True, slots=True)
class Reduction:
    """``taken`` is what was allowed and may not be any more; a ``Deny`` is a new one."""

    taken: tuple[Effect, ...]

    def has(self, action: str) -> bool:
        return any(is_about(effect, action) for effect in self.taken)

    @property
    def patterns(self) -> tuple[str, ...]:
        """Of the actions, as they are written, sorted."""
        return tuple(sorted({p.text for effect in self.taken for p in effect.actions}))


def reduction(before: LimitedPolicies, after: LimitedPolicies) -> Reduction:
    if _reads_variables(before) != _reads_variables(after):
        return Reduction(tuple(rules(ANYTHING)))
    taken: list[Effect] = []
    for first, second in zip(before.sides, after.sides, strict=True):
        found = compared(first, second)
        taken += [effect for effect in found.lost if effect.effect == "Allow"]
        taken += [effect for effect in found.gained if effect.effect == "Deny"]
    return Reduction(tuple(taken))


def _reads_variables(documents: LimitedPolicies) -> frozenset[str]:
    """In which versions of the language documents use ``${...}``: only the later has variables."""
    listed = (*documents.policies, documents.boundary)
    return frozenset(
        canonical(one)["Version"]
        for one in listed
        if isinstance(one, Mapping) and "${" in json.dumps(one)
    )


def of_service(documents: LimitedPolicies, service: str) -> LimitedPolicies:
    """Only what they say of one service, in patterns of its own actions."""
    boundary = ANYTHING if documents.boundary is None else documents.boundary
    return LimitedPolicies(
        tuple(_of_service(one, service) for one in documents.policies),
        _of_service(boundary, service),
    )


def _of_service(document: Any, service: str) -> Any:
    made = []
    for statement in statements_of(document):
        listed = [str(a) for a in as_list(statement.get("Action", []))]
        some = [*_narrowed(listed, service)]
        rest = {k: v for k, v in statement.items() if k not in ("Action", "NotAction")}
        if "NotAction" in statement:
            excluded = [*_narrowed([str(a) for a in as_list(statement["NotAction"])], service)]
            if f"{service}:*" in excluded:
                continue
            rest |= {"NotAction": excluded} if excluded else {"Action": f"{service}:*"}
            made.append(rest)
        elif some:
            made.append({**rest, "Action": some})
    version = document.get("Version") if isinstance(document, Mapping) else None
    return {"Version": version or "2012-10-17", "Statement": made}


def _narrowed(patterns: Iterable[str], service: str) -> Iterator[str]:
    whole = f"{service}:*"
    for pattern in patterns:
        if covers(pattern.casefold(), whole):
            yield whole
        elif covers(pattern.casefold().partition(":")[0], service):
            yield f"{service}:{pattern.partition(':')[2]}"


def allows_some(documents: LimitedPolicies) -> bool:
    """Whether something is allowed that is not denied everywhere."""
    policies, boundary = (rules(side) for side in documents.sides)
    denied = [r for r in (*policies, *boundary) if r.effect == "Deny" and r.condition is None]
    return all(any(_is_left(one, denied) for one in side) for side in (policies, boundary))


def _is_left(effect: Effect, denied: Sequence[Effect]) -> bool:
    if effect.effect != "Allow":
        return False
    return any(
        not any(
            any(p.covers(action) for p in deny.actions) and any(p.covers(on) for p in deny.on)
            for deny in denied
        )
        for action in effect.actions
        for on in effect.on
    )
