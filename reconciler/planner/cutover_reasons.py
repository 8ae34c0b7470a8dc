"""Why a plan cuts consumers over, as a person reads it: what differs, and what became of the run
before."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

from reconciler.cutover.run_state import initial_state, noted_as_done
from reconciler.model import ownership
from reconciler.model.live import LiveProfile
from reconciler.model.ownership import Failed, Partial, Pending, Settled, Waiting
from reconciler.plan.changes import Difference
from reconciler.planner.context import PlanContext
from reconciler.planner.cutover_plan import PlannedCutOver
from reconciler.planner.ownership_checks import is_to_refresh, waits, waits_until

YOUNG_SECONDS = 600.0


def waited_for(live: LiveProfile, until: float) -> str:
    hour = datetime.fromtimestamp(until, tz=UTC).strftime("%Y-%m-%d %H:%M UTC")
    if live.role_id is None:
        return f"its instances may keep the credentials of the role that it had until {hour}"
    return f"its instances may get the previous role until {hour} (strategy wait)"


def is_widened(live: LiveProfile) -> bool:
    """Whether only instances in regions that were left out may have another role."""
    return isinstance(live.mark, Partial) and live.mark.role_id == live.role_id


def widened(live: LiveProfile, context: PlanContext) -> Difference:
    before = list(live.mark.regions) if isinstance(live.mark, Partial) else []
    after = context.options.consumer_regions
    return Difference("consumer_regions", before, "all" if after is None else list(after))


def served(live: LiveProfile, context: PlanContext) -> str | None:
    """The role that consumers were last known to have."""
    match mark := live.mark:
        case Pending(before):
            role_id: str | None = before
        case Failed():
            role_id = live.left_with
        case _:
            role_id = mark.role_id if mark else None
    role = context.live.role_with(role_id)
    if role is not None:
        return role.resource.name
    return None if role_id == ownership.NO_ROLE else role_id


def was_swapped_outside(live: LiveProfile) -> bool:
    """Whether the mark says that its instances have another role than the one inside, and no run is
    at it: somebody else has put that in, and nobody has given it to the instances."""
    mark = live.mark
    if not isinstance(mark, Settled | Waiting | Partial):
        return False
    return mark.role_id != (live.role_id or ownership.NO_ROLE)


@dataclass(frozen=True, slots=True)
class Refresh:
    """Why consumers are cut over to the role that their profile has."""

    reason: str = "its consumers are cut over once more, as --refresh asks"
    differences: tuple[Difference, ...] = ()


def asked_for(live: LiveProfile, context: PlanContext) -> Refresh | None:
    now, wanted = (
        context.live.profile(live.resource.name),
        context.desired.profile(live.resource.name),
    )
    if now is None or not is_to_refresh(now, context):
        return None
    if context.options.rotate:
        return Refresh(f"its instances get fresh sessions of role/{live.resource.role}")
    until = waits_until(now)
    if until is None or wanted is None or not waits(now, context):
        return Refresh()
    change = Difference("strategy", "wait", wanted.limits.strategy)
    return Refresh(waited_for(now, until), (change,))


def why(planned: PlannedCutOver, is_same_role: bool, now: float) -> str | None:
    mark = planned.live.mark
    if isinstance(mark, Pending):
        if (reached := checkpoint_of(planned.live)) is not None:
            return f"the last run ended at the checkpoint of {reached}%{_noted(planned)}"
        if is_waiting_for_others(planned.live):
            return "it waits for instances that reconciler cannot refresh"
        if now - mark.epoch < YOUNG_SECONDS:
            told = (
                f"run {mark.run} began it less than ten minutes ago, and may still be in progress"
            )
            return told + _noted(planned)
        if may_bake(planned, now):
            return f"run {mark.run} may still be watching its first batch{_noted(planned)}"
        return f"an earlier run died; this one resumes it{_noted(planned)}"
    if planned.is_second:
        return None if planned.is_made else "its role is created again"
    if is_same_role and is_widened(planned.live):
        return "consumer_regions left out some of its instances until now"
    if not is_same_role:
        return None
    if isinstance(planned.live.mark, Failed) and planned.live.left_with is None:
        return "a cut-over was rolled back, without a record that every instance has this role"
    if mark == Settled(ownership.NO_ROLE):
        return "its consumers are not known to have a fresh session of its role"
    return "the role was changed outside of reconciler"


def may_bake(planned: PlannedCutOver, now: float) -> bool:
    """Whether the run that wrote the mark may still let its first batch stand, or look for evidence
    of its role: meanwhile it writes nothing."""
    mark, limits = planned.live.mark, planned.cutover.limits
    stands = max(limits.bake_seconds, limits.verify.timeout_seconds if limits.verify else 0)
    if not stands or not isinstance(mark, Pending) or now - mark.epoch >= YOUNG_SECONDS + stands:
        return False
    return initial_state(planned.cutover, planned.observed, mark.run).on_trial


def _noted(planned: PlannedCutOver) -> str:
    """Progress tags on instances save work, and anyone who may tag instances can forge them: so
    they are reported."""
    done = [i.key.instance for i in noted_as_done(planned.observed)]
    return f"; marked as done on the instance: {', '.join(done)}" if done else ""


def was_interrupted(live: LiveProfile, now: float) -> bool:
    """Whether the run that wrote the mark is no longer in progress."""
    mark = live.mark
    if is_waiting_for_others(live) or checkpoint_of(live) is not None:
        return False
    return not isinstance(mark, Pending) or now - mark.epoch >= YOUNG_SECONDS


def is_waiting_for_others(live: LiveProfile) -> bool:
    """Whether the last run has done all it can, and has reported the instances that others must
    replace."""
    swapped = _ended(live)
    return swapped is not None and swapped.checkpoint in (None, ownership.ALL)


def checkpoint_of(live: LiveProfile) -> int | None:
    """The percent of the fleet at which the last run ended, as the specs want it."""
    swapped = _ended(live)
    return None if swapped is None or swapped.checkpoint == ownership.ALL else swapped.checkpoint


def _ended(live: LiveProfile) -> ownership.Swapped | None:
    """What a run left that ended, in the middle of the cut-over, of its own accord."""
    mark, swapped = live.mark, live.swapped
    is_noted = isinstance(mark, Pending) and swapped is not None and swapped.role_id == mark.after
    return swapped if is_noted and not live.in_flight else None
