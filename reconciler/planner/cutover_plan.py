"""The cut-overs of one profile: nearly always one. There are two if the profile, or the role in it,
is deleted and created again: the first removes the role, the second adds it when both exist, and
refreshes every consumer. Each decides from what it observes, so an interruption between the two is
resumed like any other."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass, replace

from reconciler.cutover.run_state import is_covered
from reconciler.model import ownership
from reconciler.model.address import PROFILE, name_key, role_address, same_name
from reconciler.model.live import LiveInstance, LiveProfile
from reconciler.model.ownership import Failed, InstanceKey, Partial, Pending, Settled, Waiting
from reconciler.model.resources import InstanceProfile, RollOut
from reconciler.plan.cut_over import CutOver, Observation, RoleRef
from reconciler.plan.graph import Label, emptied, exists, free, ready
from reconciler.planner.context import PlanContext
from reconciler.planner.in_use import is_for_ec2
from reconciler.planner.ownership_checks import adopted_marks, desired_state_of, is_ours, set_aside
from reconciler.planner.rotations import RotatedProfile, rotated_profiles
from reconciler.spec.desired import DesiredProfile, Place, ordered


@dataclass(frozen=True, slots=True)
class DesiredCutOver:
    """The desired state of a profile. ``place`` is ``None`` if the profile left the specs during a
    cut-over; the cut-over is completed anyway."""

    after: InstanceProfile
    limits: RollOut
    place: Place | None = None


@dataclass(frozen=True, slots=True)
class PlannedCutOver:
    """One cut-over in the plan.

    ``live`` is the profile when the cut-over begins, ``observed`` everything that is observed then;
    ``role_before`` is the role in the profile now. ``is_second`` adds a role to a profile that was
    emptied, or that ``is_made`` by this plan.
    """

    wanted: DesiredCutOver
    live: LiveProfile
    cutover: CutOver
    observed: Observation
    requires: frozenset[Label]
    after: frozenset[Label]
    provides: frozenset[Label]
    role_before: str | None
    is_second: bool = False
    is_made: bool = False
    role_id_before: str | None = None
    """The id of a role that is inside and that this plan makes again."""


def planned_cutovers(context: PlanContext) -> tuple[PlannedCutOver, ...]:
    return context.once(_all_planned)


def _all_planned(context: PlanContext) -> tuple[PlannedCutOver, ...]:
    if context.options.rotate:
        rotated = rotated_profiles(context)
        return tuple(_rotation(one, context) for one in rotated if one.obstacle is None)
    found = [_in_place(wanted, live, context) for wanted, live in interrupted_cutovers(context)]
    for entity in ordered(context.desired.profiles):
        if context.options.includes(entity.resource.address) and not set_aside(entity, context):
            found.extend(_planned(entity, context))
    return tuple(found)


def _rotation(rotated: RotatedProfile, context: PlanContext) -> PlannedCutOver:
    """To the role that is inside, whatever the specs say by now: that is for an apply."""
    live = adopted_marks(rotated.live, context)
    wanted = DesiredCutOver(live.resource, rotated.limits, rotated.place)
    planned = _in_place(wanted, live, context)
    if context.options.rotation not in ("revoke", "revoke-first"):
        return planned
    # No instance is touched before it is recorded what is owed; but one that a run has left without
    # its profile waits for nothing.
    noted = frozenset({Label("owed", role_address(live.resource.role or ""))})
    if rotated.is_resumed:
        return replace(planned, after=planned.after | noted)
    return replace(planned, requires=planned.requires | noted)


def interrupted_cutovers(context: PlanContext) -> Iterator[tuple[DesiredCutOver, LiveProfile]]:
    """Our profiles that left the specs during a cut-over, or whose new role is gone: they get the
    role of that cut-over, or the previous one, and instances in flight get their profile."""
    for name, live in sorted(context.live.profiles.items()):
        address = live.resource.address
        is_left = name not in context.desired.profiles or address in context.blocked
        is_owned = live.owner == context.options.owner and not live.protected
        if not is_left or not is_owned or not context.options.includes(address):
            continue
        is_pending = isinstance(live.mark, Pending)
        if isinstance(live.mark, Pending) and live.mark.after == ownership.NO_ROLE:
            # A prune that died after it had removed the role is completed by the next prune.
            is_pending = not context.options.deletes_what_is_left
        if live.in_flight or name in context.live.shadows or is_pending:
            role = live.resource.role or _role_of_mark(live, context)
            wanted = context.desired.profile(name)
            limits = context.options.limits(wanted.limits if wanted else RollOut())
            yield DesiredCutOver(replace(live.resource, role=role), limits), live


def _role_of_mark(live: LiveProfile, context: PlanContext) -> str | None:
    mark = live.mark
    ids = (mark.after, mark.before) if isinstance(mark, Pending) else ()
    found = (context.live.role_with(role_id) for role_id in ids)
    return next((role.resource.name for role in found if role is not None), None)


def _planned(entity: DesiredProfile, context: PlanContext) -> Iterator[PlannedCutOver]:
    live = context.live.profile(entity.resource.name)
    limits, place = context.options.limits(entity.limits), entity.place
    if live is None:
        to_come = _profile_after_create(entity.resource, context)
        if context.live.consumers(to_come.arn):
            yield _filling(DesiredCutOver(entity.resource, limits, place), to_come, None, context)
        return
    if not is_ours(live, context):
        return
    after = desired_state_of(entity, live, context)
    if not isinstance(after, InstanceProfile):
        raise TypeError(f"{entity.resource.address} is not an instance profile")
    wanted, adopted = DesiredCutOver(after, limits, place), adopted_marks(live, context)
    is_made = live.resource.address in context.replaced
    inside = context.live.role(live.resource.role)
    is_made_again = inside is not None and inside.resource.address in context.replaced
    if not is_made and not (is_made_again and same_name(after.role, live.resource.role)):
        if needs_cutover(after, adopted, context):
            yield _in_place(wanted, adopted, context)
        return
    if live.role_id is not None:
        yield _emptying(wanted, adopted, context)
    if is_made:
        empty = _profile_after_create(after, context)
    else:
        marks = {**adopted.marks, ownership.ROLE_ID: ownership.NO_ROLE}
        bare = replace(adopted.resource, role=None)
        empty = replace(adopted, resource=bare, role_id=None, marks=marks)
    yield _filling(wanted, empty, live, context)


def needs_cutover(after: InstanceProfile, live: LiveProfile, context: PlanContext) -> bool:
    """Whether the role differs, or some consumer may be served another than the profile's."""
    if _role_id(after.role, context) != live.role_id or live.in_flight:
        return True
    if name_key(live.resource.name) in context.live.shadows:
        return True
    if any(i.row and i.row.profile_id != live.id for i in context.live.consumers(live.arn)):
        return True
    mark, held = live.mark, live.role_id or ownership.NO_ROLE
    if isinstance(mark, Partial) and mark.role_id == held:
        observed = Observation(context.options.now, live, live.role_id, {}, context.options.now)
        return not is_covered(
            _cutover(DesiredCutOver(after, RollOut()), live, None, after.role, context), observed
        )
    return not isinstance(mark, Settled | Waiting) or mark.role_id != held


def _in_place(wanted: DesiredCutOver, live: LiveProfile, context: PlanContext) -> PlannedCutOver:
    after, before = wanted.after.role, _before(live, context)
    whole = _cutover(wanted, live, before, after, context)
    cutover = replace(
        whole,
        roll_back_to=_roll_back_to(live, after, context),
        releases=_released(live, after, context),
        releases_back=_released_by_a_roll_back(after, context),
    )
    provides = {
        ready(live.resource.address),
        *(free(role_address(name)) for name in cutover.releases),
    }
    if before is not None and not same_name(before.name, after):
        provides.add(free(role_address(before.name)))
    requires, later = set[Label](), {Label("adopted", live.resource.address)}
    is_there = cutover.after is None or cutover.after.id is not None
    if not is_there or not (live.in_flight or isinstance(live.mark, Pending)):
        # A resumed cut-over waits for nothing that may fail: instances may be without a profile.
        requires = _role_is_there(cutover)
    return PlannedCutOver(
        wanted=wanted,
        live=live,
        cutover=cutover,
        observed=_seen(live, after, context),
        requires=frozenset(requires),
        after=frozenset(later),
        provides=frozenset(provides),
        role_before=live.resource.role,
    )


def _emptying(wanted: DesiredCutOver, live: LiveProfile, context: PlanContext) -> PlannedCutOver:
    address, inside = live.resource.address, live.resource.role
    before = RoleRef(inside or "", live.role_id)
    released = _released(live, wanted.after.role, context)
    whole = _cutover(wanted, live, before, None, context)
    cutover = replace(whole, half="first", releases=released)
    freed = {free(role_address(name)) for name in (inside, *released) if name is not None}
    return PlannedCutOver(
        wanted=wanted,
        live=live,
        cutover=cutover,
        observed=_seen(live, None, context),
        requires=frozenset(),
        after=frozenset({Label("adopted", address)}),
        provides=frozenset({emptied(address), *freed}),
        role_before=inside,
    )


def _filling(
    wanted: DesiredCutOver, live: LiveProfile, today: LiveProfile | None, context: PlanContext
) -> PlannedCutOver:
    address, after = live.resource.address, wanted.after.role
    released = _of_nobody(after, context) if today is None else ()
    cutover = replace(
        _cutover(wanted, live, None, after, context), half="second", releases=released
    )
    requires = {exists(address), *_role_is_there(cutover)}
    return PlannedCutOver(
        wanted=wanted,
        live=live,
        cutover=cutover,
        observed=_seen(live, after, context),
        requires=frozenset(requires),
        after=frozenset({Label("adopted", address), emptied(address)}),
        provides=frozenset({ready(address)}),
        role_before=today.resource.role if today else None,
        is_second=True,
        is_made=today is None or address in context.replaced,
        role_id_before=today.role_id if today else None,
    )


def _role_is_there(cutover: CutOver) -> set[Label]:
    if cutover.after is None:
        return set()
    role = role_address(cutover.after.name)
    return {exists(role), ready(role)}


def _profile_after_create(after: InstanceProfile, context: PlanContext) -> LiveProfile:
    """A profile that this plan makes: empty, so that its consumers are known to hold nothing."""
    owner = ownership.encode_owner(context.options.owner, after.name)
    marks = {ownership.OWNER: owner, ownership.ROLE_ID: ownership.NO_ROLE}
    return LiveProfile(
        resource=replace(after, role=None),
        id=f"${{{after.address}.id}}",
        arn=context.arns.of(PROFILE, after.path, after.name),
        marks=marks,
    )


def _role_id(name: str | None, context: PlanContext) -> str | None:
    if name is None:
        return None
    role = context.role_that_stays(name)
    # For a role that is yet to be made. Marks have their parts between slashes, so it has none.
    return role.id if role else f"${{{name}.id}}"


def _seen(live: LiveProfile, after: str | None, context: PlanContext) -> Observation:
    """What the apply will see: it looks into the regions of the cut-over alone."""
    regions = context.options.consumer_regions
    now = context.options.now
    temporary = context.live.shadows.get(name_key(live.resource.name))
    known = _known(live, regions, context)
    return Observation(
        now, live, _role_id(after, context), known, listed_at=now, temporary=temporary
    )


def _known(
    live: LiveProfile, regions: Collection[str] | None, context: PlanContext
) -> dict[InstanceKey, LiveInstance]:
    found = context.live.consumers(live.arn)
    consumers = {i.key: i for i in found if regions is None or i.key.region in regions}
    flying = {k: context.live.instances[k] for k in live.in_flight if k in context.live.instances}
    whole = {**consumers, **flying}
    return {
        key: context.live.on_temporary_profile.get(key, instance) for key, instance in whole.items()
    }


def _cutover(
    wanted: DesiredCutOver,
    live: LiveProfile,
    before: RoleRef | None,
    after: str | None,
    context: PlanContext,
) -> CutOver:
    there = context.live.role(after)
    role = context.role_that_stays(after)
    name = there.resource.name if there else after
    regions = context.options.consumer_regions
    # One that could not be read is asked again: while it cannot, the cut-over does not end.
    known = tuple(sorted({*context.live.regions, *context.live.unread_regions}))
    return CutOver(
        profile=live.resource.name,
        before=before,
        after=RoleRef(name, role.id if role else None) if name is not None else None,
        limits=wanted.limits,
        regions=regions if regions is not None else known,
        prefix=context.options.prefix,
        is_narrow=regions is not None,
        not_read=frozenset(context.live.unread_regions),
        home_regions=context.options.regions if wanted.limits.checks.alarms else (),
    )


def _before(live: LiveProfile, context: PlanContext) -> RoleRef | None:
    """The role in the profile, or the previous one if a run died between the removal and the
    addition."""
    if live.resource.role is not None:
        return RoleRef(live.resource.role, live.role_id)
    mark = live.mark
    ids = (mark.before, mark.after) if isinstance(mark, Pending) else ()
    found = (context.live.role_with(role_id) for role_id in ids)
    return next((RoleRef(r.resource.name, r.id) for r in found if r is not None), None)


def _roll_back_to(live: LiveProfile, after: str | None, context: PlanContext) -> RoleRef | None:
    """The one role that consumers have, according to the mark. ``None`` if they may have the wanted
    role already, or more than one role: the specs changed in the middle of a cut-over."""
    wanted, mark = _role_id(after, context), live.mark
    match mark:
        case Pending(before, going):
            held = before if going == wanted else None
        case Settled(role_id) | Partial(role_id):
            # Swapped outside of reconciler to the wanted role: any instance may have it by now.
            held = role_id if live.role_id != wanted else None
        case Waiting(role_id):
            held = role_id if live.role_id == role_id else None
        case Failed() if live.left_with is not None:
            held = live.left_with if live.role_id != wanted else None
        case Failed(role_id):
            held = live.role_id if live.role_id != role_id else None
        case None:
            held = live.role_id
    role = context.live.role_with(held)
    return RoleRef(role.resource.name, role.id) if role is not None and held != wanted else None


def _released(live: LiveProfile, after: str | None, context: PlanContext) -> tuple[str, ...]:
    """Our roles that consumers may have and lose: the role in the profile, and those of the mark,
    even if they were swapped outside of reconciler."""
    found = (context.live.role_with(role_id) for role_id in context.in_use.roles_held(live))
    return tuple(
        role.resource.name
        for role in found
        if role is not None
        and role.owner == context.options.owner
        and not same_name(role.resource.name, after)
    )


def _of_nobody(after: str | None, context: PlanContext) -> tuple[str, ...]:
    """Our roles that EC2 can assume: any may have been in the deleted profile, which its instances
    leave now."""
    return tuple(
        role.resource.name
        for _, role in sorted(context.live.roles.items())
        if role.owner == context.options.owner
        and is_for_ec2(role)
        and not same_name(role.resource.name, after)
    )


def _released_by_a_roll_back(after: str | None, context: PlanContext) -> tuple[str, ...]:
    role = context.live.role(after)
    is_made = after is not None and role is None
    is_own = is_made or (role is not None and role.owner == context.options.owner)
    if after is None or not is_own:
        return ()
    return (role.resource.name if role else after,)
