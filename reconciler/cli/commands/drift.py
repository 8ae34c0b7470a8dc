"""``reconciler drift``."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated

import typer

from reconciler.cli import arguments as o
from reconciler.cli.accept import AcceptFlag, WriteFlag, accepted
from reconciler.cli.commands.plan import planning
from reconciler.cli.console import Console
from reconciler.cli.notifications import BaselineFlag, MetricsFlag, Notifier, NotifyFlag, telling_of
from reconciler.cli.reports import ReportRequests, wanted_of
from reconciler.clock import SystemClock
from reconciler.commands.plan import Planned
from reconciler.commands.request import Request
from reconciler.drift.attribution import Attributor
from reconciler.drift.baseline import Baseline, compared, coverage
from reconciler.drift.findings import Drift, drift_of
from reconciler.render import formats
from reconciler.render.json.drift import drift_json
from reconciler.render.json.plan import now_as_text
from reconciler.render.json.types import DriftShape
from reconciler.render.text.drift import drift_lines

Unmanaged = Annotated[
    bool,
    typer.Option("--unmanaged", help="Also tell roles and profiles of nobody, and orphans."),
]
Who = Annotated[bool, typer.Option("--who", help="Ask CloudTrail who did it.")]


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
    target: o.Target = None,
    only: o.Only = None,
    exclude: o.Exclude = None,
    region: o.Region = None,
    profile: o.Profile = None,
    endpoint_url: o.EndpointUrl = None,
    owner: o.Owner = None,
    var: o.Var = None,
    parallelism: o.Parallelism = 10,
    quiet: o.QuietFlag = False,
    verbose: o.Verbose = 0,
    color: o.ColorFlag = o.Color.auto,
) -> None:
    """Say what differs between the specs and AWS. Exits with 0 for nothing, 2 for something."""
    request = replace(o.request_of(locals()), prune=False, for_drift=True, unmanaged=unmanaged)
    login = o.Login(profile, endpoint_url, tuple(region or ()))
    wanted = wanted_of(report, formats.DRIFT, as_json)
    console = Console(color.value, quiet, verbose)
    telling = telling_of(baseline, notify, metrics, login, console)
    if accept:
        raise typer.Exit(accepted(request, login, console, accept, write))
    with telling.measured():
        found = _found(request, telling, wanted, who)
    raise typer.Exit(telling.exit_code(found))


def _found(request: Request, telling: Notifier, wanted: ReportRequests, who: bool) -> Drift:
    """The drift, when everybody was told of it."""
    before = telling.remembered()
    planned = planning(request, telling.login, telling.console)
    now = now_as_text()
    found = _compared(planned, before, now, who)
    telling.drift = found
    document = drift_json(found, now)
    with telling.noted():
        _show(found, document, wanted, telling.console)
    with telling.noted():
        wanted.write_drift(found, document, telling.console)
    if before is not None:
        telling.tell(found, document, before, coverage(planned))
    return found


def _compared(planned: Planned, before: Baseline | None, now: str, who: bool) -> Drift:
    found = drift_of(planned)
    if before is not None:
        found = compared(found, before, coverage(planned), now)
    return Attributor(planned.targets, SystemClock()).named(found) if who else found


def _show(found: Drift, document: DriftShape, wanted: ReportRequests, console: Console) -> None:
    if wanted.as_json:
        console.out_json(document)
    elif wanted.shows_text:
        console.out(drift_lines(found))
