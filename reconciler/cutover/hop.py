"""Strategy ``hop``: running consumers go to a shadow of the profile that holds the new role, the
role in the profile is swapped while none of them uses it, and they come back.

An association is replaced in one call, so no instance is ever without credentials. The shadow is
there only while the profile is noted as ``pending``; whoever is on it is brought home by any
cut-over of the profile, whatever its strategy.
"""

from __future__ import annotations

from collections.abc import Sequence

from reconciler.cutover import batches
from reconciler.cutover.calls import Calls
from reconciler.cutover.fleet import Fleet
from reconciler.cutover.types import (
    Act,
    Decision,
    GiveUp,
    List,
    Memory,
    Pause,
    Seen,
    shadow_spread_at,
)
from reconciler.model.address import same_name
from reconciler.model.live import LiveInstance, LiveProfile


def out(fleet: Fleet) -> Decision | None:
    """Brings running consumers that may hold another role over to the shadow."""
    cutover, seen, memory = fleet.cutover, fleet.seen, fleet.memory
    if not cutover.hops or seen.profile.role_id is None:
        return None
    to_leave = fleet.to_leave()
    if to_leave or _is_on_the_way_out(fleet):
        if decision := _shadow(fleet):
            return decision
        left = shadow_spread_at(cutover, seen, memory) - seen.now
        if left > 0:
            return Pause(left, f"EC2 to see role/{_wanted(fleet)} in the shadow")
        return batches.settle(fleet) or batches.after_failure(fleet) or _next(fleet, to_leave)
    return None


def _is_on_the_way_out(fleet: Fleet) -> bool:
    """A batch is open, and someone of it is on the shadow."""
    return any(i.key in fleet.memory.away for i in fleet.seen.lent())


def _wanted(fleet: Fleet) -> str:
    return fleet.cutover.after.name if fleet.cutover.after else ""


def _shadow(fleet: Fleet) -> Decision | None:
    """The shadow is there and holds the new role."""
    seen, shadow = fleet.seen, fleet.seen.shadow
    calls = Calls(fleet.cutover, seen)
    if shadow is None:
        return Act((calls.create_shadow(),), "make a shadow of the profile")
    if not _is_ours(shadow, seen):
        return GiveUp(f"{shadow.resource.address} is in the way: it is no shadow of ours")
    if shadow.role_id == seen.after_id:
        return None
    if lent := seen.lent():
        # Of a roll-out that was given up: whoever is on it is home before its role changes.
        return batches.settle(fleet) or batches.after_failure(fleet) or _home(fleet, lent)
    if shadow.role_id is not None:
        return Act((calls.empty(shadow),), "take the role out of the shadow")
    return Act((calls.fill(shadow, _wanted(fleet)),), "put the role into the shadow")


def _is_ours(shadow: LiveProfile, seen: Seen) -> bool:
    is_named = same_name(shadow.shadow_of, seen.profile.resource.name)
    return is_named and shadow.owner is not None and shadow.owner == seen.profile.owner


def _home(fleet: Fleet, lent: Sequence[LiveInstance]) -> Decision:
    """A run that died may have swapped the role at home a moment ago: EC2 could see none inside."""
    cutover, seen = fleet.cutover, fleet.seen
    left = fleet.memory.began_at + cutover.limits.propagation_seconds - seen.now
    if left > 0:
        return Pause(left, f"EC2 to see the role in {cutover.address}")
    return batches.rest(fleet) or batches.take(fleet, lent)


def _next(fleet: Fleet, to_leave: Sequence[LiveInstance]) -> Decision | None:
    if not to_leave or fleet.seen.shadow is None:
        return None
    if decision := batches.rest(fleet):
        return decision
    batch = fleet.runners(to_leave)
    if not batch:
        return batches.poll("instances to finish starting or stopping", to_leave)
    calls, shadow = Calls(fleet.cutover, fleet.seen), fleet.seen.shadow
    if decision := batches.ask(fleet, batch):
        return decision
    if fleet.cutover.releases and not fleet.memory.released:
        return Act(calls.mark_released(), batches.NOTE_LET_GO)
    return Act(tuple(calls.move(i, shadow) for i in batch), "move it to the shadow")


def nobody_uses_it(seen: Seen, memory: Memory) -> Decision | None:
    """The role in the profile is touched only when a listing of every region has shown that no
    running instance uses it."""
    if seen.listed_at < memory.changed_at:
        return List()
    if seen.unread:
        region, reason = sorted(seen.unread.items())[0]
        return GiveUp(f"{region} cannot be read ({reason}); its instances may use the profile")
    if unknown := [i for i in seen.consumers() if i.is_unknown]:
        key = unknown[0].key
        return GiveUp(
            f"{key.instance} ({key.region}) may use the profile: {unknown[0].untouchable}"
        )
    return None


def away(calls: Calls, seen: Seen) -> Decision | None:
    """The shadow goes, nobody being on it."""
    shadow = seen.shadow
    if shadow is None or not _is_ours(shadow, seen):
        return None
    if shadow.role_id is not None:
        return Act((calls.empty(shadow),), "take the role out of the shadow")
    return Act((calls.delete(shadow),), "delete the shadow")
