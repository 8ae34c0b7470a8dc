"""Plans one account: reads what the plan needs, and nothing else."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass, replace

from reconciler.commands.impact import with_impact
from reconciler.commands.patience import patient
from reconciler.commands.request import Connection, Request, RunPorts
from reconciler.diagnostics import Diagnostic, Location, in_order
from reconciler.errors import UNREADABLE, AwsError, RefusedError
from reconciler.exit_codes import ExitCode
from reconciler.model import ownership
from reconciler.model.address import (
    POLICY,
    Address,
    name_key,
    name_of,
    profile_address,
    role_address,
)
from reconciler.model.launch_sources import LaunchSources
from reconciler.model.live import LiveRole, LiveState
from reconciler.model.resources import Identity
from reconciler.plan.plan import TargetPlan
from reconciler.planner import Options, plan_context, plan_target
from reconciler.planner.associations import not_found, profiles_to_look_at
from reconciler.planner.blast_radius import concerned, reached, with_blast_radius
from reconciler.planner.context import PlanContext, with_temporary_profiles
from reconciler.planner.in_use import ids_in
from reconciler.planner.launches import queries_for
from reconciler.planner.patterns import Matchable, idle_rules, matchable, patterns
from reconciler.planner.planner import names_instances, needs_instances, reach
from reconciler.planner.reads import aws_policies_to_ask_for, scope_of
from reconciler.ports import Facts, Progress, Reader
from reconciler.spec.check.checks import expired
from reconciler.spec.desired import DesiredState, SpecSet
from reconciler.spec.settings import TargetSpec

EC2_SECONDS = 60
"""How long EC2 may see the role that was in a profile before."""


@dataclass(frozen=True, slots=True)
class Account:
    """A target whose account was checked. ``target`` is ``None`` for the caller's own account."""

    name: str
    target: TargetSpec | None
    identity: Identity
    spec: SpecSet
    connection: Connection

    @property
    def reader(self) -> Reader:
        return self.connection.reader


@dataclass(frozen=True, slots=True)
class PlannedAccount:
    """``idle`` are warnings about patterns of the settings that match nothing here, ``context`` is
    what the plan was made from, with what was read for its blast radius."""

    plan: TargetPlan
    matchable: Matchable
    idle: frozenset[Diagnostic]
    context: PlanContext


def plan_account(
    account: Account,
    request: Request,
    ports: RunPorts,
    written: frozenset[Address] | None = None,
) -> PlannedAccount:
    """Reads the account and plans it. ``written`` as in ``scope_of``. Raises ``RefusedError`` and
    ``AwsError``."""
    account = replace(account, connection=patient(account.connection, ports))
    options = _options(account, request, ports)
    is_of_live = request.destroy or bool(request.forget)
    desired = DesiredState() if is_of_live else account.spec.desired
    regions = ", ".join(options.regions)
    where = f"account {account.identity.account_id}"
    ports.progress.reading(f"{where} in {regions}" if regions else where)
    context, unlisted = _read(account, desired, options, ports.progress, written)
    planned = plan_target(context)
    spec = account.spec
    old = expired(spec.settings, spec.settings_place, options.today)
    doubts = () if request.for_drift else (*_doubts(planned, account), *_too_soon(account))
    found = (*planned.diagnostics, *old, *doubts, *unlisted)
    planned = replace(planned, diagnostics=in_order(found))
    if request.for_drift:
        documents = _documents(planned, context.live, account.reader)
        planned = replace(planned, documents=documents)
    known = _matchable(context, account, ports.progress)
    idle = idle_rules(context, spec)
    if not (request.for_drift or request.forget or request.rotate) and written is None:
        planned, context = _reaching(planned, context, account, ports.progress)
        place = Location(account.spec.root)
        planned = with_impact(planned, context, account.connection, ports, place)
    return PlannedAccount(planned, known, idle, context)


def _reaching(
    planned: TargetPlan, context: PlanContext, account: Account, progress: Progress
) -> tuple[TargetPlan, PlanContext]:
    """The plan with whom it reaches, and its context with the instances read for that. Reads more
    only if a change reaches running instances, and nothing from EC2 that the plan had not to do
    with."""
    concerns = concerned(planned.changes, context)
    if not concerns or not context.live.regions:
        return planned, context
    live, reader = context.live, account.reader
    has_all = reach(context) == "everywhere" or context.options.deletes_what_is_left
    if not has_all and any(concern.is_for_all_regions for concern in concerns):
        regions = regions_of_consumers(context.options, reader)
        more = with_regions(live, regions, reader, progress)
        if more is not live:
            whole = with_temporary_profiles(more)
            desired = DesiredState() if context.options.destroy else account.spec.desired
            context = plan_context(desired, whole, context.options)
    users = {i.key: i for concern in concerns for i in reached(concern, context)}
    queries = queries_for(users.values())
    if queries:
        where = ", ".join(query.region for query in queries)
        progress.reading(f"what starts new instances in {where}")
    launches = reader.launch_sources(queries) if queries else LaunchSources()
    place = Location(account.spec.root)
    return with_blast_radius(planned, concerns, context, launches, place), context


def regions_of_consumers(options: Options, reader: Reader) -> set[str]:
    """The regions in which consumers are looked for; none further where they cannot be listed."""
    if options.consumer_regions is not None:
        return set(options.consumer_regions)
    try:
        return set(reader.enabled_regions(options.regions[0]))
    except AwsError as error:
        if error.code not in UNREADABLE:
            raise
        return set()


def _matchable(context: PlanContext, account: Account, progress: Progress) -> Matchable:
    """Looks for instances in further regions if a pattern may be for one there."""
    known, options = matchable(context, account.spec.desired), context.options
    strays = [p for p in patterns(options) if p.may_be_instance and not p.matches(known)]
    if not strays or not context.live.regions:
        return known
    try:
        everywhere = set(account.reader.enabled_regions(context.live.regions[0]))
    except AwsError as error:
        if error.code not in UNREADABLE:
            raise
        return replace(known, has_unread_instances=True)
    live = with_regions(context.live, everywhere, account.reader, progress)
    return matchable(replace(context, live=live), account.spec.desired)


def _documents(planned: TargetPlan, live: LiveState, reader: Reader) -> dict[str, object]:
    """Documents of the policies that somebody attached, as far as they can be read."""
    arns = {
        str(difference.before)
        for change in planned.changes
        for difference in change.differences
        if difference.path.startswith("managed_policies.") and difference.before is not None
    }
    found: dict[str, object] = {}
    for arn in sorted(arns):
        known = live.policy(name_of(arn)) if live.identity.arns.has(arn, POLICY) else None
        try:
            asked = None if known else reader.policy(arn)
        except AwsError as error:
            if error.code not in UNREADABLE:
                raise
            continue
        if known is not None:
            found[arn] = known.resource.document.value
        elif asked is not None:
            found[arn] = asked.document
    return found


def _doubts(planned: TargetPlan, account: Account) -> Iterator[Diagnostic]:
    """Warns if a cut-over is planned and it is not known when the credentials expire."""
    touching = [c for c, steps in planned.preview.items() if any(s.instance for s in steps)]
    for reason in account.connection.doubts() if touching else ():
        profile = account.spec.desired.profile(touching[0].profile)
        place = profile.place.here if profile else Location(account.spec.root)
        message = f"{reason}: they may expire while an instance is without its profile"
        hint = "set AWS_CREDENTIAL_EXPIRATION, or pass --max-time to apply"
        yield Diagnostic("warning", "credentials-expire", message, place, hint)


def _too_soon(account: Account) -> Iterator[Diagnostic]:
    """Warns if EC2 is given less time than it is known to take, unless it is a simulation."""
    spec = account.spec
    seconds, place = spec.settings.propagation, spec.settings_place
    if seconds >= EC2_SECONDS or place is None or not spec.desired.profiles:
        return
    if account.connection.is_remote():
        message = (
            f"propagation is {seconds} s, and EC2 may see the old role for {EC2_SECONDS} s: an "
            "instance that is refreshed too soon is served the old role"
        )
        where, hint = place.value("propagation"), f"leave it at {EC2_SECONDS}s outside of a sandbox"
        yield Diagnostic("warning", "short-propagation", message, where, hint)


def _options(account: Account, request: Request, ports: RunPorts) -> Options:
    settings = account.spec.settings
    prune = settings.prune if request.prune is None else request.prune
    # A rotation does nothing besides, whatever the settings allow.
    prune, adopts = (False, False) if request.rotate else (prune, settings.adopt)
    owner = request.owner or settings.owner
    is_given = request.owner is not None or "owner" in settings.model_fields_set
    if (prune or request.destroy) and not is_given:
        what = "destroy" if request.destroy else "prune"
        message = f"{what} needs an owner: set it in reconciler.yaml, or pass --owner"
        raise RefusedError(message, ExitCode.UNDECIDED)
    if prune and not account.spec.desired.size and not request.destroy:
        message = "the spec set is empty: prune would delete every resource of the owner"
        raise RefusedError(message, ExitCode.ERROR)
    consumers = settings.consumer_regions
    own = account.target.regions if account.target else None
    default = account.connection.default_region
    regions = request.regions or own or settings.regions or (() if default is None else (default,))
    return Options(
        settings=settings,
        owner=owner,
        regions=tuple(sorted(set(regions))),
        now=ports.clock.now(),
        named_regions=tuple(
            sorted({r for a in account.spec.desired.associations for r in a.regions or ()})
        ),
        target=account.name,
        consumer_regions=None if consumers is None else tuple(sorted(set(consumers))),
        prune=prune,
        chosen=account.spec.chosen,
        **{**request.asked(), "adopt": request.adopt or adopts},
    )


def _refuse_nowhere(options: Options) -> None:
    """Raises ``RefusedError`` without a region. Called only if the plan needs instances."""
    if not options.regions:
        message = "no region is set; pass --region, or set AWS_REGION or regions"
        raise RefusedError(message, ExitCode.ERROR)


class _Contexts:
    """The context of the plan, made once for each state of the account: as more of it is read, one
    question after the other is asked of it."""

    def __init__(self, desired: DesiredState, options: Options) -> None:
        self._desired = desired
        self._options = options
        self._made: tuple[LiveState, PlanContext] | None = None

    def of(self, live: LiveState) -> PlanContext:
        if self._made is None or self._made[0] is not live:
            self._made = live, plan_context(self._desired, live, self._options)
        return self._made[1]


def _read(
    account: Account,
    desired: DesiredState,
    options: Options,
    progress: Progress,
    written: frozenset[Address] | None,
) -> tuple[PlanContext, tuple[Diagnostic, ...]]:
    """IAM; the instances of the planned regions, if the plan needs them; and those of all regions,
    if it needs all consumers of a profile, or prunes: an association may be left in any. What could
    not be looked for is a warning."""
    reader, identity = account.reader, account.identity
    if is_sure := names_instances(account.spec.desired, options):
        _refuse_nowhere(options)
    planned = set(options.own_regions)
    scope = scope_of(desired, identity, options, planned if is_sure else (), written)
    contexts = _Contexts(desired, options)
    live = reader.read(identity, scope)
    named = aws_policies_to_ask_for(contexts.of(live))
    asked = {arn: facts for arn in named for facts in _of_aws(arn, reader)}
    absent = frozenset(arn for arn, facts in asked.items() if facts is None)
    of_aws = {arn: facts.document for arn, facts in asked.items() if facts is not None}
    live = replace(live, absent=absent, of_aws=of_aws)
    if desired.associations:
        live = _with_owners(live, profiles_to_look_at(contexts.of(live)), reader)
    live = _with_roles(live, reader)
    _refuse_what_needs_all(live, options)
    if not is_sure and not needs_instances(contexts.of(live)):
        return contexts.of(live), ()
    _refuse_nowhere(options)
    live = with_regions(live, planned, reader, progress)
    if unknown := not_found(contexts.of(live)):
        ended = {i.key: i for i in reader.instances(unknown) if i.is_gone}
        live = replace(live, instances={**live.instances, **ended})
    needed = reach(contexts.of(live))
    told: tuple[Diagnostic, ...] = ()
    if needed != "planned" or options.deletes_what_is_left:
        chosen = None if needed == "everywhere" else options.consumer_regions
        try:
            found = chosen if chosen is not None else reader.enabled_regions(options.regions[0])
        except AwsError as error:
            if error.code not in UNREADABLE or (needed != "planned" and options.forget):
                raise
            found = ()
            if needed == "planned":
                told = (_unlisted(error, account),)
            else:
                live = replace(live, unlisted=f"{error.call}: {error.code}")
        live = with_regions(live, set(found), reader, progress)
    return contexts.of(live), told


def _unlisted(error: AwsError, account: Account) -> Diagnostic:
    """The warning of a prune that cannot tell which regions there are."""
    place = account.spec.settings_place
    message = (
        f"the account's regions cannot be listed ({error.call}: {error.code}): associations that "
        "left the specs are looked for in the regions of the set alone"
    )
    where = place.value("prune") if place else Location(account.spec.root)
    return Diagnostic("warning", "unread-region", message, where, "set consumer_regions")


def with_regions(
    live: LiveState, regions: set[str], reader: Reader, progress: Progress
) -> LiveState:
    missing = regions - set(live.regions) - live.unread_regions.keys()
    if not missing:
        return live
    progress.reading(f"instances in {', '.join(sorted(missing))}")
    return live.with_instances(reader.read_regions(live.identity, missing))


def _with_owners(live: LiveState, names: Collection[str], reader: Reader) -> LiveState:
    """Adds the profiles that associations take instances from, since their owners matter."""
    if not names:
        return live
    found, unread = dict(live.profiles), dict(live.unread)
    for name in names:
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


def _with_roles(live: LiveState, reader: Reader) -> LiveState:
    """Where only what the specs name was read: adds the other roles that consumers of the profiles
    may have, since it is recorded on a role when an instance lets go of it."""
    if live.not_whole is None:
        return live
    profiles = live.profiles.values()
    known = {ownership.NO_ROLE, *(role.id for role in live.roles.values())}
    inside = {p.resource.role for p in profiles if p.role_id is not None and p.role_id not in known}
    wanted = {role_id for p in profiles for role_id in ids_in(p)} - known
    names = {name for name in inside if name is not None}
    try:
        listed = reader.role_names() if wanted - {p.role_id for p in profiles} else {}
        names |= {listed[role_id] for role_id in wanted & listed.keys()}
        found = [reader.entity(role_address(name), "") for name in sorted(names)]
    except AwsError as error:
        if error.code not in UNREADABLE:
            raise
        return live
    roles = {name_key(r.resource.name): r for r in found if isinstance(r, LiveRole)}
    return replace(live, roles={**live.roles, **roles})


def _refuse_what_needs_all(live: LiveState, options: Options) -> None:
    """Raises ``RefusedError`` before a deletion if resources of the owner may be unknown."""
    if live.not_whole is None or not options.deletes_what_is_left:
        return
    what = "destroy" if options.destroy else "prune"
    message = f"{what} must see every resource of the owner: {live.not_whole}"
    raise RefusedError(message, ExitCode.ERROR)


def _of_aws(arn: str, reader: Reader) -> Iterator[Facts | None]:
    """Nothing if it cannot be read: then AWS reports a missing policy when it is attached."""
    try:
        yield reader.policy(arn)
    except AwsError:
        return
