"""The JSON Schemas of all JSON that the program prints."""

from __future__ import annotations

from typing import Any

from pydantic import TypeAdapter

from reconciler.render.json.can_types import CanShape
from reconciler.render.json.checkup_types import DoctorShape
from reconciler.render.json.event_types import Event, LogShape
from reconciler.render.json.explain_types import ExplainShape
from reconciler.render.json.graph_types import GraphShape
from reconciler.render.json.probe_types import ProbeShape
from reconciler.render.json.record_types import RecordShape
from reconciler.render.json.rehearsal_types import RehearsalShape
from reconciler.render.json.types import DiagnosticShape, DriftShape, PlanShape
from reconciler.render.json.verify_types import VerifyShape

PRINTED: dict[str, Any] = {
    "plan": PlanShape,
    "drift": DriftShape,
    "explain": ExplainShape,
    "graph": GraphShape,
    "verify": VerifyShape,
    "apply": Event,
    "diagnostics": list[DiagnosticShape],
    "log": LogShape,
    "doctor": DoctorShape,
    "rehearse": RehearsalShape,
    "record": RecordShape,
    "can": CanShape,
    "probe": ProbeShape,
}
"""By the name that ``schema`` takes; ``apply`` and ``log`` are one line."""
_TITLES = {
    "plan": "reconciler plan --json",
    "drift": "reconciler drift --json",
    "explain": "reconciler explain --json",
    "graph": "reconciler graph --format json",
    "verify": "reconciler verify --json",
    "apply": "a line of reconciler apply --json",
    "diagnostics": "reconciler validate --format json",
    "log": "a line of --log-file",
    "doctor": "reconciler doctor --json",
    "rehearse": "reconciler rehearse --json",
    "record": "reconciler apply --record",
    "can": "reconciler can --json",
    "probe": "reconciler probe --json",
}


def schema_of(name: str) -> dict[str, Any]:
    """JSON Schema, draft 2020-12. Raises ``KeyError`` for another name."""
    made = TypeAdapter(PRINTED[name]).json_schema(ref_template="#/$defs/{model}")
    start = {"$schema": "https://json-schema.org/draft/2020-12/schema"}
    return {**start, **made, "title": _TITLES[name]}
