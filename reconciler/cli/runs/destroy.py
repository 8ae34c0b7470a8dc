"""What ``reconciler destroy`` does."""

from __future__ import annotations

from dataclasses import replace

import typer

from reconciler.cli.apply_flow import ApplyOptions, run_apply_flow
from reconciler.cli.arguments import CommonArguments
from reconciler.cli.connection import run_ports
from reconciler.cli.given import console_of, duration, login_of, request_of
from reconciler.cli.progress import Quiet, planning
from reconciler.cli.reports import report_requests
from reconciler.render import formats


def run(
    specs: str,
    auto_approve: bool,
    no_input: bool,
    as_json: bool,
    report: list[str] | None,
    max_time: str | None,
    max_rps: float | None,
    common: CommonArguments,
) -> None:
    request = replace(request_of(common, specs), destroy=True)
    reports = report_requests(report, formats.PLAN, as_json)
    console = console_of(common)
    login = login_of(common, console, no_input=no_input)
    ports = run_ports(login, Quiet(console), request.parallelism)
    with reports.annotating(console):
        planned = planning(request, ports, console)
    asks, ends = not auto_approve, duration(max_time)
    how = ApplyOptions(ports, "destroy", as_json, asks, no_input, ends, reports, max_rps)
    raise typer.Exit(run_apply_flow(planned, how, console, ()))
