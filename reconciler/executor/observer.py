"""What a cut-over observes, and when it may believe it."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass, field, replace

from reconciler.cutover.run_state import RunState
from reconciler.errors import DENIED, AwsError
from reconciler.executor.interrupt import Interrupt
from reconciler.executor.retry_rules import STOPPING_SECONDS
from reconciler.model.address import Address, role_address, same_name
from reconciler.model.live import LiveInstance, LiveProfile, LiveState
from reconciler.model.ownership import NO_ROLE, InstanceKey, Pending, temporary_name
from reconciler.model.resources import Identity
from reconciler.plan.calls import POLL_SECONDS
from reconciler.plan.cut_over import CutOver, Observation
from reconciler.ports import Clock, Reader

LOOK_AGAIN_SECONDS = 0.5
BEGIN_SECONDS = 5.0
"""How old a listing may be with which a cut-over begins that nothing was done of."""
UNREAD_SECONDS = 60.0
"""For which a region is asked again that does not answer, and is not denied."""
PROFILE_SECONDS = 10.0
"""Longest time between two reads of the profile while instances are waited for."""
OWN_WRITE_LAG_SECONDS = 120.0
"""Seconds for which IAM may not show a write.
Source: docs.aws.amazon.com/IAM/latest/UserGuide/troubleshoot_general.html
"""


_Look = tuple[tuple[tuple[str, str], ...], str | None, str | None]
"""The marks and the role of a profile, and the role of its temporary profile."""


@dataclass
class Observer:
    """Raises ``AwsError`` if it cannot read; a region that refuses is reported as unread."""

    identity: Identity
    run: str
    reader: Reader
    clock: Clock
    stop: Interrupt
    _written: tuple[_Look, float] | None = None
    """How our last write made them look, and when it was."""
    _earlier: set[_Look] = field(default_factory=set)
    """How they looked before."""
    _looked_at: float = float("-inf")
    """When both profiles were last read."""
    _ids: dict[Address, str] = field(default_factory=dict)
    """The ids of wanted roles, until the profile shows them."""
    _states: dict[InstanceKey, tuple[str, float]] = field(default_factory=dict)
    """The state in which each instance was last shown, and when that was."""
    _was_settled: bool = False
    """Whether no cut-over of the profile was in progress when ours began."""

    def __post_init__(self) -> None:
        self.began = self.clock.now()

    def begin(self, cutover: CutOver) -> Observation:
        """Everything, before anything is done. A listing of some seconds ago serves: what has come
        since is found at the end, and EC2 refuses what no longer fits. Not so where another run
        left off."""
        profile, temporary = self._profiles(cutover)
        is_begun = isinstance(profile.mark, Pending) or bool(profile.in_flight)
        since = None if is_begun or temporary else self.clock.now() - BEGIN_SECONDS
        return self._listed(cutover, profile, temporary, (), since)

    def observe(self, cutover: CutOver, run_state: RunState | None = None) -> Observation:
        """Everything, in every region, after what this run has changed."""
        profile, temporary = self._profiles(cutover)
        flying = set(run_state.away) | set(run_state.back) if run_state else set()
        return self._listed(cutover, profile, temporary, flying, None)

    def _listed(
        self,
        cutover: CutOver,
        profile: LiveProfile,
        temporary: LiveProfile | None,
        flying: Collection[InstanceKey],
        since: float | None,
    ) -> Observation:
        """What a listing of every region shows that began now, or at ``since`` or later."""
        now = self.clock.now()
        arns = {profile.arn, *({temporary.arn} if temporary else ())}
        wanted = {*profile.in_flight, *flying}
        state = self._consumers(cutover, arns, since, may_wait=not wanted)
        began = now if state.listed_at is None else state.listed_at
        users = state.consumers(profile.arn) + (state.consumers(temporary.arn) if temporary else ())
        instances = {i.key: i for i in users}
        instances.update({k: state.instances[k] for k in wanted if k in state.instances})
        unseen = [k for k in wanted if k not in instances and k.region not in state.unread_regions]
        instances.update({i.key: i for i in self.reader.instances(unseen)})
        self._note_states(instances.values(), began)
        return Observation(
            now=now,
            profile=profile,
            after_id=self._wanted(cutover, profile),
            instances=instances,
            listed_at=began,
            unread=state.unread_regions,
            temporary=temporary,
        )

    def _consumers(
        self, cutover: CutOver, arns: Collection[str], since: float | None, *, may_wait: bool
    ) -> LiveState:
        """Asked again for a while if a region refuses that could be read when it was planned: one
        that is throttled, or not there for a moment, must not end the cut-over. Not while an
        instance elsewhere waits for its profile."""
        until = self.clock.now() + UNREAD_SECONDS
        while True:
            state = self.reader.consumers(self.identity, cutover.regions, arns, since)
            lost = state.unread_regions.keys() - cutover.not_read
            may_come = any(not _is_denied(state.unread_regions[one]) for one in lost)
            if not (may_come and may_wait) or self.clock.now() >= until or self.stop.is_set():
                return state
            since = None
            self.stop.rest(self.clock, POLL_SECONDS)

    def look(
        self, cutover: CutOver, observed: Observation, keys: Collection[InstanceKey]
    ) -> Observation:
        """Both profiles and some instances again, as of before they were read."""
        profile, temporary = self._profiles(cutover)
        now = self.clock.now()
        return replace(
            self._with_instances(observed, keys),
            profile=profile,
            now=now,
            after_id=self._wanted(cutover, profile),
            temporary=temporary,
        )

    def poll(
        self,
        cutover: CutOver,
        observed: Observation,
        keys: Collection[InstanceKey],
        taken: Collection[InstanceKey] = (),
    ) -> Observation:
        """Some instances again; and every ``PROFILE_SECONDS`` both profiles as well. Of instances
        that were seen to run within that time, and of those for which EC2 has just ``taken`` a
        call, their associations are asked for, and no more: if one has ended meanwhile, EC2 refuses
        the next call for it."""
        now = self.clock.now()
        running = {key for key in keys if self._runs(observed, key, is_taken=key in taken)}
        found = replace(
            self._with_instances(self._with_associations(observed, running), {*keys} - running),
            now=now,
        )
        if self.is_recent(PROFILE_SECONDS):
            return found
        return replace(self.look(cutover, found, ()), now=now)

    def is_recent(self, seconds: float) -> bool:
        """Whether both profiles were read within so many seconds."""
        return self.clock.now() - self._looked_at < seconds

    def _with_instances(self, observed: Observation, keys: Collection[InstanceKey]) -> Observation:
        if not keys:
            return observed
        asked = set(keys)
        instances = {key: i for key, i in observed.instances.items() if key not in asked}
        began = self.clock.now()
        found = self.reader.instances(keys)
        self._note_states(found, began)
        instances.update({i.key: i for i in found})
        return replace(observed, instances=instances)

    def _with_associations(
        self, observed: Observation, keys: Collection[InstanceKey]
    ) -> Observation:
        if not keys:
            return observed
        rows = self.reader.associations(keys)
        there = observed.instances
        again = {key: replace(there[key], rows=rows.get(key, ())) for key in keys}
        return replace(observed, instances={**there, **again})

    def _note_states(self, instances: Iterable[LiveInstance], at: float) -> None:
        self._states.update((i.key, (i.state, at)) for i in instances)

    def _runs(self, observed: Observation, key: InstanceKey, *, is_taken: bool) -> bool:
        """Whether it was shown to run, lately if no call ``is_taken``, and we have not stopped or
        started it since."""
        state, at = self._states.get(key, ("", float("-inf")))
        known = observed.instances.get(key)
        return (
            state == "running"
            and known is not None
            and known.state == state
            and (is_taken or self.clock.now() - at < PROFILE_SECONDS)
        )

    def recheck(self, observed: Observation, keys: Collection[InstanceKey]) -> Observation:
        """These instances again, with all that AWS shows of them."""
        now = self.clock.now()
        return replace(self._with_instances(observed, keys), now=now)

    def passed(self, observed: Observation) -> None:
        """How the two profiles are before one of our own calls: to be seen again, it is old."""
        self._earlier.add(_look(observed.profile, observed.temporary))

    def wrote(self, expected: Observation) -> None:
        """What our own calls have made of the two profiles."""
        self._written = (_look(expected.profile, expected.temporary), self.clock.now())

    def forget(self) -> None:
        """It is not known what the last call did."""
        self._written = None
        self._ids.clear()

    def _profiles(self, cutover: CutOver) -> tuple[LiveProfile, LiveProfile | None]:
        """The profile and its temporary profile, with our own writes.

        For a while IAM may show an earlier state, now and then: then the record of instances in
        flight would be lost. A state that never was ours was written by another actor, and is
        believed at once.
        """
        while True:
            profile = self.reader.profile(cutover.profile)
            if profile is None:
                gone = "the profile no longer exists"
                raise AwsError("iam:GetInstanceProfile", "NoSuchEntity", gone)
            temporary = self._temporary(cutover, profile)
            shown = _look(profile, temporary)
            if self.stop.is_set() or not self._is_old(shown, profile):
                break
            self.clock.sleep(LOOK_AGAIN_SECONDS)
        self._looked_at = self.clock.now()
        self._earlier.add(shown)
        if self._written is not None and self._written[0] != shown:
            # Written by another actor, so this is the state from now on.
            self._written = (shown, self.clock.now())
        return profile, temporary

    def _is_old(self, shown: _Look, profile: LiveProfile) -> bool:
        if self._written is None:
            return False
        expected, at = self._written
        if shown == expected or shown not in self._earlier:
            return False
        mark = profile.mark
        if isinstance(mark, Pending) and mark.run != self.run and mark.epoch >= int(self.began):
            # Another run marked it since this one began: two applies take turns in writing theirs.
            return False
        return self.clock.now() - at <= OWN_WRITE_LAG_SECONDS

    def _temporary(self, cutover: CutOver, profile: LiveProfile) -> LiveProfile | None:
        """There is one only during a hop, which another run may have begun."""
        if cutover.limits.strategy != "hop":
            mark = profile.mark
            if not isinstance(mark, Pending):
                self._was_settled = True
                return None
            if mark.run != self.run:
                self._was_settled = False
            elif self._was_settled:
                return None
        return self.reader.profile(temporary_name(profile.resource.name))

    def _wanted(self, cutover: CutOver, profile: LiveProfile) -> str | None:
        """The id of the wanted role: it may have been created a moment ago. Once it is in the
        profile, it cannot be deleted, so the profile has its id.
        Source: docs.aws.amazon.com/IAM/latest/APIReference/API_DeleteRole.html"""
        if cutover.after is None:
            return None
        if profile.role_id is not None and same_name(profile.resource.role, cutover.after.name):
            return profile.role_id
        # If it is created again meanwhile, the profile will show the other id.
        wanted = role_address(cutover.after.name)
        if wanted not in self._ids and (found := self._until_there(wanted.name)):
            self._ids[wanted] = found
        return self._ids.get(wanted)

    def _until_there(self, role: str) -> str | None:
        began = self.clock.now()
        while (found := self.reader.role(role)) is None:
            patience = STOPPING_SECONDS if self.stop.is_set() else OWN_WRITE_LAG_SECONDS
            if self.clock.now() - began > patience:
                return None
            self.stop.rest(self.clock, POLL_SECONDS)
        return found.id


def _is_denied(reason: str) -> bool:
    """Of a region that was not read: the call and AWS's code."""
    return reason.rpartition(": ")[2] in DENIED


def _look(profile: LiveProfile, temporary: LiveProfile | None) -> _Look:
    return (
        tuple(sorted(profile.marks.items())),
        profile.role_id,
        None if temporary is None else temporary.role_id or NO_ROLE,
    )
