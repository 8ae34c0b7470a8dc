"""From statements that should be allowed to what AWS's simulator is asked: each action on resources
that exist, or will, with the condition keys of the request.

The simulator takes a wildcard in an ARN for a character, so the patterns of a policy are put in
terms of what is known.
Source: docs.aws.amazon.com/IAM/latest/APIReference/API_SimulatePrincipalPolicy.html
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from itertools import product

from reconciler.model import ownership
from reconciler.model.address import name_key, name_of
from reconciler.model.partitions import IAM_REGIONS
from reconciler.permissions.scope import PermissionScope
from reconciler.permissions.statements import Statement
from reconciler.plan.authorization import (
    ASSOCIATED,
    BOUNDARY,
    NEW_PROFILE,
    OLD_PROFILE,
    PASSED_TO,
    POLICY_ARN,
    REGION,
    TAG_KEYS,
    Context,
    Question,
)

MOST_RESOURCES = 50
"""Of a question, so that an answer is not long."""
_NONE = "-"
"""In place of what a request has not: a key that some policy names and the question does not makes
the answer uncertain."""
_KEYS = (BOUNDARY, PASSED_TO, ASSOCIATED, POLICY_ARN, OLD_PROFILE, NEW_PROFILE, TAG_KEYS)
"""That printed policies name."""
_Values = dict[str, tuple[str, ...]]


@dataclass(frozen=True, slots=True)
class KnownResources:
    """What is known of the account: the ARNs of roles, policies and profiles by kind and name (two
    where the path changes); ``live`` are the tags of those that exist, ``given`` those that calls
    put on them, both by ARN. ``touched`` are ARNs of everything that is read or changed."""

    arns: Mapping[tuple[str, str], tuple[str, ...]] = field(default_factory=dict)
    live: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    given: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    touched: Collection[str] = ()


def questions(
    statements: Iterable[Statement], scope: PermissionScope, known: KnownResources
) -> tuple[Question, ...]:
    """As few as ask the same. What is read of the whole account is not among them: to read it is
    the better proof."""
    actions: dict[tuple[str, Context], set[str]] = {}
    for statement in statements:
        for resource in _resources(statement.resources, scope, known):
            for asked in _conditions(statement, scope, known):
                context = _context(resource, asked, scope, known)
                actions.setdefault((resource, context), set()).update(statement.actions)
    resources: dict[tuple[tuple[str, ...], Context], list[str]] = {}
    for (resource, context), named in sorted(actions.items()):
        resources.setdefault((tuple(sorted(named)), context), []).append(resource)
    return tuple(
        Question(named, tuple(found[start : start + MOST_RESOURCES]), context)
        for (named, context), found in resources.items()
        for start in range(0, len(found), MOST_RESOURCES)
    )


def _resources(
    patterns: Iterable[str], scope: PermissionScope, known: KnownResources
) -> Iterator[str]:
    found: set[str] = set()
    for pattern in patterns:
        if pattern == "*" or "/*/" in pattern:
            continue
        kind, name = kind_of(pattern), name_of(pattern)
        if "*" in pattern:
            found |= {arn for arn in known.touched if _fits(arn, pattern)}
        elif kind is not None and f":{scope.account_id}:" in pattern:
            found.update(known.arns.get((kind, name_key(name)), (pattern,)))
        else:
            found.add(pattern)
    yield from sorted(found)


def kind_of(arn: str) -> str | None:
    """Such as ``role``; ``None`` for what is not IAM's."""
    service, _, rest = arn.partition(":iam:")
    return rest.rpartition(":")[2].partition("/")[0] if service and rest else None


def _fits(arn: str, pattern: str) -> bool:
    """Whether a pattern covers it: each part by itself, whatever the path."""
    *start, (own, wanted) = zip(arn.split(":", 5), pattern.split(":", 5), strict=False)
    is_same_kind = own.partition("/")[0] == wanted.partition("/")[0]
    is_there = all(given in (here, "*") for here, given in start)
    return is_there and is_same_kind and fnmatchcase(name_of(own), name_of(wanted))


def _conditions(
    statement: Statement, scope: PermissionScope, known: KnownResources
) -> Iterator[_Values]:
    """The keys that the statement looks at, with each of the values that it allows in turn."""
    given: dict[str, list[tuple[str, ...]]] = {}
    for keys in statement.conditions.values():
        for key, values in keys.items():
            if key == TAG_KEYS:
                given[key] = [tuple(f"{scope.prefix}{ownership.HOLDS}" for _ in values)]
            elif not key.startswith("aws:ResourceTag/"):
                given[key] = [(value,) for value in _concrete(key, values, scope, known)]
    yield from (dict(zip(given, one, strict=True)) for one in product(*given.values()))


def _concrete(
    key: str, values: Iterable[str], scope: PermissionScope, known: KnownResources
) -> Iterable[str]:
    if key == ASSOCIATED:
        region = (scope.regions or (IAM_REGIONS[scope.partition],))[0]
        return [value.replace(":ec2:*:", f":ec2:{region}:") for value in values]
    if any(value.startswith("arn:") for value in values):
        return list(_resources(values, scope, known))
    return values


def _context(
    resource: str, asked: _Values, scope: PermissionScope, known: KnownResources
) -> Context:
    region = resource.split(":")[3] if resource.count(":") >= 5 else ""
    made: _Values = dict.fromkeys(_KEYS, (_NONE,))
    made[REGION] = (region or IAM_REGIONS[scope.partition],)
    owner = f"{scope.prefix}{ownership.OWNER}"
    live = {owner: _NONE, **_told(known.live.get(resource, {}), scope)}
    given = _told(known.given.get(resource, {}), scope)
    made |= {f"aws:ResourceTag/{key}": (value,) for key, value in live.items()}
    made |= {f"aws:RequestTag/{key}": (value,) for key, value in given.items()}
    if given:
        made[TAG_KEYS] = tuple(sorted(known.given[resource]))
    return tuple(sorted({**made, **asked}.items()))


def _told(tags: Mapping[str, str], scope: PermissionScope) -> Mapping[str, str]:
    """Of our own tags the owner alone, with the name that it ends with left out: no policy looks at
    the others, and questions about a hundred roles become one."""
    owner = f"{scope.prefix}{ownership.OWNER}"
    told = {key: value for key, value in tags.items() if not key.startswith(scope.prefix)}
    if owner in tags:
        told[owner] = f"{tags[owner].partition('/')[0]}/{_NONE}"
    return told
