"""``reconciler schema``."""

from __future__ import annotations

from reconciler.cli.console import Console
from reconciler.spec.schema import json_schema


def schema() -> None:
    """Print the JSON Schema of the spec format, for editors."""
    Console(color="never").out_json(json_schema())
