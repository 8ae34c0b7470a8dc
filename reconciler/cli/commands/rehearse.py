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
AsPolicy = Annotated[
    list[str] | None,
    typer.Option(
        "--as-policy",
        metavar="FILE",
        help="Allow what these IAM policies allow, and nothing else: a policy as JSON, a list, or "
        "what `permissions` prints; - for standard input. Repeat for more policies of the same "
        "identity.",
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
    as_policy: AsPolicy = None,
    as_json: AsJson = False,
    *,
    common: o.CommonArguments,
) -> None:
    from reconciler.cli.runs.rehearse import run

    run(context, specs, crash, as_policy, as_json, common)
