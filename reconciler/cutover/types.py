"""The cut-over, what is seen of the world, what a run remembers, and what can come next."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
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
    Settled,
    Waiting,
)
from reconciler.model.resources import RollOut
from reconciler.plan.calls import ApiCall


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

    def reversed(self, failed_id: str, run_state: RunState) -> CutOver:
        """Back to the role that consumers held, for those that may have taken up the other."""
        return replace(
            self,
            before=self.after,
            after=self.roll_back_to,
            settle_as=Failed(failed_id),
            roll_back_to=None,
            releases=self.releases_back,
            releases_back=(),
            moves_back=self.hops,
            untouched=run_state.untouched or frozenset(),
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


def _frozen() -> Mapping[InstanceKey, float]:
    return MappingProxyType({})


def _reasons() -> Mapping[InstanceKey, str]:
    return MappingProxyType({})


@dataclass(frozen=True, slots=True)
class RunState:
    """What this run has done itself; it dies with the process, so nothing here is needed for
    safety, only to save work. Times are seconds of the epoch."""

    run: str
    began_at: float = 0.0
    asked: bool = False
    allowed: frozenset[InstanceKey] = frozenset()
    """Instances for which EC2 was asked, and did not refuse, since the role inside last changed."""
    refused: Mapping[InstanceKey, str] = field(default_factory=_reasons)
    """Those that would not get back what is taken from them; they are among ``failed`` too."""
    released: bool = False
    let_go: bool = True
    """Whether an instance let go of the role before since that was last noted; so at the start,
    since an earlier run may have died before it noted it."""
    swaps: int = 0
    began_with: RoleMark | None = None
    """The mark on the profile when this run began."""
    marked_at: int | None = None
    """When this run last noted on the profile that it is at work."""
    untouched: frozenset[AssociationSeen] | None = None
    """Consumers as they were before the swap, but for those that an earlier run, or a launch since
    then, may have given the new role."""
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
    postponed: Mapping[InstanceKey, str] = field(default_factory=_reasons)
    """Of a roll-back: those that were refused what is theirs while EC2 saw the role that failed.
    They are tried once more when it sees the one that goes back in."""
    waiting_since: float | None = None
    batches: int = 0
    """Batches that went well, an earlier run's canary included."""
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
    """Calls that change nothing, since they must be refused: with the code ``refusal`` where they
    would be allowed."""

    calls: tuple[ApiCall, ...]
    refusal: Literal["LimitExceeded", "DryRunOperation"]
    why: str


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
class GiveUpInstance:
    """This instance cannot be brought over; the others go on as ``limits`` say."""

    key: InstanceKey
    reason: str


@dataclass(frozen=True, slots=True)
class BatchDone:
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


Decision = Ask | Act | Pause | List | GiveUpInstance | BatchDone | Done | GiveUp


def role_visible_at(cutover: CutOver, observed: Observation, run_state: RunState) -> float:
    """When EC2 sees the new role. A resumed run cannot know when the swap was, so it waits in
    full from when it first looked."""
    since = run_state.swapped_at if run_state.swapped_at is not None else observed.now
    return since + cutover.limits.propagation_seconds


def temporary_visible_at(cutover: CutOver, observed: Observation, run_state: RunState) -> float:
    """When EC2 sees the role in the shadow."""
    since = run_state.filled_at if run_state.filled_at is not None else observed.now
    return since + cutover.limits.propagation_seconds


def final_mark(cutover: CutOver, observed: Observation, run_state: RunState) -> RoleMark:
    if cutover.settle_as is not None:
        return cutover.settle_as
    mark = observed.profile.mark
    if mark == Settled(observed.target) or observed.after_id is None:
        return Settled(observed.target)
    if cutover.limits.strategy != "wait" and cutover.is_narrow:
        return Partial.of(observed.target, {*cutover.regions, *observed.covered})
    if cutover.limits.strategy != "wait":
        return Settled(observed.target)
    if isinstance(mark, Waiting) and mark.role_id == observed.target:
        return mark
    return Waiting(observed.target, int(run_state.swapped_at or observed.now))


def is_covered(cutover: CutOver, observed: Observation) -> bool:
    """Whether the regions noted on the profile are all that are asked for. Where they did not fit
    into the tag, any list that does not fit either is taken for the same."""
    mark = observed.profile.mark
    if not isinstance(mark, Partial) or mark.role_id != observed.target or not cutover.is_narrow:
        return False
    return Partial.of(observed.target, {*cutover.regions, *mark.regions}) == mark
