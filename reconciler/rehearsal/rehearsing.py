"""Applies the plan of one target to a copy of its account, and kills that apply at every write."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path

from reconciler.commands.apply import Applied, Apply
from reconciler.commands.plan import plan_copy
from reconciler.commands.planned import Planned, PlannedTarget
from reconciler.commands.request import RunPorts
from reconciler.errors import AwsError, RefusedError
from reconciler.executor.estimate import estimate
from reconciler.exit_codes import ExitCode
from reconciler.model.ownership import InstanceKey
from reconciler.plan.plan import digest_of
from reconciler.ports import Clock
from reconciler.rehearsal.copying import AccountCopy
from reconciler.rehearsal.watching import InstanceTrace, Killed, Life, Watch
from reconciler.sandbox import seed
from reconciler.sandbox.embedded import JumpingClock, embedded
from reconciler.sandbox.fault_config import LIKE_AWS
from reconciler.sandbox.plant import plant
from reconciler.sandbox.server import credentials
from reconciler.sandbox.state import World

PortsOfCopy = Callable[[Clock], RunPorts]
"""The ports of a new run on the copy."""


@dataclass(frozen=True, slots=True)
class InstanceResult:
    """``before`` and ``after`` are the roles whose credentials it was served."""

    trace: InstanceTrace
    before: str | None
    after: str | None


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
    seconds."""

    target: PlannedTarget
    copy: AccountCopy
    is_same_plan: bool
    applied: Applied
    instances: tuple[InstanceResult, ...]
    writes: int
    took: float
    about: float
    crashes: CrashResult | None = None

    @property
    def is_well(self) -> bool:
        return (
            self.is_same_plan
            and self.applied.exit_code is ExitCode.OK
            and (self.crashes is None or not self.crashes.unrecovered)
        )


@dataclass(frozen=True, slots=True)
class Stage:
    """One target, the copy of its account, and how runs on the copy are made. ``say`` is told how
    far the rehearsal is."""

    planned: Planned
    target: PlannedTarget
    copy: AccountCopy
    ports: PortsOfCopy
    say: Callable[[str], None]

    def rehearse(self, *, with_crashes: bool) -> Rehearsed:
        """Raises ``RefusedError`` and ``AwsError`` if the copy cannot be planned."""
        self.say("applying the plan to the copy")
        with self._copied() as (world, clock):
            before = _served(world)
            life = Life(clock)
            ports = self.ports(life)
            planned = self._plan(ports)
            watch, began = Watch(world, ports.run, life), clock.now()
            applied = Apply(planned, ports).execute()
            watch.end()
            after = _served(world)
            took = clock.now() - began
        traces = sorted(watch.traces.values(), key=lambda trace: (trace.at, trace.key))
        wanted = digest_of((self.target.plan,), self.planned.plan.owner)
        return Rehearsed(
            target=self.target,
            copy=self.copy,
            is_same_plan=planned.plan.digest == wanted,
            applied=applied,
            instances=tuple(InstanceResult(t, before.get(t.key), after.get(t.key)) for t in traces),
            writes=len(watch.writes),
            took=took,
            about=estimate(planned.plan).about,
            crashes=self._crashes(len(watch.writes)) if with_crashes else None,
        )

    def _crashes(self, writes: int) -> CrashResult:
        unrecovered, longest = [], 0.0
        for number in range(1, writes + 1):
            self.say(f"killing the apply after write {number} of {writes}")
            with self._copied() as (world, clock):
                life = Life(clock)
                ports = self.ports(life)
                watch = Watch(world, ports.run, life, dies_after=number)
                problem = self._killed(watch, ports)
                longest = max(longest, watch.longest)
                if problem:
                    call = watch.writes[-1].name if watch.writes else "nothing"
                    unrecovered.append(Unrecovered(number, call, problem))
        return CrashResult(writes, tuple(unrecovered), longest)

    def _killed(self, watch: Watch, ports: RunPorts) -> str:
        """Empty if the apply that follows the death ends well."""
        with suppress(Killed):
            Apply(self._plan(ports), ports).execute()
        watch.life.is_over = True
        # What was to be refreshed is marked, so the next run needs no flag for it.
        again = replace(self.planned, request=replace(self.planned.request, refresh=()))
        following = self.ports(watch.world.clock)
        try:
            applied = Apply(self._plan(following, again), following).execute()
        except (AwsError, RefusedError) as error:
            return str(error)
        watch.end()
        if applied.exit_code is ExitCode.OK:
            return ""
        broken = [o for o in applied.result.outcomes if o.status != "applied"]
        said = "; ".join(f"{o.address} {o.what}: {o.reason}" for o in broken)
        return said or "the plan made afterwards is not empty"

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
            yield world, clock

    def _plan(self, ports: RunPorts, planned: Planned | None = None) -> Planned:
        return plan_copy(planned or self.planned, self.target, ports)


def _served(world: World) -> Mapping[InstanceKey, str | None]:
    """By instance, the role whose credentials it is served."""
    return {
        InstanceKey(str(c["region"]), str(c["instance"])): c["role"] for c in credentials(world)
    }
