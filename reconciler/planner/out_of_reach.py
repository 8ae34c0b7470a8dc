"""Consumers that are beyond our reach: told in every plan that has to do with their profile."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from itertools import islice

from reconciler.model.address import Address, instance_address
from reconciler.model.live import LiveInstance, LiveProfile
from reconciler.plan.changes import Kept, Unread
from reconciler.planner.fragment import View
from reconciler.planner.ownership_checks import is_ours

MOST_NAMED = 12


def managed(view: View, touched: Collection[Address]) -> Iterator[Kept]:
    """Running consumers, managed by an AWS service, of profiles that this plan touches."""
    for live in _ours(view):
        address = live.resource.address
        if address not in touched:
            continue
        by_operator: dict[str, list[str]] = {}
        for instance in view.live.consumers(live.arn):
            if instance.operator is not None and instance.is_running:
                by_operator.setdefault(instance.operator, []).append(str(instance.key))
        for operator, keys in sorted(by_operator.items()):
            more = f" and {len(keys) - MOST_NAMED} more" if len(keys) > MOST_NAMED else ""
            named = ", ".join(islice(keys, MOST_NAMED)) + more
            reason = f"{operator} must roll what it manages, which is not touched: {named}"
            yield Kept(address, reason, "warning")


def unseen(view: View) -> Iterator[Kept]:
    """Consumers that only their association tells of."""
    for instance, live in _unseen(view):
        address = instance_address(instance.key.instance)
        reason = f"uses {live.resource.address} in {instance.key.region}, and counts as running"
        yield Kept(address, f"{reason}: {instance.untouchable}", "warning")


def not_known(view: View) -> Iterator[Unread]:
    """The same, where they are what is asked about: in a drift, and where a spec names them."""
    named = {i for a in view.desired.associations for i in a.instances}
    told = {i.key: live.resource.address for i, live in _unseen(view)}
    for instance in view.live.unseen():
        key, address = instance.key, instance_address(instance.key.instance)
        is_wanted = key.instance in named and view.options.includes(address)
        if is_wanted or (view.options.for_drift and key in told):
            uses = f", which uses {told[key]}" if key in told else ""
            yield Unread(address, f"{instance.untouchable} in {key.region}{uses}")


def _unseen(view: View) -> Iterator[tuple[LiveInstance, LiveProfile]]:
    if not view.live.unseen():
        return
    for live in _ours(view):
        for instance in view.live.consumers(live.arn):
            address = instance_address(instance.key.instance)
            chosen = view.options.includes(address)
            if instance.is_unknown and (chosen or view.options.includes(live.resource.address)):
                yield instance, live


def _ours(view: View) -> Iterator[LiveProfile]:
    """Profiles that we have, or that this apply adopts."""
    for name, live in sorted(view.live.profiles.items()):
        is_adopted = name in view.desired.profiles and is_ours(live, view)
        if live.owner == view.options.owner or is_adopted:
            yield live
