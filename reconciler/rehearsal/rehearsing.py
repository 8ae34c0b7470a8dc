"""Applies the plan of one target to a copy of its account, and kills that apply at every write."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path

from reconciler.commands.apply import Applied, Apply
from reconciler.commands.plan import plan_copy
from reconciler.commands.planned import Planned, PlannedTarget
from reconciler.commands.request import RunPorts, asked_once
from reconciler.errors import AwsError, RefusedError
from reconciler.executor.estimate import estimate
from reconciler.exit_codes import ExitCode
from reconciler.model.checks import alarm_of, group_of
from reconciler.model.ownership import InstanceKey
from reconciler.permissions.scope import PermissionScope
from reconciler.plan.plan import digest_of
from reconciler.planner.served import served
from reconciler.ports import Clock
from reconciler.rehearsal.access import (
    Access,
    Following,
    Log,
    Policies,
    allowing,
    denials,
    enforced,
)
from reconciler.rehearsal.copying import PARTITION, AccountCopy
from reconciler.rehearsal.watching import InstanceTrace, Killed, Life, Watch
from reconciler.sandbox import seed
from reconciler.sandbox.embedded import JumpingClock, embedded
from reconciler.sandbox.fault_config import LIKE_AWS
from reconciler.sandbox.plant import plant
from reconciler.sandbox.server import credentials
from reconciler.sandbox.state import Alarm, Target, World

NOBODY = "i-00000000"
"""A target, since the sandbox has the groups that have one."""
PortsOfCopy = Callable[[Clock], RunPorts]
"""The ports of a new run on the copy."""


@dataclass(frozen=True, slots=True)
class InstanceResult:
    """``before`` is the role whose credentials the account's instance is served, by all that is
    known; ``after`` the one that the instance of the copy is served at the end. ``unknown`` is why
    ``before`` is not known, and empty if it is."""

    trace: InstanceTrace
    before: str | None
    after: str | None
    unknown: str = ""


@dataclass(frozen=True, slots=True)
class Unrecovered:
    """A death after which the next apply did not end well; ``problem`` says how it ended."""

    write: int
    call: str
    problem: str


@dataclass(frozen=True, slots=True)
class CrashResult:
    """Of all deaths: how many there were, which were not recovered from, and the most seconds that
    an instance was without its profile, the next apply beginning at once."""

    deaths: int
    unrecovered: tuple[Unrecovered, ...]
    longest: float


@dataclass(frozen=True, slots=True)
class Rehearsed:
    """Of one target. ``about`` is the estimate of the plan, ``took`` what the apply took; both in
    seconds. ``applied`` is ``None`` if the policies do not even allow to plan: then ``stopped``
    says what that ended with. ``access`` is there if it was rehearsed with policies, and then
    ``remaining`` are the addresses that still differ from the specs afterwards."""

    target: PlannedTarget
    copy: AccountCopy
    is_same_plan: bool
    applied: Applied | None
    instances: tuple[InstanceResult, ...]
    writes: int
    took: float
    about: float
    crashes: CrashResult | None = None
    access: Access | None = None
    remaining: tuple[str, ...] = ()
    stopped: str = ""

    @property
    def is_well(self) -> bool:
        return (
            self.is_same_plan
            and self.applied is not None
            and self.applied.exit_code is ExitCode.OK
            and (self.crashes is None or not self.crashes.unrecovered)
        )


@dataclass(frozen=True, slots=True)
class Stage:
    """One target, the copy of its account, and how runs on the copy are made. ``say`` is told how
    far the rehearsal is. With ``policies`` the copy allows what they allow to the caller of the
    account, and nothing else."""

    planned: Planned
    target: PlannedTarget
    copy: AccountCopy
    ports: PortsOfCopy
    say: Callable[[str], None]
    policies: Policies | None = None

    def rehearse(self, *, with_crashes: bool) -> Rehearsed:
        """Raises ``RefusedError`` and ``AwsError`` if the copy cannot be planned, whatever is
        allowed."""
        self.say("applying the plan to the copy")
        log = Log("apply")
        made = self._applied(log)
        logs = [log]
        if not made.is_well and log.denied:
            self.say("looking for what else would be denied")
            logs.append(self._beyond())
        # Where something is denied, each death would tell just that again.
        elif with_crashes:
            recovery = Log("recovery")
            made = replace(made, crashes=self._crashes(made.writes, recovery))
            logs.append(recovery)
        return made if self.policies is None else self._with_access(made, self.policies, logs)

    def _applied(self, log: Log) -> Rehearsed:
        with self._copied() as (world, clock):
            life = Life(clock)
            ports = self._following(self.ports(life))
            with self._enforced(world, log):
                planned, stopped = self._planned_within(ports)
                watch, began = Watch(world, ports.run, life), clock.now()
                applied = self._to_the_end(planned, ports) if planned and not stopped else None
            watch.end()
            after = {  # by instance, the role whose credentials it is served
                InstanceKey(str(c["region"]), str(c["instance"])): c["role"]
                for c in credentials(world)
            }
            took = clock.now() - began
            remaining = self._remaining(clock) if self.policies else ()
        traces = sorted(watch.traces.values(), key=lambda trace: (trace.at, trace.key))
        wanted = digest_of((self.target.plan,), self.planned.plan.owner)
        return Rehearsed(
            target=self.target,
            copy=self.copy,
            is_same_plan=planned is not None and planned.plan.digest == wanted,
            applied=applied,
            instances=tuple(self._instance(trace, after.get(trace.key)) for trace in traces),
            writes=len(watch.writes),
            took=took,
            about=estimate((planned or self.planned).plan).about,
            remaining=remaining,
            stopped=stopped,
        )

    def _instance(self, trace: InstanceTrace, after: str | None) -> InstanceResult:
        """A copy begins with what profiles have, which after a swap by hand is not what their
        instances are served."""
        context = self.target.context
        live = context.live.instances.get(trace.key) if context is not None else None
        if context is None or live is None:
            return InstanceResult(trace, None, after, "it was not read")
        found = served(live, context)
        unknown = found.because if found.status == "unknown" else ""
        return InstanceResult(trace, found.role, after, unknown)

    def _planned_within(self, ports: RunPorts) -> tuple[Planned | None, str]:
        """The plan of the copy, and why ``apply`` would not begin with it: with policies, a read
        that they deny is no failure of the rehearsal."""
        try:
            planned = self._plan(ports)
        except (AwsError, RefusedError) as error:
            if self.policies is None:
                raise
            return None, str(error)
        if self.policies is None:
            return planned, ""
        if planned.plan.conflicts or planned.plan.guards:
            return planned, "what could not be read brings conflicts or guards"
        if planned.plan.is_whole:
            return planned, ""
        unread: dict[str, None] = {}
        for one in planned.plan.unread:
            where = f" in {one.region}" if one.region else ""
            unread[f"{one.address}{where}: {one.reason}"] = None
        return planned, "; ".join(["not everything could be planned", *unread])

    def _remaining(self, clock: Clock) -> tuple[str, ...]:
        # What was to be refreshed would be so again.
        again = replace(self.planned, request=asked_once(self.planned.request))
        left = self._plan(self.ports(clock), again).plan
        return tuple(dict.fromkeys(str(change.address) for change in left.changes))

    def _beyond(self) -> Log:
        """What is asked for in an apply to which nothing is denied."""
        log = Log("beyond")
        with self._copied() as (world, clock):
            ports = self.ports(Life(clock))
            with self._enforced(world, log, refuses=False):
                self._to_the_end(self._plan(ports), ports)
        return log

    def _with_access(self, made: Rehearsed, policies: Policies, logs: list[Log]) -> Rehearsed:
        outcomes = made.applied.result.outcomes if made.applied else ()
        found = tuple(
            replace(one, is_needed=not made.is_well and not one.is_optional)
            for one in denials(logs, outcomes)
        )
        plan, settings = self.target.plan, self.target.spec.settings
        account = plan.identity.account_id
        scope = PermissionScope(PARTITION, account, None, plan.owner, settings.tag_prefix)
        questions = sum(len(log.answers) for log in logs[:1])
        access = Access(policies, found, questions, allowing(found, scope))
        return replace(made, access=access)

    def _enforced(
        self, world: World, log: Log, *, refuses: bool = True
    ) -> AbstractContextManager[None]:
        who = self.target.plan.identity.arn
        return enforced(world, self.policies, who, log, refuses=refuses)

    def _following(self, ports: RunPorts) -> RunPorts:
        return replace(ports, progress=Following(ports.progress))

    def _crashes(self, writes: int, log: Log) -> CrashResult:
        unrecovered, longest = [], 0.0
        for number in range(1, writes + 1):
            self.say(f"killing the apply after write {number} of {writes}")
            with self._copied() as (world, clock):
                life = Life(clock)
                ports = self.ports(life)
                watch = Watch(world, ports.run, life, dies_after=number)
                with self._enforced(world, log):
                    problem = self._killed(watch, ports)
                longest = max(longest, watch.longest)
                if problem:
                    call = watch.writes[-1].name if watch.writes else "nothing"
                    unrecovered.append(Unrecovered(number, call, problem))
        return CrashResult(writes, tuple(unrecovered), longest)

    def _killed(self, watch: Watch, ports: RunPorts) -> str:
        """Empty if the apply that follows the death ends well."""
        with suppress(Killed):
            self._to_the_end(self._plan(ports), ports)
        watch.life.is_over = True
        # What was to be refreshed is marked, so the next run needs no flag for it.
        again = replace(self.planned, request=asked_once(self.planned.request))
        following = self.ports(watch.world.clock)
        try:
            applied = self._to_the_end(self._plan(following, again), following)
        except (AwsError, RefusedError) as error:
            return str(error)
        watch.end()
        if applied.exit_code is ExitCode.OK:
            return ""
        broken = [o for o in applied.result.outcomes if o.status != "applied"]
        said = "; ".join(f"{o.address} {o.what}: {o.reason}" for o in broken)
        return said or "the plan made afterwards is not empty"

    def _to_the_end(self, planned: Planned, ports: RunPorts) -> Applied:
        """At a checkpoint it is applied again, until all of it is done."""
        again = replace(self.planned, request=asked_once(self.planned.request))
        applied = Apply(planned, ports).execute()
        while applied.result.is_at_checkpoint:
            applied = Apply(self._plan(ports, again), ports).execute()
        return applied

    @contextmanager
    def _copied(self) -> Iterator[tuple[World, JumpingClock]]:
        # Marks in AWS have the time of day in them.
        clock = JumpingClock(time.time())
        world = World(clock=clock, lags=LIKE_AWS)
        with embedded(world), tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "account.yaml"
            path.write_text(self.copy.text, "utf-8")
            made, file = seed.load(path)
            plant(made, world, file)
            self._all_well(world)
            yield world, clock

    def _all_well(self, world: World) -> None:
        """What a roll-out watches is not copied: no alarm rings on the copy, and every target is
        healthy."""
        account = self.target.plan.identity.account_id
        for cutover in self.target.plan.preview:
            for alarm in map(alarm_of, cutover.limits.checks.alarms):
                for region in cutover.home_regions if alarm.region is None else (alarm.region,):
                    world.alarms[account, region, alarm.name] = Alarm("OK")
            for group in map(group_of, cutover.limits.checks.target_groups):
                if group is not None and group.region is not None:
                    world.targets[account, group.region, group.name, NOBODY] = Target("healthy")

    def _plan(self, ports: RunPorts, planned: Planned | None = None) -> Planned:
        return plan_copy(planned or self.planned, self.target, ports)
