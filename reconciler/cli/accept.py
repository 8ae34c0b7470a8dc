"""``reconciler drift --accept``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from reconciler.cli.console import Console
from reconciler.cli.files import write_whole
from reconciler.commands.plan import Planned
from reconciler.drift.accept import accept, patch
from reconciler.drift.findings import drift_of
from reconciler.exit_codes import ExitCode
from reconciler.render.styled_text import data, line

AcceptFlag = Annotated[
    list[str] | None,
    typer.Option(
        "--accept",
        metavar="ADDRESS",
        help="Print a patch that makes the specs match AWS; repeat for more addresses.",
    ),
]
WriteFlag = Annotated[
    bool, typer.Option("--write", help="With --accept: edit the files instead of printing a patch.")
]


def accepted(planned: Planned, console: Console, patterns: list[str], write: bool) -> ExitCode:
    """Prints the patch to stdout, or with ``write`` edits the files. ``ERROR`` if a finding was not
    accepted."""
    made = accept(planned, drift_of(planned), patterns)
    if write:
        for name, text in made.files.items():
            write_whole(Path(name), text)
    else:
        console.out_text("".join(patch(planned.sources, made.files)))
    done = "accepted" if write else "in the patch"
    for address in made.addresses:
        console.note(data(f"{address}: {done}"))
    for what, why in made.refused.items():
        console.err(line(data(f"{what}: not accepted: {why}")))
    return ExitCode.ERROR if made.refused else ExitCode.OK
