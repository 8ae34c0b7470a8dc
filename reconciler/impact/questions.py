"""From actions that were used and may be lost to what AWS's simulator is asked about them, and from
its answers to what is lost.

The simulator takes a wildcard in the name of a resource for a character. So a pattern of the
policies, asked for as it is written, is allowed only where all that it matches is allowed.
Source: docs.aws.amazon.com/IAM/latest/APIReference/API_SimulateCustomPolicy.html
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from reconciler.impact.reduction import LimitedPolicies, reduction
from reconciler.model.policy_effect import Effect, conditions
from reconciler.plan.authorization import Question, Simulated
from reconciler.plan.impact import Loss, Usage

MOST_RESOURCES = 50
MOST_ACTIONS = 100
"""Of a question, so that an answer is not long: AWS names no limit of either."""
EVERYWHERE = "*"
VARIABLE = re.compile(r"\$\{[^}]*\}")
Answers = Mapping[tuple[str, str], Simulated]
"""By action in lower case, and resource."""


@dataclass(frozen=True, slots=True)
class Suspect:
    """An action that was used, and the resources on which it is asked for. ``unasked`` are others:
    more than a question has room for, or with variables in their names."""

    action: str
    resources: tuple[str, ...]
    unasked: tuple[str, ...] = ()


def suspects(usage: Usage, before: LimitedPolicies, after: LimitedPolicies) -> tuple[Suspect, ...]:
    """What was used and is not certainly kept, sorted."""
    taken = reduction(before, after)
    return tuple(
        _suspect(action, before, after) for action in sorted(usage.actions) if taken.has(action)
    )


def _suspect(action: str, before: LimitedPolicies, after: LimitedPolicies) -> Suspect:
    """All resources that some statement about it names, since each may be the one that is lost."""
    about = (*before.about(action), *after.about(action))
    patterns = [pattern for effect in about for pattern in effect.on]
    named = {EVERYWHERE if p.is_exclusion else p.text for p in patterns} - {""}
    known = sorted(name for name in named if "${" not in name)
    asked = known[:MOST_RESOURCES]
    return Suspect(action, tuple(asked), tuple(sorted(named - {*asked})))


def questions(found: tuple[Suspect, ...]) -> tuple[Question, ...]:
    """As few as ask for all: of everything, and of what has a name, each with the actions that it
    matters for."""
    whole = [one.action for one in found if EVERYWHERE in one.resources]
    made = [*_parted(whole, (EVERYWHERE,))]
    rest = [(o, {*o.resources} - {EVERYWHERE}) for o in found]
    while some := [(one, names) for one, names in rest if names]:
        # Those first that share the resources of the first one; few calls in all.
        room: set[str] = set()
        asked: list[str] = []
        for one, names in some:
            if len(room | names) <= MOST_RESOURCES:
                room |= names
                asked.append(one.action)
        made += _parted(asked, tuple(sorted(room)))
        rest = [(one, names) for one, names in some if one.action not in asked]
    return tuple(made)


def _parted(actions: list[str], resources: tuple[str, ...]) -> Iterator[Question]:
    for start in range(0, len(actions), MOST_ACTIONS):
        yield Question(tuple(actions[start : start + MOST_ACTIONS]), resources)


_State = Literal["allowed", "conditional", "denied"]


def losses(
    found: tuple[Suspect, ...],
    usage: Usage,
    before: tuple[LimitedPolicies, Answers],
    after: tuple[LimitedPolicies, Answers],
) -> Iterator[Loss]:
    """Of single actions. Each side is the documents and what the simulator says of them."""
    for suspect in found:
        if (loss := _loss(suspect, usage, before, after)) is not None:
            yield loss


def _loss(
    suspect: Suspect,
    usage: Usage,
    before: tuple[LimitedPolicies, Answers],
    after: tuple[LimitedPolicies, Answers],
) -> Loss | None:
    action, use = suspect.action, usage.actions[suspect.action]
    states = {
        resource: (_state(action, resource, *before), _state(action, resource, *after))
        for resource in suspect.resources
    }
    if not after[0].may_allow(action):
        was_allowed = suspect.unasked or any(was != "denied" for was, _ in states.values())
        return Loss("denied", action, use) if was_allowed else None
    gone: list[str] = []
    depends: set[_Term] = set()
    is_kept = bool(suspect.unasked)
    for resource, (was, will) in states.items():
        new = _terms(action, resource, after[0]) - _terms(action, resource, before[0])
        if was != "denied" and will == "denied":
            gone.append(resource)
        elif was != "denied" and will == "conditional" and new:
            depends |= new
        elif was != "denied":
            is_kept = True
    if gone and not is_kept and not depends:
        return Loss("denied", action, use)
    if gone:
        return Loss("fewer-resources", action, use, tuple(gone))
    variables = {name for one in suspect.unasked for name in VARIABLE.findall(one)}
    if depends or variables:
        keys = {key for _, _, written in depends for key in written}
        return Loss("conditions", action, use, tuple(sorted(keys | variables)))
    return None


def _state(action: str, resource: str, documents: LimitedPolicies, answers: Answers) -> _State:
    """What the simulator says, which gives no condition keys: so a condition may turn it."""
    answer = answers[action.casefold(), resource]
    about = [e for e in documents.about(action) if _is_on(e, resource)]
    plain = {effect.effect for effect in about if effect.condition is None}
    under = {effect.effect for effect in about if effect.condition is not None}
    match answer.decision:
        case "allowed":
            return "conditional" if "Deny" in under else "allowed"
        case "explicitDeny":
            return "denied" if "Deny" in plain else "conditional"
        case "implicitDeny":
            return "conditional" if "Allow" in under else "denied"


def _is_on(effect: Effect, resource: str) -> bool:
    return any(pattern.matches(resource) for pattern in effect.on)


_Term = tuple[str, frozenset[str], tuple[str, ...]]


def _terms(action: str, resource: str, documents: LimitedPolicies) -> frozenset[_Term]:
    """What depends on conditions in the statements about it: the effect, the conditions in their
    one spelling, and the keys as they are written."""
    return frozenset(
        (effect.effect, conditions(effect), tuple(_written(effect.condition)))
        for effect in documents.about(action)
        if effect.condition is not None and _is_on(effect, resource)
    )


def _written(condition: Any) -> Iterator[str]:
    for keys in condition.values() if isinstance(condition, Mapping) else ():
        yield from keys if isinstance(keys, Mapping) else ()
