"""``reconciler apply``."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from reconciler.cli import options as o
from reconciler.cli.carry_out import How, carry_out
from reconciler.cli.connect import world
from reconciler.cli.console import Console
from reconciler.cli.plan import planning_in
from reconciler.cli.progress import Quiet
from reconciler.cli.reports import wanted_of
from reconciler.commands.plan import Planned
from reconciler.commands.request import Request
from reconciler.commands.saved import (
    Saved,
    growth,
    load_saved,
    refuse_stale,
    refuse_unexpected,
    specs_digest,
)
from reconciler.plan import intended
from reconciler.report import formats

SpecsOrPlan = Annotated[
    str,
    typer.Argument(
        help="File or folder of specs, or a plan that was saved.", envvar="RECONCILER_SPECS"
    ),
]
Expect = Annotated[
    str | None, typer.Option("--expect", help="Digest of the plan that was approved: sha256:...")
]


def apply(
    specs: SpecsOrPlan = "specs",
    expect: Expect = None,
    auto_approve: o.AutoApprove = False,
    no_input: o.NoInput = False,
    as_json: o.Json = False,
    report: o.Report = None,
    max_time: o.MaxTime = None,
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
    """Plan, ask, apply, and plan again: what is left is reported."""
    request = o.request_of(locals())
    login = o.Login(profile, endpoint_url, tuple(region or ()), no_input)
    wanted = wanted_of(report, formats.PLAN, as_json)
    console = Console(color.value, quiet, verbose)
    saved = _saved(request)
    made = world(login, Quiet(console), request.parallelism)
    planned = planning_in(made, _of_saved(saved, request) if saved else request, console)
    if saved:
        _compare(saved, planned)
    if expect is not None:
        refuse_unexpected(expect, planned.plan)
    asks = not (saved or auto_approve)
    how = How(made, "apply", as_json, asks, no_input, o.duration(max_time), wanted)
    more = tuple(growth(saved, planned, time.time())) if saved else ()
    raise typer.Exit(carry_out(planned, how, console, more))


def _saved(request: Request) -> Saved | None:
    """The saved plan, where one is given in place of specs. It holds its own flags."""
    path = Path(request.path)
    if path.suffix in (".yaml", ".yml") or not path.is_file():
        return None
    bare = Request(path=request.path, parallelism=request.parallelism, allow=request.allow)
    if request != bare or any(key != "growth" for key, _ in request.allow):
        message = "a saved plan holds its flags; give it none but how to reach AWS, --max-time, "
        raise typer.BadParameter(f"{message}--expect and --allow growth=")
    return load_saved(path)


def _of_saved(saved: Saved, request: Request) -> Request:
    """What was asked then, with what is allowed now: that more instances are touched."""
    return replace(
        saved.request,
        allow=saved.request.allow | request.allow,
        parallelism=request.parallelism,
    )


def _compare(saved: Saved, planned: Planned) -> None:
    now = intended(planned.plan.targets, planned.plan.owner)
    refuse_stale(saved, now, planned.plan.digest, specs_digest(planned))
