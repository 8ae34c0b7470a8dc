"""``reconciler fmt``."""

from __future__ import annotations

from typing import Annotated

import typer

from reconciler.cli.arguments import Color, ColorFlag, QuietFlag

Files = Annotated[
    list[str] | None, typer.Argument(metavar="FILE", help="Files or folders; default: specs.")
]
Check = Annotated[
    bool, typer.Option("--check", help="Change nothing; exit with 1 if something would change.")
]


def fmt(
    files: Files = None,
    check: Check = False,
    color: ColorFlag = Color.auto,
    quiet: QuietFlag = False,
) -> None:
    from reconciler.cli.runs.fmt import run

    run(files, check, color, quiet)
