"""The plan: changes and ordered steps for each target, with a digest of the intent."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from reconciler.diagnostics import Diagnostic
from reconciler.model.address import EVERYTHING, Address, instance_address
from reconciler.model.live import LiveEntity
from reconciler.model.ownership import InstanceKey
from reconciler.model.resources import Identity
from reconciler.plan.blast_radius import BlastRadius
from reconciler.plan.calls import ApiCall, Wait
from reconciler.plan.changes import (
    Adopt,
    Change,
    Conflict,
    Create,
    CutOverInstance,
    Delete,
    Guard,
    Kept,
    Link,
    Replace,
    Restore,
    Unmanaged,
    Unmet,
    Unread,
    Update,
    actions_of,
)
from reconciler.plan.cut_over import CutOver, Observation, PreviewStep
from reconciler.plan.graph import OrderedStep
from reconciler.plan.impact import Impact

Work = ApiCall | Wait | CutOver


@dataclass(frozen=True, slots=True)
class Step:
    """One thing the executor does, as it is printed. ``after`` holds the ids that come before."""

    id: int
    address: Address
    action: ApiCall | Wait
    after: tuple[int, ...]
    note: str | None = None
    refusal: str | None = None
    """The code with which AWS must refuse it."""


@dataclass(frozen=True, slots=True)
class Users:
    """Running instances that used a profile, and the regions where they were looked for, some of
    which may have refused."""

    instances: frozenset[InstanceKey]
    regions: tuple[str, ...]
    unread: frozenset[str] = frozenset()
    comes_back: bool = False
    """Whether they get the profile again: then only instances that cannot be refreshed lose it."""


@dataclass(frozen=True, slots=True)
class TargetPlan:
    """``work`` is what the executor runs; ``steps`` is the same, cut-overs written out."""

    target: str
    identity: Identity
    owner: str
    prefix: str
    regions: tuple[str, ...]
    changes: tuple[Change, ...] = ()
    work: tuple[OrderedStep[Work], ...] = ()
    preview: Mapping[CutOver, tuple[PreviewStep, ...]] = field(default_factory=dict)
    """Each cut-over's steps on today's state."""
    begins: Mapping[CutOver, Observation] = field(default_factory=dict)
    """How each cut-over finds its profile when what this plan does before it is done."""
    kept: tuple[Kept, ...] = ()
    ignored: tuple[Kept, ...] = ()
    conflicts: tuple[Conflict, ...] = ()
    guards: tuple[Guard, ...] = ()
    rules: tuple[Mapping[str, Any], ...] = ()
    """The rules by which associations select instances: part of the intent."""
    settings: Mapping[str, Any] = field(default_factory=dict)
    """Settings that are part of the intent: the prefix of our tags and, if a cut-over is planned or
    may become necessary, the propagation time and the regions that are searched."""
    diagnostics: tuple[Diagnostic, ...] = ()
    managed: int = 0
    unread: tuple[Unread, ...] = ()
    unmet: tuple[Unmet, ...] = ()
    """What the specs name and AWS does not have: what needs it is not planned."""
    destroys: bool = False
    """Everything of the owner's is to go."""
    prunes: bool = False
    """What left the specs is to go."""
    tag_index: str | None = None
    """Why tags were read one by one although AWS's index was asked for them."""
    most_cutovers: int = 10
    """How many profiles may be cut over at a time."""
    not_whole: str | None = None
    """Why what left the specs is not known, where it is not."""
    documents: Mapping[str, object] = field(default_factory=dict)
    """Of policies that roles have and the specs do not give them, by ARN. Only for a drift."""
    unmanaged: tuple[Unmanaged, ...] = ()
    """Only where it was asked for."""
    links: tuple[Link, ...] = ()
    """Roles, profiles and instances around what changes, for a picture."""
    based_on: Mapping[Address, LiveEntity] = field(default_factory=dict)
    """The live state of everything that changes, by address: compared again before the first
    step."""
    blast_radius: Mapping[Address, BlastRadius] = field(default_factory=dict)
    """Whom a change reaches, by its address: of changes that reach running instances."""
    impact: Mapping[Address, tuple[Impact, ...]] = field(default_factory=dict)
    """What a change takes from roles in use, by its address; only where it was asked for, and with
    something to tell."""
    users: Mapping[Address, Users] = field(default_factory=dict)
    """The known users of each profile that is deleted, or without a role for a time: any other user
    by then was not part of the plan."""

    @property
    def is_empty(self) -> bool:
        return not self.changes

    @property
    def is_unread(self) -> bool:
        """Whether nothing of the account is known."""
        return self.not_whole is None and any(u.address == EVERYTHING for u in self.unread)

    @property
    def held(self) -> tuple[Kept, ...]:
        """Resources that should be deleted and must be kept. For a prune, a role that was released
        less than seven hours ago does not count, nor what it uses: a later prune deletes it."""
        if not self.destroys and not self.prunes:
            return ()
        released = tuple(f"{k.address} " for k in self.kept if k.status == "released")
        return tuple(
            kept
            for kept in self.kept
            if (kept.status == "left" and (self.destroys or not kept.reason.startswith(released)))
            or (kept.status == "released" and self.destroys)
        )

    @property
    def steps(self) -> tuple[Step, ...]:
        return tuple(_steps(self))


@dataclass(frozen=True, slots=True)
class Plan:
    targets: tuple[TargetPlan, ...]
    owner: str
    digest: str
    api_calls: Mapping[str, int] = field(default_factory=dict)

    @property
    def is_empty(self) -> bool:
        return all(target.is_empty for target in self.targets)

    @property
    def unread(self) -> tuple[Unread, ...]:
        return tuple(unread for target in self.targets for unread in target.unread)

    @property
    def unmet(self) -> tuple[Unmet, ...]:
        return tuple(unmet for target in self.targets for unmet in target.unmet)

    @property
    def is_whole(self) -> bool:
        """Whether everything in the specs could be planned."""
        return not self.unread and not self.unmet

    @property
    def is_done(self) -> bool:
        """Whether nothing is left to do or to find out."""
        return self.is_empty and self.is_whole and not self.held

    @property
    def held(self) -> tuple[Kept, ...]:
        """What a destroy or a prune was to take and has to leave, each with the reason."""
        return tuple(kept for target in self.targets for kept in target.held)

    @property
    def changes(self) -> tuple[Change, ...]:
        return tuple(change for target in self.targets for change in target.changes)

    @property
    def conflicts(self) -> tuple[Conflict, ...]:
        return tuple(conflict for target in self.targets for conflict in target.conflicts)

    @property
    def guards(self) -> tuple[Guard, ...]:
        return tuple(guard for target in self.targets for guard in target.guards)

    @property
    def diagnostics(self) -> tuple[Diagnostic, ...]:
        return tuple(found for target in self.targets for found in target.diagnostics)


def _steps(target: TargetPlan) -> Iterator[Step]:
    """Numbers in order from 1. What comes after a cut-over comes after its last step."""
    last: list[int] = []
    number = 0
    for ordered in target.work:
        after = tuple(last[place] for place in ordered.after)
        pending = ordered.pending
        if not isinstance(pending.action, CutOver):
            number += 1
            yield Step(number, pending.address, pending.action, after)
            last.append(number)
            continue
        for preview in target.preview.get(pending.action, ()):
            number += 1
            one = preview.instance
            address = instance_address(one) if one else pending.address
            yield Step(number, address, preview.action, after, preview.note, preview.refusal)
            after = (number,)
        last.append(number)


def summary(plan: Plan) -> dict[str, int]:
    """A replacement counts once, as replaced, and neither as added nor as destroyed."""
    counts = dict.fromkeys(("adopt", "add", "change", "replace", "destroy", "cutover"), 0)
    for change in plan.changes:
        counts[_column(change)] += 1
    return counts


def _column(change: Change) -> str:
    match change:
        case Create():
            return "add"
        case Adopt():
            return "adopt"
        case Update() | Restore():
            return "change"
        case Replace():
            return "replace"
        case Delete():
            return "destroy"
        case CutOverInstance():
            return "cutover"


def digest_of(targets: tuple[TargetPlan, ...], owner: str) -> str:
    return digest_of_intended(intended(targets, owner))


def digest_of_intended(value: Mapping[str, Any]) -> str:
    """``sha256:…`` over the intent, in canonical JSON."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return "sha256:" + hashlib.sha256(text.encode()).hexdigest()


def intended(targets: tuple[TargetPlan, ...], owner: str) -> dict[str, Any]:
    """What a person approves: neither consumers nor steps, times nor places."""
    return {"owner": owner, "targets": [intended_of(target) for target in targets]}


def intended_of(target: TargetPlan) -> dict[str, Any]:
    """The same of one target."""
    return {
        "target": target.target,
        "account_id": target.identity.account_id,
        "regions": list(target.regions),
        "changes": [
            {
                "address": str(change.address),
                "region": change.region,
                "actions": list(actions_of(change)),
                "before": change.before,
                "after": change.after,
                "intent": change.intent,
            }
            for change in target.changes
            # Which instances live today, and were chosen by a rule, is not decided by the plan.
            if not isinstance(change, CutOverInstance | Restore) and "select" not in change.intent
        ],
        "rules": list(target.rules),
        "settings": dict(target.settings),
    }
