"""What every format of the picture shows: a row for each profile, with its roles and instances;
many instances of it to which the same happens are one."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from textwrap import wrap
from types import MappingProxyType

from reconciler.model.address import PROFILE, ROLE, Address
from reconciler.plan.changes import Link, Mark
from reconciler.plan.picture import Node, Picture
from reconciler.render.escape import printable

SIGNS: Mapping[Mark, str] = MappingProxyType(
    {"goes": "-", "comes": "+", "fresh": "↻", "changes": "~", "same": ""}
)
WORDS: Mapping[Mark, str] = MappingProxyType(
    {"goes": "removed", "comes": "added", "fresh": "cut over", "changes": "changed", "same": ""}
)
COLORS: Mapping[Mark, str] = MappingProxyType(
    {"goes": "#cf222e", "comes": "#1a7f37", "fresh": "#8250df", "changes": "#9a6700", "same": ""}
)
"""For formats that have no dark and light. Those of the pages are in ``page.css``."""
KINDS: Mapping[str, str] = MappingProxyType({ROLE: "role", PROFILE: "instance profile"})
LETTERS = 40
"""Of a line in a picture."""
HEADS = ("Roles", "Instance profiles", "Instances")
_RANK: Mapping[Mark, int] = MappingProxyType(
    {"goes": 0, "comes": 1, "fresh": 2, "changes": 2, "same": 3}
)


@dataclass(frozen=True, slots=True)
class Leaf:
    """An instance, or several of one profile to which the same happens."""

    nodes: tuple[Node, ...]
    mark: Mark

    @property
    def title(self) -> str:
        if len(self.nodes) == 1:
            return printable(self.nodes[0].address.name)
        return f"{len(self.nodes)} instances"

    @property
    def details(self) -> tuple[str, ...]:
        """The name and region of one; how many are in each region, as lines."""
        if len(self.nodes) == 1:
            node = self.nodes[0]
            parts = [printable(part) for part in (node.label, node.region) if part]
            return (", ".join(parts),) if parts else ()
        counts = Counter(node.region for node in self.nodes if node.region)
        listed = [f"{count}\0in\0{region}" for region, count in sorted(counts.items())]
        return tuple(
            line.replace("\0", " ")
            for line in wrap(", ".join(listed), LETTERS, break_on_hyphens=False)
        )


@dataclass(frozen=True, slots=True)
class GraphRow:
    """A profile, or roles that are in none. ``roles`` and ``leaves`` with what happens to the
    link."""

    profile: Node | None
    roles: tuple[tuple[Node, Mark], ...] = ()
    leaves: tuple[Leaf, ...] = ()

    @property
    def is_changing(self) -> bool:
        marks = {mark for _, mark in self.roles} | {role.mark for role, _ in self.roles}
        marks |= {leaf.mark for leaf in self.leaves}
        marks |= {self.profile.mark} if self.profile is not None else set()
        return marks != {"same"}


def rows(picture: Picture, most: int) -> list[GraphRow]:
    """What changes first, then profiles that have a role in common together, then by name; roles
    that are in no profile last. More than ``most`` instances of a profile to which the same happens
    are one."""
    nodes = {node.address: node for node in picture.nodes}
    roles: dict[Address, list[Link]] = {}
    users: dict[Address, list[Link]] = {}
    for link in picture.links:
        if link.before.kind == ROLE:
            roles.setdefault(link.after, []).append(link)
        else:
            users.setdefault(link.before, []).append(link)
    made = [
        GraphRow(
            node,
            tuple((nodes[link.before], link.mark) for link in roles.get(node.address, ())),
            _leaves(users.get(node.address, []), nodes, most),
        )
        for node in picture.nodes
        if node.address.kind == PROFILE
    ]
    held = {link.before for link in picture.links if link.before.kind == ROLE}
    free = [n for n in picture.nodes if n.address.kind == ROLE and n.address not in held]
    made += [GraphRow(None, ((role, role.mark),)) for role in free]
    first = _first_of_each_family(made)

    def place(number: int) -> tuple[bool, bool, int, int]:
        row = made[number]
        return not row.is_changing, row.profile is None, first[number], number

    return [made[number] for number in sorted(range(len(made)), key=place)]


def _first_of_each_family(made: list[GraphRow]) -> list[int]:
    """For each row the first one with which it has a role in common, perhaps through others."""
    first = list(range(len(made)))

    def root(number: int) -> int:
        while first[number] != number:
            number = first[number]
        return number

    holders: dict[tuple[bool, Address], int] = {}
    for number, row in enumerate(made):
        for role, _ in row.roles:
            before = root(holders.setdefault((row.is_changing, role.address), number))
            own = root(number)
            first[max(before, own)] = min(before, own)
    return [root(number) for number in range(len(made))]


def _leaves(links: list[Link], nodes: Mapping[Address, Node], most: int) -> tuple[Leaf, ...]:
    """One by one where they are few."""
    shown: list[Leaf] = []
    for mark in _RANK:
        here = tuple(nodes[link.after] for link in links if link.mark == mark)
        if len(here) > most:
            shown.append(Leaf(here, mark))
        else:
            shown.extend(Leaf((node,), mark) for node in here)
    return tuple(shown)


def name(node: Node) -> str:
    return printable(node.address.name)


def signed(mark: Mark, text: str) -> str:
    return f"{SIGNS[mark]} {text}" if SIGNS[mark] else text


def worse(link: Mark, own: Mark) -> Mark:
    """What happens to a role in a profile, or to the role itself if that is more."""
    return own if link == "same" else link
