"""What stops an apply until a person lifts it: shares of what exists, and protected addresses.

Guards that belong to one change (replace, strip, boundary, retry, consumers) are found where the
change is planned.
"""

from __future__ import annotations

from collections.abc import Iterator
from fnmatch import fnmatchcase

from reconciler.changes import (
    Change,
    Create,
    CutOverInstance,
    Delete,
    Guard,
    Replace,
    Restore,
)
from reconciler.planner.options import Options

SMALL_DELETIONS = 2
"""Where too little exists for shares to mean anything, this many deletions pass."""


def check(changes: tuple[Change, ...], existing: int, options: Options) -> Iterator[Guard]:
    """``existing`` counts the owner's resources in the target."""
    deleted = tuple(c.address for c in changes if isinstance(c, Delete | Replace))
    touched = tuple(
        c.address for c in changes if not isinstance(c, Create | CutOverInstance | Restore)
    )
    guards = options.settings.guards
    yield from _share("delete", deleted, guards.max_delete, existing, options)
    yield from _share("change", touched, guards.max_change, existing, options)
    for change in changes:
        is_protected = any(fnmatchcase(change.address, pattern) for pattern in guards.protected)
        if is_protected and not options.allows("protected", change.address):
            reason = f"{change.address} is protected by the settings"
            lift = f"--allow protected={change.address}"
            yield Guard("protected", reason, lift, (change.address,))


def _share(
    key: str, addresses: tuple[str, ...], most: int, existing: int, options: Options
) -> Iterator[Guard]:
    number = len(addresses)
    if (allowed := options.allowed_number(key)) is not None:
        if number != allowed and number:
            reason = f"{allowed} were allowed, the plan has {number}"
            yield Guard(key, reason, f"--allow {key}={number}", addresses)
        return
    if most >= 100 or not number:
        return
    if existing < options.settings.guards.min_existing:
        if key == "delete" and number > SMALL_DELETIONS:
            reason = f"{number} deletions, where {existing} resources exist"
            yield Guard(key, reason, f"--allow {key}={number}", addresses)
        return
    if number * 100 > most * existing:
        share = 100 * number / existing
        reason = f"{number} of {existing} resources ({share:.1f}%); {most}% may {key}"
        yield Guard(key, reason, f"--allow {key}={number}", addresses)
