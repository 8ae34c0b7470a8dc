"""The desired state: what the specs ask for, each thing with its place in a file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TypeVar

from reconciler.diagnostics import Diagnostic, Location
from reconciler.model.address import Address, named
from reconciler.model.resources import InstanceProfile, Policy, Role, RollOut
from reconciler.spec.settings import Settings
from reconciler.spec.yaml.tree import Path, Tree, locate, value_location

_D = TypeVar("_D")


@dataclass(frozen=True, slots=True, eq=False)
class Place:
    """A resource's place in a file, from which the places of its parts are found."""

    tree: Tree
    path: Path

    def at(self, *segments: str | int) -> Location:
        return locate(self.tree, (*self.path, *segments))

    def value(self, *segments: str | int) -> Location:
        """As ``at``, but the place of the value in place of its key's."""
        return value_location(self.tree, (*self.path, *segments))

    @property
    def here(self) -> Location:
        return self.at()


@dataclass(frozen=True, slots=True)
class DesiredPolicy:
    """``leave`` names the attributes that stay as they are live: those that the spec omits, or an
    ignore rule names."""

    resource: Policy
    leave: frozenset[str]
    place: Place


@dataclass(frozen=True, slots=True)
class DesiredRole:
    """``resource.managed_policies`` and the boundary are as written: names or ARNs."""

    resource: Role
    leave: frozenset[str]
    place: Place


@dataclass(frozen=True, slots=True)
class DesiredProfile:
    resource: InstanceProfile
    leave: frozenset[str]
    place: Place
    limits: RollOut = field(default_factory=RollOut)


@dataclass(frozen=True, slots=True)
class DesiredAssociation:
    """Instances by id or, where ``select`` is given, by tags. ``regions`` is ``None`` for those of
    the target; ``${region}`` in names stands for the region."""

    name: str
    profile: str
    place: Place
    instances: tuple[str, ...] = ()
    select: Mapping[str, tuple[str, ...]] | None = None
    regions: tuple[str, ...] | None = None
    is_chosen: bool = True
    """Whether it is in the selected part of the set."""

    def in_region(self, region: str) -> DesiredAssociation:
        """The association with ``${region}`` filled in."""

        def filled(text: str) -> str:
            return text.replace("${region}", region)

        select = self.select and {
            filled(key): tuple(filled(v) for v in values) for key, values in self.select.items()
        }
        return replace(
            self,
            profile=filled(self.profile),
            instances=tuple(filled(i) for i in self.instances),
            select=select,
        )


Desired = DesiredPolicy | DesiredRole | DesiredProfile


@dataclass(frozen=True, slots=True)
class DesiredState:
    """Keyed by ``name_key``."""

    policies: Mapping[str, DesiredPolicy] = field(default_factory=dict)
    roles: Mapping[str, DesiredRole] = field(default_factory=dict)
    profiles: Mapping[str, DesiredProfile] = field(default_factory=dict)
    associations: tuple[DesiredAssociation, ...] = ()

    def role(self, name: str | None) -> DesiredRole | None:
        return named(self.roles, name)

    def profile(self, name: str) -> DesiredProfile | None:
        return named(self.profiles, name)

    def policy(self, name: str) -> DesiredPolicy | None:
        return named(self.policies, name)

    @property
    def size(self) -> int:
        return sum(
            len(part) for part in (self.policies, self.roles, self.profiles, self.associations)
        )

    def entities(self) -> tuple[Desired, ...]:
        """Policies, roles and profiles, sorted within each kind."""
        return (*ordered(self.policies), *ordered(self.roles), *ordered(self.profiles))


def ordered(part: Mapping[str, _D]) -> tuple[_D, ...]:
    return tuple(part[name] for name in sorted(part))


@dataclass(frozen=True, slots=True)
class SpecSet:
    """A loaded set. ``diagnostics`` are sorted; with an error among them ``desired`` is not to be
    used. ``sources`` holds the text of every file, by the name that diagnostics give it."""

    root: str
    settings: Settings
    desired: DesiredState
    diagnostics: tuple[Diagnostic, ...]
    sources: Mapping[str, str] = field(default_factory=dict)
    chosen: frozenset[Address] | None = None
    """Addresses of roles, policies and profiles in the selected part of the set; ``None`` for all.
    Instances follow from the associations."""
    settings_place: Place | None = None
