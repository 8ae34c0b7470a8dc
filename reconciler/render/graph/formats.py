"""The picture of a plan in each format that ``graph`` has."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from reconciler.explain.graph import Graph
from reconciler.render.escape import printable
from reconciler.render.graph.dot import dot
from reconciler.render.graph.links import network
from reconciler.render.graph.mermaid import mermaid
from reconciler.render.graph.page import Section, graph_page
from reconciler.render.graph.rows import GraphRow, rows
from reconciler.render.graph.svg import svg_file
from reconciler.render.json.encode import json_text
from reconciler.render.json.graph import graph_json
from reconciler.render.phrases import stop_counts

MOST = 12
"""Instances of a profile to which the same happens that are drawn one by one."""


def count_links(graph: Graph) -> int:
    """How many lines the formats for Mermaid and Graphviz have."""
    return sum(len(network(listed).edges) for _, listed in _parts(graph))


def _as_page(graph: Graph, created_at: str) -> str:
    owner = graph.planned.plan.owner
    what = "everything" if graph.has_all else "what changes"
    sections = [
        Section(
            title if len(graph.targets) > 1 else "",
            listed,
            tuple(f"{n.what} not read: {n.reason}" for n in target.not_read),
        )
        for (title, listed), target in zip(_parts(graph), graph.targets, strict=True)
    ]
    if not graph.targets:
        sections.append(Section("", []))
    account = _title(graph, 0) if len(graph.targets) == 1 else f"{len(graph.targets)} accounts"
    about = f"Roles, instance profiles and instances: {what}. Created at {created_at}."
    title = f"Graph of {owner}, {account}"
    return graph_page(title, about, sections, _empty(graph), stopped(graph))


def _named(graph: Graph) -> list[tuple[str, list[GraphRow]]]:
    """Titled only where there is more than one; a shard may have none."""
    if len(graph.targets) > 1:
        return _parts(graph)
    return [("", listed) for _, listed in _parts(graph)] or [("", [])]


def _parts(graph: Graph) -> list[tuple[str, list[GraphRow]]]:
    return [(_title(graph, n), rows(t.picture, MOST)) for n, t in enumerate(graph.targets)]


def _title(graph: Graph, number: int) -> str:
    target = graph.targets[number].plan
    account = target.identity.account_id
    if target.identity.alias:
        account = f"{account} ({target.identity.alias})"
    return printable(
        f"account {account}" if target.target == "default" else f"{target.target} {account}"
    )


def stopped(graph: Graph) -> str:
    """That an apply does nothing of what is drawn before some flags are given; empty if it does."""
    if not graph.stops:
        return ""
    return f"Not before this is allowed: {stop_counts(graph.stops)} the next apply"


def _empty(graph: Graph) -> str:
    return "There is nothing." if graph.has_all else "Nothing changes."


FORMATS: Mapping[str, Callable[[Graph, str], str]] = {
    "mermaid": lambda g, _: mermaid(
        [(t, network(r)) for t, r in _named(g)], empty=_empty(g), below=stopped(g)
    ),
    "dot": lambda g, _: dot(
        [(t, network(r)) for t, r in _named(g)], empty=_empty(g), below=stopped(g)
    ),
    "svg": lambda g, _: svg_file(_named(g), empty=_empty(g), below=stopped(g)),
    "html": _as_page,
    "json": lambda g, created_at: json_text(graph_json(g, created_at)) + "\n",
}
"""Each takes when the document is made, as ``now_as_text`` has it."""
