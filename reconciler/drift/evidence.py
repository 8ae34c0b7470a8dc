"""Findings from evidence: an instance that is served another role than the one in its profile, also
where somebody has swapped it there and back and nothing else shows it."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

from reconciler.commands.verify import Verification, VerifiedConsumer, VerifiedTarget
from reconciler.drift.causes import Cause
from reconciler.drift.findings import Drift, Finding, by_severity
from reconciler.model.address import instance_address, profile_address
from reconciler.plan.changes import Kept

CONTRADICTED = "contradicted"


def with_evidence(drift: Drift, made: Verification) -> Drift:
    """The drift with a finding for each contradiction, and a note for each profile of whose
    instances some are unknown. What is known of an instance already gets the evidence as well."""
    found, notes = list(drift.findings), list(drift.notes)
    for target in made.targets:
        for one in target.verified:
            if one.judgement.status == CONTRADICTED:
                _add(found, _contradiction(one, target.plan.target))
        notes += _unknown(target)
    ordered = tuple(sorted(found, key=by_severity))
    return replace(drift, findings=ordered, notes=tuple(notes))


def _add(findings: list[Finding], found: Finding) -> None:
    """What was known of the instance counts on: a difference of its own, or a cut-over to come."""
    for number, known in enumerate(findings):
        if (known.target, known.address) == (found.target, found.address):
            reason = f"{known.reason}; {found.reason}" if known.reason else found.reason
            status = found.status if known.status == "in_progress" else known.status
            causes = (*known.causes, *found.causes)
            findings[number] = replace(known, status=status, reason=reason, causes=causes)
            return
    findings.append(found)


def _contradiction(one: VerifiedConsumer, target: str) -> Finding:
    key = one.instance.key
    return Finding(
        instance_address(key.instance),
        "stale",
        reason=one.judgement.because,
        target=target,
        region=key.region,
        causes=(Cause(CONTRADICTED),),
    )


def _unknown(target: VerifiedTarget) -> list[Kept]:
    """What evidence does not say is no drift."""
    unknown = [one for one in target.verified if one.judgement.status == "unknown"]
    made = []
    for name in sorted({one.profile or "" for one in unknown} - {""}):
        here = [one.judgement for one in unknown if one.profile == name]
        number = sum(one.profile == name for one in target.verified)
        counted = Counter(
            f"lacks {', '.join(one.permissions)}" if one.permissions else one.how for one in here
        )
        why = "; ".join(f"{n} {text}" for text, n in sorted(counted.items()))
        reason = f"evidence is unknown for {len(here)} of {number} running instances: {why}"
        made.append(Kept(profile_address(name), reason, "warning"))
    return made


def is_by_evidence_alone(finding: Finding) -> bool:
    """Whether nothing but evidence shows it."""
    return bool(finding.causes) and all(c.rule == CONTRADICTED for c in finding.causes)


def is_known(finding: Finding, made: Verification | None) -> bool:
    """Whether evidence was asked for, and does not leave the instance unknown."""
    if made is None:
        return False
    return not any(
        one.judgement.status == "unknown"
        for target in made.targets
        if target.plan.target == finding.target
        for one in target.verified
        if instance_address(one.instance.key.instance) == finding.address
    )
