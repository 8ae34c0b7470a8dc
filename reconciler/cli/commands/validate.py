"""``reconciler validate``."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer

from reconciler.cli.arguments import Color, ColorFlag, QuietFlag, Specs, Var
from reconciler.cli.completion import reports
from reconciler.cli.panels import OUTPUT, SCOPE


class ValidateFormat(StrEnum):
    """Output formats."""

    full = "full"
    concise = "concise"
    json = "json"
    github = "github"
    gitlab = "gitlab"
    sarif = "sarif"
    junit = "junit"


FormatFlag = Annotated[
    ValidateFormat,
    typer.Option("--format", help="Output format of the findings.", rich_help_panel=OUTPUT),
]
ReportFlag = Annotated[
    list[str] | None,
    typer.Option(
        "--report",
        metavar="FORMAT=PATH",
        help="Also write findings to a file; repeat for more.",
        rich_help_panel=OUTPUT,
        autocompletion=reports,
    ),
]

Lint = Annotated[
    bool,
    typer.Option(
        "--lint",
        help="Also compare policies with AWS's list of actions and condition keys: what does not "
        "exist, or does not go together. Needs reconciler[lint] to be installed.",
        rich_help_panel=SCOPE,
    ),
]


def validate(
    specs: Specs = "specs",
    output: FormatFlag = ValidateFormat.full,
    report: ReportFlag = None,
    var: Var = None,
    lint: Lint = False,
    color: ColorFlag = Color.auto,
    quiet: QuietFlag = False,
) -> None:
    from reconciler.cli.runs.validate import run

    run(specs, output, report, var, lint, color, quiet)
