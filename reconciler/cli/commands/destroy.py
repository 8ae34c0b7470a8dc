"""``reconciler destroy``."""

from __future__ import annotations

from dataclasses import replace

import typer

from reconciler.cli import arguments as o
from reconciler.cli.apply_flow import ApplyOptions, run_apply_flow
from reconciler.cli.commands.plan import planning_in
from reconciler.cli.connect import run_ports
from reconciler.cli.console import Console
from reconciler.cli.progress import Quiet
from reconciler.cli.reports import wanted_of
from reconciler.render import formats


def destroy(
    specs: o.Specs = "specs",
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
    allow: o.Allow = None,
    var: o.Var = None,
    parallelism: o.Parallelism = 10,
    quiet: o.QuietFlag = False,
    verbose: o.Verbose = 0,
    color: o.ColorFlag = o.Color.auto,
) -> None:
    """Delete everything that the owner has, as a plan with the same guards."""
    request = replace(o.request_of(locals()), destroy=True)
    login = o.Login(profile, endpoint_url, tuple(region or ()), no_input)
    wanted = wanted_of(report, formats.PLAN, as_json)
    console = Console(color.value, quiet, verbose)
    made = run_ports(login, Quiet(console), request.parallelism)
    planned = planning_in(made, request, console)
    how = ApplyOptions(
        made, "destroy", as_json, not auto_approve, no_input, o.duration(max_time), wanted
    )
    raise typer.Exit(run_apply_flow(planned, how, console, ()))
