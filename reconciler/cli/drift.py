"""``reconciler drift``."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import typer

from reconciler.cli import options as o
from reconciler.cli.console import Console
from reconciler.cli.plan import planning
from reconciler.commands.drift import drift_of
from reconciler.report.drift_json import drift_json
from reconciler.report.drift_text import drift_lines


def drift(
    specs: o.Specs = "specs",
    as_json: o.Json = False,
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
    request = replace(o.request_of(locals()), prune=False)
    login = o.Login(profile, endpoint_url, tuple(region or ()))
    console = Console(color.value, quiet, verbose)
    found = drift_of(planning(request, login, console))
    if as_json:
        console.out_json(drift_json(found, datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")))
    else:
        console.out(drift_lines(found))
    raise typer.Exit(found.exit_code)
