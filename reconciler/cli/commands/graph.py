"""``reconciler graph``."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer

from reconciler.cli import arguments as o
from reconciler.cli.connection import run_ports
from reconciler.cli.panels import OUTPUT
from reconciler.cli.progress import shown
from reconciler.exit_codes import ExitCode
from reconciler.explain.graph import Graph, make_graph
from reconciler.render.graph import formats
from reconciler.render.graph.mermaid import MOST_CHARACTERS, MOST_LINKS
from reconciler.render.json.plan import now_as_text
from reconciler.render.styled_text import data


class Format(StrEnum):
    """How it is drawn."""

    mermaid = "mermaid"
    dot = "dot"
    svg = "svg"
    html = "html"
    json = "json"


FormatFlag = Annotated[
    Format,
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
    form: FormatFlag = Format.mermaid,
    every: All = False,
    *,
    common: o.CommonArguments,
) -> None:
    request = common.request(specs)
    console = common.console()
    login = common.login(console)
    with shown(console) as progress:
        ports = run_ports(login, progress, request.parallelism)
        made = make_graph(request, ports, every=every)
    drawn = formats.FORMATS[form.value](made, now_as_text())
    for note in _notes(made, form, drawn):
        console.note(data(note))
    console.out_text(drawn)
    raise typer.Exit(_exit_code(made))


def _notes(made: Graph, form: Format, drawn: str) -> list[str]:
    """What the picture does not show by itself."""
    notes = [f"{n.what} not read: {n.reason}" for target in made.targets for n in target.not_read]
    for target in made.targets:
        notes += [f"{c.address}: {c.reason}: apply refuses" for c in target.plan.conflicts]
        notes += [f"{u.address} is left alone: {u.found.message}" for u in target.plan.unmet]
    if made.is_empty and not made.has_all:
        notes.append("nothing changes; --all draws everything")
    links = sum(line.count("-->") + line.count("-.->") for line in drawn.splitlines())
    if form is Format.mermaid and (links > MOST_LINKS or len(drawn) > MOST_CHARACTERS):
        notes.append(
            f"Mermaid draws up to {MOST_LINKS} links and {MOST_CHARACTERS} characters unless it "
            "is configured; --format svg has no limit"
        )
    return list(dict.fromkeys(notes))


def _exit_code(made: Graph) -> ExitCode:
    plan = made.planned.plan
    if plan.conflicts:
        return ExitCode.UNDECIDED
    return ExitCode.OK if plan.is_whole else ExitCode.ERROR
