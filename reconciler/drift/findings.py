"""Differences between the specs and AWS as findings. Reads only."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Literal, get_args

from reconciler.commands.planned import Planned
from reconciler.diagnostics import Diagnostic, Location
from reconciler.drift.causes import Cause, causes_of, severity_of
from reconciler.drift.severity import SEVERITIES, Severity
from reconciler.exit_codes import ExitCode
from reconciler.model.address import Address, instance_address
from reconciler.plan.changes import (
    Adopt,
    Change,
    Create,
    CutOverInstance,
    Delete,
    Difference,
    Kept,
    Replace,
    Restore,
    Unmet,
    Update,
)
from reconciler.plan.plan import Plan, TargetPlan

Status = Literal[
    "modified",
    "missing",
    "unadopted",
    "left",
    "unmanaged",
    "stale",
    "in_progress",
    "unknown",
]
STATUSES: tuple[Status, ...] = get_args(Status)
Transition = Literal["new", "changed", "ongoing", "resolved"]
COUNTED = frozenset({"modified", "missing", "unadopted", "stale", "in_progress"})
"""Statuses that make the exit code 2. ``unknown`` makes it 1, the others do not change it."""


@dataclass(frozen=True, slots=True)
class Actor:
    """The author according to CloudTrail. ``unknown`` is the reason if there is none, ``run`` the
    run id if it was this program."""

    arn: str | None = None
    event: str | None = None
    event_id: str | None = None
    time: str | None = None
    run: str | None = None
    unknown: str | None = None


@dataclass(frozen=True, slots=True)
class Finding:
    """A difference between specs and AWS at one address."""

    address: Address
    status: Status
    differences: tuple[Difference, ...] = ()
    source: Location | None = None
    reason: str | None = None
    transition: Transition | None = None
    first_seen: str | None = None
    target: str = "default"
    actor: Actor | None = None
    region: str | None = None
    """Region of an instance; ``None`` for IAM resources."""
    causes: tuple[Cause, ...] = (Cause("differs"),)

    @property
    def severity(self) -> Severity:
        return severity_of(self.causes)

    @property
    def is_bare(self) -> bool:
        """Whether an instance is without its profile, whoever took it, or stopped by a run."""
        bare = ("no-profile", "not-associated", "stopped")
        return any(cause.rule in bare for cause in self.causes)

    @property
    def fingerprint(self) -> str:
        """Equal for findings with the same target, address, status and differences."""
        found = sorted(([d.path, d.before, d.after] for d in self.differences), key=lambda d: d[0])
        value = [self.target, str(self.address), self.status, found]
        text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
        return hashlib.sha256(text.encode()).hexdigest()[:16]


@dataclass(frozen=True, slots=True)
class Drift:
    """The findings of one run, and the plan that they are from."""

    plan: Plan
    findings: tuple[Finding, ...]
    diagnostics: tuple[Diagnostic, ...] = ()
    resolved: tuple[Finding, ...] = ()
    """Findings of the baseline that no longer exist."""
    notes: tuple[Kept, ...] = ()
    """What is unknown or was ignored, each with its reason."""
    shard: str | None = None
    """Which part of the targets, if not all."""

    @property
    def summary(self) -> Mapping[Status, int]:
        found = [finding.status for finding in self.findings]
        return {status: found.count(status) for status in STATUSES}

    @property
    def exit_code(self) -> ExitCode:
        return self.exit_code_from("info")

    def exit_code_from(self, lowest: Severity) -> ExitCode:
        """As ``exit_code``, but findings below the severity do not count. What is unknown always
        does."""
        if any(finding.status == "unknown" for finding in self.findings):
            return ExitCode.ERROR
        counting = SEVERITIES[: SEVERITIES.index(lowest) + 1]
        counted = (f for f in self.findings if f.status in COUNTED and f.severity in counting)
        return ExitCode.DIFFERENCES if any(counted) else ExitCode.OK


def drift_of(planned: Planned) -> Drift:
    """The drift that a plan shows, with findings ordered by ``by_severity``."""
    found = [
        replace(finding, target=target.target)
        for target in planned.plan.targets
        for finding in _findings(target)
    ]
    notes: list[Kept] = []
    for target in planned.plan.targets:
        notes += [kept for kept in target.kept if kept.status == "warning"]
        notes += target.ignored
    ordered = tuple(sorted(found, key=by_severity))
    return Drift(
        planned.plan,
        ordered,
        planned.diagnostics,
        notes=tuple(notes),
        shard=planned.request.shard,
    )


def by_severity(finding: Finding) -> tuple[object, ...]:
    """Sort key: by severity, then instances without their profile, then target and status."""
    rank = SEVERITIES.index(finding.severity)
    return (
        rank,
        not finding.is_bare,
        finding.target,
        STATUSES.index(finding.status),
        finding.address,
    )


def _findings(target: TargetPlan) -> Iterator[Finding]:
    begun = _begun(target)
    for planned in target.changes:
        change = begun.get(planned.address, planned)
        causes = _causes(change, target.documents, target.identity.account_id)
        yield replace(_finding(change), region=change.region, causes=causes)
    for conflict in target.conflicts:
        reason = f"{conflict.reason}; use {conflict.lift} to manage it"
        yield Finding(conflict.address, "unadopted", (), conflict.source, reason)
    for kept in target.kept:
        if kept.status in ("left", "released"):
            yield Finding(kept.address, "left", (), None, kept.reason, causes=_OTHERS)
        if kept.status == "revoked":
            yield Finding(kept.address, "unmanaged", (), None, kept.reason, causes=_OTHERS)
        if kept.status == "waiting":
            causes = (Cause("waiting"),)
            yield Finding(kept.address, "stale", (), None, kept.reason, causes=causes)
    for one in target.unread:
        reason = f"{one.what} cannot be read: {one.reason}"
        yield Finding(one.address, "unknown", reason=reason, region=one.region)
    yield from _unmet(target)
    for stranger in target.unmanaged:
        yield Finding(stranger.address, "unmanaged", reason=stranger.orphan, causes=_OTHERS)
    for guard in target.guards:
        if guard.key == "retry":
            for address in guard.addresses:
                causes = (Cause("stale-credentials"),)
                yield Finding(address, "stale", (), None, guard.reason, causes=causes)


def _begun(target: TargetPlan) -> Mapping[Address, Change]:
    """Instances whose turn may be to come, in a cut-over that a run has just begun."""
    waiting = {
        instance_address(instance)
        for change in target.changes
        if isinstance(change, Update) and change.is_under_way and not change.was_interrupted
        for instance in change.consumers
    }
    told = "the cut-over of its instance profile has begun, and it has not been reached"
    return {
        change.address: replace(change, is_under_way=True, reason=told)
        for change in target.changes
        if isinstance(change, CutOverInstance)
        and change.address in waiting
        and not change.is_under_way
    }


_OTHERS = (Cause("not-in-specs"),)


def _causes(change: Change, documents: Mapping[str, object], account: str) -> tuple[Cause, ...]:
    interrupted = (Cause("interrupted"),) if change.was_interrupted else ()
    match change:
        case CutOverInstance() if change.is_under_way:
            return (*interrupted, Cause("differs"))
        case CutOverInstance():
            return (*interrupted, Cause("stale-credentials"))
        case Restore():
            is_stopped = any(d.path == "state" for d in change.differences)
            return (*interrupted, Cause("stopped" if is_stopped else "no-profile"))
        case Create() if change.address.is_instance:
            return (*interrupted, Cause("not-associated"))
        case Delete():
            return (*interrupted, *_OTHERS)
        case _:
            return (*interrupted, *causes_of(change.differences, documents, account))


def _unmet(target: TargetPlan) -> Iterator[Finding]:
    """One finding for each thing, whatever number of resources names it."""
    needed_by: dict[Unmet, list[str]] = {}
    first: dict[tuple[Address, str], Unmet] = {}
    for one in target.unmet:
        known = first.setdefault((one.address, one.found.code), one)
        needing = needed_by.setdefault(known, [])
        if one.needed_by is not None:
            needing.append(str(one.needed_by))
    for one, needing in needed_by.items():
        reason = one.found.message
        if needing:
            more = f" and {len(needing) - 1} more" if len(needing) > 1 else ""
            reason += f"; named by {needing[0]}{more}"
        yield Finding(one.address, one.status, (), one.found.location, reason, region=one.region)


def _finding(change: Change) -> Finding:
    match change:
        case Create():
            return Finding(change.address, "missing", (), change.source)
        case CutOverInstance():
            wanted = (change.after or {}).get("role")
            if change.is_under_way:
                return Finding(change.address, "in_progress", (), change.source, change.reason)
            may = f"it may have another role than role/{wanted}"
            reason = f"its association is stale: {may}" if change.reason == "stale" else may
            return Finding(change.address, "stale", (), change.source, reason)
        case Restore():
            return Finding(change.address, "stale", change.differences, None, change.reason)
        case Delete():
            return Finding(change.address, "left", (), None, change.reason)
        case Update() | Adopt() | Replace():
            status: Status = "in_progress" if change.is_under_way else "modified"
            return Finding(change.address, status, change.differences, change.source, change.reason)
