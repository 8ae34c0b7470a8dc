"""The state of each consumer in a cut-over.

Consumers that cannot be refreshed (``LiveInstance.untouchable``) are in no list of work;
``Fleet.out_of_reach`` are those for which a cut-over does not end.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil

from reconciler.cutover.run_state import RunState, role_visible_at
from reconciler.model import ownership
from reconciler.model.live import LiveInstance
from reconciler.model.ownership import Flight, InstanceKey, holds_mark
from reconciler.plan.cut_over import AssociationSeen, CutOver, Observation

CLOCKS_APART = 300.0
"""Most seconds by which AWS's clock and ours differ: AWS refuses requests beyond that.
Source: docs.aws.amazon.com/IAM/latest/UserGuide/signing-elements.html
"""


@dataclass(frozen=True, slots=True)
class Fleet:
    """``is_unsettled`` says that consumers may hold another role's credentials; without it only
    associations that are stale, and instances in flight, need anything."""

    cutover: CutOver
    observed: Observation
    run_state: RunState
    is_unsettled: bool
    is_own: bool = False
    """Of the instances in flight, only those that this run disassociated or stopped."""

    def in_flight(self) -> tuple[LiveInstance, ...]:
        """Instances that are marked as in flight, or that this run has disassociated."""
        noted = () if self.is_own else self.observed.profile.in_flight
        keys = {*noted, *self.run_state.away}
        known = [self.observed.instances[k] for k in sorted(keys) if k in self.observed.instances]
        return tuple(i for i in known if not i.is_gone and i.operator is None)

    def without_association(self) -> tuple[LiveInstance, ...]:
        """In flight, and without any association."""
        return tuple(i for i in self._in_flight_to(is_stop=False) if not i.rows)

    def disassociating(self) -> tuple[LiveInstance, ...]:
        return tuple(i for i in self._in_flight_to(is_stop=False) if i.rows and self._is_off(i))

    def stopped_by_us(self) -> tuple[LiveInstance, ...]:
        """Stopped to be restarted, and not started again."""
        back = self.run_state.back
        return tuple(
            i
            for i in self._in_flight_to(is_stop=True)
            if i.state == "stopped" and i.key not in back
        )

    def stopping(self) -> tuple[LiveInstance, ...]:
        """On their way to be stopped; a listing may show them running for a while."""
        flying = self._in_flight_to(is_stop=True)
        return tuple(i for i in flying if i.state == "stopping" or self._is_to_stop(i))

    def _is_to_stop(self, instance: LiveInstance) -> bool:
        """Whether it has not been started since this run stopped it."""
        launched = self.run_state.stopped.get(instance.key)
        is_waited_for = instance.is_running and instance.key not in self.run_state.back
        return is_waited_for and launched is not None and instance.launched_at == launched

    def starting(self) -> tuple[LiveInstance, ...]:
        """Started by this run, and not running yet."""
        flying = self._in_flight_to(is_stop=True)
        return tuple(i for i in flying if i.key in self.run_state.back and i.state != "running")

    def _in_flight_to(self, *, is_stop: bool) -> tuple[LiveInstance, ...]:
        stops, failed = self._to_start(), self.run_state.failed
        flying = [i for i in self.in_flight() if i.key not in failed]
        return tuple(i for i in flying if (i.key in stops) == is_stop)

    def _to_start(self) -> frozenset[InstanceKey]:
        """Instances that were stopped to be restarted, according to the mark or to this run."""
        return self.observed.profile.to_start | self.run_state.stopped.keys()

    def flight(self, instance: LiveInstance) -> Flight:
        """What the instance loses: its profile, or (``restart``) its running state. Only a new
        association repairs a stale one."""
        is_stale = instance.row is None or instance.row.profile_id != self.observed.profile.id
        is_stop = self.cutover.limits.strategy == "restart" and not is_stale
        return Flight(instance.key, is_stop and instance.is_running)

    def _is_off(self, instance: LiveInstance) -> bool:
        """Whether no association stays, or one that this run took off and that is listed still."""
        row = instance.row
        return row is None or row.id == self.run_state.taken.get(instance.key)

    def associating(self) -> tuple[LiveInstance, ...]:
        """Running, given a profile by this run, and not yet served its credentials. One that was
        replaced has two associations for a while."""
        given = (
            *self._given(),
            *(i for i in self.observed.on_temporary_profile() if i.key in self.run_state.back),
        )
        runs = [i for i in given if i.is_running and i.key not in self.run_state.failed]
        return tuple(i for i in runs if _state(i) == "associating" or len(i.rows) > 1)

    def to_leave(self) -> tuple[LiveInstance, ...]:
        """Running consumers that may have another role than the wanted one: they move to the
        temporary profile before the role in the profile is swapped."""
        if not self.is_unsettled:
            return ()
        known = [i for i in self.observed.consumers() if i.is_running and i.row is not None]
        return tuple(
            i
            for i in known
            if i.key not in self.run_state.failed
            and i.untouchable is None
            and not self._is_off(i)
            and (i.row is None or not self._is_proven(i, i.row.id))
        )

    def to_note(self) -> tuple[LiveInstance, ...]:
        """Associated by this run after EC2 saw the role, in effect, and not recorded yet."""
        if not self.is_unsettled or self.observed.after_id is None:
            return ()
        since = role_visible_at(self.cutover, self.observed, self.run_state)
        given = [i for i in self._given() if self.run_state.back[i.key] >= since]
        noted = self.run_state.refreshed
        unnoted = (i for i in given if i.row is None or noted.get(i.key) != i.row.id)
        return tuple(i for i in unnoted if self._in_place(i))

    def unnoted(self) -> bool:
        """Whether an instance has the role from this run, and that could not be recorded on it."""
        target, known = self.observed.target, self.observed.instances
        return any(
            key in known and known[key].marks.get(ownership.HOLDS) != holds_mark(target, row)
            for key, row in self.run_state.refreshed.items()
        )

    def swapped_at(self) -> int:
        """Since when EC2 sees the role, in seconds of the epoch."""
        return ceil(self.safe_since()) - int(CLOCKS_APART)

    def batch_is_over(self) -> bool:
        """Whether this run has an open batch, all of whose instances are restored or given up."""
        return bool(self.run_state.away)

    def unfinished(self) -> tuple[Flight, ...]:
        """In flight and without the profile, or not running, still: they must not be forgotten. Nor
        are those that were brought back before EC2 saw the role: a roll-back is for them too."""
        stops = self._to_start()
        without_association = {
            i.key: Flight(i.key, i.key in stops)
            for i in self.in_flight()
            if (i.state != "running" if i.key in stops else not i.names(self.observed.profile.arn))
        }
        early = (i.key for i in self.in_flight() if self._needs_refresh(i))
        return tuple({**{key: Flight(key) for key in early}, **without_association}.values())

    def to_refresh(self) -> tuple[LiveInstance, ...]:
        """Consumers to refresh: running ones first, and of those the ones marked as in flight."""
        failed = self.run_state.failed
        on_temporary_profile = [
            i
            for i in self.observed.on_temporary_profile()
            if i.key not in failed and i.untouchable is None and not self._is_off(i)
        ]
        waiting = [
            *(i for i in self.observed.consumers() if self._needs_refresh(i)),
            *on_temporary_profile,
        ]
        noted = self.observed.profile.in_flight
        return tuple(sorted(waiting, key=lambda i: (not i.is_running, i.key not in noted, i.key)))

    def out_of_reach(self) -> tuple[LiveInstance, ...]:
        """Running consumers, or ones in an unknown state, that cannot be refreshed and that may
        have another role than the wanted one, or use a deleted profile.

        A roll-back does not wait for them: its mark makes no claim about their role. Neither do the
        strategy ``wait`` and a profile that is emptied, since they refresh no instance.
        """
        if self.cutover.settle_as is not None:
            return ()
        users = (*self.observed.consumers(), *self.observed.on_temporary_profile())
        beyond = [i for i in users if i.untouchable is not None and i.is_running]
        return tuple(i for i in beyond if self._is_behind(i))

    def _is_behind(self, instance: LiveInstance) -> bool:
        row, observed = instance.row, self.observed
        if row is None or row.profile_id != observed.profile.id:
            return True
        if not self.is_unsettled or observed.after_id is None:
            return False
        if self.cutover.limits.strategy == "wait":
            return False
        return instance.is_unknown or instance.launched_at < self.safe_since()

    def safe_since(self) -> float:
        """Whatever was launched from this time on was served the wanted role, in seconds of the
        epoch: EC2 had seen it by then, as this run knows, or the one that swapped it."""
        noted = self.observed.profile.swapped
        seen_at = role_visible_at(self.cutover, self.observed, self.run_state)
        if self.run_state.resumed and noted is not None and noted.role_id == self.observed.after_id:
            seen_at = min(seen_at, float(noted.epoch))
        return seen_at + CLOCKS_APART

    def batch(self, to_refresh: Sequence[LiveInstance]) -> tuple[LiveInstance, ...]:
        """The next ones: as many running ones as may be away, and stopped ones beside them."""
        stable = [i for i in to_refresh if not i.in_transition]
        chosen = (*self.running_among(to_refresh), *(i for i in stable if not i.is_running))
        flights = [self.flight(i) for i in chosen if not self.is_on_temporary_profile(i)]
        fitting = {flight.key for flight in ownership.fitting(self.unfinished(), flights)}
        return tuple(i for i in chosen if self.is_on_temporary_profile(i) or i.key in fitting)

    def running_among(self, to_refresh: Sequence[LiveInstance]) -> tuple[LiveInstance, ...]:
        """Running ones, as many as may be away at a time."""
        missing = {i.key for i in self.in_flight() if self._is_away(i)}
        running = {i.key for i in self._users()}
        is_first = self.run_state.batches == 0
        at_once = self.cutover.limits.at_once(len(running | missing), is_first=is_first)
        room = at_once - len(missing)
        stable = [i for i in to_refresh if i.is_running and not i.in_transition]
        return tuple(stable[: max(room, 0)])

    @property
    def is_gated(self) -> bool:
        """Whether batches have to prove themselves: not on the way back, and not where instances
        are only repaired."""
        cutover, limits = self.cutover, self.cutover.limits
        if not self.is_unsettled or cutover.settle_as is not None or cutover.after is None:
            return False
        return bool(
            limits.bake_seconds or limits.checks or limits.verify or self.run_state.has_command
        )

    @property
    def can_roll_back(self) -> bool:
        """Whether a failure now is one of the first batch, which is undone: there is one role to go
        back to, and all other instances have it."""
        run_state, cutover = self.run_state, self.cutover
        is_on_trial = self.is_gated and run_state.on_trial
        is_first = run_state.batches == 0 or (is_on_trial and run_state.batches == 1)
        return (
            is_first
            and cutover.limits.on_failure == "rollback"
            and cutover.roll_back_to is not None
            and self.is_unsettled
            # A hop that has swapped the role has no profile with the old role to move its canary
            # to.
            and not (cutover.hops and self.observed.profile.role_id == self.observed.after_id)
        )

    def refreshed(self) -> tuple[InstanceKey, ...]:
        """Running instances that surely have the role, also from the temporary profile."""
        temporary, wanted = self.observed.temporary, self.observed.after_id
        is_there = temporary is not None and temporary.role_id == wanted
        return tuple(
            i.key
            for i in self._users()
            if (self.is_on_temporary_profile(i) and is_there)
            or (i.row is not None and self._is_proven(i, i.row.id))
        )

    def share(self) -> tuple[int, int]:
        """How many running instances surely have the role, and how many there are."""
        return len(self.refreshed()), len(self._users())

    def _users(self) -> tuple[LiveInstance, ...]:
        """Running instances that we may touch."""
        users = (*self.observed.consumers(), *self.observed.on_temporary_profile())
        return tuple(i for i in users if i.is_running and i.untouchable is None)

    def is_on_temporary_profile(self, instance: LiveInstance) -> bool:
        """On the temporary profile and running: one call moves it back."""
        temporary = self.observed.temporary
        return temporary is not None and instance.is_running and instance.names(temporary.arn)

    def _is_away(self, instance: LiveInstance) -> bool:
        if instance.key in self._to_start():
            return instance.state != "running"
        return instance.is_running and self._is_off(instance)

    def _given(self) -> list[LiveInstance]:
        arn = self.observed.profile.arn
        back = [
            self.observed.instances[k] for k in self.run_state.back if k in self.observed.instances
        ]
        alive = [i for i in back if not i.is_gone and i.key not in self.run_state.failed]
        return sorted((i for i in alive if i.names(arn)), key=lambda i: i.key)

    def _in_place(self, instance: LiveInstance) -> bool:
        """A stopped instance stays ``associating`` until it starts."""
        state = _state(instance)
        if instance.key in self._to_start():
            return instance.state == "running" and state == "associated"
        return state == "associated" or (state == "associating" and not instance.is_running)

    def _needs_refresh(self, instance: LiveInstance) -> bool:
        row = instance.row
        if row is None or self._is_off(instance) or instance.key in self.run_state.failed:
            return False
        if instance.untouchable is not None:
            return False
        if row.profile_id != self.observed.profile.id:
            return True
        if not self.is_unsettled or self.observed.after_id is None or not instance.is_running:
            return False
        if self.cutover.limits.strategy in ("wait", "hop"):
            # AWS completes it; or it is on the temporary profile, from which it is moved back.
            return False
        return not self._is_proven(instance, row.id)

    def _is_proven(self, instance: LiveInstance, association: str) -> bool:
        """Whether the instance surely holds the credentials of the role that it is to have."""
        if instance.key.region in self.observed.covered:
            return True
        standing = AssociationSeen(instance.key, association, instance.launched_at)
        if self.cutover.untouched is not None and standing in self.cutover.untouched:
            return True
        if self.run_state.refreshed.get(instance.key) == association:
            return True
        swapped = self.run_state.swapped_at
        spread = self.cutover.limits.propagation_seconds
        if swapped is not None and instance.launched_at >= swapped + spread + CLOCKS_APART:
            return True
        held = instance.marks.get(ownership.HOLDS)
        return self.run_state.resumed and held == holds_mark(self.observed.target, association)


def _state(instance: LiveInstance) -> str:
    return instance.row.state if instance.row else ""
