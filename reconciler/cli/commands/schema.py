"""``reconciler schema``."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer

from reconciler.cli.console import Console
from reconciler.render.json.schemas import schema_of
from reconciler.spec.schema import json_schema


class Of(StrEnum):
    """Documents that have a schema."""

    specs = "specs"
    plan = "plan"
    drift = "drift"
    explain = "explain"
    graph = "graph"
    apply = "apply"
    diagnostics = "diagnostics"
    log = "log"
    doctor = "doctor"


OfFlag = Annotated[
    Of, typer.Option("--of", help="The spec format, or the JSON output of a command.")
]


def schema(of: OfFlag = Of.specs) -> None:
    made = json_schema() if of is Of.specs else schema_of(of.value)
    Console(color="never").out_json(made)
