"""Consumers that are beyond our reach: told in every plan that has to do with their profile."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from itertools import islice

from reconciler.model.address import Address, instance_address
from reconciler.model.live import LiveInstance, LiveProfile
from reconciler.plan.changes import Kept, Unread
from reconciler.planner.fragment import PlanContext
from reconciler.planner.ownership_checks import is_ours

MOST_NAMED = 12


def managed(context: PlanContext, touched: Collection[Address]) -> Iterator[Kept]:
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
            reason = f"{operator} must roll what it manages, which is not touched: {named}"
            yield Kept(address, reason, "warning")


def unseen(context: PlanContext) -> Iterator[Kept]:
    """Consumers that only their association tells of."""
    for instance, live in _unseen(context):
        address = instance_address(instance.key.instance)
        reason = f"uses {live.resource.address} in {instance.key.region}, and counts as running"
        yield Kept(address, f"{reason}: {instance.untouchable}", "warning")


def not_known(context: PlanContext) -> Iterator[Unread]:
    """The same, where they are what is asked about: in a drift, and where a spec names them."""
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
