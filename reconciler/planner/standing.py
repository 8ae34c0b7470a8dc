"""Where a resource of the specs stands: whether it is there, whose it is, what it will be."""

from __future__ import annotations

from dataclasses import replace as with_fields

from reconciler import ownership
from reconciler.address import role_address
from reconciler.kinds import instance_profile
from reconciler.kinds.kind import kind_of
from reconciler.live import LiveEntity, LiveProfile
from reconciler.model import InstanceProfile, Policy, Role
from reconciler.planner.part import View
from reconciler.spec.desired import Desired


def unread(entity: Desired, view: View) -> str | None:
    """Why nothing can be said of it: itself, or the role that it should hold, cannot be read."""
    wanted = entity.resource
    if why := view.live.unread.get(wanted.address):
        return why
    if isinstance(wanted, InstanceProfile) and wanted.role is not None:
        role = role_address(wanted.role)
        if role in view.live.unread:
            return f"{role} cannot be read"
    return None


def is_ours(live: LiveEntity, view: View) -> bool:
    """Ours already, or ours after this apply."""
    if live.protected is not None:
        return False
    options = view.options
    if live.owner is None:
        return options.adopt
    return live.owner == options.owner or (options.adopt and options.take_over)


def settled(entity: Desired, live: LiveEntity, view: View) -> Policy | Role | InstanceProfile:
    """What the resource will be, ignored attributes left as they are."""
    address = entity.resource.address
    leave = entity.leave | view.options.ignored(address)
    after: Policy | Role | InstanceProfile = kind_of(address).settled(entity, live, leave)
    return after


def adopted_marks(live: LiveProfile, view: View) -> LiveProfile:
    """The profile as it is once this apply has adopted it."""
    if live.owner == view.options.owner:
        return live
    held = instance_profile.adopted_role_id(live, view.context)
    marks = {**live.marks, ownership.OWNER: view.options.owner, ownership.ROLE_ID: held}
    return with_fields(live, marks=marks)
