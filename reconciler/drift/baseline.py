"""What a drift found the last time, and what became of it since."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from itertools import zip_longest

from reconciler.commands.plan import Planned
from reconciler.drift.findings import Drift, Finding, gravest_first
from reconciler.model.address import Address, matches_any

Covers = Callable[[Finding], bool]


@dataclass(frozen=True, slots=True)
class Baseline:
    """``pending_delivery`` holds, by outlet, what it could not be told; it is tried again the next
    time."""

    findings: tuple[Finding, ...] = ()
    pending_delivery: Mapping[str, tuple[Finding, ...]] = field(default_factory=dict)


def compared(drift: Drift, before: Baseline, covers: Covers, now: str) -> Drift:
    """The drift with what became of each finding. Of those before that this run could not see
    nothing is known: they are neither gone nor told again."""
    seen = [f for f in before.findings if covers(f)]
    found: list[Finding] = []
    resolved: list[Finding] = []
    for key in sorted({_key(f) for f in (*drift.findings, *seen)}):
        here = [f for f in drift.findings if _key(f) == key]
        there = [f for f in seen if _key(f) == key]
        for one in _group(here, there, now):
            (resolved if one.transition == "resolved" else found).append(one)
    return replace(
        drift,
        findings=tuple(sorted(found, key=gravest_first)),
        resolved=tuple(sorted(resolved, key=gravest_first)),
    )


def _key(finding: Finding) -> tuple[str, Address]:
    return finding.target, finding.address


def _group(here: list[Finding], there: list[Finding], now: str) -> Iterator[Finding]:
    """Of one address: what is the same goes on, what else there is has changed, come or gone."""
    known = {f.fingerprint: f for f in there}
    same = {f.fingerprint for f in here} & known.keys()
    for finding in here:
        if finding.fingerprint in same:
            since = known[finding.fingerprint].first_seen or now
            yield replace(finding, transition="ongoing", first_seen=since)
    come = sorted((f for f in here if f.fingerprint not in same), key=gravest_first)
    gone = sorted((f for f in there if f.fingerprint not in same), key=gravest_first)
    for after, before in zip_longest(come, gone):
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
    """What is remembered for the next time."""
    unseen = tuple(f for f in before.findings if not covers(f))
    left = {name: tuple(findings) for name, findings in pending_delivery.items()}
    return Baseline((*drift.findings, *unseen), {n: f for n, f in left.items() if f})


def undelivered(drift: Drift, pending_delivery: Iterable[Finding]) -> tuple[Finding, ...]:
    """What is news to an outlet: what came, changed or went, and what it could not be told before
    and is still so."""
    missed = {_key(f): f for f in pending_delivery}
    news = [f for f in (*drift.findings, *drift.resolved) if f.transition != "ongoing"]
    told = [one for f in news if (one := _news(f, missed.get(_key(f)))) is not None]
    heard = {_key(f) for f in news}
    present = {f.fingerprint: f for f in drift.findings}
    here = {_key(f) for f in drift.findings}
    for finding in missed.values():
        still = present.get(finding.fingerprint)
        if _key(finding) in heard:
            continue
        if still is not None and finding.transition != "resolved":
            told.append(replace(still, transition=finding.transition))
        if finding.transition == "resolved" and _key(finding) not in here:
            told.append(finding)
    return tuple(sorted(told, key=gravest_first))


def _news(finding: Finding, missed: Finding | None) -> Finding | None:
    """For an outlet that never heard that it came: it has not changed, and need not go."""
    if missed is None or missed.transition != "new":
        return finding
    return None if finding.transition == "resolved" else replace(finding, transition="new")


def coverage(planned: Planned) -> Covers:
    """Which findings this run would have made, were they still so: it may be narrowed, or have been
    refused a part of what it asked for."""
    request = planned.request
    targets = {one.plan.target: one for one in planned.targets}

    def covers(finding: Finding) -> bool:
        target = targets.get(finding.target)
        if target is None or (finding.status == "unmanaged" and not request.unmanaged):
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
