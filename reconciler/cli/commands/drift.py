"""``reconciler drift``."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated

import typer

from reconciler.cli import arguments as o
from reconciler.cli.accept import AcceptFlag, WriteFlag, accepted
from reconciler.cli.connection import outgoing_of, run_ports
from reconciler.cli.console import Console
from reconciler.cli.notifications import BaselineFlag, MetricsFlag, Notifier, NotifyFlag, telling_of
from reconciler.cli.planning import planning
from reconciler.cli.progress import Quiet
from reconciler.cli.reports import ReportRequests, wanted_of
from reconciler.commands.request import Request, RunPorts
from reconciler.drift.attribution import Attributor
from reconciler.drift.baseline import compared, coverage
from reconciler.drift.findings import Drift, drift_of
from reconciler.render import formats
from reconciler.render.json.drift import drift_json
from reconciler.render.json.plan import now_as_text
from reconciler.render.json.types import DriftShape
from reconciler.render.text.drift import drift_lines

Unmanaged = Annotated[
    bool,
    typer.Option(
        "--unmanaged", help="Also report roles and profiles without an owner, and orphaned ones."
    ),
]
Who = Annotated[
    bool, typer.Option("--who", help="Look up the author of each change in CloudTrail.")
]


def drift(
    specs: o.Specs = "specs",
    as_json: o.Json = False,
    report: o.Report = None,
    unmanaged: Unmanaged = False,
    who: Who = False,
    baseline: BaselineFlag = None,
    notify: NotifyFlag = None,
    metrics: MetricsFlag = None,
    accept: AcceptFlag = None,
    write: WriteFlag = False,
    *,
    common: o.CommonArguments,
) -> None:
    """Report differences between the specs and AWS. Exits with 0 for none, 2 for some."""
    request = replace(common.request(specs), prune=False, for_drift=True, unmanaged=unmanaged)
    wanted = wanted_of(report, formats.DRIFT, as_json)
    console, login = common.console(), common.login()
    ports = run_ports(login, Quiet(console), request.parallelism)
    telling = telling_of(baseline, notify, metrics, outgoing_of(login, ports.run), console)
    if accept:
        raise typer.Exit(accepted(planning(request, ports, console), console, accept, write))
    with telling.measured():
        found = _found(request, ports, telling, wanted, who)
    raise typer.Exit(telling.exit_code(found))


def _found(
    request: Request, ports: RunPorts, telling: Notifier, wanted: ReportRequests, who: bool
) -> Drift:
    """Finds the drift, prints and reports it, and sends the notifications."""
    before = telling.remembered()
    planned = planning(request, ports, telling.console)
    now = now_as_text()
    found = drift_of(planned)
    if before is not None:
        found = compared(found, before, coverage(planned), now)
    if who:
        found = Attributor(planned.targets, ports.clock).named(found)
    telling.drift = found
    document = drift_json(found, now)
    with telling.noted():
        _show(found, document, wanted, telling.console)
    with telling.noted():
        wanted.write_drift(found, document, telling.console)
    if before is not None:
        telling.tell(found, document, before, coverage(planned))
    return found


def _show(found: Drift, document: DriftShape, wanted: ReportRequests, console: Console) -> None:
    if wanted.as_json:
        console.out_json(document)
    elif wanted.shows_text:
        console.out(drift_lines(found))
