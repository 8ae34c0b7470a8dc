"""Who holds what: roles, the profiles that hold them and the instances that use the profiles, each
with what happens to it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType

from reconciler.model.address import PROFILE, Address
from reconciler.plan.changes import Action, Link, Mark

MARKS: Mapping[Action, Mark] = MappingProxyType(
    {
        "create": "comes",
        "adopt": "changes",
        "update": "changes",
        "restore": "changes",
        "delete": "goes",
        "cutover": "fresh",
    }
)
"""By the first action of a change: what is replaced goes first."""


@dataclass(frozen=True, slots=True)
class Node:
    """A role, a profile or an instance. ``label`` is the Name of an instance; ``reason`` says why
    it changes where it has no change of its own."""

    address: Address
    mark: Mark = "same"
    region: str | None = None
    label: str | None = None
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class Picture:
    """Both sorted; every end of a link is a node."""

    nodes: tuple[Node, ...]
    links: tuple[Link, ...]

    @classmethod
    def of(cls, links: Iterable[Link], nodes: Iterable[Node]) -> Picture:
        """Ends of links that are no nodes get one; an instance is marked by its links."""
        drawn = tuple(sorted(set(links), key=lambda link: (link.after, link.before, link.mark)))
        made = {node.address: node for node in nodes}
        marks: dict[Address, set[Mark]] = {}
        for link in drawn:
            for end in (link.before, link.after):
                made.setdefault(end, Node(end))
            marks.setdefault(link.after, set()).add(link.mark)
        for address, node in made.items():
            if address.is_instance:
                # By its links: one that leaves a profile for another changes.
                found = marks.get(address, {node.mark})
                mark: Mark = next(iter(found)) if len(found) == 1 else "changes"
                made[address] = replace(node, mark=mark)
        return cls(tuple(made[address] for address in sorted(made)), drawn)

    @property
    def changing(self) -> Picture:
        """The profiles with which something happens, with all that they hold and that uses them,
        and roles with which something happens."""
        marked = {node.address for node in self.nodes if node.mark != "same"}
        kept = set[Address]()
        for link in self.links:
            if link.mark != "same" or {link.before, link.after} & marked:
                kept.add(link.before if link.before.kind == PROFILE else link.after)
        kept |= {address for address in marked if address.kind == PROFILE}
        links = tuple(link for link in self.links if {link.before, link.after} & kept)
        ends = {end for link in links for end in (link.before, link.after)} | marked | kept
        return Picture(tuple(node for node in self.nodes if node.address in ends), links)
