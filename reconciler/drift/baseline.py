"""The baseline: findings of the last run, and how they compare to those of this run."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from itertools import zip_longest

from reconciler.commands.planned import Planned
from reconciler.commands.verify import Verification
from reconciler.drift.evidence import is_by_evidence_alone, is_known
from reconciler.drift.findings import Drift, Finding, by_severity
from reconciler.model.address import EVERYTHING, Address, matches_any

Covers = Callable[[Finding], bool]


@dataclass(frozen=True, slots=True)
class Baseline:
    """``pending_delivery`` are the findings, by destination, whose notification failed; the next
    run sends them again."""

    findings: tuple[Finding, ...] = ()
    pending_delivery: Mapping[str, tuple[Finding, ...]] = field(default_factory=dict)


def compared(drift: Drift, before: Baseline, covers: Covers, now: str) -> Drift:
    """The drift with a transition for each finding, and those that are resolved.

    Findings of the baseline that this run did not cover are neither resolved nor reported. ``now``
    is the time for ``first_seen``."""
    here = _by_address(drift.findings)
    there = _by_address(f for f in before.findings if covers(f))
    found: list[Finding] = []
    resolved: list[Finding] = []
    for key in sorted(here.keys() | there.keys()):
        for one in _group(here.get(key, []), there.get(key, []), now):
            (resolved if one.transition == "resolved" else found).append(one)
    return replace(
        drift,
        findings=tuple(sorted(found, key=by_severity)),
        resolved=tuple(sorted(resolved, key=by_severity)),
    )


def _by_address(findings: Iterable[Finding]) -> dict[tuple[str, Address], list[Finding]]:
    grouped: dict[tuple[str, Address], list[Finding]] = {}
    for finding in findings:
        grouped.setdefault(_key(finding), []).append(finding)
    return grouped


def _key(finding: Finding) -> tuple[str, Address]:
    return finding.target, finding.address


def _group(here: list[Finding], there: list[Finding], now: str) -> Iterator[Finding]:
    """Transitions of the findings of one address: ongoing for equal fingerprints; the remaining
    ones are paired as changed, and are new or resolved without a partner."""
    known = {f.fingerprint: f for f in there}
    same = {f.fingerprint for f in here} & known.keys()
    for finding in here:
        if finding.fingerprint in same:
            since = known[finding.fingerprint].first_seen or now
            yield replace(finding, transition="ongoing", first_seen=since)
    added = sorted((f for f in here if f.fingerprint not in same), key=by_severity)
    removed = sorted((f for f in there if f.fingerprint not in same), key=by_severity)
    for after, before in zip_longest(added, removed):
        if after is None:
            yield replace(before, transition="resolved")
        elif before is None:
            yield replace(after, transition="new", first_seen=now)
        else:
            yield replace(after, transition="changed", first_seen=before.first_seen or now)


def following(
    drift: Drift,
    before: Baseline,
    covers: Covers,
    pending_delivery: Mapping[str, Iterable[Finding]],
) -> Baseline:
    """The baseline for the next run: these findings, and earlier ones that were not covered."""
    unseen = tuple(f for f in before.findings if not covers(f))
    left = {name: tuple(findings) for name, findings in pending_delivery.items()}
    return Baseline((*drift.findings, *unseen), {n: f for n, f in left.items() if f})


def undelivered(drift: Drift, pending_delivery: Iterable[Finding]) -> tuple[Finding, ...]:
    """Findings to send to a destination: those that are new, changed or resolved, and those whose
    earlier notification failed and that are still current."""
    pending = {_key(f): f for f in pending_delivery}
    news = [f for f in (*drift.findings, *drift.resolved) if f.transition != "ongoing"]
    unsent = []
    for finding in news:
        missed = pending.get(_key(finding))
        if missed is None or missed.transition != "new":
            unsent.append(finding)
        elif finding.transition != "resolved":
            # The notification that it is new failed, so it is still new to that destination. Once
            # resolved, it is not sent at all.
            unsent.append(replace(finding, transition="new"))
    handled = {_key(f) for f in news}
    present = {f.fingerprint: f for f in drift.findings}
    here = {_key(f) for f in drift.findings}
    for finding in pending.values():
        still = present.get(finding.fingerprint)
        if _key(finding) in handled:
            continue
        if still is not None and finding.transition != "resolved":
            unsent.append(replace(still, transition=finding.transition))
        if finding.transition == "resolved" and _key(finding) not in here:
            unsent.append(finding)
    return tuple(sorted(unsent, key=by_severity))


def coverage(planned: Planned, evidence: Verification | None = None) -> Covers:
    """Whether this run would report a finding if it still existed. False for what flags exclude,
    for what could not be read, and for what only evidence shows where there is none."""
    request = planned.request
    targets = {one.plan.target: one for one in planned.targets}

    def covers(finding: Finding) -> bool:
        target = targets.get(finding.target)
        if target is None:
            return False
        if target.plan.is_unread:
            # That is the one finding there is.
            return finding.address == EVERYTHING
        if finding.status == "unmanaged" and not request.unmanaged:
            return False
        if is_by_evidence_alone(finding) and not is_known(finding, evidence):
            return False
        address = finding.address
        chosen = target.spec.chosen
        if chosen is not None and not address.is_instance and address not in chosen:
            return False
        if finding.status in ("left", "unmanaged") and target.plan.not_whole:
            return False
        if request.only and not matches_any(address, request.only):
            return False
        if matches_any(address, request.exclude):
            return False
        if finding.status == "unknown":
            return True
        unread = target.plan.unread
        regions = {u.region for u in unread if u.region is not None}
        if address.is_instance and finding.region in regions:
            return False
        return address not in {u.address for u in unread}

    return covers
