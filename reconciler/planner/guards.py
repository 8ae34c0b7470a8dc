"""What stops an apply until a person lifts it: shares of what exists, and protected addresses.

Guards that belong to one change (replace, strip, boundary, retry, consumers) are found where the
change is planned.
"""

from __future__ import annotations

from collections.abc import Iterator

from reconciler.model.address import Address, matches_any, role_address
from reconciler.model.live import LiveState
from reconciler.plan.changes import Change, Create, CutOverInstance, Delete, Guard, Replace, Restore
from reconciler.planner.options import Options

SMALL_DELETIONS = 2
"""Where too little exists for shares to mean anything, this many deletions pass."""


PERMISSIONS = (
    "trust_policy",
    "managed_policies",
    "inline_policies",
    "permissions_boundary",
    "document",
)
"""Attributes that decide what a role may do, and which principal may assume it."""


def check(
    changes: tuple[Change, ...], existing: int, own: frozenset[Address], options: Options
) -> Iterator[Guard]:
    """``existing`` counts the owner's resources in the target; ``own`` are the addresses of the
    role that we run as and of the policies that it has."""
    deleted = tuple(c.address for c in changes if isinstance(c, Delete | Replace))
    touched = tuple(
        c.address for c in changes if not isinstance(c, Create | CutOverInstance | Restore)
    )
    guards = options.settings.guards
    yield from _share("delete", deleted, guards.max_delete, existing, options)
    yield from _share("change", touched, guards.max_change, existing, options)
    for change in changes:
        address = change.address
        reason = _own_reason(change, own)
        if reason is not None and not options.allows("self", address):
            yield Guard("self", f"{address} {reason}", f"--allow self={address}", (address,))
        is_protected = matches_any(address, guards.protected)
        if is_protected and not options.allows("protected", address):
            reason = f"{address} is protected by the settings"
            yield Guard("protected", reason, f"--allow protected={address}", (address,))


def our_own(live: LiveState) -> frozenset[Address]:
    """Addresses of the role that we run as and of its policies in this account."""
    _, _, session = live.identity.arn.partition(":assumed-role/")
    role = live.role(session.partition("/")[0])
    if role is None:
        return frozenset()
    boundary = role.resource.permissions_boundary
    arns = (*role.resource.managed_policies, *((boundary,) if boundary else ()))
    policies = (live.identity.arns.address(arn) for arn in arns)
    return frozenset({role.resource.address, *(p for p in policies if p is not None)})


def _own_reason(change: Change, own: frozenset[Address]) -> str | None:
    """Why a change that locks this program out, or lets others act as it, needs an explicit
    flag."""
    is_gone = isinstance(change, Delete | Replace)
    if change.kind == "instance-profile":
        # An instance that this runs on would be served another role, or none.
        before = [d.before for d in change.differences if d.path == "role"]
        held = [(change.before or {}).get("role")] if is_gone else before
        roles = {role_address(name) for name in held if name}
        return "would lose the role of the calling identity" if roles & own else None
    touched = {d.path.partition(".")[0] for d in change.differences} & {*PERMISSIONS}
    if change.address not in own or not (is_gone or touched):
        return None
    if change.kind == "role":
        return "is the role of the calling identity, and its trust or permissions would change"
    return "is a policy of the role of the calling identity, and its document would change"


def _share(
    key: str, addresses: tuple[Address, ...], most: int, existing: int, options: Options
) -> Iterator[Guard]:
    number = len(addresses)
    if (allowed := options.allowed_number(key)) is not None:
        if number != allowed and number:
            reason = f"{allowed} allowed, but the plan has {number}"
            yield Guard(key, reason, f"--allow {key}={number}", addresses)
        return
    if most >= 100 or not number:
        return
    # Of nothing there is no share: a first adoption is no change of what exists.
    if existing < max(1, options.settings.guards.min_existing):
        if key == "delete" and number > SMALL_DELETIONS:
            reason = f"{number} of {existing} resources would be deleted"
            yield Guard(key, reason, f"--allow {key}={number}", addresses)
        return
    if number * 100 > most * existing:
        share, verb = 100 * number / existing, "be deleted" if key == "delete" else "change"
        reason = (
            f"{number} of {existing} resources ({share:.1f}%) would {verb}; the limit is {most}%"
        )
        yield Guard(key, reason, f"--allow {key}={number}", addresses)
