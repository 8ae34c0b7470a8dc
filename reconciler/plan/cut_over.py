"""A cut-over in a plan: from which role to which, the observed profile, and the steps to show."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Literal

from reconciler.model.address import Address, profile_address
from reconciler.model.live import LiveInstance, LiveProfile
from reconciler.model.ownership import (
    HOLDS,
    NO_ROLE,
    Failed,
    InstanceKey,
    Partial,
    RoleMark,
)
from reconciler.model.resources import RollOut
from reconciler.plan.calls import Action
from reconciler.plan.gates import GateAnswers


@dataclass(frozen=True, slots=True)
class RoleRef:
    """A role by name and unique id; the id is ``None`` until the role is made."""

    name: str
    id: str | None


@dataclass(frozen=True, slots=True)
class AssociationSeen:
    """How an instance was seen: on which association, and started when."""

    key: InstanceKey
    association: str
    launched_at: float


@dataclass(frozen=True, slots=True)
class CutOver:
    """From one role to another inside a profile, and out to every running consumer.

    ``before`` is the role inside now; it and ``after`` are ``None`` for no role. ``settle_as`` is
    the mark at the end in place of the new role's id: a roll-back ends in ``failed/...``.
    """

    profile: str
    before: RoleRef | None
    after: RoleRef | None
    limits: RollOut
    regions: tuple[str, ...]
    prefix: str
    settle_as: RoleMark | None = None
    roll_back_to: RoleRef | None = None
    """The role that consumers have, according to the mark on the profile: it is restored if the
    canary fails. ``None`` if consumers may have several roles, or ``after`` already: then a failure
    stops the cut-over, since after a roll-back the mark says that no consumer has ``after``."""
    releases: tuple[str, ...] = ()
    """Our roles that lose consumers: the time of the release is recorded on them."""
    releases_back: tuple[str, ...] = ()
    """The same for a roll-back."""
    is_narrow: bool = False
    """Whether ``regions`` were chosen, so that others may have consumers as well."""
    not_read: frozenset[str] = frozenset()
    """Of the regions, those that could not be read when it was planned: that was told."""
    untouched: frozenset[AssociationSeen] | None = None
    """Of a roll-back: instances that are still so never took up the role that goes."""
    half: Literal["first", "second"] | None = None
    """Half of a pair, between which the role or the profile is created again. After an interrupt
    the first is still completed, and the second adds the role."""

    home_regions: tuple[str, ...] = ()
    """The regions of the target, where alarms are that are given by their name alone."""
    moves_back: bool = False
    """The roll-back of a hop while the profile still has its role: instances on the temporary
    profile move back, and no other instance needs anything."""

    @property
    def address(self) -> Address:
        return profile_address(self.profile)

    @property
    def hops(self) -> bool:
        """Whether running consumers move to a temporary profile while the role is swapped."""
        return self.limits.strategy == "hop" and self.after is not None and not self.moves_back

    def reversed(self, failed_id: str, untouched: frozenset[AssociationSeen] | None) -> CutOver:
        """The roll-back: to the role that consumers had, for all that may have the other, which are
        all but ``untouched``."""
        return replace(
            self,
            before=self.after,
            after=self.roll_back_to,
            settle_as=Failed(failed_id),
            roll_back_to=None,
            releases=self.releases_back,
            releases_back=(),
            moves_back=self.hops,
            untouched=untouched or frozenset(),
        )


@dataclass(frozen=True, slots=True)
class Observation:
    """What was observed.

    ``instances`` are the consumers and those in flight; ``listed_at`` is when all regions were last
    searched for consumers, in seconds of the epoch; ``after_id`` is the current id of the wanted
    role.
    """

    now: float
    profile: LiveProfile
    after_id: str | None
    instances: Mapping[InstanceKey, LiveInstance]
    listed_at: float
    unread: Mapping[str, str] = field(default_factory=dict)
    """Regions that refused to be listed, each with the reason."""
    temporary: LiveProfile | None = None
    """The profile that stands in for this one during a hop, or whatever has its name."""
    gates: GateAnswers | None = None
    """The last answers about what is watched; ``None`` if nothing was asked."""

    @property
    def target(self) -> str:
        return self.after_id or NO_ROLE

    @property
    def covered(self) -> frozenset[str]:
        """Regions whose consumers have the role, according to the mark of a cut-over with fewer
        regions."""
        mark = self.profile.mark
        is_so = isinstance(mark, Partial) and mark.role_id == self.target
        return frozenset(mark.regions) if isinstance(mark, Partial) and is_so else frozenset()

    def consumers(self) -> tuple[LiveInstance, ...]:
        return self._on(self.profile)

    def noted(self) -> tuple[LiveInstance, ...]:
        """Consumers with our tag that they have a role; the tag may be removed."""
        may = (i for i in self.consumers() if i.untouchable is None)
        return tuple(i for i in may if HOLDS in i.marks)

    def on_temporary_profile(self) -> tuple[LiveInstance, ...]:
        """Instances on the temporary profile."""
        is_ours = self.temporary is not None and self.temporary.temporary_of is not None
        return self._on(self.temporary) if self.temporary is not None and is_ours else ()

    def _on(self, profile: LiveProfile) -> tuple[LiveInstance, ...]:
        named = [i for i in self.instances.values() if i.names(profile.arn) and not i.is_gone]
        return tuple(sorted(named, key=lambda i: i.key))


@dataclass(frozen=True, slots=True)
class PreviewStep:
    """One step as the plan shows it; ``note`` is its purpose."""

    action: Action
    note: str
    instance: str | None = None
    refusal: str | None = None
    """The code with which AWS must refuse it: it asks, and changes nothing."""
