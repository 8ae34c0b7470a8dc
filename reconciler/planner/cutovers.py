"""Which profiles need a cut-over, what it looks like on today's state, and the changes that a plan
shows for it: one for the profile, and one for each instance. What is cut over from which role to
which is in ``cutover_plan.py``."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from reconciler.cutover.preview import preview_steps
from reconciler.cutover.run_state import is_covered
from reconciler.diagnostics import Diagnostic, Severity
from reconciler.model import ownership
from reconciler.model.address import ANY_INSTANCE, Address, instance_address, role_address
from reconciler.model.live import LiveInstance
from reconciler.model.ownership import (
    ROLLED_BACK,
    Failed,
    InstanceKey,
    Pending,
    Settled,
    Waiting,
)
from reconciler.model.resources import RollOut
from reconciler.plan.calls import ApiCall, Ref
from reconciler.plan.changes import (
    Change,
    CutOverInstance,
    Difference,
    Guard,
    Kept,
    Restore,
    Update,
)
from reconciler.plan.cut_over import CutOver, Observation, PreviewStep
from reconciler.plan.graph import PendingStep
from reconciler.planner.context import PlanContext, PlanFragment, merged
from reconciler.planner.cutover_plan import PlannedCutOver, planned_cutovers
from reconciler.planner.cutover_reasons import (
    asked_for,
    is_widened,
    may_bake,
    served,
    waited_for,
    was_interrupted,
    was_swapped_outside,
    why,
    widened,
)
from reconciler.planner.in_use import counted
from reconciler.planner.ownership_checks import is_ours, waits_until
from reconciler.planner.replacements import REPLACED

_BY_STRATEGY = {"restart": "stopped and started", "hop": "through a temporary profile"}
"""How an instance is cut over, if not by a new association."""


def plan_cutovers(context: PlanContext) -> PlanFragment:
    parts = [_fragment(planned, context) for planned in planned_cutovers(context)]
    notes = (*_waiting(context), *(_narrowed(context) if any(p.pending for p in parts) else ()))
    return merged([*parts, PlanFragment(kept=notes)])


def _waiting(context: PlanContext) -> Iterator[Kept]:
    """Strategy ``wait``, or an emptied profile: there are no steps, and yet not every instance has
    what the profile has."""
    for name, live in sorted(context.live.profiles.items()):
        until, address = waits_until(live), live.resource.address
        if until is None or name not in context.desired.profiles or address in context.cut_over:
            continue
        if (
            is_ours(live, context)
            and context.options.includes(address)
            and until > context.options.now
        ):
            yield Kept(address, waited_for(live, until), "waiting")


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
    if problems := tuple(_not_restarted(planned, context)):
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
    address = planned.live.resource.address
    if planned.wanted.after.role is not None or context.options.allows("consumers", address):
        return
    if reason := _left_without_role(planned, context):
        yield Guard("consumers", f"{address}: {reason}", f"--allow consumers={address}", (address,))


def _left_without_role(planned: PlannedCutOver, context: PlanContext) -> str | None:
    was = planned.cutover.before
    if was is None:
        # Instances of a deleted profile still have the role that was in it.
        users = [i for i in context.in_use.consumers(planned.live) if i.is_running]
        lost = [i for i in users if i.row and i.row.profile_id != planned.live.id]
        return (
            f"{counted(lost)} would be left without the role of the deleted one" if lost else None
        )
    for use in context.in_use.uses(planned.live):
        if use.kind == "unknown":
            return use.reason
        if running := tuple(i for i in use.instances if i.is_running):
            return f"{counted(running)} would be left without role/{was.name}"
    return None


def _not_restarted(planned: PlannedCutOver, context: PlanContext) -> Iterator[Diagnostic]:
    """Running consumers that a restart would not bring back. A warning in a drift, which restarts
    nothing."""
    if planned.cutover.limits.strategy != "restart" or planned.wanted.place is None:
        return
    place = planned.wanted.place.at("cutover", "strategy")
    for instance in planned.observed.consumers():
        if instance.is_running and instance.unstoppable and instance.untouchable is None:
            message = f"{instance.key.instance} cannot be restarted: {instance.unstoppable}"
            hint = "strategy: reassociate"
            severity: Severity = "warning" if context.options.for_drift else "error"
            yield Diagnostic(severity, "restart-refused", message, place, hint)


def profile_change(planned: PlannedCutOver, context: PlanContext) -> tuple[Change, ...]:
    """The profile's role, or only what its consumers are served. It joins the change that the
    profile has for other reasons (``planner.py``)."""
    live, cutover, limits = planned.live, planned.cutover, planned.cutover.limits
    before, after = planned.role_before, cutover.after.name if cutover.after else None
    asked = asked_for(live, context)
    mark, held = live.mark, live.role_id or ownership.NO_ROLE
    is_settled = isinstance(mark, Settled | Waiting) and mark.role_id == held
    is_settled = is_settled or is_covered(cutover, planned.observed)
    if before == after and is_settled and not planned.is_second:
        return ()
    if isinstance(mark, Failed) and live.left_with == held == planned.observed.target:
        return (_gives_up(planned, mark, context),)
    found: tuple[Difference, ...] = ()
    if before == after and planned.role_id_before is not None and not planned.is_made:
        made = str(Ref(role_address(after or ""), "id"))
        found = (Difference("role_id", planned.role_id_before, made),)
    elif asked:
        found = asked.differences
    elif before == after and is_widened(live):
        found = (widened(live, context),)
    elif before == after and not planned.is_made:
        found = (Difference("served_role", served(live, context), after),)
    # Where a cut-over to another role was begun and not completed, all consumers are refreshed once
    # more, which is not what an earlier plan said. A run that resumes this same cut-over does what
    # was planned, so it changes no digest.
    turned: dict[str, str] = {}
    if isinstance(mark, Pending) and mark.after != planned.observed.target:
        turned = {"in_place_of": mark.after}
    return (
        Update(
            address=live.resource.address,
            before={"role": before} if before != after else {},
            after={"role": after} if before != after else {},
            differences=found,
            reason=asked.reason if asked else why(planned, before == after, context.options.now),
            consumers=tuple(
                i.key.instance
                for i in planned.observed.consumers()
                if i.is_running and i.untouchable is None
            ),
            source=planned.wanted.place.at("role") if planned.wanted.place else None,
            intent={
                "before": before,
                "after": after,
                "strategy": limits.strategy,
                "canary": limits.canary,
                "max_unavailable": limits.max_unavailable,
                "pause": limits.pause_seconds,
                "on_failure": limits.on_failure,
                **_gates(limits),
                **turned,
            },
            is_under_way=isinstance(mark, Pending),
            was_interrupted=isinstance(mark, Pending)
            and was_interrupted(live, context.options.now)
            and not may_bake(planned, context.options.now),
        ),
    )


def _gives_up(planned: PlannedCutOver, mark: Failed, context: PlanContext) -> Change:
    """After a roll-back the specs went back to the role that every consumer has: nothing but the
    mark is left, which would stop the next try of the other role."""
    role = context.live.role_with(mark.role_id)
    failed = role.resource.name if role is not None else mark.role_id
    return Update(
        address=planned.live.resource.address,
        before={},
        after={},
        differences=(Difference(ROLLED_BACK, failed, None),),
        reason=f"its instances have the role of the specs since the cut-over to role/{failed} was "
        "rolled back",
        source=planned.wanted.place.at("role") if planned.wanted.place else None,
    )


def _gates(limits: RollOut) -> dict[str, Any]:
    """What may hold the roll-out up or turn it back: approved with it. Without any, a plan is as it
    was before there were such limits."""
    checks, denied = limits.checks, limits.checks.denied
    found: dict[str, Any] = {
        "bake": limits.bake_seconds,
        "checkpoints": [f"{share}%" for share in limits.checkpoints],
        "alarms": list(checks.alarms),
        "target_groups": list(checks.target_groups),
    }
    if denied is not None:
        found["denied"] = {"max": denied.most, "window": denied.window_seconds}
    if verify := limits.verify:
        found["verify"] = {
            "source": list(verify.sources),
            "timeout": verify.timeout_seconds,
            "on_unknown": verify.on_unknown,
        }
    return {name: value for name, value in found.items() if value}


def mark_change(planned: PlannedCutOver) -> Change:
    """All instances that were in flight have the profile, and the mark is still there."""
    live = planned.live
    return Update(
        address=live.resource.address,
        before={},
        after={},
        differences=(Difference("in_flight", [str(f) for f in sorted(live.flights)], []),),
        reason="the in-flight mark of an earlier run is removed",
        source=planned.wanted.place.here if planned.wanted.place else None,
        is_under_way=True,
    )


def instance_changes(
    planned: PlannedCutOver, context: PlanContext, preview: tuple[PreviewStep, ...]
) -> Iterator[CutOverInstance | Restore]:
    """A change for each instance that the preview touches, in the order of its steps."""
    cutover, observed = planned.cutover, planned.observed
    before, after = (role.name if role else None for role in (cutover.before, cutover.after))
    # Where the role is in already, or another hand has put one in, instances are served what they
    # were last known to have, if that is known.
    held = before
    if before == after or was_swapped_outside(planned.live):
        held = served(planned.live, context) or before
    off: dict[str, InstanceKey] = {}
    for instance in observed.instances.values():
        off.update({row.id: instance.key for row in instance.rows})
    touched: set[InstanceKey] = set()
    for step in preview:
        action = step.action
        if not isinstance(action, ApiCall) or action.service != "ec2" or action.is_dry_run:
            continue
        key = _touched(action, off)
        if key is None or key in touched:
            continue
        touched.add(key)
        match action.operation:
            case "AssociateIamInstanceProfile":
                yield _restored(cutover, observed, key)
            case "StartInstances":
                yield _started(observed, key)
            case _:
                yield _refreshed(cutover, observed, observed.instances[key], held)


def _touched(call: ApiCall, off: dict[str, InstanceKey]) -> InstanceKey | None:
    """The instance that a call disassociates, stops or restores."""
    match call.operation:
        case "DisassociateIamInstanceProfile" | "ReplaceIamInstanceProfileAssociation":
            return off.get(call.params["AssociationId"])
        case "AssociateIamInstanceProfile":
            return InstanceKey(call.region or "", call.params["InstanceId"])
        case "StopInstances" | "StartInstances":
            return InstanceKey(call.region or "", call.params["InstanceIds"][0])
        case _:
            return None


def _refreshed(
    cutover: CutOver, observed: Observation, instance: LiveInstance, before: str | None
) -> CutOverInstance:
    temporary = observed.temporary
    if temporary is not None and instance.names(temporary.arn):
        held = temporary.resource.role or before
        return _cut_over(
            cutover,
            instance,
            held,
            f"on the temporary profile {temporary.resource.name}; will be moved back",
            is_under_way=True,
        )
    how = None
    if instance.row is not None and instance.row.profile_id != observed.profile.id:
        how = "stale"
    elif instance.is_running:
        how = _BY_STRATEGY.get(cutover.limits.strategy)
    return _cut_over(cutover, instance, before, how)


def _cut_over(
    cutover: CutOver,
    instance: LiveInstance,
    before: str | None,
    reason: str | None,
    *,
    is_under_way: bool = False,
) -> CutOverInstance:
    return CutOverInstance(
        address=instance_address(instance.key.instance),
        region=instance.key.region,
        before={"role": before},
        after={"role": cutover.after.name if cutover.after else None},
        reason=reason,
        is_under_way=is_under_way,
    )


def _restored(cutover: CutOver, observed: Observation, key: InstanceKey) -> Restore:
    return Restore(
        address=instance_address(key.instance),
        region=key.region,
        before={"instance_profile": None},
        after={"instance_profile": cutover.profile},
        differences=(Difference("instance_profile", None, cutover.profile),),
        reason=_bare("it has no profile", "it was in flight", observed),
        was_interrupted=was_interrupted(observed.profile, observed.now),
    )


def _bare(what: str, when: str, observed: Observation) -> str:
    mark = observed.profile.mark
    if isinstance(mark, Pending) and not was_interrupted(observed.profile, observed.now):
        since = "began less than ten minutes ago, and may still be in progress"
        return f"{what}: {when} in run {mark.run}, which {since}"
    return f"{what}: an earlier run died while {when}"


def _started(observed: Observation, key: InstanceKey) -> Restore:
    return Restore(
        address=instance_address(key.instance),
        region=key.region,
        before={"state": "stopped"},
        after={"state": "running"},
        differences=(Difference("state", "stopped", "running"),),
        reason=_bare("it is stopped", "it was about to be started", observed),
        was_interrupted=was_interrupted(observed.profile, observed.now),
    )
