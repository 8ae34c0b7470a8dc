"""What EC2 should serve each running consumer, and since when: what evidence is judged against."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping

from reconciler.cutover.fleet import CLOCKS_APART
from reconciler.cutover.proof import put_in
from reconciler.model.address import (
    PROFILE,
    ROLE,
    Address,
    instance_address,
    name_key,
    profile_address,
    role_address,
)
from reconciler.model.evidence import Expectation
from reconciler.model.live import AssociationRow, LiveInstance, LiveProfile
from reconciler.model.resources import InstanceProfile
from reconciler.planner.context import PlanContext
from reconciler.planner.in_use import released_at
from reconciler.planner.patterns import Matchable


def verifiable(context: PlanContext) -> Matchable:
    """What a person may ask about: profiles of the specs and of AWS, the roles inside, and
    instances that have one."""
    live = context.live
    profiles = _profiles(context)
    addresses = {profile.address for profile in profiles}
    addresses |= {role_address(p.role) for p in profiles if p.role is not None}
    addresses |= {instance_address(i.key.instance) for i in live.instances.values() if i.rows}
    return Matchable(frozenset(addresses), has_unread_instances=live.has_unread_instances)


def _profiles(context: PlanContext) -> list[InstanceProfile]:
    """Those of AWS and those of the specs."""
    live = [profile.resource for profile in context.live.profiles.values()]
    return [*live, *(profile.resource for profile in context.desired.profiles.values())]


def profiles_asked_for(context: PlanContext, asked: Collection[str]) -> tuple[str, ...]:
    """Names of profiles whose consumers are verified, sorted: those of the specs and of their
    associations, or with any address those that one of them means by name or by the role inside.
    """
    live, desired = context.live, context.desired
    if not asked:
        found = {p.resource.name for p in desired.profiles.values()}
        found |= {a.profile for a in desired.associations}
        found = {name for name in found if context.options.includes(profile_address(name))}
    else:
        found = {p.name for p in _profiles(context) if _is_meant(p.address, asked)}
        found |= {
            p.resource.name
            for p in live.profiles.values()
            if p.resource.role is not None and _is_meant(role_address(p.resource.role), asked)
        }
    named = {name_key(name): name for name in sorted(found)}
    return tuple(sorted(named.values()))


def _is_meant(address: Address, asked: Collection[str]) -> bool:
    return address.kind in (PROFILE, ROLE) and any(address.matches(glob) for glob in asked)


def consumers(
    context: PlanContext, profiles: Collection[str], asked: Collection[str]
) -> tuple[LiveInstance, ...]:
    """Consumers of these profiles, and the instances that an address means, in any state, sorted;
    those as well that a run has taken the profile from."""
    live = context.live
    found: dict[object, LiveInstance] = {}
    for name in profiles:
        profile = live.profile(name)
        if profile is None:
            continue
        there = [*live.consumers(profile.arn)]
        there += [live.instances[k] for k in profile.in_flight if k in live.instances]
        found.update((i.key, i) for i in there if not i.is_gone)
    for instance in live.instances.values():
        address = instance_address(instance.key.instance)
        if instance.rows and any(address.matches(glob) for glob in asked):
            found[instance.key] = instance
    return tuple(sorted(found.values(), key=lambda i: i.key))


def profile_of(instance: LiveInstance, context: PlanContext) -> str | None:
    """The name of the profile that the instance is a consumer of."""
    if instance.row is not None:
        return instance.row.profile_name
    flying = (p for p in context.live.profiles.values() if instance.key in p.in_flight)
    held = next(flying, None)
    if held is not None:
        return held.resource.name
    return instance.rows[0].profile_name if instance.rows else None


def let_go(context: PlanContext) -> Mapping[str, float]:
    """When the last running instance let go of each role, by the id of the role."""
    times = ((role.id, released_at(role)) for role in context.live.roles.values())
    return {role_id: float(at) for role_id, at in times if at is not None}


def expectation(
    instance: LiveInstance, context: PlanContext, released: Mapping[str, float]
) -> Expectation:
    """Of a running consumer in the context. ``released`` is what ``let_go`` says."""
    seen = context.live.on_temporary_profile.get(instance.key, instance)
    row = seen.row
    if row is None:
        return _impossible(seen, "it has no association that stays")
    profile = _associated_with(row, context)
    if isinstance(profile, str):
        return _impossible(seen, profile)
    if row.state == "associating":
        why = f"its association with {profile.resource.address} is not in effect yet"
        return _impossible(seen, why)
    role = context.live.role_with(profile.role_id)
    return Expectation(
        seen.key,
        profile.role_id,
        profile.resource.role,
        row.id,
        seen.launched_at,
        role.created_at if role is not None else 0.0,
        put_in(profile),
        let_go=released,
        spread=context.options.settings.propagation + CLOCKS_APART,
    )


def _associated_with(row: AssociationRow, context: PlanContext) -> LiveProfile | str:
    """The profile, or why it is not known."""
    profiles: Iterator[LiveProfile | None] = iter(
        (context.live.profile(row.profile_name), *context.live.shadows.values())
    )
    found = next((p for p in profiles if p is not None and p.id == row.profile_id), None)
    if found is not None:
        return found
    address = profile_address(row.profile_name)
    if (why := context.live.unread.get(address)) is not None:
        return f"{address} cannot be read ({why})"
    if context.live.profile(row.profile_name) is not None:
        return f"it is associated with an earlier {address}, which was deleted and made again"
    if context.live.not_whole is not None:
        return f"{address} was not read: {context.live.not_whole}"
    return f"it is associated with {address}, which was deleted"


def _impossible(instance: LiveInstance, why: str) -> Expectation:
    return Expectation(instance.key, None, None, obstacle=why)
