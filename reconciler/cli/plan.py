"""``reconciler plan``."""

from __future__ import annotations

import json
import os
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from reconciler.cli import options as o
from reconciler.cli.connect import world
from reconciler.cli.console import Console
from reconciler.cli.progress import Live, progress_for
from reconciler.commands.plan import Planned, make_plan
from reconciler.commands.request import Request
from reconciler.commands.saved import request_json, specs_digest
from reconciler.exit_codes import ExitCode
from reconciler.plan import Plan
from reconciler.report.diagnostics_text import full
from reconciler.report.plan_json import plan_json
from reconciler.report.plan_text import Look, plan_lines
from reconciler.report.shapes import PlanShape

Out = Annotated[Path | None, typer.Option("--out", help="Save the plan as JSON.")]
Detailed = Annotated[
    bool, typer.Option("--detailed-exitcode", help="Exit with 2 when there are changes.")
]


def plan(
    specs: o.Specs = "specs",
    out: Out = None,
    as_json: o.Json = False,
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
    console = Console(color.value, quiet, verbose)
    planned = planning(request, login, console)
    if as_json:
        console.out_json(document(planned))
    else:
        console.out(plan_lines(planned.plan, Look(console.unicode, verbose > 0)))
    if out is not None:
        save(planned, out)
    raise typer.Exit(_exit_code(planned.plan, detailed_exitcode))


def _exit_code(plan: Plan, detailed: bool) -> ExitCode:
    if plan.conflicts:
        return ExitCode.UNDECIDED
    if plan.unread:
        return ExitCode.ERROR
    return ExitCode.DIFFERENCES if detailed and not plan.is_empty else ExitCode.OK


def planning(request: Request, login: o.Login, console: Console) -> Planned:
    """The plan, with progress shown while AWS is read and warnings after."""
    progress = progress_for(console)
    try:
        planned = make_plan(request, world(login, progress, request.parallelism))
    finally:
        if isinstance(progress, Live):
            progress.stop()
    console.err(*full(planned.diagnostics, planned.sources))
    return planned


def document(planned: Planned) -> PlanShape:
    """The plan, with what it takes to make it again."""
    now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return plan_json(planned.plan, now, request_json(planned.request), specs_digest(planned))


def save(planned: Planned, path: Path) -> None:
    """Whole or not at all: a plan that was cut off must not look like one. A pipe or a device is
    written to, not replaced by a file."""
    text = json.dumps(document(planned), indent=2, ensure_ascii=False) + "\n"
    try:
        if path.exists() and not path.is_file():
            path.write_text(text, "utf-8")
        else:
            _replace(path, text)
    except OSError as error:
        # The file that could not be written may be one that nobody has heard of.
        raise OSError(error.errno, error.strerror, str(path)) from error


def _replace(path: Path, text: str) -> None:
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
