"""Drift as one JSON object (the plan's header, findings, counts), and the file that a drift leaves
for the next one, written and read."""

from __future__ import annotations

from pydantic import with_config
from typing_extensions import TypedDict

from reconciler import __version__
from reconciler.diagnostics import Location
from reconciler.drift.baseline import Baseline
from reconciler.drift.causes import Cause
from reconciler.drift.findings import Actor, Drift, Finding
from reconciler.model.address import Address
from reconciler.plan.changes import Difference
from reconciler.render.json import types
from reconciler.render.json.encode import json_text, parsed
from reconciler.render.json.plan import (
    diagnostics_json,
    header,
    kept_json,
    source_json,
    target_header,
)
from reconciler.render.json.types import CLOSED, FindingShape


def drift_json(drift: Drift, created_at: str) -> types.DriftShape:
    head = header(drift.plan, created_at)
    made: types.DriftShape = {
        "format_version": head["format_version"],
        "reconciler": head["reconciler"],
        "created_at": head["created_at"],
        "owner": head["owner"],
        "targets": [target_header(target) for target in drift.plan.targets],
        "findings": [finding_json(finding) for finding in drift.findings],
        "resolved": [finding_json(finding) for finding in drift.resolved],
        "notes": [kept_json(note) for note in drift.notes],
        "summary": dict(drift.summary),
        "api_calls": dict(drift.plan.api_calls),
        "diagnostics": diagnostics_json(drift.diagnostics),
    }
    if drift.shard is not None:
        made["shard"] = drift.shard
    return made


def finding_json(finding: Finding) -> types.FindingShape:
    return {
        "target": finding.target,
        "address": str(finding.address),
        "region": finding.region,
        "status": finding.status,
        "severity": finding.severity,
        "causes": [{"rule": c.rule, "text": c.text} for c in finding.causes],
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


@with_config(CLOSED)
class BaselineShape(TypedDict):
    """What ``drift --baseline`` remembers. ``owed`` is by outlet."""

    format_version: str
    reconciler: str
    created_at: str
    findings: list[FindingShape]
    owed: dict[str, list[FindingShape]]


def baseline_text(baseline: Baseline, created_at: str) -> str:
    made: BaselineShape = {
        "format_version": "1.0",
        "reconciler": __version__,
        "created_at": created_at,
        "findings": [finding_json(f) for f in baseline.findings],
        "owed": {
            name: [finding_json(f) for f in owed]
            for name, owed in baseline.pending_delivery.items()
        },
    }
    return json_text(made) + "\n"


def baseline_of(text: str) -> Baseline:
    """Raises ``ValueError`` if it is not a baseline."""
    made = parsed(text, BaselineShape)
    findings = tuple(finding_of(one) for one in made["findings"])
    owed = {name: tuple(finding_of(one) for one in many) for name, many in made["owed"].items()}
    return Baseline(findings, owed)


def finding_of(value: FindingShape) -> Finding:
    found, place = value["differences"], value["source"]
    if "causes" in value:
        causes = tuple(Cause(c["rule"], c["text"]) for c in value["causes"])
    else:  # a baseline of an earlier version has none: then what stands for its severity
        rules = {"critical": "interrupted", "warning": "differs", "info": "not-in-specs"}
        causes = (Cause(rules[value["severity"]]),)
    return Finding(
        address=Address.parse(value["address"]),
        status=value["status"],
        differences=tuple(Difference(d["path"], d["before"], d["after"]) for d in found),
        source=Location(place["file"], place["line"], place["column"]) if place else None,
        reason=value["reason"],
        transition=value["transition"],
        first_seen=value["first_seen"],
        target=value["target"],
        region=value["region"],
        causes=causes,
    )
