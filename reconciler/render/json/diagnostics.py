"""Findings about specs as JSON."""

from __future__ import annotations

from collections.abc import Iterable

from reconciler.diagnostics import Diagnostic, Location
from reconciler.render.json.types import DiagnosticShape, SourceShape


def diagnostics_json(diagnostics: Iterable[Diagnostic]) -> list[DiagnosticShape]:
    return [
        {
            "severity": d.severity,
            "code": d.code,
            "message": d.message,
            **_place(d.location),
            "suggestion": d.suggestion,
            "related": [{"message": label, **_place(place)} for label, place in d.related],
        }
        for d in diagnostics
    ]


def _place(place: Location) -> SourceShape:
    return {"file": place.file, "line": place.line, "column": place.column}
