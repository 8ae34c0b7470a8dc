"""``reconciler validate``."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer

from reconciler.cli.console import Console
from reconciler.cli.options import Color, ColorFlag, QuietFlag, Specs, Var, pairs
from reconciler.diagnostics import has_errors
from reconciler.exit_codes import ExitCode
from reconciler.report.diagnostics_text import as_json, concise, count, full
from reconciler.report.styled import Piece
from reconciler.spec.loader import read, validated


class Format(StrEnum):
    """How findings are shown."""

    full = "full"
    concise = "concise"
    json = "json"


FormatFlag = Annotated[Format, typer.Option("--format", help="How findings are shown.")]


def validate(
    specs: Specs = "specs",
    output: FormatFlag = Format.full,
    var: Var = None,
    color: ColorFlag = Color.auto,
    quiet: QuietFlag = False,
) -> None:
    """Check the specs. Needs no credentials and no network."""
    console = Console(color=color.value, quiet=quiet)
    spec = validated(read(specs), pairs(var, "--var"))
    match output:
        case Format.json:
            console.out_json(as_json(spec.diagnostics))
        case Format.concise:
            console.out(concise(spec.diagnostics))
        case Format.full:
            console.out(full(spec.diagnostics, spec.sources))
    failed = has_errors(spec.diagnostics)
    found = count(spec.diagnostics)
    if not failed and output is not Format.json:
        noun = "resource" if spec.desired.size == 1 else "resources"
        more = f" with {found}" if found else ""
        console.note(Piece("Valid: ", "bold green"), f"{spec.desired.size} {noun}{more}.")
    elif failed and output is not Format.json:
        console.note(Piece(f"{found}.", "bold red"))
    raise typer.Exit(ExitCode.ERROR if failed else ExitCode.OK)
