"""Where a resource of the specs stands: whether it is there, whose it is, what it will be."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace as with_fields

from reconciler.diagnostics import Diagnostic, Location, Severity
from reconciler.kinds import instance_profile
from reconciler.kinds.registry import kind_of
from reconciler.model import ownership
from reconciler.model.address import Address, matches_any, name_key, role_address, same_name
from reconciler.model.live import LiveEntity, LiveProfile, LiveRole
from reconciler.model.resources import InstanceProfile, Policy, Role
from reconciler.planner.context import PlanContext
from reconciler.planner.options import Options
from reconciler.spec.desired import Desired


def unread(entity: Desired, context: PlanContext) -> str | None:
    """Why nothing can be said of it: itself, or the role that it should hold, cannot be read."""
    wanted = entity.resource
    if why := context.live.unread.get(wanted.address):
        return why
    if isinstance(wanted, InstanceProfile) and wanted.role is not None:
        role = role_address(wanted.role)
        if role in context.live.unread:
            return f"{role} cannot be read"
    return None


def set_aside(entity: Desired, context: PlanContext) -> str | None:
    """Why the plan leaves the resource as it is: it cannot be read, or it needs something that AWS
    does not have."""
    return unread(entity, context) or context.blocked.get(entity.resource.address)


def is_left_out(entity: Desired, context: PlanContext) -> bool:
    """Whether the specs would create it, and this plan, for a part of the set, does not."""
    address = entity.resource.address
    is_there = context.live.entity(address) is not None or address in context.live.unread
    return not is_there and not context.options.includes(address)


def not_made_here(entity: Desired, code: str, place: Location, context: PlanContext) -> Diagnostic:
    """A diagnostic: the plan needs a resource that it excludes. ``place`` is the reference in the
    specs. A warning in a drift, which creates nothing."""
    address = entity.resource.address
    message = f"{address} of this set is not in AWS yet, and this plan excludes it"
    severity: Severity = "warning" if context.options.for_drift else "error"
    return Diagnostic(
        severity, code, message, place, f"include {address} in the plan, or apply it first"
    )


def is_ours(live: LiveEntity, context: PlanContext) -> bool:
    """Ours already, or ours after this apply."""
    return live.protected is None and may_take(live, context.options)


def may_take(live: LiveEntity, options: Options) -> bool:
    """Whether it is ours, or a flag allows it to be adopted."""
    if live.owner == options.owner:
        return True
    is_nobodys = live.claimed_by in (None, options.owner)
    return options.adopt and (is_nobodys or options.take_over)


def unowned(live: LiveEntity, options: Options) -> str:
    """Why a resource without another owner is not ours."""
    key, tag = options.prefix + ownership.OWNER, live.owner_tag
    if tag is None:
        return "exists and is not managed"
    if tag.name is None:
        return f"carries the old form of our tag ({key} = {tag.owner}); --adopt writes the new one"
    return f"exists and is not managed: its tag {key} names another resource, {tag.name}"


def desired_state_of(
    entity: Desired, live: LiveEntity, context: PlanContext
) -> Policy | Role | InstanceProfile:
    """What the resource will be, ignored attributes left as they are."""
    address = entity.resource.address
    leave = entity.leave | context.options.ignored(address)
    after: Policy | Role | InstanceProfile = kind_of(address).desired_state_of(entity, live, leave)
    return after


def gives_up(
    profile: Address, role: LiveRole, going: Collection[Address], context: PlanContext
) -> bool:
    """Whether this plan takes the role out of the profile, as far as it gets: the deletion waits
    for that to end well."""
    if profile in going:
        return True
    live, wanted = context.live.profile(profile.name), context.desired.profile(profile.name)
    if live is None or wanted is None or not context.options.includes(profile):
        return False
    if not is_ours(live, context) or set_aside(wanted, context):
        return False
    if live.role_id != role.id:
        # Its cut-over has begun and not ended; until it has, the role may have to go back in.
        return False
    after = desired_state_of(wanted, live, context)
    return isinstance(after, InstanceProfile) and not same_name(after.role, role.resource.name)


def is_to_refresh(live: LiveProfile, context: PlanContext) -> bool:
    """Whether there is a cut-over of a profile that has the role of its mark: ``--refresh`` or
    ``rotate`` asks for it, or instances wait. One that is not finished goes on by itself."""
    mark, options = live.mark, context.options
    is_asked_for = matches_any(live.resource.address, options.refresh) or (
        options.rotation != "rest" and to_rotate(live, options)
    )
    return (
        live.owner == options.owner
        and (is_asked_for or waits(live, context))
        and live.role_id is not None
        and isinstance(mark, ownership.Settled | ownership.Partial | ownership.Waiting)
        and mark.role_id == live.role_id
        and not live.flights
        and name_key(live.resource.name) not in context.live.shadows
    )


def to_rotate(live: LiveProfile, options: Options) -> bool:
    """Whether ``rotate`` names the profile, or the role inside."""
    inside = live.resource.role
    named = (live.resource.address, *((role_address(inside),) if inside is not None else ()))
    return any(matches_any(address, options.rotate) for address in named)


def waits(live: LiveProfile, context: PlanContext) -> bool:
    """Whether instances may still get the previous role, since the swap was made with strategy
    ``wait``, and the specs have another strategy now. A cut-over to another role includes them."""
    wanted, until = context.desired.profile(live.resource.name), waits_until(live)
    if wanted is None or until is None or until <= context.options.now:
        return False
    after = desired_state_of(wanted, live, context)
    is_same = isinstance(after, InstanceProfile) and same_name(after.role, live.resource.role)
    return is_same and wanted.limits.strategy != "wait"


def waits_until(live: LiveProfile) -> float | None:
    """When AWS has completed a swap with strategy ``wait``, in seconds of the epoch."""
    mark = live.mark
    if not isinstance(mark, ownership.Waiting):
        return None
    return mark.epoch + ownership.CREDENTIALS_SECONDS


def adopted_marks(live: LiveProfile, context: PlanContext) -> LiveProfile:
    """The profile as it is once this apply has adopted it, or has marked it for a refresh."""
    if is_to_refresh(live, context):
        return with_fields(live, marks={**live.marks, ownership.ROLE_ID: ownership.NO_ROLE})
    if live.owner == context.options.owner:
        return live
    held = instance_profile.adopted_role_mark(live, context)
    owner = ownership.encode_owner(context.options.owner, live.resource.name)
    marks = {**live.marks, ownership.OWNER: owner, ownership.ROLE_ID: held}
    return with_fields(live, marks=marks)
