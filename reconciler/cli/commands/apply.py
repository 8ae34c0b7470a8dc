"""``reconciler apply``."""

from __future__ import annotations

import re
import time
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from reconciler.cli import arguments as o
from reconciler.cli.apply_flow import ApplyOptions, run_apply_flow
from reconciler.cli.commands.plan import planning_in
from reconciler.cli.connect import run_ports
from reconciler.cli.console import Console
from reconciler.cli.files import saved_plan
from reconciler.cli.progress import Quiet
from reconciler.cli.reports import wanted_of
from reconciler.commands.plan import Planned
from reconciler.commands.planfile import (
    Saved,
    growth,
    refuse_stale,
    refuse_unexpected,
    saved_from,
    specs_digest,
)
from reconciler.plan.plan import intended
from reconciler.render import formats

SpecsOrPlan = Annotated[
    str,
    typer.Argument(
        help="File or folder of specs, or a plan that was saved.", envvar="RECONCILER_SPECS"
    ),
]
Expect = Annotated[
    str | None,
    typer.Option(
        "--expect", help="Digest of the plan that was approved, or of its file: sha256:..."
    ),
]


def apply(
    context: typer.Context,
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
    wanted = wanted_of(report, formats.PLAN, as_json)
    if expect is not None and not DIGEST.fullmatch(expect):
        raise typer.BadParameter(f"--expect takes sha256: and 64 digits, not {expect[:80]!r}")
    saved = _saved(Path(specs), context, o.allowances(allow))
    request = o.request_of(locals()) if saved is None else saved.request
    request = replace(request, parallelism=parallelism)
    login = o.Login(profile, endpoint_url, tuple(region or ()), no_input)
    console = Console(color.value, quiet, verbose)
    made = run_ports(login, Quiet(console), request.parallelism)
    planned = planning_in(made, request, console)
    if saved:
        _compare(saved, planned)
    if expect is not None and (saved is None or expect != saved.file_digest):
        refuse_unexpected(expect, planned.plan)
    asks = not (saved or auto_approve)
    how = ApplyOptions(made, "apply", as_json, asks, no_input, o.duration(max_time), wanted)
    more = tuple(growth(saved, planned, time.time())) if saved else ()
    raise typer.Exit(run_apply_flow(planned, how, console, more))


DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
_OF_A_PLAN = (
    "target",
    "only",
    "exclude",
    "region",
    "owner",
    "prune",
    "adopt",
    "take_over",
    "refresh_adopted",
    "var",
)
"""Flags that a saved plan holds, by the names of their arguments."""


def _saved(path: Path, context: typer.Context, allow: frozenset[tuple[str, str]]) -> Saved | None:
    """The saved plan, where one is given in place of specs, with what is allowed now: that more
    instances are touched. It holds its own flags; what the environment says for plans is said in
    it."""
    if path.suffix in (".yaml", ".yml") or not path.is_file():
        return None
    if o.typed(context, _OF_A_PLAN) or any(key != "growth" for key, _ in allow):
        message = "a saved plan holds its flags; give it none but how to reach AWS, --max-time, "
        raise typer.BadParameter(f"{message}--expect and --allow growth=")
    saved = saved_from(saved_plan(path), str(path))
    return replace(saved, request=replace(saved.request, allow=saved.request.allow | allow))


def _compare(saved: Saved, planned: Planned) -> None:
    now = intended(planned.plan.targets, planned.plan.owner)
    refuse_stale(saved, now, planned.plan.digest, specs_digest(planned))
