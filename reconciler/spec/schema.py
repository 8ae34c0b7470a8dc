"""The JSON Schema of the spec format: draft-07, for editors. Resource files and the settings file
are two shapes of one schema."""

from __future__ import annotations

from typing import Any

from reconciler.spec.models import FileSpec
from reconciler.spec.settings import Settings

TITLE = "reconciler spec, version 1"


def json_schema() -> dict[str, Any]:
    definitions: dict[str, Any] = {}
    shapes = []
    for model in (FileSpec, Settings):
        schema = model.model_json_schema(ref_template="#/definitions/{model}")
        definitions.update(schema.pop("$defs", {}))
        definitions[model.__name__] = schema
        shapes.append({"$ref": f"#/definitions/{model.__name__}"})
    # Keys that begin with x- hold anchors and are passed over.
    definitions["FileSpec"]["patternProperties"] = {
        "^x-": {"description": "Ignored: a place for anchors."}
    }
    return {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "title": TITLE,
        "description": "A file of resources, or the settings in reconciler.yaml.",
        "anyOf": shapes,
        "definitions": definitions,
    }
