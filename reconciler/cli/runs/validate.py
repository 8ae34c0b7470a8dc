"""What ``reconciler validate`` does."""

from __future__ import annotations

from functools import partial

import typer

from reconciler.cli.arguments import Color
from reconciler.cli.commands.validate import ValidateFormat
from reconciler.cli.console import Console
from reconciler.cli.given import pairs
from reconciler.cli.reports import ReportRequests, report_requests, repository
from reconciler.diagnostics import has_errors
from reconciler.exit_codes import ExitCode
from reconciler.lint.catalog import catalog
from reconciler.lint.statements import findings
from reconciler.render.formats import VALIDATE, ValidateReport
from reconciler.render.styled_text import Piece
from reconciler.render.text.diagnostics import concise, count, full
from reconciler.spec.desired import SpecSet
from reconciler.spec.loader import read, validated

_FOR_PEOPLE = (ValidateFormat.full, ValidateFormat.concise)


def run(
    specs: str,
    output: ValidateFormat,
    report: list[str] | None,
    var: list[str] | None,
    lint: bool,
    color: Color,
    quiet: bool,
) -> None:
    requests = report_requests(report, VALIDATE, output not in _FOR_PEOPLE)
    console = Console(color=color.value, quiet=quiet)
    linter = partial(findings, catalog=catalog()) if lint else None
    spec = validated(read(specs), pairs(var, "--var"), linter)
    subject = ValidateReport(spec.diagnostics, spec.sources, repository(specs))
    _show(spec, subject, output, requests, console)
    requests.write(VALIDATE, subject, console)
    raise typer.Exit(ExitCode.ERROR if has_errors(spec.diagnostics) else ExitCode.OK)


def _show(
    spec: SpecSet,
    subject: ValidateReport,
    output: ValidateFormat,
    reports: ReportRequests,
    console: Console,
) -> None:
    if output not in _FOR_PEOPLE:
        console.out_text(VALIDATE[output.value](subject))
        return
    if reports.shows_text:
        is_full = output is ValidateFormat.full
        found = spec.diagnostics
        console.out(full(found, spec.sources) if is_full else concise(found))
    found_in_words = count(spec.diagnostics)
    if has_errors(spec.diagnostics):
        console.note(Piece(f"{found_in_words}.", "bold red"))
        return
    noun = "resource" if spec.desired.size == 1 else "resources"
    more = f" with {found_in_words}" if found_in_words else ""
    console.note(Piece("Valid: ", "bold green"), f"{spec.desired.size} {noun}{more}.")
