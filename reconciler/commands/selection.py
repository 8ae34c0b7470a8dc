"""The targets that a request asks for, each with its specs; and what is refused before any of them
is read."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from reconciler.commands.request import Request
from reconciler.commands.shard import Shard
from reconciler.diagnostics import Diagnostic, has_errors, in_order, meant
from reconciler.errors import RefusedError
from reconciler.exit_codes import ExitCode
from reconciler.model.resources import Identity
from reconciler.spec.desired import SpecSet
from reconciler.spec.loader import (
    PLACEHOLDER_ACCOUNT,
    Caller,
    Interpreter,
    ParsedSet,
)
from reconciler.spec.settings import Settings, TargetSpec, account_of


def targets_of(request: Request, settings: Settings) -> dict[str, TargetSpec | None]:
    """The requested targets, or those of the shard among them; without a request all of the
    settings, or else the caller's account as ``default``. Raises ``RefusedError`` for an unknown
    name."""
    for name in request.targets:
        if name not in settings.targets:
            near = meant(name, settings.targets)
            known = sorted(settings.targets)
            more = f" and {len(known) - MOST_NAMED} more" if len(known) > MOST_NAMED else ""
            listed = ", ".join(known[:MOST_NAMED]) or "none"
            message = f"there is no target {name!r}; known: {listed}{more}{near}"
            raise RefusedError(message, ExitCode.USAGE)
    names = sorted(set(request.targets or settings.targets))
    chosen: dict[str, TargetSpec | None] = {name: settings.targets[name] for name in names}
    chosen = chosen or {"default": None}
    if request.shard is None:
        return chosen
    shard = Shard.parse(request.shard)
    return {name: target for name, target in chosen.items() if shard.has(name)}


MOST_NAMED = 12


ADJUSTABLE = frozenset({"too-many-policies", "trust-too-large"})
"""Errors about quotas that AWS raises on request: they count only with the account's quotas."""


@dataclass(frozen=True, slots=True)
class Offline:
    """A target's specs, interpreted before anything is read from AWS."""

    parsed: ParsedSet
    caller: Caller
    spec: SpecSet
    interpreter: Interpreter


def interpreted_offline(
    parsed: ParsedSet,
    request: Request,
    target: TargetSpec | None,
    interpreter: Interpreter | None = None,
) -> Offline:
    """``interpreter`` is what several targets share."""
    account = (target.account_id if target else None) or parsed.settings.account_id
    variables = {**(target.variables if target else {}), **request.variables}
    caller = Caller(account or PLACEHOLDER_ACCOUNT, "aws", variables)
    shared = interpreter or Interpreter()
    return Offline(parsed, caller, shared.of(parsed, caller), shared)


def refuse_invalid(diagnostics: Iterable[Diagnostic], sources: Mapping[str, str]) -> None:
    found = in_order(diagnostics)
    if has_errors(found):
        raise RefusedError("the specs have errors", ExitCode.ERROR, found, sources)


def refuse_account(
    name: str, identity: Identity, target: TargetSpec | None, settings: Settings
) -> None:
    """Raises ``RefusedError`` unless the credentials are for the account of the settings. Called
    before anything else is read."""
    wanted = (target.account_id if target else None) or settings.account_id
    if wanted is not None and wanted != identity.account_id:
        where = f"target {name}: " if target else ""
        message = (
            f"{where}these credentials are for account {identity.account_id}, the settings are for "
            f"{wanted}; nothing was read"
        )
        raise RefusedError(message, ExitCode.UNDECIDED)


def refuse_one_account_twice(identities: Mapping[str, Identity], settings: Settings) -> None:
    """Raises ``RefusedError`` if two targets have one account: each would prune the resources of
    the other. Targets that are not planned count too if the settings name their account."""
    first: dict[str, str] = {}
    for name, target in sorted(settings.targets.items()):
        known = identities[name].account_id if name in identities else None
        account = known or target.account_id or account_of(target.role_arn)
        if account is None:
            continue
        if (other := first.setdefault(account, name)) != name:
            message = (
                f"the targets {other} and {name} are both account {account}: each would take the "
                "resources of the other for resources that left the specs; merge them into one "
                "target, with the regions and specs of both"
            )
            raise RefusedError(message, ExitCode.ERROR)
