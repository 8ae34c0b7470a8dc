"""``reconciler drift``."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated

import typer

from reconciler.cli import options as o
from reconciler.cli.console import Console
from reconciler.cli.plan import planning
from reconciler.cli.reports import wanted_of
from reconciler.commands.drift import drift_of
from reconciler.report import formats
from reconciler.report.drift_json import drift_json
from reconciler.report.drift_text import drift_lines
from reconciler.report.plan_json import now_as_text

Unmanaged = Annotated[
    bool,
    typer.Option("--unmanaged", help="Also tell roles and profiles of nobody, and orphans."),
]


def drift(
    specs: o.Specs = "specs",
    as_json: o.Json = False,
    report: o.Report = None,
    unmanaged: Unmanaged = False,
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
    found = drift_of(planning(request, login, console))
    document = drift_json(found, now_as_text())
    if as_json:
        console.out_json(document)
    elif wanted.shows_text:
        console.out(drift_lines(found))
    wanted.write_drift(found, document, console)
    raise typer.Exit(found.exit_code)
