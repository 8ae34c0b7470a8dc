"""``reconciler version``."""

from __future__ import annotations

import typer

from reconciler.cli import arguments as o
from reconciler.cli.versions import as_text, versions


def version(as_json: o.Json = False) -> None:
    if as_json:
        from reconciler.cli.runs.version import run

        run(versions())
    else:
        typer.echo(as_text(versions()))
