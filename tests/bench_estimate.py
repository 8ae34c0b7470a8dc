"""How near the estimate of a plan comes to the time that its apply takes: part of ``make bench``.

On the sandbox, with delays as AWS has them. Where an apply mostly waits, time passes in waits and
in calls alone, so that the machine does not count; where it mostly calls, ten at a time, it is the
time of the machine.
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from moto.core.responses import BaseResponse

from reconciler.executor.estimate import estimate
from reconciler.sandbox.fault_config import Lags
from tests.rig import AWAY, HOME, Rig, rig

LIKE_AWS = Lags(ec2_sees_iam=20.0, associating=5.0, disassociating=5.0, restarting=25.0)
"""Seconds."""
CALL_SECONDS = 0.2
"""What a call takes: one over the network, with the work of IAM or EC2."""
FACTOR = 2.0
"""The estimate is to be neither above so many times the time taken, nor below so many parts."""


@dataclass(frozen=True, slots=True)
class Scenario:
    """``count`` instances in two regions are cut over, with these settings of ``cutover``."""

    name: str
    count: int = 0
    cutover: str = ""
    profiles: int = 1


@dataclass(frozen=True, slots=True)
class Measured:
    """Seconds."""

    about: float
    took: float

    @property
    def ratio(self) -> float:
        return self.about / self.took

    @property
    def is_near(self) -> bool:
        return 1 / FACTOR <= self.ratio <= FACTOR


CUT_OVERS = (
    Scenario("reassociate, 1 instance", 1),
    Scenario("reassociate, 10, one at a time", 10),
    Scenario("reassociate, 10, pause 30s", 10, "pause: 30s"),
    Scenario("reassociate, 40, 25%", 40, "max_unavailable: 25%"),
    Scenario("reassociate, 40, 10 from the start", 40, "canary: 10, max_unavailable: 10"),
    Scenario("hop, 1 instance", 1, "strategy: hop"),
    Scenario("hop, 20, 25%", 20, "strategy: hop, max_unavailable: 25%"),
    Scenario("restart, 1 instance", 1, "strategy: restart"),
    Scenario("restart, 6, two at a time", 6, "strategy: restart, max_unavailable: 2"),
    Scenario("wait, 10 instances", 10, "strategy: wait"),
)
AT_ONCE = Scenario("reassociate, 3 profiles of 4 at once", 4, "max_unavailable: 2", profiles=3)
"""With a short propagation, since this one lasts as long as it takes."""
FIRST_APPLIES = ((1, 0), (10, 0), (30, 0), (10, 30))
"""Roles with a policy and a profile each, and instances that are associated."""


def spec(role: str, scenario: Scenario) -> str:
    profiles = "".join(
        f"  web{n}: {{role: {role}, cutover: {{{scenario.cutover}}}}}\n"
        for n in range(scenario.profiles)
    )
    return f"roles: {{v1: {{trust: ec2}}, v2: {{trust: ec2}}}}\ninstance_profiles:\n{profiles}"


def before(aws: Rig, scenario: Scenario) -> float:
    """Everything that is there before the apply; the estimate of its plan, in seconds."""
    aws.write(spec("v1", scenario))
    aws.settle()
    aws.clock.sleep(60)
    for number in range(scenario.profiles):
        away = scenario.count // 3
        aws.launch(scenario.count - away, profile=f"web{number}")
        if away:
            aws.launch(away, region=AWAY, profile=f"web{number}")
    aws.write(spec("v2", scenario))
    return estimate(aws.plan().plan).about


def cut_over(scenario: Scenario) -> Measured:
    """By the clock that jumps: one thing after the other."""
    with tempfile.TemporaryDirectory() as folder, rig(Path(folder), LIKE_AWS) as aws:
        about = before(aws, scenario)
        aws.aws.after.append(lambda _: aws.clock.sleep(CALL_SECONDS))
        began = aws.clock.now()
        applied(aws)
        return Measured(about, aws.clock.now() - began)


def at_once(scenario: Scenario) -> Measured:
    lags = replace(LIKE_AWS, ec2_sees_iam=5.0)
    with tempfile.TemporaryDirectory() as folder, rig(Path(folder), lags) as aws:
        aws.settings += "propagation: 10s\n"
        return Measured(before(aws, scenario), in_real_time(aws))


def in_real_time(aws: Rig) -> float:
    """Seconds of an apply whose calls take their time, several at once."""
    # Both at the same hour: what happened before is not to come again.
    clock: Any = Shifted(aws.clock.now() - time.time())
    aws.aws.clock = clock
    began = time.monotonic()
    with calls_that_take_their_time():
        applied(replace(aws, clock=clock))
    return time.monotonic() - began


@dataclass(frozen=True, slots=True)
class Shifted:
    """The system's clock, ``seconds`` later."""

    seconds: float

    def now(self) -> float:
        return time.time() + self.seconds

    def sleep(self, seconds: float) -> None:
        time.sleep(seconds)


def applied(aws: Rig) -> None:
    done = aws.apply()
    if not done.result.is_complete:
        raise SystemExit(f"the apply failed: {done.result.outcomes}")


@contextmanager
def calls_that_take_their_time() -> Iterator[None]:
    """Several at once, as AWS answers them: the sandbox itself answers one after the other."""
    inner = BaseResponse.call_action

    def call_action(request: Any) -> Any:
        time.sleep(CALL_SECONDS)
        return inner(request)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(BaseResponse, "call_action", call_action)
        yield


def first_apply(roles: int, instances: int) -> Measured:
    """By the real clock."""
    document = "{Version: 2012-10-17, Statement: [{Effect: Allow, Action: 's3:*', Resource: '*'}]}"
    with tempfile.TemporaryDirectory() as folder, rig(Path(folder), LIKE_AWS) as aws:
        names = aws.launch(instances) if instances else []
        made = "".join(
            f"  r{n}: {{trust: ec2, instance_profile: true, inline_policies: {{p: {document}}}}}\n"
            for n in range(roles)
        )
        links = "".join(
            f"  a{n}: {{instance_profile: r{n % roles}, instances: [{name}]}}\n"
            for n, name in enumerate(names)
        )
        associations = f"associations:\n{links}" if links else ""
        aws.write(f"roles:\n{made}{associations}")
        about = estimate(aws.plan(regions=(HOME,)).plan).about
        return Measured(about, in_real_time(aws))


def rows() -> Iterator[tuple[str, Measured]]:
    for scenario in CUT_OVERS:
        yield scenario.name, cut_over(scenario)
    yield AT_ONCE.name, at_once(AT_ONCE)
    for roles, instances in FIRST_APPLIES:
        associated = f", {instances} instances" if instances else ""
        yield f"first apply, {roles} roles{associated}", first_apply(roles, instances)


def main() -> None:
    """Ends with 1 if an estimate is not within a factor of two."""
    out = sys.stdout
    out.write(f"{'estimate, in seconds':<36} {'about':>6} {'took':>6} {'ratio':>6}\n")
    is_near = True
    for name, measured in rows():
        is_near = is_near and measured.is_near
        off = "" if measured.is_near else "  not within a factor of two"
        out.write(
            f"{name:<36} {measured.about:>6.0f} {measured.took:>6.0f} {measured.ratio:>6.2f}{off}\n"
        )
        out.flush()
    if not is_near:
        raise SystemExit(1)


if __name__ == "__main__":
    main()
