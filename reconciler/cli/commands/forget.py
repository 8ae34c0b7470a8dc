"""``reconciler forget``."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated

import typer

from reconciler.cli import arguments as o
from reconciler.cli import completion
from reconciler.cli.apply_flow import ApplyOptions, run_apply_flow
from reconciler.cli.connection import run_ports
from reconciler.cli.panels import SCOPE
from reconciler.cli.progress import Quiet, planning
from reconciler.cli.reports import report_requests
from reconciler.render import formats

Addresses = Annotated[
    list[str],
    typer.Argument(
        metavar="ADDRESS",
        help="What to forget, such as role/web or 'association/*'.",
        autocompletion=completion.addresses,
    ),
]
SpecsFlag = Annotated[
    str,
    typer.Option(
        "--specs",
        metavar="SPECS",
        help="File or folder of specs, which names the owner.",
        envvar="RECONCILER_SPECS",
        rich_help_panel=SCOPE,
    ),
]


@o.with_flags
def forget(
    addresses: Addresses,
    specs: SpecsFlag = "specs",
    auto_approve: o.AutoApprove = False,
    no_input: o.NoInput = False,
    as_json: o.Json = False,
    report: o.Report = None,
    *,
    common: o.CommonArguments,
) -> None:
    request = replace(common.request(specs), forget=tuple(addresses))
    reports = report_requests(report, formats.PLAN, as_json)
    console = common.console()
    login = common.login(console, no_input=no_input)
    ports = run_ports(login, Quiet(console), request.parallelism)
    with reports.annotating(console):
        planned = planning(request, ports, console)
    how = ApplyOptions(ports, "forget", as_json, not auto_approve, no_input, None, reports)
    raise typer.Exit(run_apply_flow(planned, how, console, ()))
