"""``reconciler apply``."""

from __future__ import annotations

from typing import Annotated

import typer

from reconciler.cli import arguments as o
from reconciler.cli.panels import OUTPUT, RUN

Expect = Annotated[
    str | None,
    typer.Option(
        "--expect",
        metavar="DIGEST",
        help="Digest of the approved plan, or of its file: sha256:...",
        rich_help_panel=RUN,
    ),
]
PreflightFlag = Annotated[
    bool,
    typer.Option(
        "--preflight",
        help="Before the first change, ask AWS whether the plan's calls are allowed and the quotas "
        "suffice, and change nothing if not.",
        rich_help_panel=RUN,
    ),
]


Check = Annotated[
    str | None,
    typer.Option(
        "--check",
        metavar="COMMAND",
        help="Run this command after each batch of a cut-over; the batch fails if it ends with "
        "another exit code than 0.",
        rich_help_panel=RUN,
    ),
]
Record = Annotated[
    list[str] | None,
    typer.Option(
        "--record",
        metavar="FILE|s3://BUCKET/KEY",
        help="Write what became of each cut-over and instance, as JSON, or as Markdown if the name "
        "ends in .md; repeat for both.",
        rich_help_panel=OUTPUT,
    ),
]


@o.with_flags
def apply(
    context: typer.Context,
    specs: o.SpecsOrPlan = "specs",
    expect: Expect = None,
    asks_first: PreflightFlag = False,
    auto_approve: o.AutoApprove = False,
    no_input: o.NoInput = False,
    as_json: o.Json = False,
    report: o.Report = None,
    max_time: o.MaxTime = None,
    max_rps: o.MaxRps = None,
    check: Check = None,
    record: Record = None,
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
