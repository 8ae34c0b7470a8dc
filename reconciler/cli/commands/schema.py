"""``reconciler schema``."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer


class Of(StrEnum):
    """Documents that have a schema."""

    specs = "specs"
    plan = "plan"
    drift = "drift"
    explain = "explain"
    graph = "graph"
    verify = "verify"
    apply = "apply"
    diagnostics = "diagnostics"
    log = "log"
    doctor = "doctor"
    rehearse = "rehearse"
    record = "record"
    can = "can"
    probe = "probe"


OfFlag = Annotated[
    Of, typer.Option("--of", help="The spec format, or the JSON output of a command.")
]


def schema(of: OfFlag = Of.specs) -> None:
    from reconciler.cli.runs.schema import run

    run(of)
