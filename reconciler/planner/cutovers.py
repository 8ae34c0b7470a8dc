"""Which profiles need a cut-over, and what it looks like on today's state."""

from __future__ import annotations

from collections.abc import Iterator

from reconciler import ownership
from reconciler.changes import Change, CutOverInstance, Difference, Guard, Restore, Update
from reconciler.cutover.rehearsal import Printed, rehearse
from reconciler.cutover.value import CutOver, RoleRef, Seen
from reconciler.diagnostics import Diagnostic
from reconciler.graph import Draft, exists, free, ready
from reconciler.live import LiveInstance, LiveProfile
from reconciler.model import InstanceProfile
from reconciler.ownership import Failed, InstanceKey, Pending, Settled, Waiting
from reconciler.planner.entities import adopted_marks, is_ours, settled, unread
from reconciler.planner.part import Part, View, together
from reconciler.requests import ApiCall
from reconciler.spec.desired import DesiredProfile, ordered

YOUNG_SECONDS = 600.0


def plan_cutovers(view: View) -> Part:
    return together(
        _profile(entity, live, view)
        for entity, live in _ours(view)
        if needs_cutover(entity, live, view)
    )


def profiles_to_cut_over(view: View) -> tuple[str, ...]:
    """Names of profiles whose consumers must be looked for in every region."""
    return tuple(p.resource.name for d, p in _ours(view) if needs_cutover(d, p, view))


def _ours(view: View) -> Iterator[tuple[DesiredProfile, LiveProfile]]:
    for entity in ordered(view.desired.profiles):
        live = view.live.profile(entity.resource.name)
        if live is None or not view.options.includes(entity.resource.address):
            continue
        if unread(entity, view):
            continue
        if is_ours(live, view) and settled(entity, live, view).path == live.resource.path:
            yield entity, adopted_marks(live, view)


def needs_cutover(entity: DesiredProfile, live: LiveProfile, view: View) -> bool:
    """Whether the role differs, or some consumer may be served another than the profile's."""
    role_id = _wanted_id(entity, live, view)
    if role_id != live.role_id or live.in_flight:
        return True
    if any(i.row and i.row.profile_id != live.id for i in view.live.consumers(live.arn)):
        return True
    mark, held = live.mark, live.role_id or ownership.NO_ROLE
    return not isinstance(mark, Settled | Waiting) or mark.role_id != held


def _wanted_id(entity: DesiredProfile, live: LiveProfile, view: View) -> str | None:
    name = _wanted(entity, live, view).role
    if name is None:
        return None
    role = view.live.role(name)
    # For a role that is yet to be made. Marks have their parts between slashes, so it has none.
    return role.id if role else f"${{{name}.id}}"


def _wanted(entity: DesiredProfile, live: LiveProfile, view: View) -> InstanceProfile:
    after = settled(entity, live, view)
    if not isinstance(after, InstanceProfile):
        raise TypeError(f"{entity.resource.address} is no profile")
    return after


def _profile(entity: DesiredProfile, live: LiveProfile, view: View) -> Part:
    wanted_id = _wanted_id(entity, live, view)
    address = live.resource.address
    mark = live.mark
    is_failed = isinstance(mark, Failed) and mark.role_id == wanted_id
    if is_failed and not view.options.allows("retry", address):
        reason = f"{address}: the last cut-over to this role failed and was rolled back"
        return Part(guards=(Guard("retry", reason, f"--allow retry={address}", (address,)),))
    if problems := tuple(_not_restarted(entity, live, view)):
        return Part(diagnostics=problems)
    cutover = _cutover(entity, live, view)
    seen = Seen(
        now=view.options.now,
        profile=live,
        after_id=wanted_id,
        instances=_known(live, view),
        listed_at=view.options.now,
    )
    printed = tuple(rehearse(cutover, seen))
    changes = (*_own_change(entity, live, cutover, view), *_instances(cutover, seen, printed))
    draft = _draft(cutover, live)
    return Part(changes=changes, drafts=(draft,), printed=((address, printed),))


def _not_restarted(entity: DesiredProfile, live: LiveProfile, view: View) -> Iterator[Diagnostic]:
    """Running consumers that a restart would not bring back."""
    if entity.limits.strategy != "restart":
        return
    place = entity.place.at("cutover", "strategy")
    for instance in view.live.consumers(live.arn):
        if instance.is_running and instance.unstoppable:
            message = f"{instance.key.instance} is not restarted: {instance.unstoppable}"
            hint = "strategy: reassociate"
            yield Diagnostic("error", "restart-refused", message, place, hint)


def _known(live: LiveProfile, view: View) -> dict[InstanceKey, LiveInstance]:
    consumers = {i.key: i for i in view.live.consumers(live.arn)}
    flying = {k: view.live.instances[k] for k in live.in_flight if k in view.live.instances}
    return {**consumers, **flying}


def _cutover(entity: DesiredProfile, live: LiveProfile, view: View) -> CutOver:
    after = _wanted(entity, live, view).role
    role = view.live.role(after)
    name = role.resource.name if role else after
    regions = view.options.consumer_regions
    # One that could not be read is asked again: while it cannot, the cut-over does not end.
    known = tuple(sorted({*view.live.regions, *view.live.unread_regions}))
    before = _before(live, view)
    return CutOver(
        profile=live.resource.name,
        before=before,
        after=RoleRef(name, role.id if role else None) if name is not None else None,
        limits=view.options.limits(entity.limits),
        regions=regions if regions is not None else known,
        prefix=view.options.prefix,
        releases=_released(before, name, view),
    )


def _before(live: LiveProfile, view: View) -> RoleRef | None:
    """The role inside, or the one that was when a run died between taking out and putting in."""
    if live.resource.role is not None:
        return RoleRef(live.resource.role, live.role_id)
    mark = live.mark
    ids = (mark.before, mark.after) if isinstance(mark, Pending) else ()
    for role_id in ids:
        for role in view.live.roles.values():
            if role.id == role_id:
                return RoleRef(role.resource.name, role.id)
    return None


def _released(before: RoleRef | None, after: str | None, view: View) -> str | None:
    role = view.live.role(before.name) if before else None
    if role is None or role.owner != view.options.owner or role.resource.name == after:
        return None
    return role.resource.name


def _own_change(
    entity: DesiredProfile, live: LiveProfile, cutover: CutOver, view: View
) -> tuple[Change, ...]:
    """The profile's own change: its role, or only what its consumers are served. It joins the
    change that the profile has for other reasons (``assemble``)."""
    before, after = live.resource.role, cutover.after.name if cutover.after else None
    intent = {
        "before": before,
        "after": after,
        "strategy": cutover.limits.strategy,
        "max_unavailable": cutover.limits.max_unavailable,
        "pause": cutover.limits.pause_seconds,
        "on_failure": cutover.limits.on_failure,
    }
    running = tuple(i.key.instance for i in view.live.consumers(live.arn) if i.is_running)
    mark = live.mark
    held = live.role_id or ownership.NO_ROLE
    is_settled = isinstance(mark, Settled | Waiting) and mark.role_id == held
    if before == after and is_settled:
        return ()
    found = () if before != after else (Difference("served_role", _served(live, view), after),)
    return (
        Update(
            address=live.resource.address,
            before={"role": before} if before != after else {},
            after={"role": after} if before != after else {},
            differences=found,
            reason=_why(live, before == after, view.options.now),
            consumers=running,
            source=entity.place.at("role"),
            intent=intent,
            is_under_way=isinstance(mark, Pending),
        ),
    )


def _served(live: LiveProfile, view: View) -> str | None:
    """The role that consumers were last known to be served."""
    mark = live.mark
    role_id = mark.before if isinstance(mark, Pending) else mark.role_id if mark else None
    names = [r.resource.name for r in view.live.roles.values() if r.id == role_id]
    return names[0] if names else role_id


def _why(live: LiveProfile, is_same_role: bool, now: float) -> str | None:
    if isinstance(live.mark, Pending):
        if now - live.mark.epoch < YOUNG_SECONDS:
            return f"run {live.mark.run} began it a moment ago, and may still be at work"
        return "an earlier run died in the middle; it goes on"
    return "the role was changed by another hand" if is_same_role else None


def _instances(
    cutover: CutOver, seen: Seen, printed: tuple[Printed, ...]
) -> Iterator[CutOverInstance | Restore]:
    """A change for each instance that the rehearsal touched, in the order of its steps."""
    off: dict[str, InstanceKey] = {}
    for instance in seen.instances.values():
        off.update({row.id: instance.key for row in instance.rows})
    touched: set[InstanceKey] = set()
    for step in printed:
        action = step.action
        if not isinstance(action, ApiCall) or action.service != "ec2":
            continue
        if action.operation == "DisassociateIamInstanceProfile":
            left = off.get(action.params["AssociationId"])
            if left is not None and left not in touched:
                touched.add(left)
                yield _refreshed(cutover, seen, seen.instances[left])
        elif action.operation == "StopInstances":
            key = InstanceKey(action.region or "", action.params["InstanceIds"][0])
            if key not in touched:
                touched.add(key)
                yield _refreshed(cutover, seen, seen.instances[key])
        elif action.operation == "AssociateIamInstanceProfile":
            key = InstanceKey(action.region or "", action.params["InstanceId"])
            if key not in touched:
                touched.add(key)
                yield _restored(cutover, key)
        elif action.operation == "StartInstances":
            key = InstanceKey(action.region or "", action.params["InstanceIds"][0])
            if key not in touched:
                touched.add(key)
                yield _started(key)


def _refreshed(cutover: CutOver, seen: Seen, instance: LiveInstance) -> CutOverInstance:
    is_stale = instance.row is not None and instance.row.profile_id != seen.profile.id
    before = cutover.before.name if cutover.before else None
    after = cutover.after.name if cutover.after else None
    return CutOverInstance(
        address=f"association/{instance.key.instance}",
        region=instance.key.region,
        before={"role": before},
        after={"role": after},
        reason="stale" if is_stale else None,
    )


def _restored(cutover: CutOver, key: InstanceKey) -> Restore:
    return Restore(
        address=f"association/{key.instance}",
        region=key.region,
        before={"instance_profile": None},
        after={"instance_profile": cutover.profile},
        differences=(Difference("instance_profile", None, cutover.profile),),
        reason="an earlier run died while it was in flight",
    )


def _started(key: InstanceKey) -> Restore:
    return Restore(
        address=f"association/{key.instance}",
        region=key.region,
        before={"state": "stopped"},
        after={"state": "running"},
        differences=(Difference("state", "stopped", "running"),),
        reason="an earlier run died while it had stopped it",
    )


def _draft(cutover: CutOver, live: LiveProfile) -> Draft[CutOver]:
    address = live.resource.address
    needs = {f"adopted {address}"}
    if cutover.after is not None:
        role = f"role/{cutover.after.name}"
        needs |= {exists(role), ready(role)}
    gives = {ready(address)}
    if cutover.before is not None:
        gives.add(free(f"role/{cutover.before.name}"))
    return Draft(address, cutover, frozenset(needs), frozenset(gives))
