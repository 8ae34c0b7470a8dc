"""What processes may go on using after a cut-over: credentials outlive the association that they
came with."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from reconciler.model.address import Address, role_address, same_name
from reconciler.model.revocation import DELIVERED_SECONDS
from reconciler.plan.cut_over import CutOver

if TYPE_CHECKING:
    from reconciler.commands.apply import Applied

REVOKING = ("revoke", "revoke-first")


@dataclass(frozen=True, slots=True)
class OldSessions:
    """Of one role. ``until`` is in seconds of the epoch; ``command`` denies them everything, and is
    empty where the role is not ours."""

    target: str | None
    role: Address
    until: float
    command: str


def old_sessions(applied: Applied) -> tuple[OldSessions, ...]:
    """One for each role that instances were cut over from, also by a cut-over that did not end."""
    found: dict[tuple[str | None, Address], OldSessions] = {}
    for one in _found(applied):
        known = found.get((one.target, one.role))
        if known is None or known.until < one.until:
            found[one.target, one.role] = one
    return tuple(found[key] for key in sorted(found, key=lambda k: (k[0] or "", k[1])))


def _found(applied: Applied) -> Iterator[OldSessions]:
    request = applied.planned.request
    for outcome in applied.result.outcomes:
        record = outcome.record
        if record is None or not outcome.cut_over or record.was_rolled_back:
            continue
        is_revoked = request.rotation in REVOKING and outcome.status == "applied"
        for role in _lost(record.cutover, is_rotation=bool(request.rotate) and not is_revoked):
            command = _command(applied, role, outcome.target)
            until = record.ended_at + DELIVERED_SECONDS
            yield OldSessions(outcome.target, role_address(role), until, command)


def _lost(cutover: CutOver, *, is_rotation: bool) -> Iterator[str]:
    """Names of the roles that instances had: of a run that was resumed, those are not the one that
    is inside."""
    yield from cutover.releases
    before, after = cutover.before, cutover.after
    is_same = before is not None and after is not None and same_name(before.name, after.name)
    if before is not None and (is_rotation or not is_same):
        yield before.name


def _command(applied: Applied, role: str, target: str | None) -> str:
    for one in applied.planned.targets:
        if target in (None, one.plan.target) and one.spec.desired.role(role) is not None:
            break
    else:
        return ""
    words = ["reconciler", "rotate", f"role/{role}", "--revoke"]
    path = applied.planned.request.path
    words += ["--specs", path] if path != "specs" else []
    words += ["--target", target] if target is not None else []
    return shlex.join(words)
