"""Roles, profiles and instances with their links and changes: as SVG in three columns, and as a
list for screens that are too narrow for it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from html import escape

from reconciler.model.address import PROFILE, ROLE, Address
from reconciler.plan.changes import Link, Mark
from reconciler.render.escape import printable

MOST_PROFILES = 60
FEW_INSTANCES = 4
ROW, COLUMN, BOX, LINE, HEAD = 34, 300, 220, 24, 26
HEADS = ("Roles", "Instance profiles", "Instances")
LETTERS = 30
_RANK: dict[Mark, int] = {"goes": 0, "comes": 1, "fresh": 2, "changes": 2, "same": 3}
_SIGNS: dict[Mark, str] = {"goes": "-", "comes": "+", "fresh": "↻", "changes": "~", "same": ""}


@dataclass(frozen=True, slots=True)
class _Box:
    text: str
    x: int
    y: float
    mark: Mark


@dataclass(frozen=True, slots=True)
class _Row:
    """A profile with its roles and the instances that are shown."""

    profile: str
    roles: tuple[tuple[str, Mark], ...]
    instances: tuple[tuple[str, Mark], ...]

    @property
    def height(self) -> int:
        return max(1, len(self.instances))


def picture(links: Iterable[Link], marks: Mapping[str, Mark]) -> str:
    """``marks`` says what happens to resources, by address. Empty where there is nothing to
    show."""
    rows, left_out = _rows(list(links), marks)
    if not rows:
        return ""
    boxes: list[_Box] = []
    lines: list[str] = []
    roles: dict[str, list[float]] = {}
    top = 0.0
    for row in rows:
        middle = top + (row.height - 1) / 2
        boxes.append(_Box(row.profile, 1, middle, marks.get(row.profile, "same")))
        for role, _ in row.roles:
            roles.setdefault(role, []).append(middle)
        for number, (text, mark) in enumerate(row.instances):
            boxes.append(_Box(text, 2, top + number, mark))
            lines.append(_line(1, middle, top + number, mark))
        top += row.height
    places = _spread({role: sum(ys) / len(ys) for role, ys in roles.items()})
    boxes += [_Box(role, 0, y, marks.get(role, "same")) for role, y in places.items()]
    middles = {box.text: box.y for box in boxes if box.x == 1}
    lines += [
        _line(0, places[role], middles[row.profile], mark)
        for row in rows
        for role, mark in row.roles
    ]
    height = int(max([top, *(y + 1 for y in places.values())]) * ROW) + HEAD
    more = f"<p>{left_out} more profiles are not shown.</p>" if left_out else ""
    title = "Roles, the profiles that hold them, and the instances that use the profiles"
    heads = "".join(
        f'<text class="head" x="{number * COLUMN + 5}" y="14">{head}</text>'
        for number, head in enumerate(HEADS)
    )
    inside = heads + "".join(lines) + "".join(map(_drawn, boxes))
    listed = "".join(_listed(row, marks) for row in rows)
    return (
        f'<div class="picture"><svg viewBox="0 0 {2 * COLUMN + BOX + 10} {height}" role="img" '
        f'aria-label="{title}">{inside}</svg></div>'
        f'<ul class="listed">{listed}</ul>{more}'
    )


def _listed(row: _Row, marks: Mapping[str, Mark]) -> str:
    """A profile, and below it its roles and instances."""
    parts = [_part("role", name, _worse(mark, marks.get(name, "same"))) for name, mark in row.roles]
    parts += [_part("instance", name, mark) for name, mark in row.instances]
    own = _part("instance profile", row.profile, marks.get(row.profile, "same"))
    return f"{own.removesuffix('</li>')}<ul>{''.join(parts)}</ul></li>"


def _worse(link: Mark, own: Mark) -> Mark:
    """What happens to a role in a profile, or to the role itself if that is more."""
    return own if link == "same" else link


def _part(kind: str, address: str, mark: Mark) -> str:
    text = printable(address)
    name = text if kind == "instance" else text.partition("/")[2]
    sign = f"{_SIGNS[mark]} " if _SIGNS[mark] else ""
    return f'<li><span class="faint">{kind}</span> <b class="{mark}">{escape(sign + name)}</b></li>'


def _rows(links: list[Link], marks: Mapping[str, Mark]) -> tuple[list[_Row], int]:
    """What changes first; the rest as far as there is room."""
    made: dict[str, _Row] = {}
    profiles = [link.after for link in links if link.before.kind == ROLE]
    profiles += [link.before for link in links if link.before.kind == PROFILE]
    for profile in dict.fromkeys(profiles):
        roles = tuple((str(link.before), link.mark) for link in links if link.after == profile)
        made[str(profile)] = _Row(str(profile), roles, _instances(profile, links))

    def rank(row: _Row) -> tuple[int, str]:
        all_marks = [m for _, m in (*row.roles, *row.instances)] + [marks.get(row.profile, "same")]
        all_marks += [marks.get(role, "same") for role, _ in row.roles]
        return min(_RANK[m] for m in all_marks) // 3, row.profile

    ordered = sorted(made.values(), key=rank)
    return ordered[:MOST_PROFILES], max(0, len(ordered) - MOST_PROFILES)


def _instances(profile: Address, links: list[Link]) -> tuple[tuple[str, Mark], ...]:
    """One by one where they are few, else as a number."""
    shown: list[tuple[str, Mark]] = []
    for mark in _RANK:
        here = [link.after for link in links if (link.before, link.mark) == (profile, mark)]
        names = [address.name for address in here]
        if len(names) > FEW_INSTANCES:
            shown.append((f"{len(names)} instances", mark))
        else:
            shown.extend((name, mark) for name in names)
    return tuple(shown)


def _spread(wanted: dict[str, float]) -> dict[str, float]:
    """As near to where they should be as leaves room for each."""
    placed: dict[str, float] = {}
    least = 0.0
    for name, y in sorted(wanted.items(), key=lambda pair: (pair[1], pair[0])):
        placed[name] = max(y, least)
        least = placed[name] + 1
    return placed


def _drawn(box: _Box) -> str:
    x, y = box.x * COLUMN + 5, box.y * ROW + HEAD
    sign = f"{_SIGNS[box.mark]} " if _SIGNS[box.mark] else ""
    text = printable(box.text)
    name = text.partition("/")[2] if box.x < 2 else text
    shown = name if len(name) <= LETTERS else name[: LETTERS - 1] + "…"
    return (
        f'<g class="{box.mark}"><title>{escape(text)}</title>'
        f'<rect x="{x}" y="{y:g}" width="{BOX}" height="{LINE}" rx="4"/>'
        f'<text x="{x + 8}" y="{y + 16:g}">{escape(sign + shown)}</text></g>'
    )


def _line(column: int, left: float, right: float, mark: Mark) -> str:
    x, half = column * COLUMN + 5 + BOX, LINE / 2 + HEAD
    return (
        f'<line class="{mark}" x1="{x}" y1="{left * ROW + half:g}" '
        f'x2="{x + COLUMN - BOX}" y2="{right * ROW + half:g}"/>'
    )
