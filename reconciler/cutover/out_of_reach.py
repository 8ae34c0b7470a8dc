"""Consumers that cannot be cut over: instances that an AWS service manages, and instances that only
their association names. A cut-over names them and what must happen to them, and does not claim that
they have the role."""

from __future__ import annotations

from datetime import UTC, datetime
from itertools import islice
from math import ceil

from reconciler.cutover.calls import Calls
from reconciler.cutover.decisions import Act, Decision, GiveUp
from reconciler.cutover.fleet import Fleet
from reconciler.model.live import LiveInstance

MOST_NAMED = 100


def waits_for(fleet: Fleet) -> Decision | None:
    """The end of a cut-over that has done all it can, while a consumer may have another role."""
    left = fleet.out_of_reach()
    if not left:
        return None
    since = ceil(fleet.safe_since())
    noted, epoch = fleet.observed.profile.swapped, fleet.swapped_at()
    is_noted = noted is not None and (noted.role_id, noted.epoch) == (fleet.observed.target, epoch)
    if fleet.is_unsettled and fleet.observed.after_id is not None and not is_noted:
        call = Calls(fleet.cutover, fleet.observed).mark_swapped(epoch)
        return Act((call,), "record since when EC2 sees the role")
    named = [_named(i, fleet, since) for i in islice(left, MOST_NAMED)]
    more = len(left) - len(named)
    return GiveUp("; ".join([*named, *([f"and {more} more"] if more else [])]))


def _named(instance: LiveInstance, fleet: Fleet, since: float) -> str:
    key, address = instance.key, fleet.cutover.address
    where = f"{key.instance} ({key.region}) on {address}"
    if instance.operator is None:
        return f"{where}: {instance.untouchable}, so its role is not known"
    if instance.row is None or instance.row.profile_id != fleet.observed.profile.id:
        return f"{where}: {instance.operator} must replace it, since its profile was created again"
    role = fleet.cutover.after.name if fleet.cutover.after else "none"
    hour = datetime.fromtimestamp(since, tz=UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
    return (
        f"{where}: {instance.operator} must replace it; instances launched after {hour} have "
        f"role/{role}"
    )
