"""``reconciler graph``."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer

from reconciler.cli import arguments as o
from reconciler.cli.panels import OUTPUT


class GraphFormat(StrEnum):
    """How it is drawn."""

    mermaid = "mermaid"
    dot = "dot"
    svg = "svg"
    html = "html"
    json = "json"


FormatFlag = Annotated[
    GraphFormat,
    typer.Option(
        "--format",
        help="mermaid for Markdown, dot for Graphviz, svg and html as a file of its own, json for "
        "a program.",
        rich_help_panel=OUTPUT,
    ),
]
All = Annotated[
    bool,
    typer.Option(
        "--all",
        help="Draw also what does not change, and profiles that are in no spec.",
        rich_help_panel=OUTPUT,
    ),
]


@o.with_flags
def graph(
    specs: o.Specs = "specs",
    form: FormatFlag = GraphFormat.mermaid,
    every: All = False,
    *,
    common: o.CommonArguments,
) -> None:
    from reconciler.cli.runs.graph import run

    run(specs, form, every, common)
