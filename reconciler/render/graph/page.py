"""Pictures as one page; on narrow screens as lists."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from reconciler.render.graph.rows import GraphRow
from reconciler.render.graph.svg import LEGEND
from reconciler.render.html.diagram import drawn
from reconciler.render.html.shell import page, text


@dataclass(frozen=True, slots=True)
class Section:
    """One target; ``notes`` say what may be missing."""

    title: str
    rows: Sequence[GraphRow]
    notes: tuple[str, ...] = ()


def graph_page(
    title: str, about: str, sections: Iterable[Section], empty: str, below: str = ""
) -> str:
    parts = [f"<h1>{text(title)}</h1>", f'<p class="about">{text(about)}</p>']
    parts.append(f'<p class="faint">{LEGEND}</p>')
    if below:
        parts.append(f'<ul class="notes"><li class="warning">{text(below)}</li></ul>')
    for section in sections:
        if section.title:
            parts.append(f"<h2>{text(section.title)}</h2>")
        parts.append(drawn(section.rows) or f'<p class="faint">{text(empty)}</p>')
        if section.notes:
            listed = "".join(f'<li class="warning">{text(note)}</li>' for note in section.notes)
            parts.append(f'<ul class="notes">{listed}</ul>')
    return page(title, "".join(parts))
