"""``reconciler version``."""

from __future__ import annotations

import typer

from reconciler.cli import arguments as o
from reconciler.cli.console import Console
from reconciler.cli.versions import as_text, versions


def version(as_json: o.Json = False) -> None:
    if as_json:
        Console(color="never").out_json(versions())
    else:
        typer.echo(as_text(versions()))
