"""A picture for Mermaid, which GitHub and GitLab draw in Markdown.

Nothing of the data is markup: ids are numbers of our own, and in a label every character that is no
letter or digit, a few aside, is an entity code. Source: mermaid.js.org/syntax/flowchart.html
(special characters that break syntax, entity codes)
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from reconciler.model.address import PROFILE, ROLE
from reconciler.plan.changes import Mark
from reconciler.render.escape import printable
from reconciler.render.graph.links import Network
from reconciler.render.graph.rows import COLORS, WORDS

_PLAIN = frozenset(" ._,/-")
_START = re.compile(r"^\s*([-#>*+]|\d+\.)|^\s+")
"""What Mermaid takes for a list, a heading or a quotation of Markdown at the start of a line."""
_SHAPES = {ROLE: ("([", "])"), PROFILE: ("[", "]")}
MOST_LINKS, MOST_CHARACTERS = 500, 50_000
"""What Mermaid draws unless it is configured otherwise.
Source: mermaid.js.org/config/schema-docs/config.html (maxEdges, maxTextSize)"""


def mermaid(networks: Sequence[tuple[str, Network]], *, empty: str, below: str = "") -> str:
    """A flowchart; each picture with a title is a subgraph. ``below`` is a box by itself."""
    lines = ["flowchart LR"]
    marked: dict[Mark, list[int]] = {}
    number = 0
    for place, (title, network) in enumerate(networks, 1):
        pad = "  "
        if title:
            lines.append(f'  subgraph t{place}["{label(title)}"]')
            pad = "    "
        for vertex in network.vertices:
            before, after = _SHAPES.get(vertex.kind, ("(", ")"))
            said = "<br/>".join(label(line) for line in vertex.lines)
            class_ = f":::{vertex.mark}" if vertex.mark != "same" else ""
            lines.append(f'{pad}n{place}_{vertex.number}{before}"{said}"{after}{class_}')
        if not network.vertices:
            lines.append(f'{pad}e{place}["{label(empty)}"]')
        for edge in network.edges:
            said = f"|{WORDS[edge.mark]}|" if WORDS[edge.mark] else ""
            arrow = "-.->" if edge.mark == "goes" else "-->"
            lines.append(f"{pad}n{place}_{edge.before} {arrow}{said} n{place}_{edge.after}")
            marked.setdefault(edge.mark, []).append(number)
            number += 1
        if title:
            lines.append("  end")
    if below:
        lines.append(f'  stops["{label(below)}"]')
    used = {vertex.mark for _, network in networks for vertex in network.vertices}
    for mark, color in COLORS.items():
        if color and mark in used:
            dashed = ",stroke-dasharray:5 4" if mark == "goes" else ""
            lines.append(f"  classDef {mark} stroke:{color},stroke-width:2px{dashed}")
    for mark, numbers in marked.items():
        if COLORS[mark]:
            listed = ",".join(map(str, numbers))
            lines.append(f"  linkStyle {listed} stroke:{COLORS[mark]},stroke-width:2px")
    return "\n".join(lines) + "\n"


def label(text: str) -> str:
    """Harmless in a label in quotes."""
    plain = printable(text)
    start = found.end() if (found := _START.match(plain)) else 0
    return "".join(
        c if n >= start and (c.isalnum() or c in _PLAIN) else f"#{ord(c)};"
        for n, c in enumerate(plain)
    )
