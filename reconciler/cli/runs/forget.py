"""What ``reconciler forget`` does."""

from __future__ import annotations

from dataclasses import replace

import typer

from reconciler.cli.apply_flow import ApplyOptions, run_apply_flow
from reconciler.cli.arguments import CommonArguments
from reconciler.cli.connection import run_ports
from reconciler.cli.given import console_of, login_of, request_of
from reconciler.cli.progress import Quiet, planning
from reconciler.cli.reports import report_requests
from reconciler.render import formats
from reconciler.render.leaving import leaving_for_terraform


def run(
    addresses: list[str],
    specs: str,
    auto_approve: bool,
    no_input: bool,
    as_json: bool,
    report: list[str] | None,
    common: CommonArguments,
) -> None:
    request = replace(request_of(common, specs), forget=tuple(addresses))
    reports = report_requests(report, formats.FORGET, as_json)
    console = console_of(common)
    login = login_of(common, console, no_input=no_input)
    ports = run_ports(login, Quiet(console), request.parallelism)
    with reports.annotating(console):
        planned = planning(request, ports, console, keeps_context=True)
    blocks, reports = reports.apart(formats.TERRAFORM_IMPORT)
    # Before anything is forgotten: afterwards, nothing tells what was ours.
    blocks.write({formats.TERRAFORM_IMPORT: leaving_for_terraform}, planned, console)
    how = ApplyOptions(ports, "forget", as_json, not auto_approve, no_input, None, reports)
    raise typer.Exit(run_apply_flow(planned, how, console, ()))
