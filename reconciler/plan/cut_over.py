"""A cut-over as a plan holds it: from which role to which, what was observed of the profile, and
the steps to show."""

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
    """The role that consumers hold, as the mark on the profile says: it goes back in if the canary
    fails. ``None`` where consumers may hold more than one, or ``after`` already: then a failure
    stops the cut-over, since after a roll-back the mark says that nobody holds ``after``."""
    releases: tuple[str, ...] = ()
    """Roles of ours that lose consumers: it is noted on them when they were let go."""
    releases_back: tuple[str, ...] = ()
    """The same for a roll-back."""
    is_narrow: bool = False
    """Whether ``regions`` were chosen, so that others may have consumers as well."""
    untouched: frozenset[AssociationSeen] | None = None
    """Of a roll-back: instances that are still so never took up the role that goes."""
    half: Literal["first", "second"] | None = None
    """Of two, between which the role or the profile is made again. Though asked to stop, the first
    goes to its end, and the second puts the role in."""

    moves_back: bool = False
    """A hop is rolled back, and the profile still has its role: whoever went to the shadow comes
    back, and nobody else needs anything."""

    @property
    def address(self) -> Address:
        return profile_address(self.profile)

    @property
    def hops(self) -> bool:
        """Whether running consumers are to go to a shadow while the role is swapped."""
        return self.limits.strategy == "hop" and self.after is not None and not self.moves_back

    def reversed(self, failed_id: str, untouched: frozenset[AssociationSeen] | None) -> CutOver:
        """The roll-back: to the role that consumers held, for those that may have taken up the
        other, which are all but ``untouched``."""
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
    """What was observed. ``instances`` are the consumers and those in flight, ``listed_at`` is
    when all regions were last asked for consumers, ``after_id`` the wanted role's id now."""

    now: float
    profile: LiveProfile
    after_id: str | None
    instances: Mapping[InstanceKey, LiveInstance]
    listed_at: float
    unread: Mapping[str, str] = field(default_factory=dict)
    """Regions that refused to be listed, each with the reason."""
    temporary: LiveProfile | None = None
    """The profile that stands in for this one during a hop, or whatever has its name."""

    @property
    def target(self) -> str:
        return self.after_id or NO_ROLE

    @property
    def covered(self) -> frozenset[str]:
        """Regions whose consumers have the role, as a cut-over of fewer regions has noted."""
        mark = self.profile.mark
        is_so = isinstance(mark, Partial) and mark.role_id == self.target
        return frozenset(mark.regions) if isinstance(mark, Partial) and is_so else frozenset()

    def consumers(self) -> tuple[LiveInstance, ...]:
        return self._on(self.profile)

    def noted(self) -> tuple[LiveInstance, ...]:
        """Consumers with a note of ours that they hold a role, which may be taken off."""
        may = (i for i in self.consumers() if i.untouchable is None)
        return tuple(i for i in may if HOLDS in i.marks)

    def on_temporary_profile(self) -> tuple[LiveInstance, ...]:
        """Instances on the shadow."""
        is_ours = self.temporary is not None and self.temporary.temporary_of is not None
        return self._on(self.temporary) if self.temporary is not None and is_ours else ()

    def _on(self, profile: LiveProfile) -> tuple[LiveInstance, ...]:
        named = [i for i in self.instances.values() if i.names(profile.arn) and not i.is_gone]
        return tuple(sorted(named, key=lambda i: i.key))


@dataclass(frozen=True, slots=True)
class PreviewStep:
    """One step as the plan shows it; ``note`` says what it is for."""

    action: Action
    note: str
    instance: str | None = None
    refusal: str | None = None
    """The code with which AWS must refuse it: it asks, and changes nothing."""
