"""The notes of a plan besides its changes: invalid marks, consumers that cannot be cut over, and
unmanaged resources."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from itertools import islice

from reconciler.model import ownership
from reconciler.model.address import EVERYTHING, Address, instance_address
from reconciler.model.live import LiveEntity, LiveInstance, LiveProfile, LiveRole
from reconciler.model.ownership import MalformedMark
from reconciler.plan.changes import Kept, Unmanaged, Unread
from reconciler.planner.context import PlanContext
from reconciler.planner.ownership_checks import is_ours

LONGEST = 80


def malformed_marks(context: PlanContext) -> Iterator[Kept]:
    """Invalid marks of everything that was read and is included, except for other owners'
    resources."""
    mine = context.options.owner
    named = {entity.resource.address for entity in context.desired.entities()}
    for entity in context.live.entities():
        address = entity.resource.address
        if entity.claimed_by not in (None, mine) or entity.protected is not None:
            continue
        yield from _of_marks(address, entity.malformed_marks, context)
        is_first_form = entity.owner != entity.claimed_by
        if address not in named and is_first_form and context.options.includes(address):
            # Nothing else would report a resource that is in no spec.
            tag = context.options.prefix + ownership.OWNER
            reason = f"carries the old form of our tag ({tag}) and is in no spec: it is not pruned"
            yield Kept(address, reason, "warning")
    for key, instance in sorted(context.live.instances.items()):
        yield from _of_marks(instance_address(key.instance), instance.malformed_marks, context)


def _of_marks(
    address: Address, found: Iterable[MalformedMark], context: PlanContext
) -> Iterator[Kept]:
    if not context.options.includes(address):
        return
    for stray in found:
        short = stray.value if len(stray.value) <= LONGEST else f"{stray.value[: LONGEST - 1]}…"
        reason = f"its tag {stray.key} has {short!r}, which is not a valid mark and is ignored"
        yield Kept(address, reason, "warning")


MOST_NAMED = 12


def managed_consumers(context: PlanContext, touched: Collection[Address]) -> Iterator[Kept]:
    """Running consumers, managed by an AWS service, of profiles that this plan touches."""
    for live in _ours(context):
        address = live.resource.address
        if address not in touched:
            continue
        by_operator: dict[str, list[str]] = {}
        for instance in context.live.consumers(live.arn):
            if instance.operator is not None and instance.is_running:
                by_operator.setdefault(instance.operator, []).append(str(instance.key))
        for operator, keys in sorted(by_operator.items()):
            more = f" and {len(keys) - MOST_NAMED} more" if len(keys) > MOST_NAMED else ""
            named = ", ".join(islice(keys, MOST_NAMED)) + more
            reason = f"{operator} must replace its instances, which are not changed: {named}"
            yield Kept(address, reason, "warning")


def unseen_consumers(context: PlanContext) -> Iterator[Kept]:
    """Consumers that only their association names."""
    for instance, live in _unseen(context):
        address = instance_address(instance.key.instance)
        reason = f"uses {live.resource.address} in {instance.key.region}, and counts as running"
        yield Kept(address, f"{reason}: {instance.untouchable}", "warning")


def unknown_consumers(context: PlanContext) -> Iterator[Unread]:
    """The same as ``Unread``, if they are asked about: in a drift, and if a spec names them."""
    named = {i for a in context.desired.associations for i in a.instances}
    told = {i.key: live.resource.address for i, live in _unseen(context)}
    for instance in context.live.unseen():
        key, address = instance.key, instance_address(instance.key.instance)
        is_wanted = key.instance in named and context.options.includes(address)
        if is_wanted or (context.options.for_drift and key in told):
            uses = f", which uses {told[key]}" if key in told else ""
            yield Unread(address, f"{instance.untouchable} in {key.region}{uses}")


def _unseen(context: PlanContext) -> Iterator[tuple[LiveInstance, LiveProfile]]:
    if not context.live.unseen():
        return
    for live in _ours(context):
        for instance in context.live.consumers(live.arn):
            address = instance_address(instance.key.instance)
            chosen = context.options.includes(address)
            if instance.is_unknown and (chosen or context.options.includes(live.resource.address)):
                yield instance, live


def _ours(context: PlanContext) -> Iterator[LiveProfile]:
    """Profiles that we have, or that this apply adopts."""
    for name, live in sorted(context.live.profiles.items()):
        is_adopted = name in context.desired.profiles and is_ours(live, context)
        if live.owner == context.options.owner or is_adopted:
            yield live


def unmanaged(context: PlanContext) -> tuple[Unmanaged, ...]:
    """Unmanaged roles and profiles, sorted; without those that AWS, CloudFormation or another owner
    manages."""
    found = [
        Unmanaged(entity.resource.address, _orphan(entity, context))
        for entity in _nobodys(context)
        if context.options.hidden(entity.resource.address) is None
    ]
    return tuple(sorted(found, key=lambda u: u.address))


def others_count(context: PlanContext) -> Iterator[Kept]:
    """The number of other owners' resources, and the resources that an ignore rule hides."""
    mine = context.options.owner
    others = [
        e for e in _all(context) if e.claimed_by not in (None, mine) and not _is_named(e, context)
    ]
    if others:
        yield Kept(EVERYTHING, f"{len(others)} roles and profiles have another owner", "warning")
    for entity in _nobodys(context):
        if reason := context.options.hidden(entity.resource.address):
            yield Kept(entity.resource.address, f"is not managed ({reason})", "ignored")


def _nobodys(context: PlanContext) -> Iterator[LiveEntity]:
    mine = context.options.owner
    for entity in _all(context):
        is_free = entity.owner != mine and entity.claimed_by in (None, mine)
        is_chosen = context.options.includes(entity.resource.address)
        if is_free and is_chosen and not entity.protected and not _is_named(entity, context):
            yield entity


def _all(context: PlanContext) -> Iterator[LiveRole | LiveProfile]:
    yield from context.live.roles.values()
    yield from context.live.profiles.values()


def _is_named(entity: LiveEntity, context: PlanContext) -> bool:
    name = entity.resource.name
    if isinstance(entity, LiveRole):
        return context.desired.role(name) is not None
    return context.desired.profile(name) is not None


def _orphan(entity: LiveEntity, context: PlanContext) -> str | None:
    if not isinstance(entity, LiveProfile):
        return None
    if entity.resource.role is None:
        return "orphaned: it holds no role"
    if context.live.has_unread_instances or context.live.consumers(entity.arn):
        return None
    return f"orphaned: no instance uses it in {', '.join(context.live.regions)}"
