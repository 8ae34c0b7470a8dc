"""The cut-over, what is seen of the world, what a run remembers, and what can come next."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Literal

from reconciler.address import Address, profile_address
from reconciler.live import LiveInstance, LiveProfile
from reconciler.model import Limits
from reconciler.ownership import HOLDS, NO_ROLE, Failed, InstanceKey, RoleMark, Settled, Waiting
from reconciler.requests import ApiCall


@dataclass(frozen=True, slots=True)
class RoleRef:
    """A role by name and unique id; the id is ``None`` until the role is made."""

    name: str
    id: str | None


@dataclass(frozen=True, slots=True)
class CutOver:
    """From one role to another inside a profile, and out to every running consumer.

    ``before`` and ``after`` are ``None`` for no role. ``settle_as`` is the mark at the end in place
    of the new role's id: a roll-back ends in ``failed/...``.
    """

    profile: str
    before: RoleRef | None
    after: RoleRef | None
    limits: Limits
    regions: tuple[str, ...]
    prefix: str
    settle_as: RoleMark | None = None
    releases: str | None = None
    """The role that loses its consumers, if it is ours: it is noted when they were let go."""
    half: Literal["first", "second"] | None = None
    """Of two, between which the role or the profile is made again. Though asked to stop, the first
    goes to its end, and the second puts the role in."""

    comes_home: bool = False
    """A hop is rolled back, and the profile still has its role: whoever went to the shadow comes
    back, and nobody else needs anything."""

    @property
    def address(self) -> Address:
        return profile_address(self.profile)

    @property
    def hops(self) -> bool:
        """Whether running consumers are to go to a shadow while the role is swapped."""
        return self.limits.strategy == "hop" and self.after is not None and not self.comes_home

    def reversed(self, failed_id: str) -> CutOver:
        """Back to the role that was there."""
        return replace(
            self,
            before=self.after,
            after=self.before,
            settle_as=Failed(failed_id),
            releases=None,
            comes_home=self.hops,
        )


@dataclass(frozen=True, slots=True)
class Seen:
    """What was observed. ``instances`` are the consumers and those in flight, ``listed_at`` is
    when all regions were last asked for consumers, ``after_id`` the wanted role's id now."""

    now: float
    profile: LiveProfile
    after_id: str | None
    instances: Mapping[InstanceKey, LiveInstance]
    listed_at: float
    unread: Mapping[str, str] = field(default_factory=dict)
    """Regions that refused to be listed, each with the reason."""
    shadow: LiveProfile | None = None
    """The profile that stands in for this one during a hop, or whatever has its name."""

    @property
    def target(self) -> str:
        return self.after_id or NO_ROLE

    def consumers(self) -> tuple[LiveInstance, ...]:
        return self._on(self.profile)

    def noted(self) -> tuple[LiveInstance, ...]:
        """Consumers with a note of ours that they hold a role, which may be taken off."""
        may = (i for i in self.consumers() if i.untouchable is None)
        return tuple(i for i in may if HOLDS in i.marks)

    def lent(self) -> tuple[LiveInstance, ...]:
        """Instances on the shadow."""
        is_ours = self.shadow is not None and self.shadow.shadow_of is not None
        return self._on(self.shadow) if self.shadow is not None and is_ours else ()

    def _on(self, profile: LiveProfile) -> tuple[LiveInstance, ...]:
        named = [i for i in self.instances.values() if i.names(profile.arn) and not i.is_gone]
        return tuple(sorted(named, key=lambda i: i.key))


def _frozen() -> Mapping[InstanceKey, float]:
    return MappingProxyType({})


def _reasons() -> Mapping[InstanceKey, str]:
    return MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Memory:
    """What this run has done itself; it dies with the process, so nothing here is needed for
    safety, only to save work. Times are seconds of the epoch."""

    run: str
    began_at: float = 0.0
    asked: bool = False
    released: bool = False
    cleared: bool = False
    """Notes on instances were taken off, or it was tried: they are hints, and may stay."""
    resumed: bool = False
    """The run began with the swap done by an earlier one, whose ``holds`` marks it may believe."""
    swapped_at: float | None = None
    filled_at: float | None = None
    """When the shadow got the new role, or was first seen with it."""
    away: Mapping[InstanceKey, float] = field(default_factory=_frozen)
    taken: Mapping[InstanceKey, str] = field(default_factory=_reasons)
    """Association ids that this run took off: a listing that shows them still is an old one."""
    stopped: Mapping[InstanceKey, float] = field(default_factory=_frozen)
    """Those that this run stopped, each with when it had been launched."""
    back: Mapping[InstanceKey, float] = field(default_factory=_frozen)
    refreshed: Mapping[InstanceKey, str] = field(default_factory=_reasons)
    """Association ids that were made after EC2 saw the new role."""
    failed: Mapping[InstanceKey, str] = field(default_factory=_reasons)
    waiting_since: float | None = None
    batches: int = 0
    batch_ended_at: float | None = None
    changed_at: float = 0.0
    closed: str | None = None
    """Why no batch may begin now: the time is over, or our credentials would not outlive it."""
    stopping: bool = False
    """A person asked to stop: only what is half done is put right."""
    hurrying: bool = False
    """The process is about to be killed: profiles are given back without waiting for anything."""


@dataclass(frozen=True, slots=True)
class Ask:
    """A call that must be refused: ``LimitExceeded`` means that it would be allowed."""

    call: ApiCall


@dataclass(frozen=True, slots=True)
class Act:
    """Calls to make, in order. With ``is_hint`` their failure is a warning and no more."""

    calls: tuple[ApiCall, ...]
    why: str
    is_hint: bool = False
    undo: tuple[ApiCall, ...] = ()


@dataclass(frozen=True, slots=True)
class Pause:
    """Nothing to do for ``seconds``; then look at ``watch`` again."""

    seconds: float
    why: str
    watch: tuple[InstanceKey, ...] = ()
    is_poll: bool = False


@dataclass(frozen=True, slots=True)
class List:
    """Ask all regions for consumers once more."""


@dataclass(frozen=True, slots=True)
class Lose:
    """This instance cannot be brought over; the others go on as ``limits`` say."""

    key: InstanceKey
    reason: str


@dataclass(frozen=True, slots=True)
class EndBatch:
    """All instances of a batch are back."""


@dataclass(frozen=True, slots=True)
class Done:
    pass


@dataclass(frozen=True, slots=True)
class GiveUp:
    """It ends here. With ``roll_back`` the role that was there goes back in; ``is_stop`` says that
    a person asked for the end, and that what was half done has been put right."""

    reason: str
    roll_back: bool = False
    is_stop: bool = False


Decision = Ask | Act | Pause | List | Lose | EndBatch | Done | GiveUp


def spread_at(cutover: CutOver, seen: Seen, memory: Memory) -> float:
    """When EC2 sees the new role. A resumed run cannot know when the swap was, so it waits in
    full from when it first looked."""
    since = memory.swapped_at if memory.swapped_at is not None else seen.now
    return since + cutover.limits.propagation_seconds


def shadow_spread_at(cutover: CutOver, seen: Seen, memory: Memory) -> float:
    """When EC2 sees the role in the shadow."""
    since = memory.filled_at if memory.filled_at is not None else seen.now
    return since + cutover.limits.propagation_seconds


def final_mark(cutover: CutOver, seen: Seen, memory: Memory) -> RoleMark:
    if cutover.settle_as is not None:
        return cutover.settle_as
    if cutover.limits.strategy != "wait" or seen.after_id is None:
        return Settled(seen.target)
    mark = seen.profile.mark
    if isinstance(mark, Waiting | Settled) and mark.role_id == seen.target:
        return mark
    return Waiting(seen.target, int(memory.swapped_at or seen.now))
