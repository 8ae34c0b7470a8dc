"""A drawing as SVG: inside a page, which has the style, or as a file of its own."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from reconciler.plan.changes import Mark
from reconciler.render.escape import printable
from reconciler.render.graph.layout import LINE, PAD, Box, Drawing, laid_out
from reconciler.render.graph.rows import COLORS, GraphRow

TITLE = "Roles, the profiles that hold them, and the instances that use the profiles"
LEGEND = "+ added, - removed, ~ changed, ↻ cut over"
NOTHING = "Nothing changes."
_DARK: dict[Mark, str] = {
    "goes": "#f85149", "comes": "#3fb950", "fresh": "#ab7df8", "changes": "#d29922",
}  # fmt: skip
_TOP = 34


def embedded(drawing: Drawing) -> str:
    """For a page with the style of ``page.css``."""
    return (
        f'<svg viewBox="0 0 {drawing.width} {drawing.height}" width="{drawing.width}" role="img" '
        f'aria-label="{TITLE}">{_inside(drawing)}</svg>'
    )


def svg_file(
    parts: Sequence[tuple[str, Sequence[GraphRow]]], *, empty: str = NOTHING, below: str = ""
) -> str:
    """One picture below the other, each with its title if it has one. Nothing is fetched; dark
    where the reader's system is."""
    shown: list[str] = []
    top, width = 0, 480
    for title, rows in parts:
        drawing = laid_out(rows) if rows else None
        if title:
            shown.append(f'<text class="title" x="4" y="{top + 20}">{_text(title)}</text>')
            top += _TOP
        if drawing is None:
            shown.append(f'<text class="head" x="4" y="{top + 16}">{_text(empty)}</text>')
            top += 28
            continue
        shown.append(f'<g transform="translate(0 {top})">{_inside(drawing)}</g>')
        top, width = top + drawing.height, max(width, drawing.width)
    if any(rows for _, rows in parts):
        shown.append(f'<text class="head" x="4" y="{top + 16}">{LEGEND}</text>')
        top += 28
    if below:
        shown.append(f'<text class="head" x="4" y="{top + 8}">{_text(below)}</text>')
        top += 20
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {top}" width="{width}" '
        f'height="{top}" role="img"><title>{TITLE}</title><style>{_style()}</style>'
        f'<rect class="paper" width="100%" height="100%"/>{"".join(shown)}</svg>\n'
    )


def _inside(drawing: Drawing) -> str:
    heads = "".join(f'<text class="head" x="{x:g}" y="14">{h}</text>' for x, h in drawing.heads)
    lines = "".join(
        f'<line class="{stroke.mark}" x1="{stroke.x1:g}" y1="{stroke.y1:g}" '
        f'x2="{stroke.x2:g}" y2="{stroke.y2:g}"/>'
        for stroke in drawing.strokes
    )
    return heads + lines + "".join(map(_drawn, drawing.boxes))


def _drawn(box: Box) -> str:
    first, *rest = box.lines
    x = box.x + PAD
    title = "\n".join(map(_text, box.whole.split("\n")))
    more = "".join(
        f'<text class="detail" x="{x:g}" y="{box.y + LINE * number:g}">{_text(text)}</text>'
        for number, text in enumerate(rest, 2)
    )
    return (
        f'<g class="{box.mark}"><title>{title}</title>'
        f'<rect x="{box.x:g}" y="{box.y:g}" width="{box.width:g}" height="{box.height}" rx="4"/>'
        f'<text x="{x:g}" y="{box.y + LINE:g}">{_text(first)}</text>{more}</g>'
    )


def _text(text: str) -> str:
    """Harmless in XML: no character that XML does not allow is printable."""
    return escape(printable(text))


def _style() -> str:
    light = "".join(_of_mark(mark, color) for mark, color in COLORS.items() if color)
    dark = "".join(_of_mark(mark, color) for mark, color in _DARK.items())
    return (
        "text{font:13px ui-monospace,monospace;fill:#1f2328}"
        ".head,.title{font-family:system-ui,sans-serif}.head,.detail{fill:#59636e}"
        ".detail{font-size:12px}.title{font-size:16px;font-weight:600}"
        "rect{fill:#f6f8fa;stroke:#d1d9e0}.paper{fill:#fff;stroke:none}"
        "line{stroke:#d1d9e0;stroke-width:1.5}"
        f"{light}.goes rect,line.goes{{stroke-dasharray:5 4}}"
        "@media(prefers-color-scheme:dark){text{fill:#e6edf3}.head,.detail{fill:#9198a1}"
        f"rect{{fill:#151b23;stroke:#3d444d}}.paper{{fill:#0d1117}}line{{stroke:#3d444d}}{dark}}}"
    )


def _of_mark(mark: Mark, color: str) -> str:
    return f".{mark} rect,line.{mark}{{stroke:{color};stroke-width:2}}"
