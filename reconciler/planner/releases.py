"""Marks on our roles for when running instances stop using them, since processes may keep the
credentials for hours. A cut-over marks the role that it removes. Here are all other ways: an
instance moves to another profile, its association is removed, its profile is deleted."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from reconciler.kinds.context import iam, tag_list
from reconciler.model import ownership
from reconciler.model.address import Address, profile_address
from reconciler.model.live import LiveRole
from reconciler.plan.calls import NOW
from reconciler.plan.changes import Change, Delete, Update
from reconciler.plan.graph import Label, PendingStep, free, released
from reconciler.planner.fragment import PendingWork, PlanContext


def plan_releases(changes: Iterable[Change], context: PlanContext) -> Iterator[PendingWork]:
    """Two marks for each role: one before the first instance loses it, since from then on nothing
    else would show that, and one after the last, from which the hours count."""
    planned = tuple(changes)
    deleted = {change.address for change in planned if isinstance(change, Delete)}
    left: dict[str, set[Address]] = {}
    for address, taken_up in _left_profiles(planned, context):
        profile = context.live.profile(address.name)
        for role_id in context.in_use.roles_held(profile) if profile else ():
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
) -> Iterator[tuple[Address, str | None]]:
    """Profiles that running instances leave, each with the id of the role that the instances get
    afterwards."""
    for change in changes:
        match change:
            case Delete() | Update() if change.address.is_instance and change.consumers:
                before = (change.before or {}).get("instance_profile")
                after = (change.after or {}).get("instance_profile")
                if before is not None:
                    yield profile_address(before), _role_of(after, context)
            case Delete() if change.consumers:
                yield change.address, None


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
