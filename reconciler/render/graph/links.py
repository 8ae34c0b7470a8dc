"""Rows as vertices and edges, each vertex once: for formats that lay them out themselves."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from reconciler.model.address import Address
from reconciler.plan.changes import Mark
from reconciler.plan.picture import Node
from reconciler.render.graph.rows import KINDS, GraphRow, name, signed


@dataclass(frozen=True, slots=True)
class Vertex:
    """The first of the lines says what it is."""

    number: int
    kind: str
    lines: tuple[str, ...]
    mark: Mark


@dataclass(frozen=True, slots=True)
class Edge:
    """Numbers of vertices."""

    before: int
    after: int
    mark: Mark


@dataclass(frozen=True, slots=True)
class Network:
    vertices: tuple[Vertex, ...]
    edges: tuple[Edge, ...]


@dataclass
class _Numbers:
    made: dict[tuple[Address, ...], Vertex] = field(default_factory=dict)

    def of(self, node: Node) -> int:
        lines = f"{KINDS[node.address.kind]} {name(node)}", node.reason or ""
        return self.number((node.address,), node.address.kind, node.mark, lines)

    def number(
        self, key: tuple[Address, ...], kind: str, mark: Mark, lines: tuple[str, ...]
    ) -> int:
        if key not in self.made:
            first, *more = lines
            shown = (signed(mark, first), *(line for line in more if line))
            self.made[key] = Vertex(len(self.made) + 1, kind, shown, mark)
        return self.made[key].number


def network(rows: Iterable[GraphRow]) -> Network:
    """Several instances that are drawn as one are one vertex for each profile."""
    numbers = _Numbers()
    edges: list[Edge] = []
    for row in rows:
        held = [(numbers.of(role), mark) for role, mark in row.roles]
        if row.profile is None:
            continue
        own = numbers.of(row.profile)
        edges += [Edge(role, own, mark) for role, mark in held]
        for leaf in row.leaves:
            key, lines = tuple(node.address for node in leaf.nodes), (leaf.title, *leaf.details)
            if len(key) == 1:
                lines = (f"instance {leaf.title}", *leaf.details)
                number = numbers.number(key, "instance", leaf.nodes[0].mark, lines)
            else:
                key = (row.profile.address, *key)
                number = numbers.number(key, "instance", leaf.mark, lines)
            edges.append(Edge(own, number, leaf.mark))
    return Network(tuple(numbers.made.values()), tuple(edges))
