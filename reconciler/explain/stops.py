"""What stops the next apply as a whole. A guard or a conflict stops everything, also what it is not
about: who asks about one address must hear of it there."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass

from reconciler.model.address import Address
from reconciler.plan.changes import Conflict, Guard
from reconciler.plan.plan import TargetPlan


@dataclass(frozen=True, slots=True)
class Stop:
    """``key`` is that of the guard, ``None`` for a conflict; ``lift`` is the flag to give."""

    target: str
    key: str | None
    reason: str
    lift: str
    addresses: tuple[Address, ...]


def stops_of(plans: Iterable[TargetPlan], told: Collection[Guard | Conflict] = ()) -> list[Stop]:
    """Of all targets: one apply is of all of them. Without those that are ``told`` already."""
    found: list[Stop] = []
    for plan in plans:
        for conflict in plan.conflicts:
            if conflict not in told:
                reason = f"{conflict.address} {conflict.reason}"
                found.append(Stop(plan.target, None, reason, conflict.lift, (conflict.address,)))
        for guard in plan.guards:
            if guard not in told:
                stop = Stop(plan.target, guard.key, guard.reason, guard.lift, guard.addresses)
                found.append(stop)
    return found
