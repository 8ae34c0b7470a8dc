"""One pure function: from what is seen now to what comes next. ``design.md`` 7 is its text."""

from __future__ import annotations

from datetime import UTC, datetime

from reconciler import ownership
from reconciler.cutover import batches, beyond, hop
from reconciler.cutover.calls import Calls
from reconciler.cutover.consumers import Fleet
from reconciler.cutover.value import (
    Act,
    Ask,
    CutOver,
    Decision,
    Done,
    GiveUp,
    List,
    Memory,
    Pause,
    Seen,
    final_mark,
    is_covered,
    spread_at,
)
from reconciler.ownership import Failed, Partial, Pending, Settled, Waiting

ASK_ROLE = "ask: must answer LimitExceeded, since the profile has a role"
MOST_SWAPS = 3
"""By one run: who changes the role each time that it was swapped is not to be outlasted."""
NOTE_THE_SWAP = "note the swap, so that any run knows of it"


def decide(cutover: CutOver, seen: Seen, memory: Memory) -> Decision:
    """What comes next. Asks nothing of the world and changes nothing."""
    if decision := _overtaken(cutover, seen, memory):
        return decision
    if memory.stopping and cutover.half != "first":
        return _stop(cutover, seen, memory)
    if cutover.after is not None and seen.after_id is None:
        return GiveUp(f"role/{cutover.after.name} does not exist")
    return (
        _restore(cutover, seen, memory)
        or _begin(cutover, seen, memory)
        or _mark(cutover, seen, memory)
        or _hop(cutover, seen, memory)
        or _swap(cutover, seen, memory)
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
    if cutover.comes_home or (mark is not None and mark == cutover.settle_as):
        return False
    if isinstance(mark, Partial):
        return not is_covered(cutover, seen)
    return not isinstance(mark, Settled | Waiting) or mark.role_id != seen.target


def _overtaken(cutover: CutOver, seen: Seen, memory: Memory) -> Decision | None:
    """Another run began to bring another role in after this one began, or has done so, and is the
    one that is wanted. Whoever this run has in flight gets the profile back; the rest is for the
    other."""
    other = _younger(cutover, seen, memory)
    if other is None:
        return None
    fleet = Fleet(cutover, seen, memory, is_unsettled(cutover, seen), is_own=True)
    if seen.profile.role_id is None and (waiting := fleet.in_flight()):
        since = max(memory.away.values())
        if seen.now - since <= batches.SETTLE_SECONDS or cutover.after is None:
            return batches.poll("the other run to put its role in", waiting)
        return Act((Calls(cutover, seen).add_role(cutover.after.name),), "put the role in")
    if decision := batches.bring_back(fleet):
        return decision
    return GiveUp(f"{other}; it wins")


def _younger(cutover: CutOver, seen: Seen, memory: Memory) -> str | None:
    mark = seen.profile.mark
    if isinstance(mark, Pending):
        if mark.run == memory.run or mark.after == seen.target or mark == memory.began_with:
            # What stood there at the start is older, whatever the clock said that wrote it.
            return None
        if memory.marked_at is None:
            is_younger = mark.epoch > memory.began_at
        else:
            # Both see the same two marks, and in the same second one of them wins all the same.
            is_younger = (mark.epoch, mark.run) > (memory.marked_at, memory.run)
        began = datetime.fromtimestamp(mark.epoch, tz=UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
        told = f"run {mark.run} of another commit began a cut-over of it at {began}"
        return told if is_younger else None
    if memory.marked_at is None or mark is None or mark in (memory.began_with, cutover.settle_as):
        return None
    if mark.role_id == seen.target and not isinstance(mark, Failed):
        return None
    return "another run has meanwhile ended a cut-over of it to another role"


def is_half_done(cutover: CutOver, seen: Seen, memory: Memory) -> bool:
    """Whether something is left worse than it was if the run ended here: an instance is without its
    profile or stopped, or the profile is between its two roles."""
    profile, fleet = seen.profile, Fleet(cutover, seen, memory, is_unsettled(cutover, seen))
    if profile.role_id is None and cutover.after is not None and isinstance(profile.mark, Pending):
        return True
    return any((fleet.bare(), fleet.leaving(), fleet.halted(), fleet.stopping()))


def _stop(cutover: CutOver, seen: Seen, memory: Memory) -> Decision:
    """Asked to stop: the profile gets a role, whoever is in flight the profile; nothing else."""
    calls = Calls(cutover, seen)
    if seen.profile.role_id is None and cutover.after is not None and seen.after_id is not None:
        if isinstance(seen.profile.mark, Pending):
            return Act((calls.add_role(cutover.after.name),), "put the role in")
        if cutover.half == "second":
            return Act((calls.mark_pending(memory.run),), NOTE_THE_SWAP)
    fleet = Fleet(cutover, seen, memory, is_unsettled(cutover, seen))
    if decision := batches.bring_back(fleet):
        return decision
    return GiveUp("interrupted", is_stop=not memory.failed)


def _restore(cutover: CutOver, seen: Seen, memory: Memory) -> Decision | None:
    """Instances that a dead run left without a profile do not wait for anything but a role."""
    if seen.profile.role_id is None and cutover.after is not None:
        return None
    return batches.bring_back(Fleet(cutover, seen, memory, is_unsettled(cutover, seen)))


def _begin(cutover: CutOver, seen: Seen, memory: Memory) -> Decision | None:
    """Before the role inside changes. The new one is asked for first, while the old one is in."""
    profile = seen.profile
    if profile.role_id == seen.after_id:
        return None
    if profile.role_id is not None and memory.swaps >= MOST_SWAPS:
        again = f"its role was changed by another hand, and put back {memory.swaps} times"
        return GiveUp(f"{again}; find out who else is at work")
    calls = Calls(cutover, seen)
    is_begun = _is_begun(seen, memory)
    if memory.closed and not is_begun and cutover.half is None:
        return GiveUp(memory.closed, is_stop=True)
    if cutover.after is not None and profile.role_id is not None and not memory.asked:
        return Ask((calls.add_role(cutover.after.name),), "LimitExceeded", ASK_ROLE)
    fleet = Fleet(cutover, seen, memory, is_unsettled(cutover, seen))
    if not is_begun and (decision := batches.ask_first(fleet)):
        return decision
    if held := seen.noted():
        # What an earlier cut-over noted is worth nothing once the role changes again.
        return Act(calls.forget_holds(held), "forget which instances held the role")
    if ownership.SWAPPED in profile.marks:
        names = (ownership.SWAPPED,)
        return Act((calls.forget_in_flight(names),), "forget when a role was swapped before")
    return None if is_begun else Act((calls.mark_pending(memory.run),), NOTE_THE_SWAP)


def _is_begun(seen: Seen, memory: Memory) -> bool:
    mark = seen.profile.mark
    return isinstance(mark, Pending) and (mark.after, mark.run) == (seen.target, memory.run)


def _swap(cutover: CutOver, seen: Seen, memory: Memory) -> Decision | None:
    """The role inside the profile."""
    profile, calls = seen.profile, Calls(cutover, seen)
    if profile.role_id == seen.after_id:
        return None
    if profile.role_id is not None:
        if cutover.hops and (decision := hop.nobody_uses_it(seen, memory)):
            return decision
        if not memory.released and _lets_go(cutover, seen):
            return Act(calls.mark_released(), batches.NOTE_LET_GO)
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
    if seen.covered or (isinstance(mark, Pending) and mark.after == seen.target):
        return None
    if decision := batches.ask_first(Fleet(cutover, seen, memory, is_unsettled=True)):
        return decision
    calls = Calls(cutover, seen)
    if held := seen.noted():
        return Act(calls.forget_holds(held), "forget which instances held the role")
    return Act((calls.mark_pending(memory.run),), "note that a cut-over is under way")


def _hop(cutover: CutOver, seen: Seen, memory: Memory) -> Decision | None:
    return hop.out(Fleet(cutover, seen, memory, is_unsettled(cutover, seen)))


def _spread(cutover: CutOver, seen: Seen, memory: Memory) -> Decision | None:
    """EC2 may see the old role for a while after IAM has the new one."""
    if not is_unsettled(cutover, seen) or cutover.after is None:
        return None
    left = spread_at(cutover, seen, memory) - seen.now
    return Pause(left, f"EC2 to see role/{cutover.after.name}") if left > 0 else None


def _refresh(cutover: CutOver, seen: Seen, memory: Memory) -> Decision | None:
    fleet = Fleet(cutover, seen, memory, is_unsettled(cutover, seen))
    return batches.settle(fleet) or batches.after_failure(fleet) or batches.next_batch(fleet)


def _finish(cutover: CutOver, seen: Seen, memory: Memory) -> Decision:
    if seen.listed_at < memory.changed_at:
        return List()
    if seen.unread:
        region, reason = sorted(seen.unread.items())[0]
        return GiveUp(f"{region} cannot be read ({reason}); its instances may hold the old role")
    calls = Calls(cutover, seen)
    if names := ownership.in_flight_names(seen.profile.marks):
        return Act((calls.forget_in_flight(names),), "note that nobody is in flight")
    fleet = Fleet(cutover, seen, memory, is_unsettled(cutover, seen))
    if decision := beyond.waits_for(fleet):
        return decision
    if decision := hop.away(calls, seen):
        return decision
    if seen.profile.mark != final_mark(cutover, seen, memory):
        if memory.let_go and _lets_go(cutover, seen):
            return Act(calls.mark_released(), batches.NOTE_LET_GO)
        return Act((calls.mark_settled(memory),), "note that every consumer has the role")
    if ownership.SWAPPED in seen.profile.marks:
        # Until the end is noted, it tells which instances are new enough.
        names = (ownership.SWAPPED,)
        return Act((calls.forget_in_flight(names),), "note that nobody is waited for")
    # Last: without them a run that goes on would take the fleet for one that nobody touched.
    if (held := seen.noted()) and not memory.cleared:
        return Act(calls.forget_holds(held), "clear the notes on instances", is_hint=True)
    return Done()


def _lets_go(cutover: CutOver, seen: Seen) -> bool:
    """Whether somebody may lose, or has lost, a role that is ours: also where nobody looked."""
    is_used = any(i.is_running for i in seen.consumers())
    return bool(cutover.releases) and (is_used or cutover.is_narrow or bool(seen.unread))
