"""``reconciler plan``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from reconciler.cli import arguments as o
from reconciler.cli.panels import OUTPUT, SCOPE
from reconciler.drift.severity import Severity

Out = Annotated[
    Path | None,
    typer.Option("--out", metavar="FILE", help="Save the plan as JSON.", rich_help_panel=OUTPUT),
]
Detailed = Annotated[
    bool,
    typer.Option(
        "--detailed-exitcode", help="Exit with 2 if there are changes.", rich_help_panel=OUTPUT
    ),
]
FailOn = Annotated[
    Severity | None,
    typer.Option(
        "--fail-on",
        help="Exit with 2 if the plan has something of this severity or higher: critical is a "
        "change that widens who may assume a role or what it may do, warning any warning, info "
        "any change.",
        rich_help_panel=OUTPUT,
    ),
]

AccessAnalyzer = Annotated[
    bool,
    typer.Option(
        "--access-analyzer",
        help="Also ask AWS's Access Analyzer about the policies that the plan writes: what it "
        "finds in them, and whether changed ones allow more than before, for which AWS charges.",
        rich_help_panel=SCOPE,
    ),
]


@o.with_flags
def plan(
    specs: o.Specs = "specs",
    out: Out = None,
    as_json: o.Json = False,
    report: o.Report = None,
    detailed_exitcode: Detailed = False,
    fail_on: FailOn = None,
    access_analyzer: AccessAnalyzer = False,
    *,
    common: o.CommonArguments,
) -> None:
    from reconciler.cli.runs.plan import run

    run(specs, out, as_json, report, detailed_exitcode, fail_on, access_analyzer, common)
