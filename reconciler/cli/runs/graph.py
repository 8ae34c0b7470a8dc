"""What ``reconciler graph`` does."""

from __future__ import annotations

import typer

from reconciler.cli.arguments import CommonArguments
from reconciler.cli.commands.graph import GraphFormat
from reconciler.cli.connection import run_ports
from reconciler.cli.given import console_of, login_of, request_of
from reconciler.cli.progress import shown
from reconciler.exit_codes import ExitCode
from reconciler.explain.graph import Graph, make_graph
from reconciler.render.graph import formats
from reconciler.render.graph.mermaid import MOST_CHARACTERS, MOST_LINKS
from reconciler.render.json.plan import now_as_text
from reconciler.render.phrases import FEW_STOPS, stop_counts, stop_in_words
from reconciler.render.styled_text import data


def run(specs: str, form: GraphFormat, every: bool, common: CommonArguments) -> None:
    request = request_of(common, specs)
    console = console_of(common)
    login = login_of(common, console)
    with shown(console) as progress:
        ports = run_ports(login, progress, request.parallelism)
        made = make_graph(request, ports, every=every)
    drawn = formats.FORMATS[form.value](made, now_as_text())
    for note in _notes(made, form, drawn):
        console.note(data(note))
    console.out_text(drawn)
    plan = made.planned.plan
    code = ExitCode.OK if plan.is_whole else ExitCode.ERROR
    raise typer.Exit(ExitCode.UNDECIDED if plan.conflicts else code)


def _notes(made: Graph, form: GraphFormat, drawn: str) -> list[str]:
    """What the picture does not show by itself."""
    notes = [f"{n.what} not read: {n.reason}" for target in made.targets for n in target.not_read]
    for target in made.targets:
        notes += [f"{u.address} is left alone: {u.found.message}" for u in target.plan.unmet]
    if made.stops:
        notes.append(f"the next apply changes nothing: {stop_counts(made.stops)} it")
        notes += [stop_in_words(stop) for stop in made.stops[:FEW_STOPS]]
        if (more := len(made.stops) - FEW_STOPS) > 0:
            notes.append(f"and {more} more, which a plan lists")
    if made.is_empty and not made.has_all:
        notes.append("nothing changes; --all draws everything")
    is_much = formats.count_links(made) > MOST_LINKS or len(drawn) > MOST_CHARACTERS
    if form is GraphFormat.mermaid and is_much:
        notes.append(
            f"Mermaid draws up to {MOST_LINKS} links and {MOST_CHARACTERS} characters unless it "
            "is configured; --format svg has no limit"
        )
    return list(dict.fromkeys(notes))
