"""What a person is told of a cut-over: the profile's own change, and one for each instance."""

from __future__ import annotations

from collections.abc import Iterator

from reconciler import ownership
from reconciler.address import instance_address, role_address
from reconciler.changes import Change, CutOverInstance, Difference, Restore, Update
from reconciler.cutover.memory import noted_as_done
from reconciler.cutover.rehearsal import Printed
from reconciler.cutover.value import CutOver, Seen, is_covered
from reconciler.live import LiveInstance, LiveProfile
from reconciler.ownership import InstanceKey, Pending, Settled, Waiting
from reconciler.planner.part import View
from reconciler.planner.phases import Phase
from reconciler.requests import ApiCall, Ref

YOUNG_SECONDS = 600.0


def own_change(phase: Phase, view: View) -> tuple[Change, ...]:
    """The profile's role, or only what its consumers are served. It joins the change that the
    profile has for other reasons (``assemble``)."""
    live, cutover, limits = phase.live, phase.cutover, phase.cutover.limits
    before, after = phase.role_before, cutover.after.name if cutover.after else None
    mark, held = live.mark, live.role_id or ownership.NO_ROLE
    is_settled = isinstance(mark, Settled | Waiting) and mark.role_id == held
    is_settled = is_settled or is_covered(cutover, phase.seen)
    if before == after and is_settled and not phase.is_second:
        return ()
    found: tuple[Difference, ...] = ()
    if before == after and phase.role_id_before is not None and not phase.is_made:
        made = str(Ref(role_address(after or ""), "id"))
        found = (Difference("role_id", phase.role_id_before, made),)
    elif before == after and not phase.is_made:
        found = (Difference("served_role", _served(live, view), after),)
    return (
        Update(
            address=live.resource.address,
            before={"role": before} if before != after else {},
            after={"role": after} if before != after else {},
            differences=found,
            reason=_why(phase, before == after, view.options.now),
            consumers=tuple(i.key.instance for i in phase.seen.consumers() if i.is_running),
            source=phase.wish.place.at("role") if phase.wish.place else None,
            intent={
                "before": before,
                "after": after,
                "strategy": limits.strategy,
                "max_unavailable": limits.max_unavailable,
                "pause": limits.pause_seconds,
                "on_failure": limits.on_failure,
                **_turned(phase),
            },
            is_under_way=isinstance(mark, Pending),
            has_died=isinstance(mark, Pending) and has_died(live, view.options.now),
        ),
    )


def _turned(phase: Phase) -> dict[str, str]:
    """A cut-over to another role was begun and not ended: all consumers are in for it once more,
    which is not what was planned before that one began. Whoever goes on with this very one does
    what was planned, so it changes no digest."""
    mark = phase.live.mark
    if not isinstance(mark, Pending) or mark.after == phase.seen.target:
        return {}
    return {"in_place_of": mark.after}


def note_change(phase: Phase) -> Change:
    """Everyone who was in flight has the profile, and the note that they were is still there."""
    live = phase.live
    return Update(
        address=live.resource.address,
        before={},
        after={},
        differences=(Difference("in_flight", [str(f) for f in sorted(live.flights)], []),),
        reason="a note of an earlier run is cleared",
        source=phase.wish.place.here if phase.wish.place else None,
        is_under_way=True,
    )


def _served(live: LiveProfile, view: View) -> str | None:
    """The role that consumers were last known to be served."""
    mark = live.mark
    role_id = mark.before if isinstance(mark, Pending) else mark.role_id if mark else None
    names = [r.resource.name for r in view.live.roles.values() if r.id == role_id]
    return names[0] if names else None if role_id == ownership.NO_ROLE else role_id


def _why(phase: Phase, is_same_role: bool, now: float) -> str | None:
    mark = phase.live.mark
    if isinstance(mark, Pending):
        if is_waiting_for_others(phase.live):
            return "it waits for instances that are not ours to refresh"
        if now - mark.epoch < YOUNG_SECONDS:
            told = f"run {mark.run} began it a moment ago, and may still be at work"
            return told + _noted(phase)
        return f"an earlier run died in the middle; it goes on{_noted(phase)}"
    if phase.is_second:
        return None if phase.is_made else "its role is made again"
    return "the role was changed by another hand" if is_same_role else None


def _noted(phase: Phase) -> str:
    """Instance tags save work, and anyone who may write them could have: so it is said."""
    done = [i.key.instance for i in noted_as_done(phase.seen)]
    return f"; noted on the instance as done: {', '.join(done)}" if done else ""


def instance_changes(
    phase: Phase, view: View, printed: tuple[Printed, ...]
) -> Iterator[CutOverInstance | Restore]:
    """A change for each instance that the rehearsal touched, in the order of its steps."""
    cutover, seen = phase.cutover, phase.seen
    before, after = (role.name if role else None for role in (cutover.before, cutover.after))
    # Where the role is in already, instances are served the one before, if that is known.
    held = before if before != after else _served(phase.live, view) or before
    off: dict[str, InstanceKey] = {}
    for instance in seen.instances.values():
        off.update({row.id: instance.key for row in instance.rows})
    touched: set[InstanceKey] = set()
    for step in printed:
        action = step.action
        if not isinstance(action, ApiCall) or action.service != "ec2" or action.is_dry_run:
            continue
        key = _touched(action, off)
        if key is None or key in touched:
            continue
        touched.add(key)
        match action.operation:
            case "AssociateIamInstanceProfile":
                yield _restored(cutover, seen, key)
            case "StartInstances":
                yield _started(seen, key)
            case _:
                yield _refreshed(cutover, seen, seen.instances[key], held)


def _touched(call: ApiCall, off: dict[str, InstanceKey]) -> InstanceKey | None:
    """The instance that a call takes something from, or gives it back to."""
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
    cutover: CutOver, seen: Seen, instance: LiveInstance, before: str | None
) -> CutOverInstance:
    is_stale = instance.row is not None and instance.row.profile_id != seen.profile.id
    how = _how(cutover, seen, instance)
    after = cutover.after.name if cutover.after else None
    return CutOverInstance(
        address=instance_address(instance.key.instance),
        region=instance.key.region,
        before={"role": before},
        after={"role": after},
        reason="stale" if is_stale else how,
    )


def _how(cutover: CutOver, seen: Seen, instance: LiveInstance) -> str | None:
    """What the instance goes through, where that is not a fresh association."""
    if seen.shadow is not None and instance.names(seen.shadow.arn):
        return f"it comes back from {seen.shadow.resource.address}"
    if not instance.is_running:
        return None
    by_strategy = {"restart": "it is stopped and started", "hop": "by way of a shadow profile"}
    return by_strategy.get(cutover.limits.strategy)


def has_died(live: LiveProfile, now: float) -> bool:
    """Whether what is noted on the profile is no longer at work."""
    mark = live.mark
    if is_waiting_for_others(live):
        return False
    return not isinstance(mark, Pending) or now - mark.epoch >= YOUNG_SECONDS


def is_waiting_for_others(live: LiveProfile) -> bool:
    """Whether the last run has done all that it may, and said who must roll the rest."""
    mark, swapped = live.mark, live.swapped
    is_noted = isinstance(mark, Pending) and swapped is not None and swapped.role_id == mark.after
    return is_noted and not live.in_flight


def _restored(cutover: CutOver, seen: Seen, key: InstanceKey) -> Restore:
    return Restore(
        address=instance_address(key.instance),
        region=key.region,
        before={"instance_profile": None},
        after={"instance_profile": cutover.profile},
        differences=(Difference("instance_profile", None, cutover.profile),),
        reason=_bare("it has no profile", "it was in flight", seen),
        has_died=has_died(seen.profile, seen.now),
    )


def _bare(what: str, when: str, seen: Seen) -> str:
    mark = seen.profile.mark
    if isinstance(mark, Pending) and not has_died(seen.profile, seen.now):
        return f"{what}: run {mark.run} began a moment ago, and ended or is at work while {when}"
    return f"{what}: an earlier run ended while {when}"


def _started(seen: Seen, key: InstanceKey) -> Restore:
    return Restore(
        address=instance_address(key.instance),
        region=key.region,
        before={"state": "stopped"},
        after={"state": "running"},
        differences=(Difference("state", "stopped", "running"),),
        reason=_bare("it is stopped", "it was to be started again", seen),
        has_died=has_died(seen.profile, seen.now),
    )
