"""The file that a drift leaves for the next one."""

from __future__ import annotations

from typing import Any

from pydantic import with_config
from typing_extensions import TypedDict

from reconciler import __version__
from reconciler.diagnostics import Location
from reconciler.drift.baseline import Baseline
from reconciler.drift.findings import Finding
from reconciler.model.address import Address
from reconciler.plan.changes import Difference
from reconciler.render.json.drift import finding_json
from reconciler.render.json.encode import json_text, parsed
from reconciler.render.json.types import CLOSED, FindingShape, SourceShape


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
    findings = tuple(_finding(one) for one in made["findings"])
    owed = {name: tuple(_finding(one) for one in many) for name, many in made["owed"].items()}
    return Baseline(findings, owed)


def _finding(value: FindingShape) -> Finding:
    return Finding(
        address=Address.parse(value["address"]),
        status=value["status"],
        differences=tuple(_difference(one) for one in value["differences"]),
        source=_source(value["source"]),
        reason=value["reason"],
        transition=value["transition"],
        first_seen=value["first_seen"],
        target=value["target"],
        region=value["region"],
        was_interrupted=value["severity"] == "critical",
    )


def _difference(value: Any) -> Difference:
    return Difference(value["path"], value["before"], value["after"])


def _source(value: SourceShape | None) -> Location | None:
    return Location(value["file"], value["line"], value["column"]) if value else None
