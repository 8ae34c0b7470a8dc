"""``reconciler merge``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from reconciler.cli import arguments as o

Documents = Annotated[
    list[Path],
    typer.Argument(
        metavar="FILE",
        help="What `plan --out`, `apply --report json=FILE` or `drift --report json=FILE` wrote; "
        "one of each shard.",
    ),
]
Out = Annotated[
    Path | None,
    typer.Option(
        "--out", metavar="FILE", help="Write the document there.", rich_help_panel=o.OUTPUT
    ),
]


def merge(
    files: Documents,
    out: Out = None,
    report: o.Report = None,
    color: o.ColorFlag = o.Color.auto,
    quiet: o.QuietFlag = False,
) -> None:
    from reconciler.cli.runs.merge import run

    run(files, out, report, color, quiet)
