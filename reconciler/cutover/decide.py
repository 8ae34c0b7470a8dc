"""One pure function: from what is seen now to what comes next. ``design.md`` 7 is its text."""

from __future__ import annotations

from collections.abc import Sequence

from reconciler import ownership
from reconciler.cutover.calls import Calls
from reconciler.cutover.consumers import Fleet
from reconciler.cutover.value import (
    Act,
    Ask,
    CutOver,
    Decision,
    Done,
    EndBatch,
    GiveUp,
    List,
    Lose,
    Memory,
    Pause,
    Seen,
    final_mark,
    spread_at,
)
from reconciler.live import LiveInstance
from reconciler.ownership import Pending, Settled, Waiting

POLL_SECONDS = 2.0
SETTLE_SECONDS = 300.0
"""How long an instance may take to give up or to take on its profile."""
DENIED_TRUST = (
    "the association stays in 'associating'; its role may not trust ec2.amazonaws.com, or the "
    "profile may be empty"
)

NOTE_THE_SWAP = "note the swap, so that any run knows of it"


def decide(cutover: CutOver, seen: Seen, memory: Memory) -> Decision:
    """What comes next. Asks nothing of the world and changes nothing."""
    if memory.stopping and cutover.half != "first":
        return _stop(cutover, seen, memory)
    if cutover.after is not None and seen.after_id is None:
        return GiveUp(f"role/{cutover.after.name} does not exist")
    return (
        _restore(cutover, seen, memory)
        or _swap(cutover, seen, memory)
        or _mark(cutover, seen, memory)
        or _spread(cutover, seen, memory)
        or _refresh(cutover, seen, memory)
        or _finish(cutover, seen, memory)
    )


def is_unsettled(cutover: CutOver, seen: Seen) -> bool:
    """Whether consumers may still be served another role than the profile's.

    ``failed/...`` names the role that was given up, not the one that consumers hold, so nothing
    follows from it but for the roll-back that wrote it.
    """
    mark = seen.profile.mark
    if mark is not None and mark == cutover.settle_as:
        return False
    return not isinstance(mark, Settled | Waiting) or mark.role_id != seen.target


def _stop(cutover: CutOver, seen: Seen, memory: Memory) -> Decision:
    """Asked to stop: the profile gets a role, whoever is in flight the profile; nothing else."""
    calls = Calls(cutover, seen)
    if seen.profile.role_id is None and cutover.after is not None and seen.after_id is not None:
        if isinstance(seen.profile.mark, Pending):
            return Act((calls.add_role(cutover.after.name),), "put the role in")
        if cutover.half == "second":
            return Act((calls.mark_pending(memory.run),), NOTE_THE_SWAP)
    fleet = Fleet(cutover, seen, memory, is_unsettled(cutover, seen))
    if decision := _bring_back(fleet):
        return decision
    return GiveUp("interrupted", is_stop=not memory.failed)


def _restore(cutover: CutOver, seen: Seen, memory: Memory) -> Decision | None:
    """Instances that a dead run left without a profile do not wait for anything but a role."""
    if seen.profile.role_id is None and cutover.after is not None:
        return None
    return _bring_back(Fleet(cutover, seen, memory, is_unsettled(cutover, seen)))


def _swap(cutover: CutOver, seen: Seen, memory: Memory) -> Decision | None:
    """The role inside the profile. The new one is asked for first, while the old one is in."""
    profile = seen.profile
    if profile.role_id == seen.after_id:
        return None
    calls = Calls(cutover, seen)
    mark = profile.mark
    is_begun = isinstance(mark, Pending) and (mark.after, mark.run) == (seen.target, memory.run)
    if memory.closed and not is_begun and cutover.half is None:
        return GiveUp(memory.closed, is_stop=True)
    if cutover.after is not None and profile.role_id is not None and not memory.asked:
        return Ask(calls.add_role(cutover.after.name))
    if held := [i for i in seen.consumers() if ownership.HOLDS in i.marks]:
        # What an earlier cut-over noted is worth nothing once the role changes again.
        return Act(calls.forget_holds(held), "forget which instances held the role")
    if not is_begun:
        return Act((calls.mark_pending(memory.run),), NOTE_THE_SWAP)
    if profile.role_id is not None:
        if cutover.releases and not memory.released and any(i.is_running for i in seen.consumers()):
            return Act((calls.mark_released(cutover.releases),), "note when the role was let go")
        return Act((calls.remove_role(),), "take the role out")
    if cutover.after is None:
        return None
    undo = (calls.add_role(cutover.before.name),) if cutover.before else ()
    return Act((calls.add_role(cutover.after.name),), "put the role in", undo=undo)


def _mark(cutover: CutOver, seen: Seen, memory: Memory) -> Decision | None:
    """The role is right but nobody noted that consumers are to take it up: swapped by hand."""
    if not is_unsettled(cutover, seen):
        return None
    mark = seen.profile.mark
    if isinstance(mark, Pending) and mark.after == seen.target:
        return None
    calls = Calls(cutover, seen)
    if held := [i for i in seen.consumers() if ownership.HOLDS in i.marks]:
        return Act(calls.forget_holds(held), "forget which instances held the role")
    return Act((calls.mark_pending(memory.run),), "note that a cut-over is under way")


def _spread(cutover: CutOver, seen: Seen, memory: Memory) -> Decision | None:
    """EC2 may see the old role for a while after IAM has the new one."""
    if not is_unsettled(cutover, seen) or cutover.after is None:
        return None
    left = spread_at(cutover, seen, memory) - seen.now
    return Pause(left, f"EC2 to see role/{cutover.after.name}") if left > 0 else None


def _refresh(cutover: CutOver, seen: Seen, memory: Memory) -> Decision | None:
    fleet = Fleet(cutover, seen, memory, is_unsettled(cutover, seen))
    return _settle(fleet) or _after_failure(fleet) or _next_batch(fleet)


def _bring_back(fleet: Fleet) -> Decision | None:
    """Whoever is in flight without a profile gets it back before anything else."""
    calls = Calls(fleet.cutover, fleet.seen)
    bare = fleet.bare()
    if ready := [i for i in bare if not i.in_transition]:
        return Act(tuple(calls.associate(i.key) for i in ready), "associate the profile again")
    if halted := fleet.halted():
        return Act(tuple(calls.start(i.key) for i in halted), "start the instance again")
    if waiting := (*fleet.leaving(), *bare):
        late = "did not give its profile up in time"
        return _until(fleet, waiting, "the association to be gone", late)
    if waiting := fleet.stopping():
        return _until(fleet, waiting, "the instance to stop", "did not stop in time")
    return None


def _until(fleet: Fleet, waiting: Sequence[LiveInstance], why: str, late: str) -> Decision:
    since = max(fleet.memory.away.get(i.key, fleet.seen.now) for i in waiting)
    if fleet.seen.now - since > SETTLE_SECONDS:
        return Lose(waiting[0].key, late)
    return _poll(why, waiting)


def _settle(fleet: Fleet) -> Decision | None:
    """Whoever got the profile back must take it on; then it is noted."""
    calls = Calls(fleet.cutover, fleet.seen)
    if taken := fleet.to_note():
        return Act(calls.note_holds(taken), "note which instances hold the role", is_hint=True)
    for instance in fleet.associating():
        since = fleet.memory.back.get(instance.key, fleet.seen.now)
        if fleet.seen.now - since > SETTLE_SECONDS:
            return Lose(instance.key, DENIED_TRUST)
    for instance in fleet.starting():
        if fleet.seen.now - fleet.memory.back[instance.key] > SETTLE_SECONDS:
            return Lose(instance.key, "did not start in time")
    if starting := fleet.starting():
        return _poll("the instance to start", starting)
    if taking := fleet.associating():
        return _poll("the profile to be taken on", taking)
    return EndBatch() if fleet.batch_is_over() else None


def _after_failure(fleet: Fleet) -> Decision | None:
    failed = fleet.memory.failed
    if not failed:
        return None
    key, reason = sorted(failed.items())[0]
    is_canary = fleet.memory.batches <= 1
    can_roll_back = (
        is_canary
        and fleet.cutover.limits.on_failure == "rollback"
        and fleet.cutover.before is not None
        and fleet.cutover.settle_as is None
        and fleet.is_unsettled
    )
    return GiveUp(f"{key.instance} in {key.region}: {reason}", roll_back=can_roll_back)


def _next_batch(fleet: Fleet) -> Decision | None:
    todo = fleet.todo()
    if not todo:
        return None
    ended = fleet.memory.batch_ended_at
    pause = fleet.cutover.limits.pause_seconds
    rest = ended + pause - fleet.seen.now if ended is not None and pause else 0.0
    if rest > 0:
        return Pause(rest, "the pause between batches")
    if fleet.memory.closed:
        return GiveUp(fleet.memory.closed, is_stop=True)
    batch = fleet.batch(todo)
    if not batch:
        return _poll("instances to finish starting or stopping", todo)
    return _take(fleet, batch)


def _take(fleet: Fleet, batch: Sequence[LiveInstance]) -> Decision:
    """The batch gives up its profile, or is stopped; what it gives up is noted before."""
    calls = Calls(fleet.cutover, fleet.seen)
    flights = {fleet.flight(instance): instance for instance in batch}
    for flight, instance in flights.items():
        if flight.is_stop and instance.unstoppable:
            return Lose(instance.key, f"is not restarted: {instance.unstoppable}")
    if not fleet.seen.profile.flights >= flights.keys():
        noted = (*fleet.unfinished(), *flights)
        is_stop = all(flight.is_stop for flight in flights)
        what = "stopped" if is_stop else "without a profile"
        return Act((calls.mark_in_flight(noted),), f"note who is about to be {what}")
    if bound := [i for flight, i in flights.items() if not flight.is_stop]:
        return Act(tuple(calls.disassociate(i) for i in bound), "take the profile off")
    return Act(tuple(calls.stop(flight.key) for flight in flights), "stop the instance")


def _finish(cutover: CutOver, seen: Seen, memory: Memory) -> Decision:
    if seen.listed_at < memory.changed_at:
        return List()
    if seen.unread:
        region, reason = sorted(seen.unread.items())[0]
        return GiveUp(f"{region} cannot be read ({reason}); its instances may hold the old role")
    calls = Calls(cutover, seen)
    if names := ownership.in_flight_names(seen.profile.marks):
        return Act((calls.forget_in_flight(names),), "note that nobody is in flight")
    held = [i for i in seen.consumers() if ownership.HOLDS in i.marks]
    if held and not memory.cleared:
        return Act(calls.forget_holds(held), "clear the notes on instances", is_hint=True)
    if seen.profile.mark != final_mark(cutover, seen, memory):
        return Act((calls.mark_settled(memory),), "note that every consumer has the role")
    return Done()


def _poll(why: str, instances: Sequence[LiveInstance]) -> Pause:
    return Pause(POLL_SECONDS, why, tuple(i.key for i in instances), is_poll=True)
