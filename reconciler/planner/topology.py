"""Which role is in which profile, and which instance has it, before and after the plan: as links
for the reports, and as marks on our roles for when running instances stop using them, since
processes may keep the credentials for hours. A cut-over marks the role that it removes. Here are
all other ways: an instance moves to another profile, its association is removed, its profile is
deleted."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping

from reconciler.kinds.context import iam, tag_list
from reconciler.model import ownership
from reconciler.model.address import (
    PROFILE,
    Address,
    instance_address,
    profile_address,
    role_address,
)
from reconciler.model.live import LiveRole
from reconciler.model.ownership import InstanceKey
from reconciler.plan.calls import NOW
from reconciler.plan.changes import Change, Delete, Link, Update
from reconciler.plan.graph import Label, PendingStep, free, released
from reconciler.planner.context import PendingWork, PlanContext


def links(
    context: PlanContext,
    changes: tuple[Change, ...],
    *,
    around: Collection[Address] = (),
    every: bool = False,
) -> tuple[Link, ...]:
    """Of every profile that the specs name, that something happens to, or whose role something
    happens to, sorted; also of those whose role is ``around``, or of ``every`` one."""
    touched = {change.address: change for change in changes}
    names = set(context.desired.profiles)
    for name, live in context.live.profiles.items():
        role = role_address(live.resource.role or "")
        if every or live.resource.address in touched or role in touched or role in around:
            names.add(name)
    found = [link for name in names for link in _of(name, context, touched)]
    moved = (link for change in changes for link in _moved(change))
    return tuple(sorted({*found, *moved}, key=lambda link: (link.after, link.before, link.mark)))


def _of(name: str, context: PlanContext, touched: Mapping[Address, Change]) -> Iterator[Link]:
    live, wanted = context.live.profiles.get(name), context.desired.profiles.get(name)
    entity = wanted or live
    if entity is None:
        return
    address = entity.resource.address
    before = live.resource.role if live is not None else None
    is_planned = wanted is not None and context.options.includes(address)
    after = wanted.resource.role if wanted is not None and is_planned else before
    if isinstance(touched.get(address), Delete):
        after = None
    if before == after and before is not None:
        yield Link(role_address(before), address, "same")
    else:
        if before is not None:
            yield Link(role_address(before), address, "goes")
        if after is not None:
            yield Link(role_address(after), address, "comes")
    for instance in context.in_use.associated(name):
        if live is None or not instance.names(live.arn):
            continue
        one = instance_address(instance.key.instance)
        change = touched.get(one)
        if change is None or change.actions == ("cutover",):
            yield Link(address, one, "same" if change is None else "fresh")


def _moved(change: Change) -> Iterator[Link]:
    """An instance that gets a profile, or loses one."""
    if change.kind != "association" or change.actions == ("cutover",):
        return
    before = (change.before or {}).get("instance_profile")
    after = (change.after or {}).get("instance_profile")
    if before:
        yield Link(profile_address(before), change.address, "goes")
    if after:
        yield Link(profile_address(after), change.address, "comes")


def plan_releases(changes: Iterable[Change], context: PlanContext) -> Iterator[PendingWork]:
    """Two marks for each role: one before the first instance loses it, since from then on nothing
    else would show that, and one after the last, from which the hours count."""
    planned = tuple(changes)
    deleted = {change.address for change in planned if isinstance(change, Delete)}
    left: dict[str, set[Address]] = {}
    for address, held, taken_up in _left_profiles(planned, context):
        for role_id in held:
            if role_id != taken_up:
                left.setdefault(role_id, set()).add(address)
    for role in sorted(context.live.roles.values(), key=lambda r: r.resource.address):
        profiles = left.get(role.id, set())
        if profiles and role.owner == context.options.owner:
            yield _note(role, context, provides=frozenset(map(released, profiles)))
            if role.resource.address not in deleted:
                gone = {*map(free, profiles), free(role.resource.address)}
                yield _note(role, context, after=frozenset(gone))


def _left_profiles(
    changes: tuple[Change, ...], context: PlanContext
) -> Iterator[tuple[Address, tuple[str, ...], str | None]]:
    """Profiles that running instances leave, each with the ids of the roles that the instances may
    have, and with the one that they get afterwards."""
    in_use = context.in_use
    for change in changes:
        match change:
            case Delete() | Update() if change.address.is_instance and change.consumers:
                after = (change.after or {}).get("instance_profile")
                key = InstanceKey(change.region or "", change.address.name)
                row = context.live.instances[key].row
                if row is not None and "instance_profile" in (change.before or {}):
                    held = in_use.roles_left(row)
                    yield profile_address(row.profile_name), held, _role_of(after, context)
            case Delete() if change.kind == PROFILE:
                profile = context.live.profile(change.address.name)
                if profile is not None and (change.consumers or in_use.moved_off(profile)):
                    yield change.address, in_use.roles_held(profile), None
            case Update() if change.kind == PROFILE and "role" in (change.after or {}):
                # Its consumers are for the cut-over.
                profile = context.live.profile(change.address.name)
                role = context.role_that_stays((change.after or {})["role"])
                if profile is not None and in_use.moved_off(profile):
                    yield change.address, in_use.roles_held(profile), role.id if role else None


def _role_of(profile: str | None, context: PlanContext) -> str | None:
    wanted = context.desired.profile(profile) if profile is not None else None
    live = context.live.profile(profile) if profile is not None else None
    name = wanted.resource.role if wanted else live.resource.role if live else None
    role = context.role_that_stays(name)
    return role.id if role else None


def _note(
    role: LiveRole,
    context: PlanContext,
    after: frozenset[Label] = frozenset(),
    provides: frozenset[Label] = frozenset(),
) -> PendingWork:
    tags = tag_list({context.options.prefix + ownership.RELEASED: NOW})
    call = iam("TagRole", RoleName=role.resource.name, Tags=tags)
    return PendingStep(role.resource.address, call, after=after, provides=provides)
