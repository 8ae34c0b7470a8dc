"""Roles, profiles and instances with their links and changes: as SVG in three columns, and as a
list for screens that are too narrow for it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from reconciler.plan.changes import Link, Mark
from reconciler.plan.picture import Node, Picture
from reconciler.render.graph.layout import laid_out
from reconciler.render.graph.rows import KINDS, GraphRow, name, rows, signed, worse
from reconciler.render.graph.svg import embedded
from reconciler.render.html.shell import text

MOST_PROFILES = 60
FEW_INSTANCES = 4


def picture(links: Iterable[Link], marks: Mapping[str, Mark]) -> str:
    """``marks`` says what happens to resources, by address. Empty where there is nothing to
    show."""
    listed = list(links)
    ends = {end for link in listed for end in (link.before, link.after)}
    nodes = [Node(end, marks.get(str(end), "same")) for end in ends]
    return drawn(rows(Picture.of(listed, nodes), FEW_INSTANCES), MOST_PROFILES)


def drawn(given: Sequence[GraphRow], most: int | None = None) -> str:
    """As much as is asked for, of what changes first."""
    shown = given[:most]
    if not shown:
        return ""
    left_out = len(given) - len(shown)
    more = f"<p>{left_out} more profiles are not shown.</p>" if left_out else ""
    listed = "".join(map(_listed, shown))
    return (
        f'<div class="picture">{embedded(laid_out(shown))}</div><ul class="listed">{listed}</ul>'
        f"{more}"
    )


def _listed(row: GraphRow) -> str:
    """A profile, and below it its roles and instances."""
    parts = [
        _part(KINDS[role.address.kind], name(role), worse(mark, role.mark))
        for role, mark in row.roles
    ]
    if row.profile is None:
        return "".join(parts)
    parts += [
        _part("instance", leaf.title, leaf.mark, " ".join(leaf.details)) for leaf in row.leaves
    ]
    own = _part(KINDS[row.profile.address.kind], name(row.profile), row.profile.mark)
    return f"{own.removesuffix('</li>')}<ul>{''.join(parts)}</ul></li>"


def _part(kind: str, title: str, mark: Mark, detail: str = "") -> str:
    more = f' <span class="faint">{text(detail)}</span>' if detail else ""
    return (
        f'<li><span class="faint">{kind}</span> '
        f'<b class="{mark}">{text(signed(mark, title))}</b>{more}</li>'
    )
