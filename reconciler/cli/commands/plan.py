"""``reconciler plan``."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from reconciler.cli import arguments as o
from reconciler.cli.connect import run_ports
from reconciler.cli.console import Console
from reconciler.cli.files import write_whole
from reconciler.cli.progress import Live, Quiet, progress_for
from reconciler.cli.reports import wanted_of
from reconciler.commands.plan import Planned, make_plan
from reconciler.commands.request import Request, RunPorts
from reconciler.exit_codes import ExitCode
from reconciler.plan.plan import Plan
from reconciler.render import formats
from reconciler.render.formats import as_text
from reconciler.render.json.plan import now_as_text, plan_json
from reconciler.render.text.diagnostics import full
from reconciler.render.text.plan import Look, plan_lines

Out = Annotated[Path | None, typer.Option("--out", help="Save the plan as JSON.")]
Detailed = Annotated[
    bool, typer.Option("--detailed-exitcode", help="Exit with 2 when there are changes.")
]


def plan(
    specs: o.Specs = "specs",
    out: Out = None,
    as_json: o.Json = False,
    report: o.Report = None,
    detailed_exitcode: Detailed = False,
    target: o.Target = None,
    only: o.Only = None,
    exclude: o.Exclude = None,
    region: o.Region = None,
    profile: o.Profile = None,
    endpoint_url: o.EndpointUrl = None,
    owner: o.Owner = None,
    prune: o.Prune = None,
    adopt: o.Adopt = False,
    take_over: o.TakeOver = False,
    refresh_adopted: o.RefreshAdopted = False,
    allow: o.Allow = None,
    var: o.Var = None,
    parallelism: o.Parallelism = 10,
    quiet: o.QuietFlag = False,
    verbose: o.Verbose = 0,
    color: o.ColorFlag = o.Color.auto,
) -> None:
    """Show what apply would do. Reads only."""
    request, login = o.request_of(locals()), o.Login(profile, endpoint_url, tuple(region or ()))
    wanted = wanted_of(report, formats.PLAN, as_json)
    console = Console(color.value, quiet, verbose)
    planned = planning(request, login, console)
    document = plan_json(planned, now_as_text())
    if as_json:
        console.out_json(document)
    elif wanted.shows_text:
        console.out(plan_lines(planned.plan, Look(console.unicode, verbose > 0)))
    if out is not None:
        write_whole(out, as_text(document))
    wanted.write_plan(planned, console, document=document)
    raise typer.Exit(_exit_code(planned.plan, detailed_exitcode))


def _exit_code(plan: Plan, detailed: bool) -> ExitCode:
    if plan.conflicts:
        return ExitCode.UNDECIDED
    if plan.unread:
        return ExitCode.ERROR
    return ExitCode.DIFFERENCES if detailed and not plan.is_empty else ExitCode.OK


def planning(request: Request, login: o.Login, console: Console) -> Planned:
    """The plan, with progress shown while AWS is read and warnings after."""
    return planning_in(run_ports(login, Quiet(console), request.parallelism), request, console)


def planning_in(made: RunPorts, request: Request, console: Console) -> Planned:
    """The same in a world that is used again: to carry the plan out."""
    progress = progress_for(console)
    try:
        planned = make_plan(request, replace(made, progress=progress))
    finally:
        if isinstance(progress, Live):
            progress.stop()
    console.err(*full(planned.diagnostics, planned.sources))
    return planned
