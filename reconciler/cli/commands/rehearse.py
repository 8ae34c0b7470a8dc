"""``reconciler rehearse``."""

from __future__ import annotations

from typing import Annotated

import typer

from reconciler.cli import arguments as o
from reconciler.cli.panels import OUTPUT, RUN

Crash = Annotated[
    bool,
    typer.Option(
        "--crash",
        help="Also kill the apply after each of its writes, and apply again.",
        rich_help_panel=RUN,
    ),
]
AsJson = Annotated[
    bool,
    typer.Option("--json", help="Print the result as JSON.", rich_help_panel=OUTPUT),
]


@o.with_flags
def rehearse(
    context: typer.Context,
    specs: o.SpecsOrPlan = "specs",
    crash: Crash = False,
    as_json: AsJson = False,
    *,
    common: o.CommonArguments,
) -> None:
    from reconciler.cli.runs.rehearse import run

    run(context, specs, crash, as_json, common)
