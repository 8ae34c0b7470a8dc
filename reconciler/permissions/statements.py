"""Statements of IAM policies as values, and the documents that hold them."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

MOST_CHARACTERS = 6144
"""Of a managed policy, white space not counted.
Source: docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html"""
MOST_POLICIES = 10
"""Managed policies of a role, unless AWS has raised the quota."""

Conditions = Mapping[str, Mapping[str, tuple[str, ...]]]
"""Values by condition key, by operator."""
Document = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Statement:
    """What is allowed. Each action may be done on each of the resources."""

    sid: str
    actions: tuple[str, ...]
    resources: tuple[str, ...]
    conditions: Conditions = field(default_factory=dict)

    def as_json(self) -> Document:
        made: Document = {
            "Sid": self.sid,
            "Effect": "Allow",
            "Action": list(self.actions),
            "Resource": "*" if self.resources == ("*",) else list(self.resources),
        }
        if self.conditions:
            made["Condition"] = {
                operator: {key: list(values) for key, values in keys.items()}
                for operator, keys in self.conditions.items()
            }
        return made


def statement(
    sid: str,
    actions: Iterable[str],
    resources: Iterable[str],
    conditions: Mapping[str, Mapping[str, Iterable[str]]] | None = None,
) -> Iterator[Statement]:
    """One, with everything in order; none if it would allow nothing."""
    named, on = tuple(sorted(set(actions))), tuple(sorted(set(resources)))
    if named and on:
        sorted_conditions = {
            operator: {key: tuple(sorted(set(values))) for key, values in sorted(keys.items())}
            for operator, keys in sorted((conditions or {}).items())
        }
        yield Statement(sid, named, on, sorted_conditions)


def merged(statements: Iterable[Statement]) -> Iterator[Statement]:
    """As few as allow the same, nothing more: actions on the same resources are one statement, and
    then resources with the same actions. Those with one ``sid`` are numbered."""
    by_resources: dict[Any, Statement] = {}
    for one in statements:
        key = (one.sid, one.resources, repr(one.conditions))
        known = by_resources.get(key)
        actions = one.actions if known is None else tuple({*known.actions, *one.actions})
        by_resources[key] = replace(one, actions=tuple(sorted(actions)))
    by_actions: dict[Any, Statement] = {}
    for one in by_resources.values():
        key = (one.sid, one.actions, repr(one.conditions))
        known = by_actions.get(key)
        resources = one.resources if known is None else {*known.resources, *one.resources}
        by_actions[key] = replace(one, resources=tuple(sorted(resources)))
    counts = Counter(one.sid for one in by_actions.values())
    met: Counter[str] = Counter()
    for one in by_actions.values():
        met[one.sid] += 1
        sid = f"{one.sid}{met[one.sid]}" if counts[one.sid] > 1 else one.sid
        yield replace(one, sid=sid)


def size(document: Document) -> int:
    """Characters, as IAM counts them."""
    text = json.dumps(document, separators=(",", ":"), ensure_ascii=False)
    return len("".join(text.split()))


def documents(statements: Iterable[Statement], most: int = MOST_CHARACTERS) -> tuple[Document, ...]:
    """As few as the order of the statements allows, each within the limit. A statement that is too
    long for one is split: its parts together allow what it allows."""
    made: list[list[Statement]] = []
    for one in statements:
        pieces = _fitting(one, most)
        if len(pieces) > 1:
            pieces = [replace(p, sid=f"{one.sid}Part{n}") for n, p in enumerate(pieces, 1)]
        for piece in pieces:
            if made and size(_document([*made[-1], piece])) <= most:
                made[-1].append(piece)
            else:
                made.append([piece])
    return tuple(_document(one) for one in made)


def _document(statements: list[Statement]) -> Document:
    return {"Version": "2012-10-17", "Statement": [one.as_json() for one in statements]}


def _fitting(one: Statement, most: int) -> list[Statement]:
    # With room for the number of a part.
    if size(_document([replace(one, sid=f"{one.sid}Part1000")])) <= most:
        return [one]
    return [piece for half in _halves(one) for piece in _fitting(half, most)]


def _halves(one: Statement) -> tuple[Statement, Statement]:
    """Raises ``ValueError`` if there is nothing to split, which takes an ARN of thousands."""
    lists = [
        (len(json.dumps(values)), operator, key)
        for operator, keys in one.conditions.items()
        for key, values in keys.items()
        # "all of the values" is not the same as all of some or all of the others.
        if len(values) > 1 and not operator.startswith("ForAllValues")
    ]
    longest = max(lists, default=(0, "", ""))
    if len(one.resources) > 1 and len(json.dumps(one.resources)) >= longest[0]:
        middle = len(one.resources) // 2
        first, second = one.resources[:middle], one.resources[middle:]
        return replace(one, resources=first), replace(one, resources=second)
    if not longest[0]:
        raise ValueError(f"{one.sid} does not fit into a policy")
    _, operator, key = longest
    values = one.conditions[operator][key]
    middle = len(values) // 2

    def with_values(part: tuple[str, ...]) -> Statement:
        keys = {**one.conditions[operator], key: part}
        return replace(one, conditions={**one.conditions, operator: keys})

    return with_values(values[:middle]), with_values(values[middle:])
