"""``rotate``: the running consumers of profiles get fresh sessions of the role that they have, in
place of everything else that a plan may do. How the sessions that they had are denied is in
``revocations.py``."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from reconciler.kinds import instance_profile
from reconciler.model import ownership
from reconciler.model.address import PROFILE, ROLE, Address, matches_any, name_key, role_address
from reconciler.model.live import LiveProfile, LiveRole
from reconciler.model.ownership import Failed, Pending, Settled
from reconciler.model.resources import RollOut
from reconciler.plan.changes import Conflict, Guard, Kept
from reconciler.planner.context import PendingWork, PlanContext, PlanFragment
from reconciler.planner.in_use import counted, released_at
from reconciler.planner.ownership_checks import (
    is_to_refresh,
    may_take,
    to_rotate,
    unowned,
    waits_until,
)
from reconciler.spec.desired import Place

FIRST_APPLY = "Apply first, so that it ends"


@dataclass(frozen=True, slots=True)
class RotatedProfile:
    """A profile of ours that is asked for. ``obstacle`` is why it cannot be rotated, and what to do
    about that; ``is_resumed`` says that a run began to, and did not end it."""

    live: LiveProfile
    limits: RollOut
    place: Place | None
    is_resumed: bool
    obstacle: tuple[str, str] | None = None


def rotated_profiles(context: PlanContext) -> tuple[RotatedProfile, ...]:
    return context.once(_found)


def _found(context: PlanContext) -> tuple[RotatedProfile, ...]:
    options = context.options
    if not options.rotate:
        return ()
    found = []
    for _, live in sorted(context.live.profiles.items()):
        if live.owner != options.owner or live.protected or not to_rotate(live, options):
            continue
        wanted = context.desired.profile(live.resource.name)
        limits = options.limits(wanted.limits if wanted else RollOut())
        # There is no role to go back to.
        limits = replace(limits, on_failure="stop")
        is_resumed = is_under_way(live)
        if options.rotation == "rest" and not is_resumed:
            continue
        obstacle = _obstacle(live, limits, is_resumed, context)
        if obstacle is None and live.role_id is None:
            continue
        place = wanted.place if wanted else None
        found.append(RotatedProfile(live, limits, place, is_resumed, obstacle))
    return tuple(found)


def is_under_way(live: LiveProfile) -> bool:
    """Whether a run has begun to give every consumer a fresh session of the role inside."""
    match live.mark:
        case Settled(held):
            return held == ownership.NO_ROLE and live.role_id is not None
        case Pending(before, after):
            return before == ownership.NO_ROLE and after == live.role_id
        case _:
            return False


def _obstacle(
    live: LiveProfile, limits: RollOut, is_resumed: bool, context: PlanContext
) -> tuple[str, str] | None:
    address, mark = live.resource.address, live.mark
    if isinstance(mark, Failed):
        told = f"{address}: its last cut-over was rolled back, and the mark of that would be lost"
        return told, "Apply specs with the role that it has now, then rotate"
    if is_resumed or is_to_refresh(live, context):
        if limits.strategy == "wait":
            told = (
                f"{address} has strategy wait, which touches no instance: none gets a new session"
            )
            return told, "Give it another strategy, or stop and start the instances yourself"
        return None
    if live.role_id is None:
        return f"{address} has no role inside", FIRST_APPLY
    return f"{address}: a cut-over of it is not finished", FIRST_APPLY


def plan_rotations(context: PlanContext) -> PlanFragment:
    """The marks on the profiles, from which any run knows that their consumers need fresh sessions;
    and what cannot be done."""
    pending: list[PendingWork] = []
    for one in rotated_profiles(context):
        if one.obstacle is None and is_to_refresh(one.live, context):
            pending += instance_profile.refresh(one.live, context)
    return PlanFragment(
        pending=tuple(pending),
        kept=tuple(_of_others(context)),
        conflicts=tuple(_conflicts(context)),
        guards=tuple(_guards(context)),
    )


def _guards(context: PlanContext) -> Iterator[Guard]:
    for one in rotated_profiles(context):
        if one.obstacle is not None:
            reason, lift = one.obstacle
            yield Guard("rotate", reason, lift, (one.live.resource.address,))
    if context.options.rotation != "rest":
        yield from _absent(context)
    if context.options.rotation == "fresh" and not rotated_profiles(context):
        # Nothing would be done, which must not pass for done.
        for role in rotated_roles(context):
            told = "no profile of this owner has it, so no instance gets a new session"
            lift = "With --revoke, its sessions are denied"
            yield Guard("rotate", f"{_of(role)}: {told}", lift, (_of(role),))


def _absent(context: PlanContext) -> Iterator[Guard]:
    """Of the specs and not in AWS yet."""
    for entity in context.desired.entities():
        address = entity.resource.address
        is_meant = address.kind in (PROFILE, ROLE) and is_asked(address, context)
        if is_meant and context.live.entity(address) is None:
            why = context.live.unread.get(address, "it does not exist in AWS yet")
            yield Guard("rotate", f"{address}: {why}", "Apply first", (address,))


def is_asked(address: Address, context: PlanContext) -> bool:
    return matches_any(address, context.options.rotate)


def _conflicts(context: PlanContext) -> Iterator[Conflict]:
    """What the specs name and is not ours."""
    for entity in context.desired.entities():
        address = entity.resource.address
        live = context.live.entity(address)
        if live is None or address.kind not in (PROFILE, ROLE) or not is_asked(address, context):
            continue
        if address.kind == ROLE and context.options.rotation not in ("revoke", "revoke-first"):
            continue  # it is not touched
        if not may_take(live, context.options):
            other = live.claimed_by
            is_nobodys = other in (None, context.options.owner)
            whose = f"belongs to the owner {other!r}"
            reason = unowned(live, context.options) if is_nobodys else whose
            yield Conflict(address, reason, "apply --adopt", entity.place.here)


def rotated_roles(context: PlanContext) -> tuple[LiveRole, ...]:
    """Roles that are asked for themselves, and those inside the profiles that are."""
    inside = {
        name_key(one.live.resource.role)
        for one in rotated_profiles(context)
        if one.live.resource.role is not None
    }
    return tuple(
        role
        for name, role in sorted(context.live.roles.items())
        if name in inside or (role.owner == context.options.owner and is_asked(_of(role), context))
    )


def _of(role: LiveRole) -> Address:
    return role_address(role.resource.name)


def _of_others(context: PlanContext) -> Iterator[Kept]:
    """Instances that have a role which is asked for, by a profile that is not ours."""
    for role in rotated_roles(context):
        for profile in left_alone(role, context):
            running = [i for i in context.in_use.consumers(profile) if i.is_running]
            if running:
                told = f"is not rotated: {counted(running)} keep the sessions of {_of(role)}"
                yield Kept(profile.resource.address, f"it {told} that they have", "warning")


def left_alone(role: LiveRole, context: PlanContext) -> Iterator[LiveProfile]:
    """Profiles whose consumers may have the role and get no fresh session by this plan."""
    taken = {one.live.id for one in rotated_profiles(context) if one.obstacle is None}
    for profile in context.in_use.profiles_of(role):
        if profile.id not in taken:
            yield profile
    released = released_at(role)
    if released is None or released + ownership.CREDENTIALS_SECONDS <= context.options.now:
        return
    known = {profile.id for profile in context.in_use.profiles_of(role)}
    for _, profile in sorted(context.live.profiles.items()):
        # After a swap with strategy ``wait`` EC2 goes on serving the previous role for hours.
        until = waits_until(profile)
        if profile.id not in known and until is not None and until > context.options.now:
            yield profile
