"""``reconciler apply``."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from reconciler.cli import arguments as o
from reconciler.cli.apply_flow import ApplyOptions, run_apply_flow
from reconciler.cli.connection import run_ports
from reconciler.cli.panels import RUN
from reconciler.cli.progress import Quiet, planning
from reconciler.cli.reports import report_requests
from reconciler.cli.saved_plans import saved_at
from reconciler.commands.planfile import (
    growth,
    refuse_stale,
    refuse_unexpected,
    specs_digest,
)
from reconciler.plan.plan import intended
from reconciler.planner.options import PlanFlags
from reconciler.render import formats

Expect = Annotated[
    str | None,
    typer.Option(
        "--expect",
        metavar="DIGEST",
        help="Digest of the approved plan, or of its file: sha256:...",
        rich_help_panel=RUN,
    ),
]
PreflightFlag = Annotated[
    bool,
    typer.Option(
        "--preflight",
        help="Before the first change, ask AWS whether the plan's calls are allowed and the quotas "
        "suffice, and change nothing if not.",
        rich_help_panel=RUN,
    ),
]


@o.with_flags
def apply(
    context: typer.Context,
    specs: o.SpecsOrPlan = "specs",
    expect: Expect = None,
    asks_first: PreflightFlag = False,
    auto_approve: o.AutoApprove = False,
    no_input: o.NoInput = False,
    as_json: o.Json = False,
    report: o.Report = None,
    max_time: o.MaxTime = None,
    max_rps: o.MaxRps = None,
    *,
    common: o.CommonArguments,
) -> None:
    reports = report_requests(report, formats.PLAN, as_json)
    if expect is not None and not DIGEST.fullmatch(expect):
        raise typer.BadParameter(f"--expect takes sha256: and 64 hex digits, not {expect[:80]!r}")
    console = common.console()
    login = common.login(console, no_input=no_input)
    saved = saved_at(Path(specs), context, o.allowances(common.allow))
    request = common.request(specs) if saved is None else saved.request
    request = replace(request, parallelism=common.parallelism)
    ports = run_ports(login, Quiet(console), request.parallelism)
    # The patterns that a saved plan holds matched when it was made: if they no longer do, it is
    # stale.
    typed = PlanFlags(allow=o.allowances(common.allow)) if saved else None
    with reports.annotating(console):
        planned = planning(request, ports, console, typed)
    if saved:
        plan = planned.plan
        now = intended(plan.targets, plan.owner)
        refuse_stale(saved, now, plan.digest, specs_digest(planned))
    if expect is not None and (saved is None or expect != saved.file_digest):
        refuse_unexpected(expect, planned.plan)
    asks = not (saved or auto_approve)
    ends = o.duration(max_time)
    how = ApplyOptions(ports, "apply", as_json, asks, no_input, ends, reports, max_rps, asks_first)
    more = tuple(growth(saved, planned, ports.clock.now())) if saved else ()
    raise typer.Exit(run_apply_flow(planned, how, console, more))


DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
