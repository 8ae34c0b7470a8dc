"""Whether running consumers are served the role that their profile holds: what the association
says, what our mark says, and what evidence says. Reads only."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace

from reconciler.commands.patience import patient
from reconciler.commands.plan import make_plan
from reconciler.commands.planned import Planned, PlannedTarget
from reconciler.commands.request import Connection, Request, RunPorts
from reconciler.commands.target import regions_of_consumers, with_regions
from reconciler.errors import DENIED, UNREADABLE, AwsError, RefusedError
from reconciler.executor.evidence import Gatherer
from reconciler.exit_codes import ExitCode
from reconciler.model.address import (
    ASSOCIATION,
    POLICY,
    PROFILE,
    ROLE,
    Address,
    meant_by,
    name_key,
    profile_address,
)
from reconciler.model.evidence import (
    STATUSES,
    Expectation,
    Judgement,
    LastUsed,
    Source,
    Status,
)
from reconciler.model.live import LiveInstance, LiveProfile, LiveState
from reconciler.model.ownership import CREDENTIALS_SECONDS, InstanceKey, Pending
from reconciler.plan.changes import WHICH_REGIONS, WHOLE_ACCOUNT
from reconciler.plan.plan import TargetPlan
from reconciler.planner.context import PlanContext, with_temporary_profiles
from reconciler.planner.expectations import (
    consumers,
    expectation,
    let_go,
    profile_of,
    profiles_asked_for,
    verifiable,
)
from reconciler.planner.patterns import AddressPattern, Matchable, unmatched
from reconciler.planner.planner import plan_context
from reconciler.planner.served import Served, served
from reconciler.threads import each

AGAIN_SECONDS = 30.0
"""Pause before what is unknown is asked again, if it is waited for."""
_MORE = "calls that show what is unknown"


@dataclass(frozen=True, slots=True)
class VerifyRequest:
    """What is verified: ``addresses`` are globs, empty for what the specs name. ``wait`` is how
    many seconds at most what is unknown is asked again."""

    addresses: tuple[str, ...] = ()
    sources: tuple[Source, ...] = ("cloudtrail",)
    wait: float = 0.0


@dataclass(frozen=True, slots=True)
class VerifiedConsumer:
    """One running consumer. ``role`` is the one in its profile, ``None`` for none, or where that
    is not known; ``mark`` what our marks say of it."""

    instance: LiveInstance
    profile: str | None
    role: str | None
    mark: Served
    judgement: Judgement


@dataclass(frozen=True, slots=True)
class LetGo:
    """A role that consumers have let go of, or are about to: processes may go on with its
    credentials. ``unread`` is why its use could not be read."""

    role: str
    at: float
    used: LastUsed | None = None
    unread: str | None = None


@dataclass(frozen=True, slots=True)
class UnknownConsumers:
    """Where there may be consumers that are not known, and why."""

    what: str
    reason: str


@dataclass(frozen=True, slots=True)
class VerifiedTarget:
    """One account. ``at_rest`` are consumers that do not run: they get the role of their profile
    when they start."""

    plan: TargetPlan
    verified: tuple[VerifiedConsumer, ...] = ()
    at_rest: int = 0
    let_go: tuple[LetGo, ...] = ()
    not_read: tuple[UnknownConsumers, ...] = ()


@dataclass(frozen=True, slots=True)
class Verification:
    question: VerifyRequest
    owner: str
    targets: tuple[VerifiedTarget, ...]
    api_calls: Mapping[str, int] = field(default_factory=dict)

    @property
    def summary(self) -> dict[Status, int]:
        found = [one.judgement.status for target in self.targets for one in target.verified]
        return {status: found.count(status) for status in STATUSES}

    @property
    def exit_code(self) -> ExitCode:
        """``OK`` if everything is proved, ``DIFFERENCES`` if anything is contradicted, which counts
        more than what is unknown."""
        found = self.summary
        if found["contradicted"]:
            return ExitCode.DIFFERENCES
        is_unread = any(target.not_read for target in self.targets)
        return ExitCode.ERROR if found["unknown"] or is_unread else ExitCode.OK


def verify(question: VerifyRequest, request: Request, ports: RunPorts) -> Verification:
    """Raises as ``make_plan``, and ``RefusedError`` (``USAGE``) for an address that means
    nothing."""
    question = replace(question, addresses=tuple(map(_glob, question.addresses)))
    asked = replace(request, prune=False, for_drift=True)
    return verify_planned(question, make_plan(asked, ports, keeps_context=True), ports)


def verify_planned(question: VerifyRequest, planned: Planned, ports: RunPorts) -> Verification:
    """Of a plan that has kept what it was made from. Raises ``RefusedError``."""
    request = planned.request
    readings = [_TargetReading(target, question, request, ports) for target in planned.targets]
    each(_TargetReading.read, readings, ports.target_parallelism)
    patterns = [AddressPattern("", glob) for glob in question.addresses]
    wrong = tuple(unmatched(patterns, [reading.matchable for reading in readings]))
    if wrong and all(reading.context is not None for reading in readings):
        rule = "an address must be of a profile, of the role in one, or of an instance"
        raise RefusedError(wrong[0], ExitCode.USAGE, details=(*wrong[1:], rule))
    found = each(_TargetReading.verified, readings, ports.target_parallelism)
    calls: Counter[str] = Counter()
    for reader in {id(t.connection.reader): t.connection.reader for t in planned.targets}.values():
        calls.update(reader.calls)
    for reading in readings:
        calls.update(reading.evidence.calls)
    return Verification(question, planned.plan.owner, tuple(found), dict(sorted(calls.items())))


_INSTANCE = re.compile(r"i-[0-9a-f*?\[\]!-]{1,40}")
_KINDS = (PROFILE, ROLE, ASSOCIATION)


def _glob(asked: str) -> str:
    """Raises ``RefusedError`` (``USAGE``)."""
    if _INSTANCE.fullmatch(asked):
        return f"{ASSOCIATION}/{asked}"
    kind, slash, name = asked.partition("/")
    if kind not in _KINDS or not slash or not name:
        form = "ADDRESS is instance-profile/NAME, role/NAME, or the id of an instance"
        near = meant_by(asked)
        is_meant = near is not None and Address.parse(near).kind != POLICY
        help_ = f"; did you mean {near}?" if is_meant else ""
        raise RefusedError(f"{asked!r} is no address{help_}", ExitCode.USAGE, details=(form,))
    return asked


class _TargetReading:
    """One target. ``context`` grows as more is read; ``None`` if the account was not."""

    def __init__(
        self, target: PlannedTarget, question: VerifyRequest, request: Request, ports: RunPorts
    ) -> None:
        self.target = target
        self.question = question
        self.ports = ports
        self.parallelism = request.parallelism
        self.context = target.context
        self.not_read: list[UnknownConsumers] = []
        self.connection: Connection = patient(target.connection, ports)
        self.evidence = target.connection.evidence(ports.clock)

    @property
    def matchable(self) -> Matchable:
        if self.context is None:
            return Matchable(frozenset(), has_unread_instances=True)
        return verifiable(self.context)

    def read(self) -> None:
        """Instances of every region in which consumers are looked for, and marks of profiles."""
        if self.context is None:
            self.not_read += [
                UnknownConsumers(one.what, one.reason) for one in self.target.plan.unread
            ]
            return
        names = profiles_asked_for(self.context, self.question.addresses)
        if not names and not self.question.addresses:
            return
        self._read_everywhere(self.context)
        self._read_marks(profiles_asked_for(self.context, self.question.addresses))

    def _read_everywhere(self, context: PlanContext) -> None:
        near = context.options.regions
        if not near:
            message = "no region is set; pass --region, or set AWS_REGION or regions"
            raise RefusedError(message, ExitCode.ERROR)
        reader = self.connection.reader
        regions = set(context.options.own_regions)
        try:
            regions |= regions_of_consumers(context.options, reader)
        except AwsError as error:
            if error.code not in UNREADABLE:
                raise
            self.not_read.append(UnknownConsumers(WHICH_REGIONS, _why(error)))
        live = with_regions(context.live, regions, reader, self.ports.progress)
        self._keep(live)

    def _read_marks(self, profiles: Collection[str]) -> None:
        assert self.context is not None
        live, reader = self.context.live, self.connection.reader
        for name in profiles:
            there = live.profile(name)
            if there is None or there.tags_known:
                continue
            try:
                found = reader.entity(profile_address(name), there.arn)
            except AwsError as error:
                if error.code not in UNREADABLE:
                    raise
                live = replace(live, unread={**live.unread, profile_address(name): _why(error)})
                continue
            if isinstance(found, LiveProfile):
                live = replace(live, profiles={**live.profiles, name_key(name): found})
        self._keep(live)

    def _keep(self, live: LiveState) -> None:
        assert self.context is not None
        if live is not self.context.live:
            whole = with_temporary_profiles(live)
            desired = self.target.spec.desired
            self.context = plan_context(desired, whole, self.context.options)

    def verified(self) -> VerifiedTarget:
        if self.context is None:
            return VerifiedTarget(self.target.plan, not_read=tuple(self.not_read))
        asked = self.question.addresses
        profiles = profiles_asked_for(self.context, asked)
        found = consumers(self.context, profiles, asked)
        running = [i for i in found if i.is_running]
        judged = self._judged([i.key for i in running])
        live = self.context.live
        not_read = [
            UnknownConsumers(f"instances in {region}", why)
            for region, why in sorted(live.unread_regions.items())
        ]
        if live.not_whole is not None and found:
            not_read.append(UnknownConsumers(WHOLE_ACCOUNT, live.not_whole))
        return VerifiedTarget(
            self.target.plan,
            tuple(self._one(live.instances[key], one) for key, one in sorted(judged.items())),
            sum(not i.is_running and not i.is_gone for i in found),
            self._let_go(profiles),
            (*self.not_read, *(n for n in not_read if profiles or asked)),
        )

    def _one(self, instance: LiveInstance, judgement: Judgement) -> VerifiedConsumer:
        assert self.context is not None
        name = profile_of(instance, self.context)
        profile = self.context.live.profile(name) if name is not None else None
        role = profile.resource.role if profile is not None else None
        return VerifiedConsumer(instance, name, role, served(instance, self.context), judgement)

    def _judged(self, keys: Collection[InstanceKey]) -> dict[InstanceKey, Judgement]:
        """Asks again what may become known, as long as it is to be waited for."""
        clock = self.ports.clock
        gatherer = Gatherer(self.evidence, clock, self.ports.progress, self.parallelism)
        until = clock.now() + self.question.wait
        found: dict[InstanceKey, Judgement] = {}
        pending = list(keys)
        while True:
            found |= gatherer.judged(self._expected(pending), self.question.sources)
            pending = [key for key, one in found.items() if one.may_change]
            left = until - clock.now()
            if not pending or left <= 0:
                return found
            self._rest(min(AGAIN_SECONDS, left), left)
            for key in self._look_again(pending):
                found.pop(key, None)
            pending = [key for key in pending if key in found]

    def _rest(self, seconds: float, left: float) -> None:
        of = self.question.wait
        self.ports.progress.waiting(Address("evidence"), _MORE, of - left, of)
        self.ports.clock.sleep(seconds)

    def _expected(self, keys: Collection[InstanceKey]) -> list[Expectation]:
        assert self.context is not None
        released = let_go(self.context)
        instances = self.context.live.instances
        return [expectation(instances[key], self.context, released) for key in keys]

    def _look_again(self, keys: Collection[InstanceKey]) -> list[InstanceKey]:
        """Reads what these are by now. Returns those that run no more."""
        assert self.context is not None
        try:
            seen = {i.key: i for i in self.connection.reader.instances(keys)}
        except AwsError as error:
            if error.code not in UNREADABLE:
                raise
            return []
        live = with_temporary_profiles(self.context.live)
        self._keep(replace(live, instances={**live.instances, **seen}))
        return [key for key in keys if key not in seen or not seen[key].is_running]

    def _let_go(self, profiles: Collection[str]) -> tuple[LetGo, ...]:
        """Roles whose credentials processes may hold, with their use, if that is asked for."""
        assert self.context is not None
        if "last-used" not in self.question.sources or not profiles:
            return ()
        live, now = self.context.live, self.ports.clock.now()
        inside = {p.role_id for name in profiles if (p := live.profile(name)) is not None}
        times = {k: at for k, at in let_go(self.context).items() if now < at + CREDENTIALS_SECONDS}
        for name in profiles:
            profile = live.profile(name)
            mark = profile.mark if profile is not None else None
            if isinstance(mark, Pending):
                times.setdefault(mark.before, float(mark.epoch))
        found = []
        for role_id, at in sorted(times.items(), key=lambda one: one[1]):
            role = live.role_with(role_id)
            if role is None or role_id in inside:
                continue
            try:
                used = self.evidence.last_used(role.resource.name)
            except AwsError as error:
                is_denied = error.code in DENIED
                why = f"not allowed to call {error.call}" if is_denied else _why(error)
                found.append(LetGo(role.resource.name, at, unread=why))
            else:
                found.append(LetGo(role.resource.name, at, used))
        return tuple(found)


def _why(error: AwsError) -> str:
    return f"{error.call}: {error.code}"
