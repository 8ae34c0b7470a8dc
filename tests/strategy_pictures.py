"""The pictures of the strategies in ``docs/strategies/``: what one instance is served, over time.

Each row is one thing, each box what it is from one moment to the next. Times are not to scale.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

LEFT, TOP, WIDTH, ROW, GAP = 150, 34, 820, 34, 12


@dataclass(frozen=True)
class Box:
    """From ``start`` to ``end``, in units of the picture's time; ``kind`` gives its color."""

    start: float
    end: float
    text: str
    kind: str


Row = tuple[str, Sequence[Box]]

COLORS = {
    "old": ("#dbe4ff", "#1f3a93"),
    "new": ("#d3f5df", "#14532d"),
    "none": ("#ffe0e0", "#8a1c1c"),
    "wait": ("#f1f1f1", "#444444"),
    "unknown": ("#fff3cd", "#6b4e00"),
}

OLD, NEW = "role web-v1", "role web-v2"

PICTURES: dict[str, tuple[str, float, Sequence[Row]]] = {
    "reassociate": (
        "Strategy reassociate: each instance is without its profile for seconds",
        12,
        (
            ("profile web", (Box(0, 2, OLD, "old"), Box(2, 12, NEW, "new"))),
            (
                "reconciler",
                (
                    Box(2, 4, "wait for EC2", "wait"),
                    Box(4, 6, "canary", "wait"),
                    Box(6, 12, "batches of max_unavailable", "wait"),
                ),
            ),
            (
                "instance 1",
                (Box(0, 4, OLD, "old"), Box(4, 6, "no profile", "none"), Box(6, 12, NEW, "new")),
            ),
            (
                "instance 2",
                (Box(0, 7, OLD, "old"), Box(7, 9, "no profile", "none"), Box(9, 12, NEW, "new")),
            ),
            (
                "instance 3",
                (
                    Box(0, 9.6, OLD, "old"),
                    Box(9.6, 11.4, "no profile", "none"),
                    Box(11.4, 12, "", "new"),
                ),
            ),
        ),
    ),
    "hop": (
        "Strategy hop: a temporary profile, and no gap",
        12,
        (
            ("profile web", (Box(0, 6.5, OLD, "old"), Box(6.5, 12, NEW, "new"))),
            ("temporary profile", (Box(1, 11.4, f"web.reconciler-hop, {NEW}", "new"),)),
            (
                "reconciler",
                (
                    Box(1, 3, "wait for EC2", "wait"),
                    Box(3, 6.5, "move there", "wait"),
                    Box(6.5, 8.5, "wait for EC2", "wait"),
                    Box(8.5, 11.4, "move back", "wait"),
                ),
            ),
            (
                "instance 1",
                (
                    Box(0, 3.4, f"web: {OLD}", "old"),
                    Box(3.4, 9, f"temporary profile: {NEW}", "new"),
                    Box(9, 12, f"web: {NEW}", "new"),
                ),
            ),
            (
                "instance 2",
                (
                    Box(0, 5.4, f"web: {OLD}", "old"),
                    Box(5.4, 10.4, f"temporary profile: {NEW}", "new"),
                    Box(10.4, 12, "web: v2", "new"),
                ),
            ),
        ),
    ),
    "restart": (
        "Strategy restart: every process starts anew, after minutes without the instance",
        12,
        (
            ("profile web", (Box(0, 2, OLD, "old"), Box(2, 12, NEW, "new"))),
            (
                "reconciler",
                (
                    Box(2, 4, "wait for EC2", "wait"),
                    Box(4, 7.4, "canary", "wait"),
                    Box(7.4, 12, "batches of max_unavailable", "wait"),
                ),
            ),
            (
                "instance 1",
                (Box(0, 4, OLD, "old"), Box(4, 7, "stopped", "none"), Box(7, 12, NEW, "new")),
            ),
            (
                "instance 2",
                (
                    Box(0, 7.8, OLD, "old"),
                    Box(7.8, 10.8, "stopped", "none"),
                    Box(10.8, 12, NEW, "new"),
                ),
            ),
        ),
    ),
    "wait": (
        "Strategy wait: the role is swapped, and AWS does the rest at a time that nobody knows",
        12,
        (
            ("profile web", (Box(0, 2, OLD, "old"), Box(2, 12, NEW, "new"))),
            (
                "reconciler",
                (
                    Box(2, 9, "drift says stale, for seven hours", "wait"),
                    Box(9, 12, "settled", "wait"),
                ),
            ),
            (
                "instance 1",
                (
                    Box(0, 2, OLD, "old"),
                    Box(2, 9, "web-v1 or web-v2: not known", "unknown"),
                    Box(9, 12, NEW, "new"),
                ),
            ),
            (
                "instance 2",
                (
                    Box(0, 2, OLD, "old"),
                    Box(2, 9, "web-v1 or web-v2: not known", "unknown"),
                    Box(9, 12, NEW, "new"),
                ),
            ),
        ),
    ),
}


def picture(name: str) -> str:
    """As SVG, on a background of its own, so that it is readable on a dark page too."""
    title, length, rows = PICTURES[name]
    height = TOP + len(rows) * (ROW + GAP) + 28
    unit = WIDTH / length
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {LEFT + WIDTH + 16} {height}"'
        f' role="img" aria-label="{escape(title)}" font-family="sans-serif" font-size="13">',
        f"<title>{escape(title)}</title>",
        '<rect width="100%" height="100%" rx="6" fill="#ffffff"/>',
        f'<text x="16" y="22" font-weight="bold" fill="#222222">{escape(title)}</text>',
    ]
    for index, (label, boxes) in enumerate(rows):
        top = TOP + index * (ROW + GAP)
        middle = top + ROW / 2 + 4.5
        parts.append(f'<text x="16" y="{middle:g}" fill="#222222">{escape(label)}</text>')
        for box in boxes:
            left, width = LEFT + box.start * unit, (box.end - box.start) * unit
            fill, ink = COLORS[box.kind]
            parts.append(
                f'<rect x="{left:.1f}" y="{top}" width="{width:.1f}" height="{ROW}" rx="4"'
                f' fill="{fill}" stroke="{ink}" stroke-opacity="0.35"/>'
            )
            if box.text:
                parts.append(
                    f'<text x="{left + width / 2:.1f}" y="{middle:g}" text-anchor="middle"'
                    f' fill="{ink}">{escape(box.text)}</text>'
                )
    foot = height - 12
    parts.append(
        f'<text x="{LEFT}" y="{foot}" fill="#555555" font-size="12">time \N{RIGHTWARDS ARROW} (not to scale)</text>'
    )
    return "\n".join([*parts, "</svg>"]) + "\n"
