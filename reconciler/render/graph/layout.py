"""Where boxes and lines are in three columns, in pixels. Rows do not overlap, and lines cross
only where a role is in several profiles."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from reconciler.model.address import Address
from reconciler.plan.changes import Mark
from reconciler.plan.picture import Node
from reconciler.render.graph.rows import HEADS, LETTERS, GraphRow, name, signed

CHARACTER, PAD = 8, 8
"""Of a character of the monospaced fonts of today, at 13 pixels, generously."""
LEAST, GAP, LINE, BETWEEN, HEAD, EDGE = 120, 72, 16, 10, 28, 4


@dataclass(frozen=True, slots=True)
class Box:
    """``whole`` is for the tooltip."""

    lines: tuple[str, ...]
    whole: str
    x: float
    y: float
    width: float
    mark: Mark

    @property
    def height(self) -> int:
        return _height(len(self.lines))


@dataclass(frozen=True, slots=True)
class Stroke:
    x1: float
    y1: float
    x2: float
    y2: float
    mark: Mark


@dataclass(frozen=True, slots=True)
class Drawing:
    width: int
    height: int
    heads: tuple[tuple[float, str], ...]
    boxes: tuple[Box, ...]
    strokes: tuple[Stroke, ...]


@dataclass(frozen=True, slots=True)
class _Text:
    lines: tuple[str, ...]
    whole: str
    mark: Mark

    @property
    def height(self) -> int:
        return _height(len(self.lines))

    def box(self, x: float, middle: float, width: float) -> Box:
        return Box(self.lines, self.whole, x, middle - self.height / 2, width, self.mark)


@dataclass(frozen=True, slots=True)
class _Placed:
    """A row, and where its middle is."""

    row: GraphRow
    profile: _Text | None
    leaves: tuple[_Text, ...]
    top: float

    @property
    def height(self) -> int:
        own = self.profile.height if self.profile is not None else _height(1)
        return max(own, sum(leaf.height + BETWEEN for leaf in self.leaves) - BETWEEN)

    @property
    def middle(self) -> float:
        return self.top + self.height / 2


def laid_out(rows: Iterable[GraphRow]) -> Drawing:
    """Profiles are beside the middle of their instances, roles beside the middle of their
    profiles as far as there is room. What is longer than a line is cut, and the tooltip has all of
    it."""
    placed: list[_Placed] = []
    roles: dict[Address, _Text] = {}
    beside: dict[Address, list[tuple[bool, float]]] = {}
    top = float(HEAD)
    for row in rows:
        profile = _of_node(row.profile) if row.profile is not None else None
        leaves = tuple(
            _text([leaf.title, *leaf.details], leaf.mark, cut=_cut_before_region)
            for leaf in row.leaves
        )
        one = _Placed(row, profile, leaves, top)
        placed.append(one)
        top += one.height + BETWEEN
        for role, _ in row.roles:
            roles[role.address] = _of_node(role)
            beside.setdefault(role.address, []).append((not row.is_changing, one.middle))
    middles = _spread(roles, {role: _beside(found) for role, found in beside.items()})
    widths = [
        _width(roles.values()),
        _width(one.profile for one in placed if one.profile is not None),
        _width(leaf for one in placed for leaf in one.leaves),
    ]
    xs = [EDGE + sum(widths[:number]) + number * GAP for number in range(3)]
    boxes = [text.box(xs[0], middles[role], widths[0]) for role, text in roles.items()]
    strokes: list[Stroke] = []
    for one in placed:
        if one.profile is None:
            continue
        boxes.append(one.profile.box(xs[1], one.middle, widths[1]))
        for role, mark in one.row.roles:
            start = xs[0] + widths[0], middles[role.address]
            strokes.append(Stroke(*start, xs[1], one.middle, mark))
        y = one.middle - (sum(leaf.height + BETWEEN for leaf in one.leaves) - BETWEEN) / 2
        for leaf in one.leaves:
            middle = y + leaf.height / 2
            boxes.append(leaf.box(xs[2], middle, widths[2]))
            strokes.append(Stroke(xs[1] + widths[1], one.middle, xs[2], middle, leaf.mark))
            y += leaf.height + BETWEEN
    lowest = max([top, *(box.y + box.height + BETWEEN for box in boxes)])
    heads = tuple(zip(xs, HEADS, strict=True))
    return Drawing(xs[2] + widths[2] + EDGE, int(lowest), heads, tuple(boxes), tuple(strokes))


def _beside(found: list[tuple[bool, float]]) -> float:
    """The mean of the profiles that change, which come first; without any, of all."""
    is_rest = min(is_rest for is_rest, _ in found)
    middles = [middle for one, middle in found if one == is_rest]
    return sum(middles) / len(middles)


def _height(lines: int) -> int:
    return 8 + LINE * lines


def _of_node(node: Node) -> _Text:
    return _text([name(node), node.reason or ""], node.mark, f"{node.address.kind}/")


def _text(
    lines: list[str], mark: Mark, kind: str = "", cut: Callable[[str], str] | None = None
) -> _Text:
    full = [line for line in lines if line]
    shown = [_cut(signed(mark, full[0])), *map(cut or _cut, full[1:])]
    return _Text(tuple(shown), kind + "\n".join(full), mark)


def _width(texts: Iterable[_Text]) -> int:
    longest = max((columns_of(line) for text in texts for line in text.lines), default=0)
    return max(LEAST, longest * CHARACTER + 2 * PAD)


def columns_of(text: str) -> int:
    """Characters of East Asia are as wide as two."""
    return sum(2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in text)


def _cut_before_region(text: str) -> str:
    """A name may be as long as a tag: where the instance is stays, behind it."""
    name, comma, region = text.rpartition(", ")
    if not comma or columns_of(text) <= LETTERS or columns_of(region) >= LETTERS // 2:
        return _cut(text)
    return f"{_cut(name, LETTERS - columns_of(comma + region))}{comma}{region}"


def _cut(text: str, most: int = LETTERS) -> str:
    if columns_of(text) <= most:
        return text
    while columns_of(text) >= most:
        text = text[:-1]
    return f"{text}…"


def _spread(
    texts: Mapping[Address, _Text], wanted: Mapping[Address, float]
) -> dict[Address, float]:
    """Middles as near to where they should be as leaves room for each."""
    placed: dict[Address, float] = {}
    least = 0.0
    for key, middle in sorted(wanted.items(), key=lambda pair: (pair[1], pair[0])):
        half = texts[key].height / 2
        placed[key] = max(middle, least + half)
        least = placed[key] + half + BETWEEN
    return placed
