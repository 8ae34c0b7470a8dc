"""What ``reconciler schema`` does."""

from __future__ import annotations

from reconciler.cli.commands.schema import Of
from reconciler.cli.console import Console
from reconciler.render.json.schemas import schema_of
from reconciler.spec.schema import json_schema


def run(
    of: Of,
) -> None:
    made = json_schema() if of is Of.specs else schema_of(of.value)
    Console(color="never").out_json(made)
