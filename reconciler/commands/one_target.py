"""One of several targets: one that cannot be read stops no other."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from reconciler.commands.patience import patient
from reconciler.commands.planned import PlannedTarget
from reconciler.commands.request import Connection, Request, RunPorts
from reconciler.commands.selection import Offline, refuse_invalid
from reconciler.commands.target import Account, plan_account
from reconciler.diagnostics import has_errors, in_order
from reconciler.errors import AwsError
from reconciler.model.address import EVERYTHING, Address
from reconciler.model.resources import Identity
from reconciler.plan.changes import Unread
from reconciler.plan.plan import TargetPlan
from reconciler.planner.patterns import Matchable
from reconciler.ports import Reader
from reconciler.spec.check.account_checks import of_account
from reconciler.spec.desired import SpecSet
from reconciler.spec.loader import Caller, ParsedSet, interpret
from reconciler.spec.settings import Quotas, TargetSpec, account_of


def read_target(
    name: str,
    target: TargetSpec | None,
    offline: Offline,
    identity: Identity,
    connection: Connection,
    request: Request,
    ports: RunPorts,
    written: frozenset[Address] | None = None,
    *,
    several: bool = True,
) -> PlannedTarget:
    """Reads a target whose identity is known, and plans it. Raises ``RefusedError`` for invalid
    specs, and as ``planned_target``."""
    spec = online(offline, identity, patient(connection, ports).reader)
    other = of_account(spec.desired, identity.account_id, identity.partition)
    spec = replace(spec, diagnostics=in_order((*spec.diagnostics, *other)))
    refuse_invalid(spec.diagnostics, offline.parsed.sources)
    account = Account(name, target, identity, spec, connection)
    return planned_target(account, request, ports, written, several=several)


def planned_target(
    account: Account,
    request: Request,
    ports: RunPorts,
    written: frozenset[Address] | None = None,
    *,
    several: bool,
) -> PlannedTarget:
    """Where there are several targets, one that cannot be read stops no other."""
    try:
        found = plan_account(account, request, ports, written)
    except AwsError as error:
        if not several:
            raise
        made = unread_target(account, error, request)
    else:
        made = PlannedTarget(found.plan, account, found.matchable, found.idle, found.context)
    if made.plan.unread and written is None:
        ports.failures.note(account.name)
    return made


def not_begun(why: str) -> AwsError:
    return AwsError("", "NotBegun", f"not begun: {why}")


def unread_target(account: Account, error: AwsError, request: Request) -> PlannedTarget:
    """A target of which nothing is known."""
    settings = account.spec.settings
    code = error.code if error.call else error.message
    plan = TargetPlan(
        account.name,
        account.identity,
        request.owner or settings.owner,
        settings.tag_prefix,
        tuple(account.target.regions or ()) if account.target else (),
        settings={"tag_prefix": settings.tag_prefix},
        unread=(Unread(EVERYTHING, f"{error.call}: {code}" if error.call else code),),
    )
    return PlannedTarget(plan, account, Matchable(frozenset(), has_unread_instances=True))


UNKNOWN_ACCOUNT = "unknown"
"""In place of the account of a target that cannot be asked, where the settings do not name it."""


def assumed_identity(name: str, wanted: Mapping[str, TargetSpec | None]) -> Identity:
    """Whose account it is according to the settings."""
    target = wanted[name]
    account = target and (target.account_id or account_of(target.role_arn))
    return Identity(account or UNKNOWN_ACCOUNT, "aws")


def online(offline: Offline, identity: Identity, reader: Reader) -> SpecSet:
    """The specs for the account; interpreted again only if that could change them."""
    if has_errors(offline.spec.diagnostics):
        return interpret(_with_quotas(offline.parsed, reader), _caller(offline, identity))
    return of_caller(offline, identity)


def of_caller(offline: Offline, identity: Identity) -> SpecSet:
    """The specs for the account, whatever its quotas are."""
    return offline.interpreter.of(offline.parsed, _caller(offline, identity))


def _caller(offline: Offline, identity: Identity) -> Caller:
    return replace(offline.caller, account_id=identity.account_id, partition=identity.partition)


def _with_quotas(parsed: ParsedSet, reader: Reader) -> ParsedSet:
    known, given = reader.quotas(), parsed.settings.quotas
    quotas = Quotas(
        managed_policies_per_role=known.get(
            "AttachedPoliciesPerRoleQuota", given.managed_policies_per_role
        ),
        trust_policy_size=known.get("AssumeRolePolicySizeQuota", given.trust_policy_size),
    )
    return replace(parsed, settings=parsed.settings.model_copy(update={"quotas": quotas}))
