"""``reconciler apply``."""

from __future__ import annotations

from typing import Annotated

import typer

from reconciler.cli import arguments as o
from reconciler.cli.panels import RUN

Expect = Annotated[
    str | None,
    typer.Option(
        "--expect",
        metavar="DIGEST",
        help="Digest of the approved plan, or of its file: sha256:...",
        rich_help_panel=RUN,
    ),
]


@o.with_flags
def apply(
    context: typer.Context,
    specs: o.SpecsOrPlan = "specs",
    expect: Expect = None,
    asks_first: o.PreflightFlag = False,
    auto_approve: o.AutoApprove = False,
    no_input: o.NoInput = False,
    as_json: o.Json = False,
    report: o.Report = None,
    max_time: o.MaxTime = None,
    max_rps: o.MaxRps = None,
    check: o.Check = None,
    record: o.Record = None,
    *,
    common: o.CommonArguments,
) -> None:
    from reconciler.cli.runs.apply import run

    run(
        context,
        specs,
        expect,
        asks_first,
        auto_approve,
        no_input,
        as_json,
        report,
        max_time,
        max_rps,
        check,
        record,
        common,
    )
