"""What ``reconciler plan`` does."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import typer

from reconciler.cli.arguments import CommonArguments
from reconciler.cli.connection import run_ports
from reconciler.cli.files import write_whole
from reconciler.cli.given import console_of, login_of, request_of
from reconciler.cli.progress import Quiet, planning
from reconciler.cli.reports import report_requests
from reconciler.commands.analysis import analyzed
from reconciler.commands.planned import Planned
from reconciler.drift.severity import SEVERITIES, Severity
from reconciler.exit_codes import ExitCode
from reconciler.render import formats
from reconciler.render.formats import as_text
from reconciler.render.json.plan import now_as_text, plan_json
from reconciler.render.text.look import Look
from reconciler.render.text.plan import plan_lines


def run(
    specs: str,
    out: Path | None,
    as_json: bool,
    report: list[str] | None,
    detailed_exitcode: bool,
    fail_on: Severity | None,
    access_analyzer: bool,
    common: CommonArguments,
) -> None:
    request = request_of(common, specs)
    reports = report_requests(report, formats.PLAN, as_json)
    console = console_of(common)
    login = login_of(common, console)
    ports = run_ports(login, Quiet(console), request.parallelism)
    then = None
    if access_analyzer:
        then = partial(analyzed, parallelism=request.parallelism, targets=ports.target_parallelism)
    with reports.annotating(console):
        planned = planning(request, ports, console, then=then)
    is_read = as_json or out is not None or bool(reports.reports)
    document = plan_json(planned, now_as_text()) if is_read else None
    if as_json:
        console.out_json(document)
    elif reports.shows_text:
        console.out(plan_lines(planned.plan, Look(console.unicode, console.verbose > 0)))
    if out is not None and document is not None:
        write_whole(out, as_text(document))
    reports.write_plan(planned, console, document=document)
    raise typer.Exit(_exit_code(planned, detailed_exitcode, fail_on))


def _exit_code(planned: Planned, detailed: bool, fail_on: Severity | None) -> ExitCode:
    plan = planned.plan
    if plan.conflicts:
        return ExitCode.UNDECIDED
    if not plan.is_whole:
        return ExitCode.ERROR
    is_told = detailed and not plan.is_empty
    if fail_on is not None and planned.severity is not None:
        is_told |= SEVERITIES.index(planned.severity) <= SEVERITIES.index(fail_on)
    return ExitCode.DIFFERENCES if is_told else ExitCode.OK
