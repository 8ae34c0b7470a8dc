"""What one policy document allows and another does not, by action and resource: gains and losses,
whatever the statements are cut into.

A pattern covers another where it certainly matches all that the other matches; conditions count as
they are written. So what is called equal in effect is equal, and what is called a gain may turn out
to be none.
Source: docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_evaluation-logic.html
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from reconciler.model.policy_document import as_list, canonical

EVERYONE = "AWS:*"


@dataclass(frozen=True, slots=True)
class Pattern:
    """``key`` is what is compared, ``text`` is as it is written. Of what is named by what it leaves
    out (``NotAction``) nothing is known but that it is the same as itself."""

    key: str
    text: str
    is_exclusion: bool = False

    def covers(self, other: Pattern) -> bool:
        if self == other or self.key in ("*", EVERYONE):
            return self.key != EVERYONE or other.key.startswith("AWS:")
        if self.is_exclusion or other.is_exclusion:
            return self.key == other.key and self.is_exclusion == other.is_exclusion
        return covers(self.key, other.key)

    def matches(self, text: str) -> bool:
        """Whether it is about this, in the form of its ``key``; wildcards in it are characters."""
        if not self.is_exclusion:
            return covers(self.key, text)
        return not any(covers(one, text) for one in json.loads(self.key))


def covers(pattern: str, other: str) -> bool:
    """Whether all that ``other`` matches is matched by ``pattern``, both with IAM's ``*`` and
    ``?``."""
    at = place = 0
    star, back = -1, 0
    while place < len(other):
        char = other[place]
        here = pattern[at] if at < len(pattern) else ""
        if here == "*":
            star, back = at, place
            at += 1
        elif here and (here == char or (here == "?" and char != "*")):
            at, place = at + 1, place + 1
        elif star >= 0:
            back += 1
            at, place = star + 1, back
        else:
            return False
    return all(char == "*" for char in pattern[at:])


def overlap(first: str, second: str) -> bool:
    """Whether something is matched by both, which have IAM's ``*`` and ``?``."""
    reached = {0}  # the places in ``second`` that the part of ``first`` so far comes to
    reached = _beyond_stars(reached, second)
    for char in first:
        if char == "*":
            reached = set(range(min(reached), len(second) + 1)) if reached else reached
        else:
            step = set[int]()
            for place in reached:
                other = second[place : place + 1]
                if other == "*":
                    step.add(place)
                elif other and (other == char or "?" in (other, char)):
                    step.add(place + 1)
            reached = step
        reached = _beyond_stars(reached, second)
    return len(second) in reached


def _beyond_stars(places: Iterable[int], pattern: str) -> set[int]:
    found = set(places)
    for place in range(len(pattern)):
        if place in found and pattern[place] == "*":
            found.add(place + 1)
    return found


@dataclass(frozen=True, slots=True)
class Effect:
    """What statements allow or deny: each of the actions on each of the resources; in a trust
    policy ``on`` are the principals. ``condition`` is as it is written, ``None`` for none.
    ``other_has_some`` is whether the other document has all of it under further conditions."""

    effect: Literal["Allow", "Deny"]
    actions: tuple[Pattern, ...]
    on: tuple[Pattern, ...]
    condition: Any = None
    is_trust: bool = False
    other_has_some: bool = False


@dataclass(frozen=True, slots=True)
class Comparison:
    """``gained`` is in the second document alone, ``lost`` in the first. A ``Deny`` that is gained
    takes something away."""

    gained: tuple[Effect, ...]
    lost: tuple[Effect, ...]
    same_version: bool = True

    @property
    def is_equal(self) -> bool:
        """Whether AWS evaluates both documents alike."""
        return self.same_version and not self.gained and not self.lost


def compared(before: object, after: object) -> Comparison:
    """What is no document allows nothing."""
    first, second = rules(before), rules(after)
    return Comparison(
        tuple(_with_conditions(_uncovered(second, first), first)),
        tuple(_with_conditions(_uncovered(first, second), second)),
        _is_read_alike(before, after),
    )


def _with_conditions(found: Iterable[Effect], others: Iterable[Effect]) -> Iterator[Effect]:
    free = [replace(other, condition=None) for other in others if other.condition is not None]
    for effect in found:
        left = [*_uncovered([replace(effect, condition=None)], free)] if free else [effect]
        yield replace(effect, other_has_some=not left)


def _is_read_alike(before: object, after: object) -> bool:
    """The version decides whether ``${...}`` is a variable or plain text."""
    versions = {
        canonical(document).get("Version")
        for document in (before, after)
        if isinstance(document, Mapping)
    }
    return len(versions) < 2 or "${" not in json.dumps([before, after])


def rules(document: object) -> list[Effect]:
    """Of each statement; none of what is no document."""
    if not isinstance(document, Mapping):
        return []
    listed = [s for s in as_list(document.get("Statement", [])) if isinstance(s, Mapping)]
    return [_rule(s) for s in listed if s.get("Effect") in ("Allow", "Deny")]


def _rule(statement: Mapping[str, Any]) -> Effect:
    is_trust = "Principal" in statement or "NotPrincipal" in statement
    on = _principals(statement) if is_trust else _patterns(statement, "Resource")
    return Effect(
        statement["Effect"],
        tuple(_patterns(statement, "Action")),
        tuple(on) or (Pattern("", ""),),
        statement.get("Condition") or None,
        is_trust,
    )


def _patterns(
    statement: Mapping[str, Any], element: Literal["Action", "Resource"]
) -> Iterator[Pattern]:
    """AWS matches actions without regard to case, and resources with it."""
    is_action, opposite = element == "Action", f"Not{element}"
    if opposite in statement:
        words = "all actions but" if is_action else "all but"
        yield _exclusion(words, statement[opposite], fold=is_action)
    for text in map(str, as_list(statement.get(element, []))):
        yield Pattern(text.casefold() if is_action else text, text)


def _principals(statement: Mapping[str, Any]) -> Iterator[Pattern]:
    if "NotPrincipal" in statement:
        yield _exclusion("all but", json.dumps(statement["NotPrincipal"], sort_keys=True))
    made = canonical({"Statement": [{"Principal": statement.get("Principal", {})}]})
    named = made["Statement"][0].get("Principal", {})
    for kind, many in named.items() if isinstance(named, Mapping) else ():
        for one in as_list(many):
            text = "everyone (*)" if one == "*" else str(one)
            yield Pattern(f"{kind}:{one}", text)


def _exclusion(words: str, value: Any, *, fold: bool = False) -> Pattern:
    listed = sorted(str(v) for v in as_list(value))
    key = json.dumps([v.casefold() if fold else v for v in listed])
    return Pattern(key, f"{words} {', '.join(listed)}", is_exclusion=True)


def conditions(rule: Effect) -> frozenset[str]:
    """Each operator with one key and its values, as JSON; all of them must hold."""
    made = canonical({"Statement": [{"Condition": rule.condition or {}}]})["Statement"][0]
    held = made.get("Condition", {})
    if not isinstance(held, Mapping):
        return frozenset({json.dumps(held, sort_keys=True)})
    return frozenset(
        json.dumps([operator, pair], sort_keys=True)
        for operator, pairs in held.items()
        for pair in as_list(pairs)
    )


def _uncovered(first: Iterable[Effect], others: Sequence[Effect]) -> Iterator[Effect]:
    """What the first have and the others do not, each with what stays of its actions."""
    known = [(other, conditions(other)) for other in others]
    for rule in first:
        asked = conditions(rule)
        alike = [o for o, required in known if o.effect == rule.effect and required <= asked]
        left = [set(range(len(rule.on))) for _ in rule.actions]
        for other in alike:
            targets = _covered(rule.on, other.on)
            for number in _covered(rule.actions, other.actions) if targets else ():
                left[number] -= targets
        yield from _grouped(rule, left)


def _covered(patterns: Sequence[Pattern], by: Sequence[Pattern]) -> set[int]:
    """The places of those that one of the others covers."""
    exact = {(other.key, other.is_exclusion) for other in by}
    wide = [o for o in by if not o.is_exclusion and ("*" in o.key or "?" in o.key)]
    return {
        number
        for number, one in enumerate(patterns)
        if (one.key, one.is_exclusion) in exact or any(other.covers(one) for other in wide)
    }


def _grouped(rule: Effect, left: Sequence[set[int]]) -> Iterator[Effect]:
    """The actions of which the same targets are left, together."""
    groups: dict[frozenset[int], list[Pattern]] = {}
    for action, targets in zip(rule.actions, left, strict=True):
        if targets:
            groups.setdefault(frozenset(targets), []).append(action)
    for kept, actions in groups.items():
        on = tuple(rule.on[number] for number in sorted(kept))
        yield Effect(rule.effect, tuple(actions), on, rule.condition, rule.is_trust)
