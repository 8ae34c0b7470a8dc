"""When running instances let go of roles of ours: noted on the role, for processes may hold its
credentials for hours.

A cut-over notes it for the role that it takes out. Here are all other ways: an instance moves to
another profile, its association is removed, its profile is deleted.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from reconciler.kinds.context import iam, tag_list
from reconciler.model import ownership
from reconciler.model.address import Address, profile_address
from reconciler.model.live import LiveRole
from reconciler.plan.calls import NOW
from reconciler.plan.changes import Change, Delete, Update
from reconciler.plan.graph import Label, PendingStep, free, released
from reconciler.planner.fragment import PendingWork, View


def plan_releases(changes: Iterable[Change], view: View) -> Iterator[PendingWork]:
    """Two notes for each role: one before the first instance lets go of it, since from then on
    nothing tells that it did, and one after the last, from which the hours count."""
    planned = tuple(changes)
    deleted = {change.address for change in planned if isinstance(change, Delete)}
    left: dict[str, set[Address]] = {}
    for address, taken_up in _left_profiles(planned, view):
        profile = view.live.profile(address.name)
        for role_id in view.in_use.roles_held(profile) if profile else ():
            if role_id != taken_up:
                left.setdefault(role_id, set()).add(address)
    for role in sorted(view.live.roles.values(), key=lambda r: r.resource.address):
        profiles = left.get(role.id, set())
        if profiles and role.owner == view.options.owner:
            yield _note(role, view, provides=frozenset(map(released, profiles)))
            if role.resource.address not in deleted:
                gone = {*map(free, profiles), free(role.resource.address)}
                yield _note(role, view, after=frozenset(gone))


def _left_profiles(changes: tuple[Change, ...], view: View) -> Iterator[tuple[Address, str | None]]:
    """Profiles that running instances let go of, each with the id of the role that those are
    served afterwards."""
    for change in changes:
        match change:
            case Delete() | Update() if change.address.is_instance and change.consumers:
                before = (change.before or {}).get("instance_profile")
                after = (change.after or {}).get("instance_profile")
                if before is not None:
                    yield profile_address(before), _role_of(after, view)
            case Delete() if change.consumers:
                yield change.address, None


def _role_of(profile: str | None, view: View) -> str | None:
    wanted = view.desired.profile(profile) if profile is not None else None
    live = view.live.profile(profile) if profile is not None else None
    name = wanted.resource.role if wanted else live.resource.role if live else None
    role = view.context.role_that_stays(name)
    return role.id if role else None


def _note(
    role: LiveRole,
    view: View,
    after: frozenset[Label] = frozenset(),
    provides: frozenset[Label] = frozenset(),
) -> PendingWork:
    tags = tag_list({view.options.prefix + ownership.RELEASED: NOW})
    call = iam("TagRole", RoleName=role.resource.name, Tags=tags)
    return PendingStep(role.resource.address, call, after=after, provides=provides)
