"""Drift as one JSON object: the plan's header, findings, counts."""

from __future__ import annotations

from reconciler.commands.drift import Actor, Drift, Finding
from reconciler.report import shapes
from reconciler.report.diagnostics_json import diagnostics_json
from reconciler.report.plan_json import header, source_json, target_header


def drift_json(drift: Drift, created_at: str) -> shapes.DriftShape:
    return {
        **header(drift.plan, created_at),
        "targets": [target_header(target) for target in drift.plan.targets],
        "findings": [finding_json(finding) for finding in drift.findings],
        "resolved": [finding_json(finding) for finding in drift.resolved],
        "summary": dict(drift.summary),
        "api_calls": dict(drift.plan.api_calls),
        "diagnostics": diagnostics_json(drift.diagnostics),
    }


def finding_json(finding: Finding) -> shapes.FindingShape:
    return {
        "target": finding.target,
        "address": finding.address,
        "status": finding.status,
        "differences": [
            {"path": d.path, "before": d.before, "after": d.after} for d in finding.differences
        ],
        "reason": finding.reason,
        "source": source_json(finding.source),
        "fingerprint": finding.fingerprint,
        "transition": finding.transition,
        "first_seen": finding.first_seen,
        "actor": _actor(finding.actor),
    }


def _actor(actor: Actor | None) -> shapes.ActorShape | None:
    if actor is None:
        return None
    return {
        "arn": actor.arn,
        "event": actor.event,
        "event_id": actor.event_id,
        "time": actor.time,
        "run": actor.run,
        "unknown": actor.unknown,
    }
