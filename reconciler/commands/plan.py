"""From a path to a plan: reads specs and AWS, and changes nothing."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Literal

from reconciler.commands.members import with_members
from reconciler.commands.patience import patient
from reconciler.commands.request import Connection, Request, RunPorts
from reconciler.commands.shard import Shard
from reconciler.commands.target import Account, plan_account
from reconciler.diagnostics import Diagnostic, has_errors, in_order, meant
from reconciler.errors import NO_CREDENTIALS, AwsError, RefusedError
from reconciler.exit_codes import ExitCode
from reconciler.model.address import EVERYTHING, Address
from reconciler.model.resources import Identity
from reconciler.plan.changes import Unread
from reconciler.plan.plan import Plan, TargetPlan, digest_of
from reconciler.planner.context import PlanContext
from reconciler.planner.options import PlanFlags
from reconciler.planner.patterns import Matchable, Pattern, patterns, unmatched
from reconciler.ports import Reader
from reconciler.spec.check.account_checks import of_account
from reconciler.spec.desired import SpecSet
from reconciler.spec.loader import (
    PLACEHOLDER_ACCOUNT,
    Caller,
    Interpreter,
    ParsedSet,
    for_target,
    interpret,
    read,
)
from reconciler.spec.settings import Quotas, Settings, TargetSpec, account_of
from reconciler.threads import each


@dataclass(frozen=True, slots=True)
class PlannedTarget:
    """The plan of one target, and the account that it is for."""

    plan: TargetPlan
    account: Account
    matchable: Matchable
    """What a pattern of addresses may match here."""
    idle: frozenset[Diagnostic] = frozenset()
    """Warnings about patterns of the settings that match nothing here."""
    context: PlanContext | None = None
    """What the plan was made from, where it is to be kept and the account was read."""

    @property
    def spec(self) -> SpecSet:
        return self.account.spec

    @property
    def connection(self) -> Connection:
        return self.account.connection


PlanSeverity = Literal["critical", "warning", "info"]


@dataclass(frozen=True, slots=True)
class Planned:
    """A plan with everything that is needed to apply it, and to plan again."""

    plan: Plan
    targets: tuple[PlannedTarget, ...]
    """None for a shard that no target is in."""
    request: Request
    parsed: ParsedSet

    @property
    def root(self) -> str:
        return str(self.parsed.found.root)

    @property
    def sources(self) -> Mapping[str, str]:
        """The text of every spec file, by its name in diagnostics."""
        return self.parsed.sources

    @property
    def diagnostics(self) -> tuple[Diagnostic, ...]:
        found = [d for t in self.targets for d in (*t.spec.diagnostics, *t.plan.diagnostics)]
        if not self.targets:
            found += self.parsed.diagnostics
        if not self.request.for_drift:
            found += (unmet.found for unmet in self.plan.unmet)
        return in_order(found)

    @property
    def severity(self) -> PlanSeverity | None:
        """How much the plan matters: ``critical`` if a change widens who may assume a role or what
        it may do, ``warning`` if there is a warning, ``info`` if there is any change; ``None`` for
        nothing of that."""
        if any(change.widens for change in self.plan.changes):
            return "critical"
        if any(found.severity == "warning" for found in self.diagnostics):
            return "warning"
        return None if self.plan.is_empty else "info"


def make_plan(
    request: Request,
    ports: RunPorts,
    typed: PlanFlags | None = None,
    *,
    keeps_context: bool = False,
) -> Planned:
    """Plans every selected target. No target is read before the accounts of all were checked.

    ``typed`` are the flags whose patterns must match something in one of the targets; left out, all
    of the request. With ``keeps_context`` what each plan was made from is kept beside it, which
    takes memory. Raises ``RefusedError`` for invalid specs, a wrong account or a request that
    cannot be planned; ``AwsError`` if AWS cannot be read."""
    parsed = read(request.path)
    if parsed.settings.targets_from is not None:
        refuse_invalid(parsed.diagnostics, parsed.sources)
        parsed = with_members(parsed, request, ports)
    settings = parsed.settings
    wanted = targets_of(request, settings)
    interpreter = Interpreter()
    offline = {
        name: interpreted_offline(for_target(parsed, target), request, target, interpreter)
        for name, target in wanted.items()
    }
    found = [d for one in offline.values() for d in one.spec.diagnostics]
    if not offline:
        found += parsed.diagnostics
    refuse_invalid((d for d in found if d.code not in ADJUSTABLE), parsed.sources)
    opened = {n: ports.connect(target, settings) for n, target in wanted.items()}
    asked = {name: patient(connection, ports) for name, connection in opened.items()}
    identities = _identities(opened, wanted, settings, ports, several=len(wanted) > 1)
    failed = [one for one in identities.values() if isinstance(one, AwsError)]
    if failed and len(failed) == len(identities):
        raise failed[0]

    def planned(name: str) -> PlannedTarget:
        connection, identity = opened[name], identities[name]
        known = Account(name, wanted[name], _assumed(name, wanted), offline[name].spec, connection)
        if isinstance(identity, AwsError):
            return _unread(known, identity, request)
        if (why := ports.failures.why) and len(wanted) > 1:
            return _unread(replace(known, identity=identity), _not_begun(why), request)
        spec = _online(offline[name], identity, asked[name].reader)
        other = of_account(spec.desired, identity.account_id, identity.partition)
        spec = replace(spec, diagnostics=in_order((*spec.diagnostics, *other)))
        refuse_invalid(spec.diagnostics, parsed.sources)
        known = replace(known, identity=identity, spec=spec)
        found = _planned_target(known, request, ports, several=len(wanted) > 1)
        if len(wanted) > 1:
            connection.release()
        return found if keeps_context else replace(found, context=None)

    made = each(planned, wanted, ports.target_parallelism)
    unread = (one.address for target in made for one in target.plan.unread)
    if request.shard is None and EVERYTHING not in unread:
        # Otherwise a pattern may be for something in another shard, or that could not be read.
        refuse_unmatched(patterns(request if typed is None else typed), made)
    return _planned(_with_idle_rules(made, request, settings), request, parsed)


def refuse_unmatched(asked: Iterable[Pattern], made: Iterable[PlannedTarget]) -> None:
    """Raises ``RefusedError`` (``USAGE``) for patterns that match in none of the targets."""
    found = tuple(unmatched(asked, [one.matchable for one in made]))
    if not found:
        return
    rule = "a pattern must match what the specs define, what their owner has in AWS, or an instance"
    first, *more = found
    raise RefusedError(first, ExitCode.USAGE, details=(*more, rule))


def _with_idle_rules(
    made: list[PlannedTarget], request: Request, settings: Settings
) -> list[PlannedTarget]:
    """With warnings about patterns of the settings that match in none of the targets, if all of
    them are planned."""
    is_part = settings.targets_from is not None and request.targets
    if is_part or settings.targets.keys() - {one.account.name for one in made} or not made:
        return made
    idle = frozenset.intersection(*(one.idle for one in made))
    first = made[0].plan
    told = replace(first, diagnostics=in_order((*first.diagnostics, *idle)))
    return [replace(made[0], plan=told), *made[1:]]


def _planned_target(
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
        made = _unread(account, error, request)
    else:
        made = PlannedTarget(found.plan, account, found.matchable, found.idle, found.context)
    if made.plan.unread and written is None:
        ports.failures.note(account.name)
    return made


def _not_begun(why: str) -> AwsError:
    return AwsError("", "NotBegun", f"not begun: {why}")


def _unread(account: Account, error: AwsError, request: Request) -> PlannedTarget:
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


def _assumed(name: str, wanted: Mapping[str, TargetSpec | None]) -> Identity:
    """Whose account it is according to the settings."""
    target = wanted[name]
    account = target and (target.account_id or account_of(target.role_arn))
    return Identity(account or UNKNOWN_ACCOUNT, "aws")


def plan_again(
    planned: Planned, ports: RunPorts, not_begun: Collection[str] = frozenset()
) -> Planned:
    """Plans again after an apply, with the same specs and connections; spec files that changed
    meanwhile are not read again, nor are the targets ``not_begun``. What was to be refreshed has
    been, or its mark says that it is not. Raises as ``make_plan``."""
    request = replace(planned.request, refresh=())
    before = {one.account.name: one for one in planned.targets}
    several = len(before) > 1
    changed = {
        name: one.account
        for name, one in before.items()
        # Elsewhere nothing was changed, and what was planned is what is left.
        if not several or (one.plan.changes and name not in not_begun)
    }
    identities = _identities(
        {name: account.connection for name, account in changed.items()},
        {name: account.target for name, account in changed.items()},
        planned.parsed.settings,
        ports,
        several=several,
        is_again=True,
    )

    def again(name: str) -> PlannedTarget:
        identity = identities[name]
        if isinstance(identity, AwsError):
            return _unread(changed[name], identity, request)
        account = replace(changed[name], identity=identity)
        written = frozenset(change.address for change in before[name].plan.changes)
        found = _planned_target(account, request, ports, written, several=several)
        if several:
            account.connection.release()
        return replace(found, context=None)

    made = dict(zip(changed, each(again, changed, ports.target_parallelism), strict=True))
    return _planned([made.get(name, one) for name, one in before.items()], request, planned.parsed)


def plan_copy(planned: Planned, target: PlannedTarget, ports: RunPorts) -> Planned:
    """Plans one target again, with the same specs and flags, in a copy of its account: that of the
    caller of ``ports``, since roles of targets are not in it. Raises as ``make_plan``."""
    account, settings = target.account, planned.parsed.settings
    of_caller = account.target and account.target.model_copy(
        update={"role_arn": None, "external_id": None}
    )
    connection = replace(
        ports.connect(of_caller, settings), default_region=account.connection.default_region
    )
    made = _planned_target(
        replace(account, connection=connection), planned.request, ports, several=False
    )
    return _planned([made], planned.request, planned.parsed)


def _planned(made: list[PlannedTarget], request: Request, parsed: ParsedSet) -> Planned:
    refuse_invalid((d for one in made for d in one.plan.diagnostics), parsed.sources)
    targets = tuple(one.plan for one in made)
    owner = request.owner or parsed.settings.owner
    calls: Counter[str] = Counter()
    for reader in {id(one.connection.reader): one.connection.reader for one in made}.values():
        calls.update(reader.calls)
    plan = Plan(targets, owner, digest_of(targets, owner), dict(sorted(calls.items())))
    return Planned(plan, tuple(made), request, parsed)


def _identities(
    opened: Mapping[str, Connection],
    wanted: Mapping[str, TargetSpec | None],
    settings: Settings,
    ports: RunPorts,
    *,
    several: bool,
    is_again: bool = False,
) -> dict[str, Identity | AwsError]:
    """The caller's identity in each target; where there are several, the error of one whose
    credentials cannot be had. Raises ``RefusedError`` for a wrong account.

    A lost connection is waited for once, not again for each target: it is that of this machine."""
    lost = threading.Event()

    def identity(name: str) -> Identity | AwsError:
        if not is_again and several and (why := ports.failures.why):
            return _not_begun(why)
        waits = not (is_again or lost.is_set())
        connection = patient(opened[name], ports) if waits else opened[name]
        try:
            return connection.reader.identity()
        except AwsError as error:
            if error.was_not_sent and error.code not in NO_CREDENTIALS:
                lost.set()
            if not several:
                raise
            if not is_again:
                ports.failures.note(name)
            return error
        finally:
            if several:
                connection.release()

    found = dict(zip(opened, each(identity, opened, ports.target_parallelism), strict=True))
    known = {name: one for name, one in found.items() if isinstance(one, Identity)}
    for name, one in known.items():
        refuse_account(name, one, wanted[name], settings)
    _refuse_one_account_twice(known, settings)
    return found


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


def _online(offline: Offline, identity: Identity, reader: Reader) -> SpecSet:
    """The specs for the account; interpreted again only if that could change them."""
    caller = replace(offline.caller, account_id=identity.account_id, partition=identity.partition)
    if has_errors(offline.spec.diagnostics):
        return interpret(_with_quotas(offline.parsed, reader), caller)
    return offline.interpreter.of(offline.parsed, caller)


def _with_quotas(parsed: ParsedSet, reader: Reader) -> ParsedSet:
    known, given = reader.quotas(), parsed.settings.quotas
    quotas = Quotas(
        managed_policies_per_role=known.get(
            "AttachedPoliciesPerRoleQuota", given.managed_policies_per_role
        ),
        trust_policy_size=known.get("AssumeRolePolicySizeQuota", given.trust_policy_size),
    )
    return replace(parsed, settings=parsed.settings.model_copy(update={"quotas": quotas}))


MOST_NAMED = 12


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


def _refuse_one_account_twice(identities: Mapping[str, Identity], settings: Settings) -> None:
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
