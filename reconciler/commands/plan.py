"""From a path to a plan: reads specs and AWS, and changes nothing."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

from reconciler.commands.members import with_members
from reconciler.commands.one_target import (
    assumed_identity,
    not_begun,
    of_caller,
    planned_target,
    read_target,
    unread_target,
)
from reconciler.commands.patience import patient
from reconciler.commands.planned import Planned, PlannedTarget, refuse_unmatched
from reconciler.commands.request import Connection, Request, RunPorts, asked_once
from reconciler.commands.selection import (
    ADJUSTABLE,
    interpreted_offline,
    refuse_account,
    refuse_invalid,
    refuse_one_account_twice,
    targets_of,
)
from reconciler.commands.target import Account
from reconciler.diagnostics import in_order
from reconciler.errors import NO_CREDENTIALS, AwsError
from reconciler.model.address import EVERYTHING, Address
from reconciler.model.resources import Identity
from reconciler.plan.plan import Plan, digest_of
from reconciler.planner.options import PlanFlags
from reconciler.planner.patterns import patterns
from reconciler.spec.loader import (
    Interpreter,
    ParsedSet,
    for_target,
    read,
)
from reconciler.spec.settings import Settings, TargetSpec
from reconciler.threads import each

if TYPE_CHECKING:
    from reconciler.commands.engine import Crew


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
    several, crew = len(wanted) > 1, ports.crew(parsed, request)
    identities = _identities(opened, wanted, settings, ports, crew, several=several)
    failed = [one for one in identities.values() if isinstance(one, AwsError)]
    if failed and len(failed) == len(identities):
        raise failed[0]

    def planned(name: str) -> PlannedTarget:
        connection, identity = opened[name], identities[name]
        known = Account(
            name, wanted[name], assumed_identity(name, wanted), offline[name].spec, connection
        )
        if isinstance(identity, AwsError):
            return unread_target(known, identity, request)
        if (why := ports.failures.why) and several:
            return unread_target(replace(known, identity=identity), not_begun(why), request)
        if crew is not None:
            known = replace(known, identity=identity, spec=of_caller(offline[name], identity))
            return _read_elsewhere(crew, known, request, ports, None, several=several)
        about = (name, wanted[name], offline[name], identity, connection)
        found = read_target(*about, request, ports, several=several)
        if several:
            connection.release()
        return found if keeps_context else replace(found, context=None)

    made = each(planned, wanted, ports.target_parallelism)
    unread = (one.address for target in made for one in target.plan.unread)
    if request.shard is None and EVERYTHING not in unread:
        # Otherwise a pattern may be for something in another shard, or that could not be read.
        refuse_unmatched(patterns(request if typed is None else typed), made)
    calls = crew.calls if crew else None
    return _planned(_with_idle_rules(made, request, settings), request, parsed, calls)


def _read_elsewhere(
    crew: Crew,
    account: Account,
    request: Request,
    ports: RunPorts,
    written: frozenset[Address] | None,
    *,
    several: bool,
) -> PlannedTarget:
    """As ``planned_target``, by a worker: the account has its specs without their findings."""
    ports.progress.reading(f"account {account.identity.account_id}")
    # Whether the credentials last is for the worker to know.
    account = replace(account, connection=replace(account.connection, outlives=lambda _: True))
    try:
        found = crew.read(account.name, account.identity, written, several=several)
    except AwsError as error:
        if not several:
            raise
        made = unread_target(account, error, request)
    else:
        account = replace(account, spec=replace(account.spec, diagnostics=found.diagnostics))
        made = PlannedTarget(found.plan, account, found.matchable, found.idle)
    if made.plan.unread and written is None:
        ports.failures.note(account.name)
    return made


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


def plan_again(
    planned: Planned, ports: RunPorts, not_begun: Collection[str] = frozenset()
) -> Planned:
    """Plans again after an apply, with the same specs and connections; spec files that changed
    meanwhile are not read again, nor are the targets ``not_begun``. What was to be refreshed has
    been, or its mark says that it is not. Raises as ``make_plan``."""
    request = asked_once(planned.request)
    before = {one.account.name: one for one in planned.targets}
    several = len(before) > 1
    crew = ports.crew(planned.parsed, planned.request)
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
        crew,
        several=several,
        is_again=True,
    )

    def again(name: str) -> PlannedTarget:
        identity = identities[name]
        if isinstance(identity, AwsError):
            return unread_target(changed[name], identity, request)
        account = replace(changed[name], identity=identity)
        written = frozenset(change.address for change in before[name].plan.changes)
        if crew is not None:
            return _read_elsewhere(crew, account, request, ports, written, several=several)
        found = planned_target(account, request, ports, written, several=several)
        if several:
            account.connection.release()
        return replace(found, context=None)

    made = dict(zip(changed, each(again, changed, ports.target_parallelism), strict=True))
    calls = Counter(planned.plan.api_calls) + crew.calls if crew else None
    targets = [made.get(name, one) for name, one in before.items()]
    return _planned(targets, request, planned.parsed, calls)


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
    made = planned_target(
        replace(account, connection=connection), planned.request, ports, several=False
    )
    return _planned([made], planned.request, planned.parsed)


def _planned(
    made: list[PlannedTarget],
    request: Request,
    parsed: ParsedSet,
    elsewhere: Mapping[str, int] | None = None,
) -> Planned:
    """``elsewhere`` are the calls that workers made."""
    refuse_invalid((d for one in made for d in one.plan.diagnostics), parsed.sources)
    targets = tuple(one.plan for one in made)
    owner = request.owner or parsed.settings.owner
    calls: Counter[str] = Counter(elsewhere or {})
    for reader in {id(one.connection.reader): one.connection.reader for one in made}.values():
        calls.update(reader.calls)
    plan = Plan(targets, owner, digest_of(targets, owner), dict(sorted(calls.items())))
    return Planned(plan, tuple(made), request, parsed)


def _identities(
    opened: Mapping[str, Connection],
    wanted: Mapping[str, TargetSpec | None],
    settings: Settings,
    ports: RunPorts,
    crew: Crew | None,
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
            return not_begun(why)
        waits = not (is_again or lost.is_set())
        connection = patient(opened[name], ports) if waits else opened[name]
        try:
            return crew.identity(name) if crew else connection.reader.identity()
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
    refuse_one_account_twice(known, settings)
    return found
