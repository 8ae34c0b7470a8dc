"""From a path to a plan: reads the specs, reads AWS, and changes nothing."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from reconciler.commands.request import Connection, Refused, Request, World
from reconciler.diagnostics import Diagnostic, has_errors, in_order
from reconciler.live import LiveState
from reconciler.model import Identity
from reconciler.plan import Plan, TargetPlan, digest_of
from reconciler.planner import Options, plan_target
from reconciler.planner.assemble import needs_all_regions
from reconciler.ports import AwsError, Progress, Reader, Scope
from reconciler.requests import ApiCall
from reconciler.spec.desired import SpecSet
from reconciler.spec.loader import (
    PLACEHOLDER_ACCOUNT,
    Caller,
    ParsedSet,
    for_target,
    interpret,
    read,
)
from reconciler.spec.settings import Quotas, Settings, TargetSpec


@dataclass(frozen=True, slots=True)
class Planned:
    """A plan with what it was made from, so that it can be carried out and made again."""

    plan: Plan
    spec: SpecSet
    connection: Connection
    request: Request


def make_plan(request: Request, world: World) -> Planned:
    """Raises ``Refused`` where the specs or the account forbid a plan, ``AwsError`` where AWS
    does."""
    parsed = read(request.path)
    settings = parsed.settings
    name, target = _target(request, settings)
    parsed = for_target(parsed, target)
    offline = interpret(parsed, _offline(parsed, request, target))
    _refuse(tuple(d for d in offline.diagnostics if d.code not in ADJUSTABLE), offline)
    connection = world.connect(target, settings)
    identity = connection.reader.identity()
    _refuse_account(identity, target, settings)
    if has_errors(offline.diagnostics):
        parsed = _with_quotas(parsed, connection.reader)
        settings = parsed.settings
    spec = interpret(
        parsed, Caller(identity.account_id, identity.partition, _variables(request, target))
    )
    _refuse_errors(spec)
    options = _options(request, spec, settings, target, name, connection, world)
    world.progress.reading(f"account {identity.account_id} in {', '.join(options.regions)}")
    live = _read(connection.reader, identity, spec, options, world.progress)
    planned = plan_target(spec.desired, live, options)
    planned = replace(
        planned,
        diagnostics=in_order(
            (*planned.diagnostics, *_absent(planned, live, spec, connection.reader))
        ),
    )
    _refuse(planned.diagnostics, spec)
    targets = (planned,)
    plan = Plan(targets, options.owner, digest_of(targets, options.owner), connection.reader.calls)
    return Planned(plan, spec, connection, request)


ADJUSTABLE = frozenset({"too-many-policies", "trust-too-large"})
"""Findings about quotas that AWS raises on request: before they count, the account is asked."""


def _with_quotas(parsed: ParsedSet, reader: Reader) -> ParsedSet:
    known = reader.quotas()
    quotas = Quotas(
        managed_policies_per_role=known["AttachedPoliciesPerRoleQuota"],
        trust_policy_size=known["AssumeRolePolicySizeQuota"],
    )
    return replace(parsed, settings=parsed.settings.model_copy(update={"quotas": quotas}))


def _offline(parsed: ParsedSet, request: Request, target: TargetSpec | None) -> Caller:
    known = (target.account_id if target else None) or parsed.settings.account_id
    return Caller(known or PLACEHOLDER_ACCOUNT, "aws", _variables(request, target))


def _variables(request: Request, target: TargetSpec | None) -> dict[str, str]:
    return {**(target.variables if target else {}), **request.variables}


def _target(request: Request, settings: Settings) -> tuple[str, TargetSpec | None]:
    """The target that is asked for; without one, the only one there is, or the caller's."""
    if len(request.targets) > 1:
        raise Refused("one --target at a time: several are not there yet", 64)
    known = ", ".join(sorted(settings.targets))
    if request.targets:
        name = request.targets[0]
        if name not in settings.targets:
            raise Refused(f"there is no target {name!r}; known: {known or 'none'}", 64)
        return name, settings.targets[name]
    if settings.targets:
        raise Refused(f"the settings have targets; give --target, one of: {known}", 64)
    return "default", None


def _refuse_errors(spec: SpecSet) -> None:
    _refuse(spec.diagnostics, spec)


def _refuse(diagnostics: tuple[Diagnostic, ...], spec: SpecSet) -> None:
    if has_errors(diagnostics):
        raise Refused("the specs have errors", 1, diagnostics, spec.sources)


def _refuse_account(identity: Identity, target: TargetSpec | None, settings: Settings) -> None:
    """Asked before anything else is: nothing of the wrong account is even read."""
    wanted = (target.account_id if target else None) or settings.account_id
    if wanted is not None and wanted != identity.account_id:
        message = (
            f"these credentials are for account {identity.account_id}, the settings are for "
            f"{wanted}; nothing was read"
        )
        raise Refused(message, 4)


def _options(
    request: Request,
    spec: SpecSet,
    settings: Settings,
    target: TargetSpec | None,
    name: str,
    connection: Connection,
    world: World,
) -> Options:
    prune = settings.prune if request.prune is None else request.prune
    owner = request.owner or settings.owner
    if prune and request.owner is None and "owner" not in settings.model_fields_set:
        message = "prune needs an owner: set it in reconciler.yaml, or give --owner"
        raise Refused(message, 4)
    if prune and not spec.desired.size:
        message = "the set is empty: prune would delete everything that the owner has"
        raise Refused(message, 1)
    return Options(
        settings=settings,
        owner=owner,
        regions=_regions(request, settings, target, connection),
        now=world.clock.now(),
        target=name,
        consumer_regions=_chosen_regions(settings),
        prune=prune,
        adopt=request.adopt or settings.adopt,
        take_over=request.take_over,
        refresh_adopted=request.refresh_adopted,
        allow=request.allow,
        only=request.only,
        exclude=request.exclude,
        chosen=spec.chosen,
    )


def _chosen_regions(settings: Settings) -> tuple[str, ...] | None:
    regions = settings.consumer_regions
    return None if regions is None else tuple(sorted(set(regions)))


def _regions(
    request: Request, settings: Settings, target: TargetSpec | None, connection: Connection
) -> tuple[str, ...]:
    given = request.regions or (target.regions if target else None) or settings.regions
    if given:
        return tuple(sorted(set(given)))
    if connection.default_region is None:
        raise Refused("no region is set; give --region, or set AWS_REGION or regions", 1)
    return (connection.default_region,)


def _read(
    reader: Reader, identity: Identity, spec: SpecSet, options: Options, progress: Progress
) -> LiveState:
    """The account; and, where a cut-over is planned, the instances of every region."""
    desired = spec.desired
    named = {a.profile.casefold() for a in desired.associations}
    scope = Scope(
        regions=_all_named(options, spec),
        prefix=options.prefix,
        owner=options.owner,
        policies=frozenset(desired.policies),
        profiles=frozenset(desired.profiles) | named,
        all_tags=options.prune,
    )
    live = reader.read(identity, scope)
    if not needs_all_regions(desired, live, options):
        return live
    wanted = options.consumer_regions
    regions = set(wanted if wanted is not None else reader.enabled_regions(options.regions[0]))
    missing = regions - set(live.regions) - live.unread_regions.keys()
    if not missing:
        return live
    progress.reading(f"instances in {', '.join(sorted(missing))}")
    return live.with_instances(reader.read_regions(identity, missing))


def _all_named(options: Options, spec: SpecSet) -> tuple[str, ...]:
    """The target's regions and those that associations name themselves."""
    named = {region for a in spec.desired.associations for region in a.regions or ()}
    return tuple(sorted({*options.regions, *named}))


def _absent(
    planned: TargetPlan, live: LiveState, spec: SpecSet, reader: Reader
) -> Iterator[Diagnostic]:
    """AWS's own policies that are about to be attached for the first time here and do not exist."""
    attached = {arn for role in live.roles.values() for arn in role.resource.managed_policies}
    asked: dict[str, str] = {}
    for ordered in planned.work:
        action = ordered.draft.action
        if isinstance(action, ApiCall) and action.operation == "AttachRolePolicy":
            arn = action.params["PolicyArn"]
            if ":iam::aws:policy/" in arn and arn not in attached:
                asked.setdefault(arn, ordered.draft.address)
    for arn, address in sorted(asked.items()):
        if not _exists(arn, reader):
            role = spec.desired.role(address.partition("/")[2])
            place = role.place.at("managed_policies") if role else None
            message = f"AWS has no policy {arn}"
            if place is not None:
                yield Diagnostic("error", "no-such-policy", message, place)


def _exists(arn: str, reader: Reader) -> bool:
    """Where we may not ask, AWS answers when it is attached."""
    try:
        return reader.policy(arn) is not None
    except AwsError:
        return True
