"""Which profiles need a cut-over, and what it looks like on today's state."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

from reconciler.cutover.preview import preview_steps
from reconciler.diagnostics import Diagnostic
from reconciler.model.address import ANY_INSTANCE, Address
from reconciler.model.ownership import CREDENTIALS_SECONDS, Failed, Waiting
from reconciler.plan.changes import Guard, Kept
from reconciler.plan.graph import PendingStep
from reconciler.planner.cutover_changes import instance_changes, mark_change, profile_change
from reconciler.planner.cutover_plan import PlannedCutOver, planned_cutovers
from reconciler.planner.fragment import PlanContext, PlanFragment, merged
from reconciler.planner.in_use import counted
from reconciler.planner.ownership_checks import is_ours
from reconciler.planner.replacements import REPLACED


def plan_cutovers(context: PlanContext) -> PlanFragment:
    parts = [_fragment(planned, context) for planned in planned_cutovers(context)]
    notes = (*_waiting(context), *(_narrowed(context) if any(p.pending for p in parts) else ()))
    return merged([*parts, PlanFragment(kept=notes)])


def _waiting(context: PlanContext) -> Iterator[Kept]:
    """Strategy ``wait``: there are no steps, and yet not every instance has the role."""
    for name, live in sorted(context.live.profiles.items()):
        mark, address = live.mark, live.resource.address
        if not isinstance(mark, Waiting) or name not in context.desired.profiles:
            continue
        until = mark.epoch + CREDENTIALS_SECONDS
        if (
            is_ours(live, context)
            and context.options.includes(address)
            and until > context.options.now
        ):
            hour = datetime.fromtimestamp(until, tz=UTC).strftime("%Y-%m-%d %H:%M UTC")
            reason = f"its instances may get the previous role until {hour} (strategy wait)"
            yield Kept(address, reason, "waiting")


def _narrowed(context: PlanContext) -> tuple[Kept, ...]:
    """A warning that ``consumer_regions`` narrows the search for consumers."""
    chosen = context.options.consumer_regions
    if chosen is None:
        return ()
    where = ", ".join(chosen)
    reason = f"instances are cut over only in {where}, as consumer_regions in the settings says"
    return (Kept(ANY_INSTANCE, reason, "warning"),)


def profiles_to_cut_over(context: PlanContext) -> tuple[Address, ...]:
    """Profiles whose consumers must be looked for in every region."""
    return tuple(planned.live.resource.address for planned in planned_cutovers(context))


def empties(context: PlanContext) -> bool:
    """Whether a profile is to be without a role, although nothing is created again."""
    return any(
        p.cutover.after is None and p.cutover.half is None for p in planned_cutovers(context)
    )


def filled_by_cutover(context: PlanContext) -> frozenset[Address]:
    """Addresses of profiles to be made that are made empty, for their cut-over to fill."""
    return frozenset(
        p.live.resource.address for p in planned_cutovers(context) if p.is_made and p.is_second
    )


def _fragment(planned: PlannedCutOver, context: PlanContext) -> PlanFragment:
    address, mark = planned.live.resource.address, planned.live.mark
    is_failed = isinstance(mark, Failed) and mark.role_id == planned.observed.after_id
    if is_failed and not context.options.allows("retry", address):
        reason = f"{address}: the last cut-over to this role failed and was rolled back"
        return PlanFragment(
            guards=(Guard("retry", reason, f"--allow retry={address}", (address,)),)
        )
    if problems := tuple(_not_restarted(planned)):
        return PlanFragment(diagnostics=problems)
    cutover = planned.cutover
    preview = tuple(preview_steps(cutover, planned.observed))
    own = () if cutover.half == "first" else profile_change(planned, context)
    changes = (*own, *instance_changes(planned, context, preview))
    if not changes and cutover.half is None:
        # Only the mark of an earlier run is left; without a change it would never be removed.
        changes = (mark_change(planned),)
    group = REPLACED if cutover.half else None
    pending = PendingStep(
        address, cutover, planned.requires, planned.after, planned.provides, group=group
    )
    return PlanFragment(
        changes=changes,
        pending=(pending,),
        guards=tuple(_emptied(planned, context)),
        preview=((cutover, preview),),
        begins=((cutover, planned.observed),),
    )


def _emptied(planned: PlannedCutOver, context: PlanContext) -> Iterator[Guard]:
    """A guard: without a role in their profile, instances get no credentials once theirs expire.
    The same applies if there may be instances that were not read."""
    address, was = planned.live.resource.address, planned.cutover.before
    if planned.wanted.after.role is not None or was is None:
        return
    if context.options.allows("consumers", address):
        return
    for use in context.in_use.uses(planned.live):
        if use.kind == "unknown":
            reason = use.reason
        elif running := tuple(i for i in use.instances if i.is_running):
            reason = f"{counted(running)} would be left without role/{was.name}"
        else:
            continue
        yield Guard("consumers", f"{address}: {reason}", f"--allow consumers={address}", (address,))
        return


def _not_restarted(planned: PlannedCutOver) -> Iterator[Diagnostic]:
    """Running consumers that a restart would not bring back."""
    if planned.cutover.limits.strategy != "restart" or planned.wanted.place is None:
        return
    place = planned.wanted.place.at("cutover", "strategy")
    for instance in planned.observed.consumers():
        if instance.is_running and instance.unstoppable and instance.untouchable is None:
            message = f"{instance.key.instance} cannot be restarted: {instance.unstoppable}"
            hint = "strategy: reassociate"
            yield Diagnostic("error", "restart-refused", message, place, hint)
