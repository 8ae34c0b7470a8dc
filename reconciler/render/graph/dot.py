"""A picture for Graphviz.

In a quoted string only ``"`` ends it; in labels ``\\`` begins an escape, and entities of HTML are
read. Source: graphviz.org/doc/info/lang.html, graphviz.org/docs/attr-types/escString
"""

from __future__ import annotations

from collections.abc import Sequence

from reconciler.model.address import PROFILE, ROLE
from reconciler.plan.changes import Mark
from reconciler.render.escape import printable
from reconciler.render.graph.links import Network
from reconciler.render.graph.rows import COLORS, WORDS

_SHAPES = {ROLE: "oval", PROFILE: "box"}


def dot(networks: Sequence[tuple[str, Network]], *, empty: str, below: str = "") -> str:
    """Each picture with a title is a cluster. ``below`` is the label of the whole."""
    lines = [
        "digraph reconciler {",
        "  rankdir=LR;",
        '  node [fontname="Courier", fontsize=11];',
        '  edge [fontname="Helvetica", fontsize=10];',
    ]
    if below:
        lines.append(f"  label={quoted(below)};")
    for place, (title, network) in enumerate(networks, 1):
        pad = "  "
        if title:
            lines += [f"  subgraph cluster_{place} {{", f"    label={quoted(title)};"]
            pad = "    "
        for vertex in network.vertices:
            shape = _SHAPES.get(vertex.kind, "box")
            is_rounded = shape == "box" and vertex.kind != PROFILE
            look = f"{quoted(*vertex.lines)}, {_look(vertex.mark, is_rounded=is_rounded)}"
            lines.append(f"{pad}n{place}_{vertex.number} [shape={shape}, label={look}];")
        if not network.vertices:
            lines.append(f"{pad}e{place} [shape=plaintext, label={quoted(empty)}];")
        for edge in network.edges:
            said = f"label={quoted(WORDS[edge.mark])}, " if WORDS[edge.mark] else ""
            style = f" [{said}{_look(edge.mark)}]" if COLORS[edge.mark] else ""
            lines.append(f"{pad}n{place}_{edge.before} -> n{place}_{edge.after}{style};")
        if title:
            lines.append("  }")
    return "\n".join([*lines, "}"]) + "\n"


def _look(mark: Mark, *, is_rounded: bool = False) -> str:
    styles = [s for s, wanted in (("rounded", is_rounded), ("dashed", mark == "goes")) if wanted]
    color = [f'color="{COLORS[mark]}"', "penwidth=2"] if COLORS[mark] else []
    return ", ".join([*color, f'style="{",".join(styles) or "solid"}"'])


def quoted(*texts: str) -> str:
    """Lines as one string in quotes."""
    escaped = (printable(text).replace("\\", "\\\\").replace('"', '\\"') for text in texts)
    return '"' + "\\n".join(escaped).replace("&", "&amp;") + '"'
