"""AWS's simulator of policies, which moto lacks: ``SimulatePrincipalPolicy`` for a role or a user
of the sandbox, by its policies and its boundary. An action that the sandbox denies is denied.

Source: docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_evaluation-logic.html
"""

from __future__ import annotations

import json
import operator
import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from fnmatch import fnmatchcase
from ipaddress import ip_address, ip_network
from typing import Any

from reconciler.sandbox.faults import refused

Context = Mapping[str, tuple[str, ...]]
"""Values by condition key in lower case."""


def simulated(backend: Any, denied: Collection[str], asked: Mapping[str, Any]) -> dict[str, Any]:
    """The answer. ``denied`` are actions that the sandbox refuses to everybody. Raises the error
    for a principal that does not exist."""
    principal = _principal(backend, str(asked.get("PolicySourceArn")))
    given = {
        entry["ContextKeyName"].casefold(): tuple(entry.get("ContextKeyValues", ()))
        for entry in asked.get("ContextEntries", ())
    }
    own = _policies(principal, backend)
    boundary = _boundary(principal, backend)
    named = {key for policy in (*own, *(boundary or ())) for key in _keys(policy)}
    lacking = sorted(key for key in named if key.casefold() not in given)
    results = []
    for action in asked["ActionNames"]:
        single = []
        for resource in asked.get("ResourceArns") or ["*"]:
            one = _Asked(action, resource, given)
            within = boundary is None or _decision(boundary, one) == "allowed"
            found = "implicitDeny" if action in denied else _decision(own, one)
            if found == "allowed" and not within:
                found = "implicitDeny"
            made: dict[str, Any] = {
                "EvalResourceName": resource,
                "EvalResourceDecision": found,
                "MatchedStatements": [],
                "MissingContextValues": lacking,
            }
            if boundary is not None:
                made["PermissionsBoundaryDecisionDetail"] = {"AllowedByPermissionsBoundary": within}
            single.append(made)
        worst = max((one["EvalResourceDecision"] for one in single), key=_ORDER.index)
        results.append(
            {
                "EvalActionName": action,
                "EvalResourceName": single[0]["EvalResourceName"],
                "EvalDecision": worst,
                "MatchedStatements": [],
                "MissingContextValues": lacking,
                "ResourceSpecificResults": single,
            }
        )
    return {"EvaluationResults": results, "IsTruncated": False}


_ORDER = ("allowed", "implicitDeny", "explicitDeny")


def _principal(backend: Any, arn: str) -> Any:
    for one in (*backend.get_roles(), *backend.users.values(), *backend.groups.values()):
        if one.arn == arn:
            return one
    if ":sts:" in arn or not arn.startswith("arn:"):
        raise refused("iam", "InvalidInput", f"Invalid Entity Arn: {arn}")
    raise refused("iam", "NoSuchEntity", f"{arn} cannot be found.", 404)


def _policies(principal: Any, backend: Any) -> list[Any]:
    holders = [principal]
    if hasattr(principal, "access_keys"):
        holders += backend.get_groups_for_user(principal.name)
    texts = [text for holder in holders for text in holder.policies.values()]
    texts += [_default(p) for holder in holders for p in holder.managed_policies.values()]
    return [json.loads(text) for text in texts]


def _boundary(principal: Any, backend: Any) -> list[Any] | None:
    arn = getattr(principal, "permissions_boundary_arn", None)
    return [json.loads(_default(backend.get_policy(arn)))] if arn else None


def _default(policy: Any) -> str:
    return next(
        str(v.document) for v in policy.versions if v.version_id == policy.default_version_id
    )


def _statements(policy: Any) -> list[Mapping[str, Any]]:
    found = policy["Statement"]
    return found if isinstance(found, list) else [found]


def _keys(policy: Any) -> Iterator[str]:
    for statement in _statements(policy):
        for keys in statement.get("Condition", {}).values():
            yield from keys


@dataclass(frozen=True, slots=True)
class _Asked:
    action: str
    resource: str
    context: Context

    def is_met_by(self, statement: Mapping[str, Any]) -> bool:
        action = self.action.casefold()
        return (
            _named(statement, "Action", lambda one: fnmatchcase(action, one.casefold()))
            and _named(statement, "Resource", lambda one: _like(self.resource, one))
            and all(
                _holds(name, self.context.get(key.casefold()), _listed(wanted))
                for name, keys in statement.get("Condition", {}).items()
                for key, wanted in keys.items()
            )
        )


def _named(statement: Mapping[str, Any], element: str, fits: Callable[[str], bool]) -> bool:
    if f"Not{element}" in statement:
        return not any(fits(one) for one in _listed(statement[f"Not{element}"]))
    return any(fits(one) for one in _listed(statement.get(element, ())))


def _listed(value: Any) -> list[str]:
    values = value if isinstance(value, list) else [value]
    return [str(one).lower() if isinstance(one, bool) else str(one) for one in values]


def _decision(policies: Iterable[Any], asked: _Asked) -> str:
    met = [s for policy in policies for s in _statements(policy) if asked.is_met_by(s)]
    if any(statement["Effect"] == "Deny" for statement in met):
        return "explicitDeny"
    return "allowed" if met else "implicitDeny"


def _holds(name: str, given: tuple[str, ...] | None, wanted: list[str]) -> bool:
    """Whether a condition holds. A key that is absent fulfils what denies, and nothing else."""
    kind = re.sub("^(ForAllValues|ForAnyValue):", "", name)
    if kind == "Null":
        return (given is None) == (wanted == ["true"])
    is_optional = kind.endswith("IfExists")
    kind = kind.removesuffix("IfExists")
    if given is None:
        return is_optional or "Not" in kind or name.startswith("ForAllValues:")
    is_negated = "Not" in kind
    compare = _compared(kind.replace("Not", ""))
    met = [any(compare(one, other) for other in wanted) != is_negated for one in given]
    is_of_all = name.startswith("ForAllValues:") or (is_negated and not name.startswith("ForAny"))
    return all(met) if is_of_all else any(met)


def _compared(kind: str) -> Callable[[str, str], bool]:
    if (how := _BY_NAME.get(kind)) is not None:
        return how
    read: Callable[[str], float] = _moment if kind.startswith("Date") else float
    sign = _SIGNS.get(re.sub("^(Date|Numeric)", "", kind))
    if sign is None:
        raise refused("iam", "InvalidInput", f"Invalid condition operator: {kind}")

    def compared(one: str, other: str) -> bool:
        return sign(read(one), read(other))

    return compared


def _like(value: str, pattern: str) -> bool:
    return fnmatchcase(value, pattern.replace("[", "[[]"))


def _arn_like(value: str, pattern: str) -> bool:
    """Each of the six parts by itself."""
    given, wanted = value.split(":", 5), pattern.split(":", 5)
    is_whole = len(given) == len(wanted)
    return is_whole and all(map(_like, given, wanted))


def _moment(text: str) -> float:
    if text.isdigit():
        return float(text)
    return datetime.fromisoformat(text).timestamp()


_SIGNS: Mapping[str, Callable[[float, float], bool]] = {
    "Equals": operator.eq,
    "LessThan": operator.lt,
    "LessThanEquals": operator.le,
    "GreaterThan": operator.gt,
    "GreaterThanEquals": operator.ge,
}
_BY_NAME: Mapping[str, Callable[[str, str], bool]] = {
    "StringEquals": operator.eq,
    "StringEqualsIgnoreCase": lambda one, other: one.casefold() == other.casefold(),
    "StringLike": _like,
    "ArnEquals": _arn_like,
    "ArnLike": _arn_like,
    "Bool": lambda one, other: one.casefold() == other.casefold(),
    "BinaryEquals": operator.eq,
    "IpAddress": lambda one, other: ip_address(one) in ip_network(other, strict=False),
}
