"""``reconciler plan``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from reconciler.cli import arguments as o
from reconciler.cli.connection import run_ports
from reconciler.cli.files import write_whole
from reconciler.cli.panels import OUTPUT
from reconciler.cli.progress import Quiet, planning
from reconciler.cli.reports import report_requests
from reconciler.commands.plan import Planned
from reconciler.drift.causes import SEVERITIES, Severity
from reconciler.exit_codes import ExitCode
from reconciler.render import formats
from reconciler.render.formats import as_text
from reconciler.render.json.plan import now_as_text, plan_json
from reconciler.render.text.look import Look
from reconciler.render.text.plan import plan_lines

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


@o.with_flags
def plan(
    specs: o.Specs = "specs",
    out: Out = None,
    as_json: o.Json = False,
    report: o.Report = None,
    detailed_exitcode: Detailed = False,
    fail_on: FailOn = None,
    *,
    common: o.CommonArguments,
) -> None:
    request = common.request(specs)
    reports = report_requests(report, formats.PLAN, as_json)
    console = common.console()
    login = common.login(console)
    ports = run_ports(login, Quiet(console), request.parallelism)
    with reports.annotating(console):
        planned = planning(request, ports, console)
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
    return ExitCode.DIFFERENCES if is_told or _weighs(planned, fail_on) else ExitCode.OK


def _weighs(planned: Planned, lowest: Severity | None) -> bool:
    """Whether something in the plan is of that severity or higher."""
    if lowest is None or planned.severity is None:
        return False
    return SEVERITIES.index(planned.severity) <= SEVERITIES.index(lowest)
