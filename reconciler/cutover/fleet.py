"""Where each consumer stands in a cut-over.

Consumers that are not ours to touch (``LiveInstance.untouchable``) are in no list of what is to be
done; ``out_of_reach`` has those over which a cut-over does not end.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil

from reconciler.cutover.types import CutOver, Memory, Seen, Standing, spread_at
from reconciler.model import ownership
from reconciler.model.live import LiveInstance
from reconciler.model.ownership import Flight, InstanceKey, holds_mark

CLOCKS_APART = 300.0
"""AWS refuses requests whose time is further than this from its own, so its launch times and our
times differ by no more. Source: docs.aws.amazon.com/IAM/latest/UserGuide/signing-elements.html"""


@dataclass(frozen=True, slots=True)
class Fleet:
    """``is_unsettled`` says that consumers may hold another role's credentials; without it only
    associations that are stale, and instances in flight, need anything."""

    cutover: CutOver
    seen: Seen
    memory: Memory
    is_unsettled: bool
    is_own: bool = False
    """Of those in flight only the ones that this run took something from."""

    def in_flight(self) -> tuple[LiveInstance, ...]:
        """Instances that are noted as in flight, or that this run took the profile from."""
        noted = () if self.is_own else self.seen.profile.in_flight
        keys = {*noted, *self.memory.away}
        known = [self.seen.instances[k] for k in sorted(keys) if k in self.seen.instances]
        return tuple(i for i in known if not i.is_gone and i.operator is None)

    def bare(self) -> tuple[LiveInstance, ...]:
        """In flight, and without any association."""
        return tuple(i for i in self._flying(is_stop=False) if not i.rows)

    def leaving(self) -> tuple[LiveInstance, ...]:
        return tuple(i for i in self._flying(is_stop=False) if i.rows and self._is_off(i))

    def halted(self) -> tuple[LiveInstance, ...]:
        """Stopped to be restarted, and not started again."""
        back = self.memory.back
        return tuple(
            i for i in self._flying(is_stop=True) if i.state == "stopped" and i.key not in back
        )

    def stopping(self) -> tuple[LiveInstance, ...]:
        """On their way to be stopped; a listing may show them running for a while."""
        flying = self._flying(is_stop=True)
        return tuple(i for i in flying if i.state == "stopping" or self._is_to_stop(i))

    def _is_to_stop(self, instance: LiveInstance) -> bool:
        """Whether it runs as it did when this run stopped it: nobody has started it since."""
        launched = self.memory.stopped.get(instance.key)
        is_waited_for = instance.is_running and instance.key not in self.memory.back
        return is_waited_for and launched is not None and instance.launched_at == launched

    def starting(self) -> tuple[LiveInstance, ...]:
        """Started by this run, and not running yet."""
        flying = self._flying(is_stop=True)
        return tuple(i for i in flying if i.key in self.memory.back and i.state != "running")

    def _flying(self, *, is_stop: bool) -> tuple[LiveInstance, ...]:
        stops, failed = self._to_start(), self.memory.failed
        flying = [i for i in self.in_flight() if i.key not in failed]
        return tuple(i for i in flying if (i.key in stops) == is_stop)

    def _to_start(self) -> frozenset[InstanceKey]:
        """Instances that were stopped to be restarted, as the note says, or as this run knows."""
        return self.seen.profile.to_start | self.memory.stopped.keys()

    def flight(self, instance: LiveInstance) -> Flight:
        """What the instance is taken. Only a fresh association mends one that is stale."""
        is_stale = instance.row is None or instance.row.profile_id != self.seen.profile.id
        is_stop = self.cutover.limits.strategy == "restart" and not is_stale
        return Flight(instance.key, is_stop and instance.is_running)

    def _is_off(self, instance: LiveInstance) -> bool:
        """Whether no association stays, or one that this run took off and that is listed still."""
        row = instance.row
        return row is None or row.id == self.memory.taken.get(instance.key)

    def associating(self) -> tuple[LiveInstance, ...]:
        """Running, given a profile by this run, and not yet served its credentials. One that was
        replaced has two associations for a while."""
        given = (*self._given(), *(i for i in self.seen.lent() if i.key in self.memory.back))
        runs = [i for i in given if i.is_running and i.key not in self.memory.failed]
        return tuple(i for i in runs if _state(i) == "associating" or len(i.rows) > 1)

    def to_leave(self) -> tuple[LiveInstance, ...]:
        """Running consumers that may hold another role than the wanted one: they go to the shadow
        before the role in the profile is touched."""
        if not self.is_unsettled:
            return ()
        known = [i for i in self.seen.consumers() if i.is_running and i.row is not None]
        return tuple(
            i
            for i in known
            if i.key not in self.memory.failed
            and i.untouchable is None
            and not self._is_off(i)
            and (i.row is None or not self._is_proven(i, i.row.id))
        )

    def to_note(self) -> tuple[LiveInstance, ...]:
        """Given the profile by this run, since EC2 saw the role, and in place, but not noted."""
        if not self.is_unsettled or self.seen.after_id is None:
            return ()
        since = spread_at(self.cutover, self.seen, self.memory)
        given = [i for i in self._given() if self.memory.back[i.key] >= since]
        return tuple(i for i in given if self._in_place(i) and not self._is_noted(i))

    def unnoted(self) -> bool:
        """Whether some instance has the role by this run, and its note could not be written."""
        target, known = self.seen.target, self.seen.instances
        return any(
            key in known and known[key].marks.get(ownership.HOLDS) != holds_mark(target, row)
            for key, row in self.memory.refreshed.items()
        )

    def swapped_at(self) -> int:
        """Since when EC2 sees the role, in seconds of the epoch."""
        return ceil(self.safe_since()) - int(CLOCKS_APART)

    def _is_noted(self, instance: LiveInstance) -> bool:
        row = instance.row
        return row is not None and self.memory.refreshed.get(instance.key) == row.id

    def batch_is_over(self) -> bool:
        """Whether this run has a batch open of which all are back, or given up."""
        return bool(self.memory.away)

    def unfinished(self) -> tuple[Flight, ...]:
        """In flight and without the profile, or not running, still: they must not be forgotten. Nor
        are those that were brought back before EC2 saw the role: a roll-back is for them too."""
        stops = self._to_start()
        bare = {
            i.key: Flight(i.key, i.key in stops)
            for i in self.in_flight()
            if (i.state != "running" if i.key in stops else not i.names(self.seen.profile.arn))
        }
        early = (i.key for i in self.in_flight() if self._needs_refresh(i))
        return tuple({**{key: Flight(key) for key in early}, **bare}.values())

    def todo(self) -> tuple[LiveInstance, ...]:
        """Consumers that need to be refreshed: those that run first, and of them those that are
        noted as in flight already."""
        failed = self.memory.failed
        lent = [
            i
            for i in self.seen.lent()
            if i.key not in failed and i.untouchable is None and not self._is_off(i)
        ]
        waiting = [*(i for i in self.seen.consumers() if self._needs_refresh(i)), *lent]
        noted = self.seen.profile.in_flight
        return tuple(sorted(waiting, key=lambda i: (not i.is_running, i.key not in noted, i.key)))

    def out_of_reach(self) -> tuple[LiveInstance, ...]:
        """Running consumers, or such whose state nobody knows, that are not ours to refresh and
        that may hold another role than the wanted one, or use a profile that is gone.

        A roll-back does not wait for them: its mark claims nothing of what consumers hold. Nor do
        the strategy ``wait`` and a profile that is emptied, which refresh nobody.
        """
        if self.cutover.settle_as is not None:
            return ()
        users = (*self.seen.consumers(), *self.seen.lent())
        beyond = [i for i in users if i.untouchable is not None and i.is_running]
        return tuple(i for i in beyond if self._is_behind(i))

    def _is_behind(self, instance: LiveInstance) -> bool:
        row, seen = instance.row, self.seen
        if row is None or row.profile_id != seen.profile.id:
            return True
        if not self.is_unsettled or seen.after_id is None:
            return False
        if self.cutover.limits.strategy == "wait":
            return False
        return instance.is_unknown or instance.launched_at < self.safe_since()

    def safe_since(self) -> float:
        """Whatever was launched from this time on was served the wanted role, in seconds of the
        epoch: EC2 had seen it by then, as this run knows, or the one that swapped it."""
        noted = self.seen.profile.swapped
        seen_at = spread_at(self.cutover, self.seen, self.memory)
        if self.memory.resumed and noted is not None and noted.role_id == self.seen.after_id:
            seen_at = min(seen_at, float(noted.epoch))
        return seen_at + CLOCKS_APART

    def batch(self, todo: Sequence[LiveInstance]) -> tuple[LiveInstance, ...]:
        """The next ones: as many running ones as may be away, and stopped ones beside them."""
        stable = [i for i in todo if not i.in_transition]
        chosen = (*self.runners(todo), *(i for i in stable if not i.is_running))
        flights = [self.flight(i) for i in chosen if not self.is_lent(i)]
        fitting = {flight.key for flight in ownership.fitting(self.unfinished(), flights)}
        return tuple(i for i in chosen if self.is_lent(i) or i.key in fitting)

    def runners(self, todo: Sequence[LiveInstance]) -> tuple[LiveInstance, ...]:
        """Running ones, as many as may be away at a time."""
        missing = {i.key for i in self.in_flight() if self._is_away(i)}
        users = (*self.seen.consumers(), *self.seen.lent())
        running = {i.key for i in users if i.is_running and i.untouchable is None}
        room = self.cutover.limits.at_once(len(running | missing)) - len(missing)
        stable = [i for i in todo if i.is_running and not i.in_transition]
        return tuple(stable[: max(room, 0)])

    def is_lent(self, instance: LiveInstance) -> bool:
        """On the shadow and running: one call brings it home."""
        shadow = self.seen.shadow
        return shadow is not None and instance.is_running and instance.names(shadow.arn)

    def _is_away(self, instance: LiveInstance) -> bool:
        if instance.key in self._to_start():
            return instance.state != "running"
        return instance.is_running and self._is_off(instance)

    def _given(self) -> list[LiveInstance]:
        arn = self.seen.profile.arn
        back = [self.seen.instances[k] for k in self.memory.back if k in self.seen.instances]
        alive = [i for i in back if not i.is_gone and i.key not in self.memory.failed]
        return sorted((i for i in alive if i.names(arn)), key=lambda i: i.key)

    def _in_place(self, instance: LiveInstance) -> bool:
        """A stopped instance stays ``associating`` until it starts."""
        state = _state(instance)
        if instance.key in self._to_start():
            return instance.state == "running" and state == "associated"
        return state == "associated" or (state == "associating" and not instance.is_running)

    def _needs_refresh(self, instance: LiveInstance) -> bool:
        row = instance.row
        if row is None or self._is_off(instance) or instance.key in self.memory.failed:
            return False
        if instance.untouchable is not None:
            return False
        if row.profile_id != self.seen.profile.id:
            return True
        if not self.is_unsettled or self.seen.after_id is None or not instance.is_running:
            return False
        if self.cutover.limits.strategy in ("wait", "hop"):
            # AWS gets there; or it went to the shadow, from where it comes back.
            return False
        return not self._is_proven(instance, row.id)

    def _is_proven(self, instance: LiveInstance, association: str) -> bool:
        """Whether the instance surely holds the credentials of the role that it is to have."""
        if instance.key.region in self.seen.covered:
            return True
        standing = Standing(instance.key, association, instance.launched_at)
        if self.cutover.untouched is not None and standing in self.cutover.untouched:
            return True
        if self.memory.refreshed.get(instance.key) == association:
            return True
        swapped = self.memory.swapped_at
        spread = self.cutover.limits.propagation_seconds
        if swapped is not None and instance.launched_at >= swapped + spread + CLOCKS_APART:
            return True
        held = instance.marks.get(ownership.HOLDS)
        return self.memory.resumed and held == holds_mark(self.seen.target, association)


def _state(instance: LiveInstance) -> str:
    return instance.row.state if instance.row else ""
