"""Drift as one JSON object: the plan's header, findings, counts."""

from __future__ import annotations

from reconciler.drift.findings import Actor, Drift, Finding
from reconciler.render.json import types
from reconciler.render.json.diagnostics import diagnostics_json
from reconciler.render.json.plan import header, kept_json, source_json, target_header


def drift_json(drift: Drift, created_at: str) -> types.DriftShape:
    return {
        **header(drift.plan, created_at),
        "targets": [target_header(target) for target in drift.plan.targets],
        "findings": [finding_json(finding) for finding in drift.findings],
        "resolved": [finding_json(finding) for finding in drift.resolved],
        "notes": [kept_json(note) for note in drift.notes],
        "summary": dict(drift.summary),
        "api_calls": dict(drift.plan.api_calls),
        "diagnostics": diagnostics_json(drift.diagnostics),
    }


def finding_json(finding: Finding) -> types.FindingShape:
    return {
        "target": finding.target,
        "address": str(finding.address),
        "region": finding.region,
        "status": finding.status,
        "severity": finding.severity,
        "differences": [
            {"path": d.path, "before": d.before, "after": d.after} for d in finding.differences
        ],
        "reason": finding.reason,
        "source": source_json(finding.source),
        "fingerprint": finding.fingerprint,
        "transition": finding.transition,
        "first_seen": finding.first_seen,
        "actor": actor_json(finding.actor) if finding.actor else None,
    }


def actor_json(actor: Actor) -> types.ActorShape:
    return {
        "arn": actor.arn,
        "event": actor.event,
        "event_id": actor.event_id,
        "time": actor.time,
        "run": actor.run,
        "unknown": actor.unknown,
    }
