"""One seeded run: random states, applied to a sandbox that misbehaves in a random mixture."""

from __future__ import annotations

import json
import random
import tempfile
import traceback
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from reconciler.commands.apply import Applied
from reconciler.errors import AwsError, RefusedError
from reconciler.executor.outcomes import Outcome
from reconciler.sandbox.fault_config import Chaos, mixture
from tests.rig import ACCOUNT, AWAY, HOME, Rig, rig
from tests.soak.states import state

APPLIES = 2
OURS = "reconciler/"


@dataclass
class Ended:
    """``applies`` is how many it took for the last state, 0 where it did not come to an end while
    AWS misbehaved. ``problems`` must be empty: what was lost, or not said."""

    seed: int
    applies: int = 0
    errors: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    seconds: float = 0.0
    """The longest apply, in the sandbox's time."""
    is_stuck: bool = False
    """Whether something is denied, or credentials expire: no run gets past that by itself."""
    trace: str = ""


@dataclass
class Soak:
    aws: Rig
    chaos: Chaos
    ended: Ended
    had_profile: set[tuple[str, str]] = field(default_factory=set)

    def bring(self, spec: dict[str, Any]) -> None:
        """Applies while AWS misbehaves, twice at most; then once more while it does not."""
        self.aws.write(json.dumps(spec))
        self.ended.applies = 0
        for number in range(1, APPLIES + 1):
            self.aws.aws.chaos = self.chaos
            done = self._apply()
            self.aws.aws.chaos = Chaos()
            # Whoever runs it next has signed in again.
            self.chaos = replace(self.chaos, expires_after=None)
            self._nobody_is_lost(f"after apply {number}")
            if done and self._is_settled():
                self.ended.applies = number
                break
            # Whoever runs it next has read the error first.
            self.aws.clock.sleep(30)
        else:
            if not self._apply() or not self._is_settled():
                self.ended.problems.append("an apply on a calm AWS did not end it")
        self._is_as_wanted(spec)

    def _apply(self) -> bool:
        began = self.aws.clock.now()
        try:
            applied = self.aws.apply(prune=True, allow=self._lifted())
        except (AwsError, RefusedError) as error:
            self._named(error)
            return False
        finally:
            self.ended.seconds = max(self.ended.seconds, self.aws.clock.now() - began)
        self._told(applied)
        unread = [target.plan.unread for target in applied.planned.targets]
        self.ended.errors += [f"{str(u.address)!s}: {u.reason}" for found in unread for u in found]
        return applied.exit_code == 0

    def _lifted(self) -> frozenset[tuple[str, str]]:
        """What a person read in the plan, on a calm day: the guards of this very plan."""
        chaos, self.aws.aws.chaos = self.aws.aws.chaos, Chaos()
        guards = self.aws.plan(prune=True).plan.guards
        self.aws.aws.chaos = chaos
        lifts = [g.lift.removeprefix("--allow ").split("=", 1) for g in guards]
        # The counts are those of a plan made from reads that may be stale, so they are lifted whole.
        return frozenset({("change", "*"), ("delete", "*"), *((k, v) for k, v in lifts)})

    def _named(self, error: AwsError | RefusedError) -> None:
        self.ended.errors.append(str(error))
        if isinstance(error, AwsError) and not (error.call and error.code):
            self.ended.problems.append(f"an error that names no call: {error}")

    def _told(self, applied: Applied) -> None:
        """A failure names address, call, code, request and what is left."""
        for outcome in applied.result.outcomes:
            if outcome.status == "failed":
                self.ended.errors.append(f"{str(outcome.address)!s}: {outcome.reason}")
                if problem := _untold(outcome):
                    self.ended.problems.append(problem)

    def _is_settled(self) -> bool:
        self.aws.clock.sleep(1)
        return self.aws.plan(prune=True).plan.is_empty

    def _nobody_is_lost(self, when: str) -> None:
        """Whoever runs and had a profile has one, or stands noted in one: the next run finds it."""
        flying = self._in_flight()
        for region, instance in sorted(self.had_profile):
            if self.aws.aws.staying(ACCOUNT, region, instance) or f"{region}/{instance}" in flying:
                continue
            self.ended.problems.append(f"{when}: {instance} is without a profile, and not noted")

    def _in_flight(self) -> set[str]:
        found: set[str] = set()
        for name in self.aws.names()["profiles"]:
            for key, value in self.aws.profile_tags(name).items():
                if "in-flight" in key:
                    found.update(word.removesuffix("/start") for word in value.split())
        return found

    def _is_as_wanted(self, spec: dict[str, Any]) -> None:
        self.aws.clock.sleep(60)
        if left := self._in_flight():
            self.ended.problems.append(f"noted as in flight still: {sorted(left)}")
        for name, profile in spec["instance_profiles"].items():
            self._is_true(name, profile["role"])
        for region, instance in sorted(self.had_profile):
            profile_name = self.aws.profile_of(instance, region)
            wanted = spec["instance_profiles"].get(profile_name or "")
            if wanted and self._runs(instance, region):
                served = self.aws.served(instance, region)
                if served != wanted["role"]:
                    text = f"{instance} in {profile_name} is served {served}, not {wanted['role']}"
                    self.ended.problems.append(text)

    def _is_true(self, profile: str, role: str) -> None:
        if self.aws.role_in(profile) != role:
            self.ended.problems.append(f"{profile} holds {self.aws.role_in(profile)}, not {role}")
            return
        note = self.aws.profile_tags(profile).get("reconciler:role-id")
        if note != self.aws.role_id(role):
            self.ended.problems.append(f"{profile} is noted as {note}")

    def _runs(self, instance: str, region: str) -> bool:
        found = self.aws.ec2(region).describe_instances(InstanceIds=[instance])
        return str(found["Reservations"][0]["Instances"][0]["State"]["Name"]) == "running"


def _untold(outcome: Outcome) -> str:
    text = f"{outcome.what}: {outcome.reason}"
    if not str(outcome.address) or ":" not in outcome.reason:
        return f"an outcome that does not say what failed: {outcome}"
    if outcome.what == "cut-over" and not outcome.remaining:
        return f"an outcome that does not say what is left: {text}"
    return ""


def soak(seed: int) -> Ended:
    dice = random.Random(seed)
    lags, chaos = mixture(seed, with_denials=dice.random() < 0.3)
    ended = Ended(seed, is_stuck=bool(chaos.denied or chaos.expires_after))
    with (
        tempfile.TemporaryDirectory() as folder,
        rig(Path(folder), lags, seed) as aws,
    ):
        fleet = aws.launch(2, tags={"app": "web"})
        made = Soak(aws, replace(chaos, only=OURS), ended)
        first, second = state(dice), state(dice)
        made.bring(first)
        for region in dice.sample([HOME, AWAY], dice.randint(0, 2)):
            profile = dice.choice(sorted(first["instance_profiles"]))
            aws.clock.sleep(60)
            made.had_profile.update(
                (region, i) for i in aws.launch(1, region=region, profile=profile)
            )
        if dice.random() < 0.3:
            aws.ec2().stop_instances(InstanceIds=fleet[:1])
            fleet = fleet[1:]
        made.had_profile.update((HOME, i) for i in fleet if aws.profile_of(i))
        aws.clock.sleep(8 * 3600)
        made.bring(keeping(first, second, dice))
    return ended


def soak_safely(seed: int) -> Ended:
    """A traceback is a result, and a bad one."""
    try:
        return soak(seed)
    except Exception:  # noqa: BLE001 - whatever it is, it is told
        return Ended(seed, trace=traceback.format_exc())


def keeping(first: dict[str, Any], second: dict[str, Any], dice: random.Random) -> dict[str, Any]:
    """The second state with the first one's profiles, so that no running instance is to lose its
    own: that would be wanted, and not lost."""
    roles = sorted(second["roles"])
    for name, profile in first["instance_profiles"].items():
        second["instance_profiles"].setdefault(name, {**profile, "role": dice.choice(roles)})
    if "associations" in first and "associations" not in second:
        second["associations"] = first["associations"]
    return second
