"""Which role is in which profile, and which instance has it: before and after the plan."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from reconciler.model.address import (
    Address,
    instance_address,
    name_key,
    profile_address,
    role_address,
)
from reconciler.model.live import LiveInstance
from reconciler.plan.changes import Change, Delete, Link
from reconciler.planner.fragment import PlanContext


def links(context: PlanContext, changes: tuple[Change, ...]) -> tuple[Link, ...]:
    """Of every profile that the specs name, that something happens to, or whose role something
    happens to; sorted."""
    touched = {change.address: change for change in changes}
    names = set(context.desired.profiles)
    for name, live in context.live.profiles.items():
        role = role_address(live.resource.role or "")
        if live.resource.address in touched or role in touched:
            names.add(name)
    fleet = _by_profile(context)
    found = [link for name in names for link in _of(name, context, touched, fleet)]
    moved = (link for change in changes for link in _moved(change))
    return tuple(sorted({*found, *moved}, key=lambda link: (link.after, link.before, link.mark)))


_Fleet = Mapping[str, list[LiveInstance]]


def _by_profile(context: PlanContext) -> _Fleet:
    """Instances by the ``name_key`` of the profile that they have: asked for each profile, a fleet
    would be gone through as often as there are profiles."""
    found: dict[str, list[LiveInstance]] = {}
    for _, instance in sorted(context.live.instances.items()):
        if instance.row is not None and not instance.is_gone:
            found.setdefault(name_key(instance.row.profile_name), []).append(instance)
    return found


def _of(
    name: str, context: PlanContext, touched: Mapping[Address, Change], fleet: _Fleet
) -> Iterator[Link]:
    live, wanted = context.live.profiles.get(name), context.desired.profiles.get(name)
    entity = wanted or live
    if entity is None:
        return
    address = entity.resource.address
    before = live.resource.role if live is not None else None
    is_planned = wanted is not None and (live is None or context.options.includes(address))
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
    for instance in fleet.get(name, ()):
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
