"""One account: what is asked of it, what it answers, and the plan that follows."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from reconciler.commands.request import Connection, Request, RunPorts
from reconciler.diagnostics import Diagnostic, Location, in_order
from reconciler.errors import UNREADABLE, AwsError, RefusedError
from reconciler.exit_codes import ExitCode
from reconciler.model.address import POLICY, ROLE, Address, name_key, name_of, profile_address
from reconciler.model.live import LiveState
from reconciler.model.ownership import temporary_name
from reconciler.model.policy_document import principals
from reconciler.model.resources import Identity
from reconciler.plan.calls import ApiCall
from reconciler.plan.plan import TargetPlan
from reconciler.planner import Options, plan_target
from reconciler.planner.associations import profiles_to_look_at
from reconciler.planner.fragment import resolved
from reconciler.planner.planner import needs_instances, plan_context, reach
from reconciler.ports import Named, Progress, Reader, Scope
from reconciler.spec.check.ignore_rules import expired
from reconciler.spec.desired import DesiredState, SpecSet
from reconciler.spec.settings import Settings, TargetSpec


@dataclass(frozen=True, slots=True)
class Account:
    """A target whose account is the right one. ``target`` is ``None`` for the caller's own."""

    name: str
    target: TargetSpec | None
    identity: Identity
    spec: SpecSet
    connection: Connection

    @property
    def reader(self) -> Reader:
        return self.connection.reader


def plan_account(account: Account, request: Request, ports: RunPorts) -> TargetPlan:
    """Raises ``RefusedError`` and ``AwsError``. What the specs refer to in vain is among the
    diagnostics of the plan."""
    options = _options(account, request, ports)
    desired = DesiredState() if request.destroy else account.spec.desired
    regions = ", ".join(options.regions)
    where = f"account {account.identity.account_id}"
    ports.progress.reading(f"{where} in {regions}" if regions else where)
    live = _read(account, desired, options, ports.progress)
    planned = plan_target(desired, live, options)
    absent = _absent(planned, live, account.spec, account.reader)
    spec = account.spec
    old = expired(spec.settings, spec.settings_place, options.today)
    doubts = () if request.for_drift else _doubts(planned, account)
    found = (*planned.diagnostics, *absent, *old, *doubts)
    return replace(planned, diagnostics=in_order(found))


def _doubts(planned: TargetPlan, account: Account) -> Iterator[Diagnostic]:
    """A batch begins only if the credentials outlive it; where that cannot be known, it is told."""
    touching = [c for c, steps in planned.preview.items() if any(s.instance for s in steps)]
    for reason in account.connection.doubts() if touching else ():
        profile = account.spec.desired.profile(touching[0].profile)
        place = profile.place.here if profile else Location(account.spec.root)
        message = f"{reason}: an instance may be without its profile when they do"
        hint = "set AWS_CREDENTIAL_EXPIRATION, or give apply --max-time"
        yield Diagnostic("warning", "credentials-expire", message, place, hint)


def _options(account: Account, request: Request, ports: RunPorts) -> Options:
    settings = account.spec.settings
    prune = settings.prune if request.prune is None else request.prune
    owner = request.owner or settings.owner
    is_given = request.owner is not None or "owner" in settings.model_fields_set
    if (prune or request.destroy) and not is_given:
        what = "destroy" if request.destroy else "prune"
        message = f"{what} needs an owner: set it in reconciler.yaml, or give --owner"
        raise RefusedError(message, ExitCode.UNDECIDED)
    if prune and not account.spec.desired.size and not request.destroy:
        message = "the set is empty: prune would delete everything that the owner has"
        raise RefusedError(message, ExitCode.ERROR)
    return Options(
        settings=settings,
        owner=owner,
        regions=_regions(account, request),
        now=ports.clock.now(),
        target=account.name,
        consumer_regions=_chosen_regions(settings),
        prune=prune,
        chosen=account.spec.chosen,
        **{**request.asked(), "adopt": request.adopt or settings.adopt},
    )


def _chosen_regions(settings: Settings) -> tuple[str, ...] | None:
    regions = settings.consumer_regions
    return None if regions is None else tuple(sorted(set(regions)))


def _regions(account: Account, request: Request) -> tuple[str, ...]:
    own = account.target.regions if account.target else None
    given = request.regions or own or account.spec.settings.regions
    default = account.connection.default_region
    return tuple(sorted(set(given or (() if default is None else (default,)))))


def _refuse_nowhere(options: Options) -> None:
    """Only what has to do with instances needs a region."""
    if not options.regions:
        message = "no region is set; give --region, or set AWS_REGION or regions"
        raise RefusedError(message, ExitCode.ERROR)


def _read(
    account: Account, desired: DesiredState, options: Options, progress: Progress
) -> LiveState:
    """The account; the instances of the regions that are planned, if any matter; and of every
    region where the plan needs to know all consumers."""
    named = {name_key(a.profile) for a in desired.associations} | desired.profiles.keys()
    shadows = {temporary_name(name) for name in named}
    reader, identity = account.reader, account.identity
    if is_sure := needs_instances(account.spec.desired, LiveState(identity=identity), options):
        _refuse_nowhere(options)
    planned = set(_all_named(options, account.spec))
    scope = Scope(
        regions=tuple(sorted(planned)) if is_sure else (),
        prefix=options.prefix,
        owner=options.owner,
        policies=frozenset(desired.policies),
        profiles=frozenset(named | shadows),
        all_tags=options.prune or options.destroy or options.unmanaged,
        named=(wanted := _named(desired, options, identity)),
        one_by_one=_is_small(options, wanted),
    )
    live = _whose(reader.read(identity, scope), desired, options, reader)
    _refuse_what_needs_all(live, options)
    if not is_sure and not needs_instances(desired, live, options):
        return live
    _refuse_nowhere(options)
    live = _with_regions(live, planned, reader, progress)
    needed = reach(desired, live, options)
    if needed == "planned":
        return live
    chosen = options.consumer_regions if needed == "consumers" else None
    everywhere = chosen if chosen is not None else reader.enabled_regions(options.regions[0])
    return _with_regions(live, set(everywhere), reader, progress)


def _with_regions(
    live: LiveState, regions: set[str], reader: Reader, progress: Progress
) -> LiveState:
    missing = regions - set(live.regions) - live.unread_regions.keys()
    if not missing:
        return live
    progress.reading(f"instances in {', '.join(sorted(missing))}")
    return live.with_instances(reader.read_regions(live.identity, missing))


def _whose(live: LiveState, desired: DesiredState, options: Options, reader: Reader) -> LiveState:
    """The account with the owners of profiles that instances are to be moved from."""
    if not desired.associations:
        return live
    found, unread = dict(live.profiles), dict(live.unread)
    for name in profiles_to_look_at(plan_context(desired, live, options)):
        try:
            profile = reader.profile(name)
        except AwsError as error:
            if error.code not in UNREADABLE:
                raise
            unread[profile_address(name)] = f"{error.call}: {error.code}"
            continue
        if profile is not None:
            found[name_key(profile.resource.name)] = profile
    return replace(live, profiles=found, unread=unread)


ONE_BY_ONE = 25
"""Under ``--only``, up to so many things are read by themselves: a role takes three calls and one
for each inline policy, and a whole account hundreds where there are thousands of roles."""


def _is_small(options: Options, wanted: Named) -> bool:
    """Whether what is asked for can be read by itself: to find what nobody names takes all."""
    if options.destroy or options.unmanaged:
        return False
    return bool(options.only) and wanted.size <= ONE_BY_ONE


def _named(desired: DesiredState, options: Options, identity: Identity) -> Named:
    """What is planned, and what that refers to."""
    wanted = resolved(desired, LiveState(identity=identity))
    roles = [r for r in wanted.roles.values() if options.includes(r.resource.address)]
    profiles = [p for p in wanted.profiles.values() if options.includes(p.resource.address)]
    names = {p.resource.name for p in profiles}
    if options.may_include("association"):
        names |= {a.profile for a in wanted.associations}
    held = (wanted.profile(name) for name in names)
    inside = {p.resource.role for p in held if p is not None and p.resource.role is not None}
    arns = {arn for r in roles for arn in r.resource.policies}
    arns |= {
        identity.arns.of(POLICY, p.path, p.name)
        for p in (entity.resource for entity in wanted.policies.values())
        if options.includes(p.address)
    }
    documents = (r.resource.trust_policy.value for r in roles)
    trusted = {name_of(p) for d in documents for p in principals(d) if identity.arns.has(p, ROLE)}
    of_the_set = {name for name in trusted if wanted.role(name) is not None}
    return Named(
        roles=tuple(sorted({r.resource.name for r in roles} | inside | of_the_set)),
        profiles=tuple(sorted(names)),
        policies=tuple(sorted(arn for arn in arns if identity.arns.has(arn, POLICY))),
    )


def _refuse_what_needs_all(live: LiveState, options: Options) -> None:
    """What left the specs must be known before any of it is deleted."""
    if live.not_whole is None or not options.deletes_what_is_left:
        return
    what = "destroy" if options.destroy else "prune"
    message = f"{what} must see everything that the owner has: {live.not_whole}"
    raise RefusedError(message, ExitCode.ERROR)


def _all_named(options: Options, spec: SpecSet) -> tuple[str, ...]:
    """The target's regions and those that associations name themselves."""
    named = {region for a in spec.desired.associations for region in a.regions or ()}
    return tuple(sorted({*options.regions, *named}))


def _absent(
    planned: TargetPlan, live: LiveState, spec: SpecSet, reader: Reader
) -> Iterator[Diagnostic]:
    """AWS's own policies that are about to be attached for the first time here and do not exist."""
    attached = {arn for role in live.roles.values() for arn in role.resource.managed_policies}
    asked: dict[str, Address] = {}
    for ordered in planned.work:
        action = ordered.pending.action
        if isinstance(action, ApiCall) and action.operation == "AttachRolePolicy":
            arn = action.params["PolicyArn"]
            if ":iam::aws:policy/" in arn and arn not in attached:
                asked.setdefault(arn, ordered.pending.address)
    for arn, address in sorted(asked.items()):
        if not _exists(arn, reader):
            role = spec.desired.role(address.name)
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
