"""JSON Schemas of all that is printed as JSON, made from its shapes."""

from __future__ import annotations

from typing import Any

from pydantic import TypeAdapter

from reconciler.render.json.types import DiagnosticShape, DriftShape, Event, PlanShape

PRINTED: dict[str, Any] = {
    "plan": PlanShape,
    "drift": DriftShape,
    "apply": Event,
    "diagnostics": list[DiagnosticShape],
}
"""By the name that ``schema`` takes; ``apply`` is one line."""


def schema_of(name: str) -> dict[str, Any]:
    """JSON Schema, draft 2020-12. Raises ``KeyError`` for another name."""
    made = TypeAdapter(PRINTED[name]).json_schema(ref_template="#/$defs/{model}")
    titles = {
        "plan": "reconciler plan --json",
        "drift": "reconciler drift --json",
        "apply": "a line of reconciler apply --json",
        "diagnostics": "reconciler validate --format json",
    }
    start = {"$schema": "https://json-schema.org/draft/2020-12/schema"}
    return {**start, **made, "title": titles[name]}
