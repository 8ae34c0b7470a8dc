"""What must be read besides the plan to explain something: the instance wherever it is, the marks
of its profile, documents of AWS's policies, what new instances are started from. A read that is
refused makes an answer ``unknown``, and is told."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field, replace
from typing import Any

from reconciler.commands.patience import patient
from reconciler.commands.plan import make_plan
from reconciler.commands.planned import Planned, PlannedTarget
from reconciler.commands.request import Request, RunPorts
from reconciler.errors import UNREADABLE, AwsError, RefusedError
from reconciler.exit_codes import ExitCode
from reconciler.explain.chain import Known, explain_address, explain_instance
from reconciler.explain.explanation import Explained, Explanation, NotRead
from reconciler.explain.parts import Documents, aws_policies_named, live_of
from reconciler.explain.regions import everywhere
from reconciler.explain.stops import Allowed, allowed, joined, reaches_more, stops_of
from reconciler.model.address import (
    ASSOCIATION,
    POLICY,
    PROFILE,
    ROLE,
    Address,
    instance_address,
    meant_by,
    name_key,
    name_of,
    profile_address,
    role_address,
    same_name,
)
from reconciler.model.launch_sources import LaunchSources
from reconciler.model.live import (
    LiveInstance,
    LivePolicy,
    LiveProfile,
    LiveRole,
    LiveState,
)
from reconciler.model.ownership import InstanceKey
from reconciler.plan.changes import WHOLE_ACCOUNT, Conflict, Guard
from reconciler.planner.associations import claim_of
from reconciler.planner.context import PlanContext, with_temporary_profiles
from reconciler.planner.patterns import suggestion
from reconciler.planner.planner import plan_context
from reconciler.ports import LaunchQuery, Reader
from reconciler.spec.desired import DesiredState
from reconciler.threads import each

_INSTANCE = re.compile(r"i-[0-9a-f]{8,17}")
_KINDS = (ROLE, POLICY, PROFILE, ASSOCIATION)
_FORM = "ADDRESS is KIND/NAME, such as role/web or instance-profile/web, or the id of an instance"


def explain(asked: str, request: Request, ports: RunPorts) -> Explained:
    """Plans, reads what the plan does not need, and explains. Raises as ``make_plan``, and
    ``RefusedError`` for what is no address (``USAGE``) and for what does not exist."""
    address = _address(asked)
    planned = make_plan(request, ports, keeps_context=True)

    def answered(target: PlannedTarget) -> tuple[Explanation | None, _Reading | None]:
        if target.context is None:
            return None, None
        reading = _Reading(target, target.context, ports, request.parallelism)
        return reading.explanation(address), reading

    found = each(answered, planned.targets, ports.target_parallelism)
    plans = [target.plan for target in planned.targets]
    # One apply is of all targets.
    others = [r.allowed() if r is not None and len(plans) > 1 else None for _, r in found]
    answers: list[Explanation] = []
    for number, (answer, _) in enumerate(found):
        if answer is None:
            continue
        told: list[Guard | Conflict] = [*answer.next.guards, *answer.next.conflicts]
        besides = [a for n, a in enumerate(others) if n != number and a is not None]
        following = replace(
            answer.next,
            elsewhere=tuple(stops_of(plans, told)),
            stops=(*answer.next.stops, *(stop for a in besides for stop in a.stops)),
            flags=joined((answer.next.flags, *(a.flags for a in besides))),
        )
        answers.append(replace(answer, next=following))
    if not answers:
        raise _nothing(asked, address, planned, [r for _, r in found if r is not None])
    calls: dict[str, int] = {}
    for target in planned.targets:
        for name, count in target.connection.reader.calls.items():
            calls[name] = calls.get(name, 0) + count
    return Explained(asked, planned.plan.owner, tuple(answers), dict(sorted(calls.items())))


def _address(asked: str) -> Address:
    """Raises ``RefusedError`` (``USAGE``)."""
    if _INSTANCE.fullmatch(asked):
        return instance_address(asked)
    address = Address.parse(asked)
    if address.kind not in _KINDS or not address.name:
        raise _no_address(asked, _FORM)
    if address.is_instance and not _INSTANCE.fullmatch(address.name):
        told = "an association is named by its instance, such as association/i-0abc1234"
        raise _no_address(asked, told)
    return address


def _no_address(asked: str, rule: str) -> RefusedError:
    near = meant_by(asked)
    help_ = f"; did you mean {near}?" if near is not None and near != asked else ""
    return RefusedError(f"{asked!r} is no address{help_}", ExitCode.USAGE, details=(rule,))


def _nothing(
    asked: str, address: Address, planned: Planned, readings: Collection[_Reading]
) -> RefusedError:
    known = {a for target in planned.targets for a in target.matchable.addresses}
    known |= {entity.resource.address for r in readings for entity in r.live.entities()}
    meant = suggestion(str(address), known)
    help_ = f"; did you mean {meant}?" if meant else ""
    accounts = [target.plan.identity.account_id for target in planned.targets]
    where = f"account {accounts[0]}" if len(accounts) == 1 else f"any of {len(accounts)} accounts"
    unread = [u for target in planned.targets for u in target.plan.unread if target.plan.is_unread]
    details = [f"not read: {n.what}: {n.reason}" for r in readings for n in r.not_read]
    details += [f"not read: {one.what}: {one.reason}" for one in unread]
    # What could not be read may have it.
    is_certain = not details
    if address.is_instance:
        absent = "does not exist in" if is_certain else "was not found in what could be read of"
        message = f"instance {address.name} {absent} {where}{help_}"
        searched = sorted({region for r in readings for region in r.searched})
        details = [*([f"searched: {', '.join(searched)}"] if searched else []), *details]
    elif is_certain:
        message = f"{asked} exists neither in the specs nor in {where}{_inline(address, readings)}"
        message += help_
    else:
        message = f"{asked} is not in the specs, nor in what could be read of {where}{help_}"
    return RefusedError(message, ExitCode.ERROR, details=tuple(dict.fromkeys(details)))


def _inline(address: Address, readings: Collection[_Reading]) -> str:
    """Inline policies have no address of their own."""
    if address.kind != POLICY:
        return ""
    roles = [r.resource for one in readings for r in one.live.roles.values()]
    roles += [r.resource for one in readings for r in one.planned.desired.roles.values()]
    found = {
        role.address
        for role in roles
        if any(same_name(name, address.name) for name, _ in role.inline_policies)
    }
    if not found:
        return ""
    first, *more = sorted(found)
    also, verb = (f" and {len(more)} more", "have") if more else ("", "has")
    return f"; {first}{also} {verb} an inline policy of that name: explain the role"


@dataclass
class _Reading:
    """One target. ``live`` grows as more is read; ``not_read`` is what was refused."""

    target: PlannedTarget
    planned: PlanContext
    ports: RunPorts
    parallelism: int
    searched: set[str] = field(default_factory=set)
    not_read: list[NotRead] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.reader: Reader = patient(self.target.connection, self.ports).reader
        self.live: LiveState = with_temporary_profiles(self.planned.live)
        self.searched.update(self.live.regions)

    def explanation(self, address: Address) -> Explanation | None:
        if address.is_instance:
            return self._of_instance(address.name)
        return self._of_address(address)

    def _context(self) -> PlanContext:
        """Of all that was read."""
        is_of_live = self.planned.options.destroy or bool(self.planned.options.forget)
        desired = DesiredState() if is_of_live else self.target.spec.desired
        return plan_context(desired, self.live, self.planned.options)

    def _of_instance(self, name: str) -> Explanation | None:
        instance = self._found(name)
        if instance is None:
            return None
        self.live = replace(self.live, instances={**self.live.instances, instance.key: instance})
        context = self._context()
        claim = claim_of(instance.key, context)
        names = {row.profile_name for row in instance.rows}
        names |= {claim.association.profile} if claim is not None else set()
        self._read_profiles(names)
        context = self._context()
        held = (live_of(profile_address(n), context) for n in names)
        homes = {p.temporary_of for p in held if isinstance(p, LiveProfile) and p.temporary_of}
        self._read_profiles(homes)
        self._read_roles(self._roles_around(names | homes))
        query = LaunchQuery(instance.key.region)
        known = self._known((query,), names | homes)
        shown = known.context.live.instances[instance.key]
        return explain_instance(shown, known)

    def _of_address(self, address: Address) -> Explanation | None:
        self._read_entity(address)
        context = self._context()
        profiles = self._profiles_around(address, context)
        self._read_profiles(profiles)
        self._read_roles(self._roles_around(profiles))
        queries: tuple[LaunchQuery, ...] = ()
        if profiles:
            self._read_everywhere()
            queries = tuple(LaunchQuery(region) for region in sorted(self.live.regions))
        documents_of = (address,) if address.kind == POLICY else ()
        return explain_address(address, self._known(queries, profiles, address, documents_of))

    def _known(
        self,
        queries: Collection[LaunchQuery],
        profiles: Collection[str],
        address: Address | None = None,
        policies: Collection[Address] = (),
    ) -> Known:
        self._read_what_adoption_reaches()
        context = self._context()
        is_policy = address is not None and address.kind == POLICY
        roles = set[str]() if is_policy else self._roles_around(profiles)
        if not is_policy:
            live = (context.live.profile(name) for name in profiles)
            ids = {i for p in live if p is not None for i in context.in_use.roles_held(p)}
            held = (context.live.role_with(role_id) for role_id in ids)
            roles |= {role.resource.name for role in held if role is not None}
        if address is not None and address.kind == ROLE:
            roles.add(address.name)
        documents = self._documents(roles, policies, context)
        launches = self._launches(queries)
        told = [NotRead(str(a), why) for a, why in sorted(self.live.unread.items())]
        told += [
            NotRead(f"instances in {region}", why)
            for region, why in sorted(self.live.unread_regions.items())
        ]
        if self.live.not_whole is not None:
            told.append(NotRead(WHOLE_ACCOUNT, self.live.not_whole))
        return Known(
            self.target.plan,
            context,
            launches,
            documents,
            tuple(sorted(self.live.regions)),
            tuple(dict.fromkeys((*told, *self.not_read))),
            self.allowed(),
        )

    def allowed(self) -> Allowed | None:
        """What an apply does with everything allowed; ``None`` where nothing stops one."""
        plan = self.target.plan
        if not (plan.conflicts or plan.guards):
            return None
        self._read_what_adoption_reaches()
        return allowed(plan, self._context(), self.target.spec.desired)

    def _read_what_adoption_reaches(self) -> None:
        """Where no region is set, none was asked, and the plan needs none."""
        has_region = self.planned.options.regions or self.target.connection.default_region
        if has_region and reaches_more(self.target.plan):
            self._read_everywhere()

    # Instances.

    def _everywhere(self) -> tuple[str, ...]:
        options, connection = self.planned.options, self.target.connection
        regions, refused = everywhere(options, connection, self.reader)
        if refused is not None:
            self.not_read.append(refused)
        return regions

    def _found(self, name: str) -> LiveInstance | None:
        """The instance, in any state and any enabled region."""
        known = (i for key, i in self.live.instances.items() if key.instance == name)
        if (there := next(known, None)) is not None:
            return there

        def asked(region: str) -> tuple[LiveInstance, ...] | NotRead:
            try:
                return self.reader.instances([InstanceKey(region, name)])
            except AwsError as error:
                if error.code not in UNREADABLE:
                    raise
                return NotRead(f"instances in {region}", _why(error))

        regions = self._everywhere()
        self.ports.progress.reading(f"instance {name} in {', '.join(regions)}")
        answers = dict(zip(regions, each(asked, regions, self.parallelism), strict=True))
        for region, answer in answers.items():
            if isinstance(answer, NotRead):
                self.not_read.append(answer)
            else:
                self.searched.add(region)
        found = [i for a in answers.values() if not isinstance(a, NotRead) for i in a]
        return found[0] if found else None

    def _read_everywhere(self) -> None:
        """The instances of all enabled regions: consumers may be in any."""
        missing = {*self._everywhere()} - {*self.live.regions} - self.live.unread_regions.keys()
        if missing:
            self.ports.progress.reading(f"instances in {', '.join(sorted(missing))}")
            more = self.reader.read_regions(self.live.identity, missing)
            self.live = self.live.with_instances(more)

    # IAM.

    def _read_entity(self, address: Address) -> None:
        """What a read of the whole account would have shown; a profile's or a policy's tags, which
        that leaves out."""
        live = self.live.entity(address)
        is_whole = live is not None and live.tags_known
        if is_whole or (live is None and self.live.not_whole is None):
            return
        arn = live.arn if live is not None else self._arn(address)
        try:
            found = self.reader.entity(address, arn)
        except AwsError as error:
            if error.code not in UNREADABLE:
                raise
            self.live = replace(self.live, unread={**self.live.unread, address: _why(error)})
            return
        if found is None:
            return
        key = name_key(found.resource.name)
        match found:
            case LiveRole():
                self.live = replace(self.live, roles={**self.live.roles, key: found})
            case LivePolicy():
                self.live = replace(self.live, policies={**self.live.policies, key: found})
            case LiveProfile():
                self.live = replace(self.live, profiles={**self.live.profiles, key: found})

    def _arn(self, address: Address) -> str:
        if address.kind != POLICY:
            return ""
        desired = self.planned.desired.policy(address.name)
        path = desired.resource.path if desired is not None else "/"
        return self.live.identity.arns.of(POLICY, path, address.name)

    def _read_profiles(self, names: Iterable[str]) -> None:
        for name in sorted(names):
            self._read_entity(profile_address(name))

    def _read_roles(self, names: Iterable[str]) -> None:
        for name in sorted(names):
            self._read_entity(role_address(name))

    def _roles_around(self, profiles: Iterable[str]) -> set[str]:
        """Roles in these profiles, now and by the specs."""
        found: set[str | None] = set()
        for name in profiles:
            live, wanted = self.live.profile(name), self.planned.desired.profile(name)
            found.add(live.resource.role if live is not None else None)
            found.add(wanted.resource.role if wanted is not None else None)
        return {name for name in found if name is not None}

    def _profiles_around(self, address: Address, context: PlanContext) -> set[str]:
        """Profiles through which instances get what the address is about."""
        match address.kind:
            case "instance-profile":
                live = live_of(address, context)
                home = live.temporary_of if isinstance(live, LiveProfile) else None
                return {address.name, *([home] if home else [])}
            case "role":
                roles = {name_key(address.name)}
            case _:
                # Of those that have the policy, in AWS or in the specs.
                every = [role.resource for role in context.live.roles.values()]
                every += [role.resource for role in context.desired.roles.values()]
                policy = name_key(address.name)
                roles = {
                    name_key(role.name)
                    for role in every
                    if any(name_key(name_of(arn)) == policy for arn in role.policies)
                }
        found: set[str] = set()
        for key in roles:
            live = context.live.roles.get(key)
            if live is not None:
                found |= {p.resource.name for p in context.in_use.profiles_of(live)}
        for profile in context.desired.profiles.values():
            if name_key(profile.resource.role) in roles and profile.resource.role is not None:
                found.add(profile.resource.name)
        return found

    def _documents(
        self, roles: Iterable[str], policies: Iterable[Address], context: PlanContext
    ) -> Documents:
        """Of the policies that roles have and that the account does not hold itself."""
        arns = {arn for address in policies for arn in aws_policies_named(address.name, context)}
        for name in roles:
            for role in (context.live.role(name), context.desired.role(name)):
                arns |= role.resource.policies if role is not None else frozenset()
        local = self.live.identity.arns
        wanted = sorted(
            arn
            for arn in arns
            if not (local.has(arn, POLICY) and context.live.policy(name_of(arn)) is not None)
        )

        def asked(arn: str) -> Any:
            try:
                return self.reader.policy(arn)
            except AwsError as error:
                return error

        found: dict[str, Any] = {}
        unread: dict[str, str] = {}
        for arn, answer in zip(wanted, each(asked, wanted, self.parallelism), strict=True):
            if isinstance(answer, AwsError):
                unread[arn] = _why(answer)
            elif answer is not None:
                found[arn] = answer.document
        return Documents(found, unread)

    # New instances.

    def _launches(self, queries: Collection[LaunchQuery]) -> LaunchSources:
        if not queries:
            return LaunchSources()
        where = ", ".join(query.region for query in queries)
        self.ports.progress.reading(f"launch templates, groups and fleets in {where}")
        found = self.reader.launch_sources(queries)
        self.not_read += (
            NotRead(f"where new instances come from in {u.region}", f"{u.call}: {u.reason}")
            for u in found.unread
        )
        return found


def _why(error: AwsError) -> str:
    return f"{error.call}: {error.code}"
