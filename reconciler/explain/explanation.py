"""What is said of one address in one account, as values. ``chain.py`` makes them."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from reconciler.diagnostics import Location
from reconciler.explain.stops import Stop
from reconciler.model.address import Address
from reconciler.model.consumers import ConsumerGroup
from reconciler.model.launch_sources import Origin
from reconciler.model.live import AssociationRow, LiveInstance
from reconciler.plan.blast_radius import Apart, BlastRadius
from reconciler.plan.changes import Change, Conflict, Difference, Guard, Kept, Unmet, Unread
from reconciler.plan.plan import TargetPlan
from reconciler.planner.associations import Elsewhere
from reconciler.planner.launches import Launch
from reconciler.planner.served import Served

Presence = Literal["there", "missing", "unknown"]

DONE = "an earlier run has cut it over already"
"""Why a cut-over leaves an instance as it is, which is as it is to be."""


@dataclass(frozen=True, slots=True)
class MarkInWords:
    """One of our tags: its whole key, its value, and what it means."""

    key: str
    value: str
    meaning: str


@dataclass(frozen=True, slots=True)
class Part:
    """One resource of the chain. ``in_aws`` is whether it exists there; ``source`` is its place in
    the specs, ``None`` where they do not define it.

    ``differences`` have what AWS has as ``before``, and what the specs want as ``after``; ``why``
    says why this one is in the chain, where more than one could be."""

    address: Address
    in_aws: Presence
    source: Location | None
    ownership: str
    arn: str | None = None
    differences: tuple[Difference, ...] = ()
    places: Mapping[str, Location] = field(default_factory=dict)
    marks: tuple[MarkInWords, ...] = ()
    why: str = ""
    unread: str | None = None


@dataclass(frozen=True, slots=True)
class ProfilePart(Part):
    """``role`` is the name of the role inside now, ``wanted_role`` the one that the specs want,
    where they define the profile."""

    role: str | None = None
    wanted_role: str | None = None


PolicyKind = Literal["managed", "aws-managed", "inline", "boundary"]
Hold = Literal["both", "aws", "specs"]


@dataclass(frozen=True, slots=True)
class PolicyOfRole:
    """A policy of a role. ``held`` says whether AWS, the specs or both give it to the role;
    ``document`` is the one in AWS, else that of the specs, ``None`` where neither is known."""

    kind: PolicyKind
    name: str
    held: Hold
    arn: str | None = None
    source: Location | None = None
    document: Any = None
    unread: str | None = None
    differs: bool = False
    """Whether the document of the specs says something else."""
    address: Address | None = None
    """Of one of the account's own."""


@dataclass(frozen=True, slots=True)
class RolePart(Part):
    """``policies`` are sorted by kind and name, the boundary last."""

    policies: tuple[PolicyOfRole, ...] = ()
    profiles: tuple[Address, ...] = ()
    """Profiles that hold it or are to hold it, or whose mark names it."""
    trusts_ec2: bool | None = None
    """Whether EC2 may serve it to instances; ``None`` where it is not there."""


@dataclass(frozen=True, slots=True)
class PolicyPart(Part):
    """``roles`` have it attached or as their boundary, those of ``boundary_of`` only as that;
    ``others`` counts users and groups."""

    roles: tuple[Address, ...] = ()
    boundary_of: tuple[Address, ...] = ()
    others: int = 0
    document: Any = None


@dataclass(frozen=True, slots=True)
class AssociationPart:
    """``row`` is the association that counts; ``wanted`` is the profile that an association of the
    specs gives the instance, ``named`` how the specs call that one."""

    row: AssociationRow | None
    named: str | None = None
    wanted: str | None = None
    source: Location | None = None
    is_selected: bool = False
    rival: str | None = None
    marks: tuple[MarkInWords, ...] = ()
    elsewhere: tuple[Elsewhere, ...] = ()
    """Those that would mean it in another region."""


@dataclass(frozen=True, slots=True)
class Next:
    """What the plan of today has about the chain.

    ``elsewhere`` is what stops the apply though it is about something else. ``stops`` is everything
    that does, what is about the chain first; ``flags`` lift it, as far as flags can, and ``then``
    is what an apply with them changes of the chain. Without ``stops`` that is ``changes``."""

    changes: tuple[Change, ...] = ()
    conflicts: tuple[Conflict, ...] = ()
    guards: tuple[Guard, ...] = ()
    kept: tuple[Kept, ...] = ()
    unread: tuple[Unread, ...] = ()
    unmet: tuple[Unmet, ...] = ()
    elsewhere: tuple[Stop, ...] = ()
    stops: tuple[Stop, ...] = ()
    flags: tuple[str, ...] = ()
    then: tuple[Change, ...] = ()
    reached: Mapping[Address, BlastRadius] = field(default_factory=dict)
    """Whom each of these changes reaches."""
    then_kept: tuple[Kept, ...] = ()
    """What that apply leaves alone."""
    untouched: str | None = None
    """Why a cut-over of its profile leaves the instance that was asked about as it is."""

    @property
    def is_blocked(self) -> bool:
        """Whether an apply changes nothing at all before a flag is given."""
        return bool(self.conflicts or self.guards or self.elsewhere)

    @property
    def is_nothing(self) -> bool:
        told = self.changes or self.then or self.conflicts or self.guards
        return not (told or self.unread or self.unmet)


Relation = Literal["started-it", "by-its-group", "names-the-profile", "started-consumers"]
"""Why a source of new instances is told: it started the instance, it starts them by the group of
the instance, it names a profile of the chain, or it started consumers of the profile."""


@dataclass(frozen=True, slots=True)
class NewInstances:
    """What new instances get, and what the running ones have or get by the specs.

    ``role`` is in the profile now, ``role_after`` once the plan is applied; while the apply is
    blocked (``Next.is_blocked``) that is not the next one. ``differs`` is whether
    they would get another profile than the specs give the running ones (``wanted``)."""

    launch: Launch
    relation: Relation
    role: str | None
    role_after: str | None
    wanted: str | None
    differs: bool
    is_missing: bool = False
    """Whether the profile that it names does not exist."""
    instances: int = 0
    """How many running consumers it has started."""


@dataclass(frozen=True, slots=True)
class NotRead:
    """Something that could not be read, and why: with the permission that it takes."""

    what: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Explanation:
    """Of ``address`` in one account. ``instance`` and ``served`` are set where it is an
    instance."""

    plan: TargetPlan
    address: Address
    instance: LiveInstance | None = None
    origin: Origin | None = None
    served: Served | None = None
    association: AssociationPart | None = None
    profiles: tuple[ProfilePart, ...] = ()
    roles: tuple[RolePart, ...] = ()
    policies: tuple[PolicyPart, ...] = ()
    consumers: tuple[ConsumerGroup, ...] = ()
    apart: tuple[Apart, ...] = ()
    """Consumers that a cut-over would not refresh, or not at once."""
    searched: tuple[str, ...] = ()
    """The regions in which consumers were looked for."""
    next: Next = field(default_factory=Next)
    new_instances: tuple[NewInstances, ...] = ()
    not_read: tuple[NotRead, ...] = ()

    def addresses(self) -> frozenset[Address]:
        """Of everything in the chain. A policy that was asked about is not the others beside
        it."""
        parts: Iterable[Part] = (*self.profiles, *self.roles, *self.policies)
        found = {self.address, *(part.address for part in parts)}
        if not self.policies:
            held = (policy.address for role in self.roles for policy in role.policies)
            found |= {address for address in held if address is not None}
        return frozenset(found)


@dataclass(frozen=True, slots=True)
class Explained:
    """What was ``asked``, and an answer for each account that has it, or whose specs do."""

    asked: str
    owner: str
    answers: tuple[Explanation, ...]
    api_calls: Mapping[str, int] = field(default_factory=dict)
    apply: tuple[str, ...] = ("reconciler", "apply")
    """How an apply of the same specs is called."""

    def command(self, following: Next) -> str | None:
        """What to type for an apply that nothing stops; ``None`` where no flag helps, or nothing
        stops it."""
        if not following.flags:
            return None
        return shlex.join((*self.apply, *following.flags))
