"""Drift as one JSON object: the plan's header, findings, counts."""

from __future__ import annotations

from reconciler.commands.drift import Drift, Finding
from reconciler.report import shapes
from reconciler.report.plan_json import header, source_json, target_header


def drift_json(drift: Drift, created_at: str) -> shapes.DriftShape:
    return {
        **header(drift.plan, created_at),
        "targets": [target_header(target) for target in drift.plan.targets],
        "findings": [_finding(finding) for finding in drift.findings],
        "summary": dict(drift.summary),
        "api_calls": dict(drift.plan.api_calls),
    }


def _finding(finding: Finding) -> shapes.FindingShape:
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
    }
