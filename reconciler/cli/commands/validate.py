"""``reconciler validate``."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer

from reconciler.cli.arguments import Color, ColorFlag, QuietFlag, Specs, Var, pairs
from reconciler.cli.completion import reports
from reconciler.cli.console import Console
from reconciler.cli.panels import OUTPUT
from reconciler.cli.reports import ReportRequests, report_requests, repository
from reconciler.diagnostics import has_errors
from reconciler.exit_codes import ExitCode
from reconciler.render.formats import VALIDATE, ValidateReport
from reconciler.render.styled_text import Piece
from reconciler.render.text.diagnostics import concise, count, full
from reconciler.spec.desired import SpecSet
from reconciler.spec.loader import read, validated


class Format(StrEnum):
    """Output formats."""

    full = "full"
    concise = "concise"
    json = "json"
    github = "github"
    gitlab = "gitlab"
    sarif = "sarif"
    junit = "junit"


FormatFlag = Annotated[
    Format,
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
_FOR_PEOPLE = (Format.full, Format.concise)


def validate(
    specs: Specs = "specs",
    output: FormatFlag = Format.full,
    report: ReportFlag = None,
    var: Var = None,
    color: ColorFlag = Color.auto,
    quiet: QuietFlag = False,
) -> None:
    requests = report_requests(report, VALIDATE, output not in _FOR_PEOPLE)
    console = Console(color=color.value, quiet=quiet)
    spec = validated(read(specs), pairs(var, "--var"))
    subject = ValidateReport(spec.diagnostics, spec.sources, repository(specs))
    _show(spec, subject, output, requests, console)
    requests.write(VALIDATE, subject, console)
    raise typer.Exit(ExitCode.ERROR if has_errors(spec.diagnostics) else ExitCode.OK)


def _show(
    spec: SpecSet,
    subject: ValidateReport,
    output: Format,
    reports: ReportRequests,
    console: Console,
) -> None:
    if output not in _FOR_PEOPLE:
        console.out_text(VALIDATE[output.value](subject))
        return
    if reports.shows_text:
        is_full = output is Format.full
        found = spec.diagnostics
        console.out(full(found, spec.sources) if is_full else concise(found))
    found_in_words = count(spec.diagnostics)
    if has_errors(spec.diagnostics):
        console.note(Piece(f"{found_in_words}.", "bold red"))
        return
    noun = "resource" if spec.desired.size == 1 else "resources"
    more = f" with {found_in_words}" if found_in_words else ""
    console.note(Piece("Valid: ", "bold green"), f"{spec.desired.size} {noun}{more}.")
