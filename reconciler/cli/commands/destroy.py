"""``reconciler destroy``."""

from __future__ import annotations

from dataclasses import replace

import typer

from reconciler.cli import arguments as o
from reconciler.cli.apply_flow import ApplyOptions, run_apply_flow
from reconciler.cli.connection import run_ports
from reconciler.cli.progress import Quiet, planning
from reconciler.cli.reports import report_requests
from reconciler.render import formats


@o.with_flags
def destroy(
    specs: o.Specs = "specs",
    auto_approve: o.AutoApprove = False,
    no_input: o.NoInput = False,
    as_json: o.Json = False,
    report: o.Report = None,
    max_time: o.MaxTime = None,
    max_rps: o.MaxRps = None,
    *,
    common: o.CommonArguments,
) -> None:
    request = replace(common.request(specs), destroy=True)
    reports = report_requests(report, formats.PLAN, as_json)
    console = common.console()
    login = common.login(console, no_input=no_input)
    ports = run_ports(login, Quiet(console), request.parallelism)
    with reports.annotating(console):
        planned = planning(request, ports, console)
    asks, ends = not auto_approve, o.duration(max_time)
    how = ApplyOptions(ports, "destroy", as_json, asks, no_input, ends, reports, max_rps)
    raise typer.Exit(run_apply_flow(planned, how, console, ()))
