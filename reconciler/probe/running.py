"""Runs experiments, here and on a sandbox in this process."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from reconciler.commands.request import Connection
from reconciler.errors import AwsError, StoppedError
from reconciler.executor.interrupt import Interrupt
from reconciler.model.partitions import IAM_REGIONS
from reconciler.ports import Clock
from reconciler.probe.experiments import Experiment
from reconciler.probe.findings import ProbeObservation, ProbeResult
from reconciler.probe.guard import PROBE_TAG, WriteGuard
from reconciler.probe.lab import Lab, ProbeClock, ProbeLimits
from reconciler.probe.on_instance import EXPERIMENTS
from reconciler.probe.subject import SSM_POLICY, Subject, subject_of
from reconciler.sandbox import seed
from reconciler.sandbox.embedded import JumpingClock, embedded
from reconciler.sandbox.fault_config import LIKE_AWS
from reconciler.sandbox.plant import plant
from reconciler.sandbox.state import World

HOME = "us-east-1"
"""Of the sandbox: where the account is makes no difference to it."""
_A, _B, _INSTANCE, _PROFILE = "role-a", "role-b", "i-0a0a0a0a0a0a0a0a0", "first"
STOPPED = "it was asked to stop"
PortsOfSandbox = Callable[[Clock], Connection]


def place(caller: str, region: str) -> tuple[str, str]:
    """The partition, and the region of calls that have none."""
    partition = caller.split(":")[1]
    return partition, IAM_REGIONS.get(partition, region)


def chosen(also: Sequence[str], only: Sequence[str] = ()) -> tuple[Experiment, ...]:
    """In their order; ``also`` are those that are made only if they are asked for."""
    asked = {*also, *only}
    if only:
        return tuple(one for one in EXPERIMENTS if one.name in asked)
    return tuple(one for one in EXPERIMENTS if not one.asked_for or one.name in asked)


def results(
    lab: Lab, experiments: Sequence[Experiment], told: Callable[[str], None]
) -> Iterator[ProbeResult]:
    """One after the other; what one could not do is no reason not to begin the next. Raises
    ``StoppedError`` once what was found until then is yielded."""
    for one in experiments:
        told(f"{one.name}: {one.does}")
        found: list[ProbeObservation] = []
        lab.silence = ""
        try:
            # Into the list at once: an error takes nothing back.
            for observation in one.run(lab):
                found.append(observation)  # noqa: PERF402
        except StoppedError:
            yield ProbeResult(one.name, "failed", tuple(found), STOPPED)
            raise
        except AwsError as error:
            why = lab.mask(f"{error.code}: {error.message}" if error.code else error.message)
            yield ProbeResult(one.name, "failed", tuple(found), why)
        except (LookupError, TypeError, AttributeError) as error:
            # An answer that is not made as it is known is a finding, and no reason to end.
            why = lab.mask(f"an answer has not the form that it should: {error!r}")
            yield ProbeResult(one.name, "failed", tuple(found), why)
        else:
            yield ProbeResult(one.name, "done", tuple(found))


def lab_of(
    connection: Connection,
    clock: ProbeClock,
    subject: Subject,
    run: str,
    limits: ProbeLimits,
    *,
    may_restart: bool,
) -> Lab:
    roles = frozenset(role.name for role in subject.roles)
    guard = WriteGuard(connection.writer(), subject.instance, roles, may_restart)
    return Lab(subject, guard, clock, connection.evidence(clock), run, limits)


def on_sandbox(
    subject: Subject, ports: PortsOfSandbox, experiments: Sequence[Experiment], limits: ProbeLimits
) -> tuple[ProbeResult, ...]:
    """The same experiments on a sandbox like AWS, whose clock jumps."""
    with _sandbox(subject) as (world, clock):
        connection = ports(world.clock)
        probing = ProbeClock(clock, Interrupt())
        send = connection.writer().send
        there = subject_of(send, HOME, "aws", HOME, _INSTANCE, (_A, _B))
        lab = lab_of(connection, probing, there, "sandbox", limits, may_restart=True)
        lab.begin()
        found = tuple(results(lab, experiments, lambda _: None))
        lab.restore()
        return found


@contextmanager
def _sandbox(subject: Subject) -> Iterator[tuple[World, JumpingClock]]:
    clock = JumpingClock()
    world = World(clock=clock, lags=LIKE_AWS)
    tags = {PROBE_TAG: "yes"}
    names = (_A, _B)
    roles = {}
    for name, role in zip(names, subject.roles, strict=True):
        ssm = [SSM_POLICY] if role.has_ssm else []
        bound = {"permissions_boundary": "all"} if role.has_boundary else {}
        roles[name] = {"tags": tags, "managed_policies": ssm, **bound}
    instance = {"id": _INSTANCE, "region": HOME, "tags": tags, "instance_profile": _PROFILE}
    allow = {"Effect": "Allow", "Action": "*", "Resource": "*"}
    text = {
        "policies": {"all": {"document": {"Version": "2012-10-17", "Statement": [allow]}}},
        "roles": roles,
        "instance_profiles": {_PROFILE: {"role": _A}},
        "instances": [instance],
    }
    with embedded(world), tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "account.yaml"
        path.write_text(json.dumps(text), "utf-8")
        made, file = seed.load(path)
        plant(made, world, file)
        yield world, clock
