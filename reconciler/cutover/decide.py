"""One pure function: from what was observed to the next decision, to the end of a cut-over that has
done all it can while a consumer is out of its reach. Batches are in ``batches.py``, the strategy
``hop`` in ``hop.py``."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from itertools import islice
from math import ceil

from reconciler.cutover import batches, gates, hop
from reconciler.cutover.calls import Calls
from reconciler.cutover.decisions import (
    WHEN_SEEN,
    Act,
    Ask,
    Decision,
    Done,
    GiveUp,
    List,
    Pause,
    when_read,
)
from reconciler.cutover.fleet import Fleet
from reconciler.cutover.run_state import (
    RunState,
    final_mark,
    is_covered,
    left_with,
    role_visible_at,
)
from reconciler.model import ownership
from reconciler.model.live import LiveInstance
from reconciler.model.ownership import Failed, Partial, Pending, Settled, Waiting
from reconciler.plan.calls import ASSOCIATION_SECONDS, ApiCall
from reconciler.plan.cut_over import CutOver, Observation

MOST_NAMED = 100
ASK_ROLE = "check the permission: AWS must answer LimitExceeded, since the profile has a role"
MOST_SWAPS = 3
"""Swaps by one run. If something else keeps changing the role, the run stops."""
NOTE_THE_SWAP = "record the cut-over on the profile"
REMOVE_ROLE = "remove the role from the profile"
ADD_ROLE = "add the role to the profile"


def decide(cutover: CutOver, observed: Observation, run_state: RunState) -> Decision:
    """The next decision. Pure: reads nothing from AWS and changes nothing.

    The rooms below are tried in order; the first that has something to do decides.
    """
    if decision := _superseded(cutover, observed, run_state):
        return decision
    if run_state.stopping and cutover.half != "first":
        return _stop(cutover, observed, run_state)
    if cutover.after is not None and observed.after_id is None:
        return GiveUp(f"role/{cutover.after.name} does not exist")
    fleet = Fleet(cutover, observed, run_state, is_unsettled(cutover, observed))
    return (
        _restore(cutover, observed, run_state)
        or _begin(cutover, observed, run_state)
        or _mark(cutover, observed, run_state)
        or hop.out(fleet)
        or _swap(fleet)
        or _wait_until_visible(cutover, observed, run_state)
        or batches.settle(fleet)
        or gates.trial(fleet)
        or batches.after_failure(fleet)
        or batches.next_batch(fleet)
        or _finish(cutover, observed, run_state)
    )


def is_unsettled(cutover: CutOver, observed: Observation) -> bool:
    """Whether consumers may still have a role other than the profile's.

    ``failed/...`` names the role that was given up; beside it stands the one that consumers were
    left with, if that was known of all of them.
    """
    mark = observed.profile.mark
    if cutover.moves_back or (mark is not None and mark == cutover.settle_as):
        return False
    if isinstance(mark, Partial):
        return not is_covered(cutover, observed)
    if isinstance(mark, Failed):
        return observed.profile.left_with != observed.target
    return not isinstance(mark, Settled | Waiting) or mark.role_id != observed.target


def _superseded(cutover: CutOver, observed: Observation, run_state: RunState) -> Decision | None:
    """Another run began a cut-over to another role after this one, or has completed it, and takes
    precedence. Instances that this run has in flight get the profile back; the rest is left to the
    other run."""
    other = _newer_run(cutover, observed, run_state)
    if other is None:
        return None
    fleet = Fleet(cutover, observed, run_state, is_unsettled(cutover, observed), is_own=True)
    if observed.profile.role_id is None and (waiting := fleet.in_flight()):
        since = max(run_state.away.values())
        if observed.now - since <= ASSOCIATION_SECONDS or cutover.after is None:
            return batches.poll("the other run to add its role", waiting)
        return Act((Calls(cutover, observed).add_role(cutover.after.name),), ADD_ROLE)
    if decision := batches.restore(fleet):
        return decision
    return GiveUp(
        f"{other}; the other run takes precedence", advice="plan again when the other run has ended"
    )


def _newer_run(cutover: CutOver, observed: Observation, run_state: RunState) -> str | None:
    mark = observed.profile.mark
    if isinstance(mark, Pending):
        is_ours = mark.run == run_state.run or mark.after == observed.target
        # The mark that was there at the start is older, whatever its clock said.
        if is_ours or mark == run_state.began_with:
            return None
        if run_state.marked_at is None:
            is_younger = mark.epoch > run_state.began_at
        else:
            # Both runs see the same two marks, so the order of ids decides within the same second.
            is_younger = (mark.epoch, mark.run) > (run_state.marked_at, run_state.run)
        began = datetime.fromtimestamp(mark.epoch, tz=UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
        told = f"run {mark.run} began a cut-over of the profile to another role at {began}"
        return told if is_younger else None
    if (
        run_state.marked_at is None
        or mark is None
        or mark in (run_state.began_with, cutover.settle_as)
    ):
        return None
    if mark.role_id == observed.target and not isinstance(mark, Failed):
        return None
    return "another run has since ended a cut-over of the profile to another role"


def is_half_done(cutover: CutOver, observed: Observation, run_state: RunState) -> bool:
    """Whether something would be left worse than before if the run ended here: an instance without
    its profile or stopped, or a profile between its two roles."""
    profile, fleet = (
        observed.profile,
        Fleet(cutover, observed, run_state, is_unsettled(cutover, observed)),
    )
    if profile.role_id is None and cutover.after is not None and isinstance(profile.mark, Pending):
        return True
    return any(
        (
            fleet.without_association(),
            fleet.disassociating(),
            fleet.stopped_by_us(),
            fleet.stopping(),
        )
    )


def _stop(cutover: CutOver, observed: Observation, run_state: RunState) -> Decision:
    """After an interrupt: the profile gets a role, instances in flight get the profile; nothing
    else."""
    calls = Calls(cutover, observed)
    if (
        observed.profile.role_id is None
        and cutover.after is not None
        and observed.after_id is not None
    ):
        if isinstance(observed.profile.mark, Pending):
            return Act((calls.add_role(cutover.after.name),), ADD_ROLE)
        if cutover.half == "second":
            return Act((calls.mark_pending(run_state.run),), NOTE_THE_SWAP)
    run_state = _without_postponed(run_state)
    fleet = Fleet(cutover, observed, run_state, is_unsettled(cutover, observed))
    if decision := batches.restore(fleet):
        return decision
    return GiveUp("interrupted", is_stop=not run_state.failed)


def _restore(cutover: CutOver, observed: Observation, run_state: RunState) -> Decision | None:
    """Instances that an interrupted run left without a profile wait for nothing but a role."""
    if observed.profile.role_id is None and cutover.after is not None:
        return None
    if observed.profile.role_id != observed.after_id or observed.now < role_visible_at(
        cutover, observed, run_state
    ):
        run_state = _without_postponed(run_state)
    return batches.restore(Fleet(cutover, observed, run_state, is_unsettled(cutover, observed)))


def _without_postponed(run_state: RunState) -> RunState:
    return replace(run_state, failed={**run_state.failed, **run_state.postponed})


def _begin(cutover: CutOver, observed: Observation, run_state: RunState) -> Decision | None:
    """Before the role in the profile changes: check that the new role may be added while the old
    one is still in."""
    profile = observed.profile
    if profile.role_id == observed.after_id:
        return None
    if profile.role_id is not None and run_state.swaps >= MOST_SWAPS:
        again = (
            f"its role was changed outside of this run, and swapped again {run_state.swaps} times"
        )
        return GiveUp(again, advice="find out what else changes its role, then apply again")
    calls = Calls(cutover, observed)
    own = (observed.target, run_state.run)
    is_begun = isinstance(profile.mark, Pending) and (profile.mark.after, profile.mark.run) == own
    # An instance without its profile may wait for nothing but the role to be added again.
    is_new = not is_begun and cutover.half is None and cutover.settle_as is None
    if run_state.closed and is_new:
        return run_state.closed
    fleet = Fleet(cutover, observed, run_state, is_unsettled(cutover, observed))
    if not is_begun and (decision := batches.look_first(fleet)):
        return decision
    if cutover.after is not None and profile.role_id is not None and not run_state.asked:
        return Ask((calls.add_role(cutover.after.name),), "LimitExceeded", ASK_ROLE)
    if not is_begun and (decision := batches.ask_first(fleet)):
        return decision
    if held := observed.noted():
        # Records of an earlier cut-over are outdated once the role changes again.
        return Act(calls.forget_holds(held), "remove outdated progress marks from the instances")
    if ownership.SWAPPED in profile.marks:
        names = (ownership.SWAPPED,)
        return Act((calls.forget_in_flight(names),), "remove the record of an earlier swap")
    return None if is_begun else Act((calls.mark_pending(run_state.run),), NOTE_THE_SWAP)


def _swap(fleet: Fleet) -> Decision | None:
    """Swap the role in the profile."""
    cutover, observed, run_state = fleet.cutover, fleet.observed, fleet.run_state
    profile, calls = observed.profile, Calls(cutover, observed)
    if profile.role_id == observed.after_id:
        return None
    if profile.role_id is not None:
        if cutover.hops and (decision := hop.wait_until_unused(fleet)):
            return decision
        if not run_state.released and _lets_go(cutover, observed):
            return Act(calls.mark_released(), batches.NOTE_LET_GO)
        remove = calls.remove_role()
        if cutover.after is None:
            return Act((remove,), REMOVE_ROLE)
        # Back to back: in between, the profile has no role.
        swap = (remove, calls.add_role(cutover.after.name))
        whys = (REMOVE_ROLE, ADD_ROLE)
        return Act(swap, "swap the role in the profile", undo=_undo(cutover, calls), whys=whys)
    if cutover.after is None:
        return None
    add = calls.add_role(cutover.after.name)
    return Act((add,), ADD_ROLE, undo=_undo(cutover, calls))


def _undo(cutover: CutOver, calls: Calls) -> tuple[ApiCall, ...]:
    return (calls.add_role(cutover.before.name),) if cutover.before else ()


def _mark(cutover: CutOver, observed: Observation, run_state: RunState) -> Decision | None:
    """The role in the profile is right, but no mark says that consumers must get it: it was swapped
    outside of reconciler."""
    if not is_unsettled(cutover, observed):
        return None
    mark = observed.profile.mark
    if observed.covered or (isinstance(mark, Pending) and mark.after == observed.target):
        return None
    fleet = Fleet(cutover, observed, run_state, is_unsettled=True)
    if decision := batches.look_first(fleet) or batches.ask_first(fleet):
        return decision
    calls = Calls(cutover, observed)
    if held := observed.noted():
        return Act(calls.forget_holds(held), "remove outdated progress marks from the instances")
    if ownership.SWAPPED in observed.profile.marks:
        names = (ownership.SWAPPED,)
        return Act((calls.forget_in_flight(names),), "remove the record of an earlier swap")
    return Act(
        (calls.mark_pending(run_state.run),), "record on the profile that a cut-over is in progress"
    )


def _wait_until_visible(
    cutover: CutOver, observed: Observation, run_state: RunState
) -> Decision | None:
    """Wait: EC2 may see the old role for a while after IAM has the new one."""
    if not is_unsettled(cutover, observed) or cutover.after is None:
        return None
    left = role_visible_at(cutover, observed, run_state) - observed.now
    return Pause(left, f"EC2 to see role/{cutover.after.name}") if left > 0 else None


def _finish(cutover: CutOver, observed: Observation, run_state: RunState) -> Decision:
    if observed.listed_at < _last_change(cutover, observed, run_state):
        return List()
    if observed.unread:
        region, reason = sorted(observed.unread.items())[0]
        return GiveUp(
            f"{region} cannot be read ({reason}); its instances may still have the old role",
            advice=when_read(observed),
        )
    calls = Calls(cutover, observed)
    if names := ownership.in_flight_names(observed.profile.marks):
        return Act((calls.forget_in_flight(names),), "record that no instance is in flight")
    fleet = Fleet(cutover, observed, run_state, is_unsettled(cutover, observed))
    if decision := _waits_for(fleet):
        return decision
    if decision := hop.away(calls, observed):
        return decision
    if observed.profile.mark != final_mark(cutover, observed, run_state):
        if run_state.let_go and _lets_go(cutover, observed):
            return Act(calls.mark_released(), batches.NOTE_LET_GO)
        return Act((calls.mark_settled(run_state),), "record that every consumer has the role")
    if ownership.SWAPPED in observed.profile.marks and not left_with(cutover, observed):
        # Until the final mark is written, this record says which instances are new enough.
        names = (ownership.SWAPPED,)
        return Act((calls.forget_in_flight(names),), "remove the record of the swap")
    # Last: without them a resumed run would take the fleet for one without any progress.
    if (held := observed.noted()) and not run_state.cleared:
        return Act(
            calls.forget_holds(held), "remove the progress marks from the instances", is_hint=True
        )
    return Done()


def _last_change(cutover: CutOver, observed: Observation, run_state: RunState) -> float:
    """Since when nothing has changed what instances are served: what was launched while EC2 saw the
    previous role has that one, also where another run, or a person, swapped the role."""
    if not is_unsettled(cutover, observed) or cutover.after is None:
        return run_state.changed_at
    return max(run_state.changed_at, role_visible_at(cutover, observed, run_state))


def _lets_go(cutover: CutOver, observed: Observation) -> bool:
    """Whether an instance may lose, or has lost, a role that is ours; also if not every region was
    read."""
    is_used = any(i.is_running for i in observed.consumers())
    return bool(cutover.releases) and (is_used or cutover.is_narrow or bool(observed.unread))


def _waits_for(fleet: Fleet) -> Decision | None:
    """The end of a cut-over that has done all it can, while a consumer may have another role: an
    instance that an AWS service manages, or that only its association names. It is named, with
    what must happen to it; the cut-over does not claim that it has the role."""
    left = fleet.out_of_reach()
    if not left:
        return None
    since = ceil(fleet.safe_since())
    noted, epoch = fleet.observed.profile.swapped, fleet.swapped_at()
    is_noted = noted is not None and (noted.role_id, noted.epoch) == (fleet.observed.target, epoch)
    if fleet.is_unsettled and fleet.observed.after_id is not None and not is_noted:
        reached = ownership.ALL if fleet.cutover.limits.checkpoints else None
        call = Calls(fleet.cutover, fleet.observed).mark_swapped(epoch, reached)
        return Act((call,), "record since when EC2 sees the role")
    named = [_named(i, fleet, since) for i in islice(left, MOST_NAMED)]
    more = len(left) - len(named)
    told = "; ".join([*named, *([f"and {more} more"] if more else [])])
    return GiveUp(told, advice=WHEN_SEEN)


def _named(instance: LiveInstance, fleet: Fleet, since: float) -> str:
    key, address = instance.key, fleet.cutover.address
    where = f"{key.instance} ({key.region}) on {address}"
    if instance.operator is None:
        return f"{where}: {instance.untouchable}, so its role is not known"
    if instance.row is None or instance.row.profile_id != fleet.observed.profile.id:
        return f"{where}: {instance.operator} must replace it, since its profile was created again"
    role = fleet.cutover.after.name if fleet.cutover.after else "none"
    hour = datetime.fromtimestamp(since, tz=UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
    return (
        f"{where}: {instance.operator} must replace it; instances launched after {hour} have "
        f"role/{role}"
    )
