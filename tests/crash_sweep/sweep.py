"""Kills the program before and after every write of every scenario, applies again, and looks."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path

from tests.crash_sweep.scenarios import SCENARIOS, Scenario
from tests.crash_sweep.stage import Stage, staged


@dataclass(frozen=True)
class Point:
    """One death: before or after the write number ``at``."""

    scenario: int
    at: int
    is_after: bool


@dataclass(frozen=True)
class Ended:
    """``problem`` is empty where all was well; ``longest`` is in seconds."""

    point: Point
    problem: str
    longest: float


def count(number: int) -> int:
    """How many writes the scenario makes when nobody dies."""
    with tempfile.TemporaryDirectory() as folder, staged(SCENARIOS[number], Path(folder)) as stage:
        scenario = SCENARIOS[number]
        code, told = stage.apply_and_die(*scenario.flags)
        assert code == 0, (scenario.name, told)
        problem = "" if scenario.reverted else problem_of(stage)
        assert not problem, (scenario.name, problem)
        return stage.writes


def die(point: Point) -> Ended:
    scenario = SCENARIOS[point.scenario]
    with tempfile.TemporaryDirectory() as folder, staged(scenario, Path(folder)) as stage:
        stage.kill_at, stage.is_after = point.at, point.is_after
        code, told = stage.apply_and_die(*scenario.flags)
        if code != -9:
            return Ended(point, f"was not killed: {code} {told[-300:]}", 0.0)
        stage.kill_at = None
        if scenario.reverted is not None:
            stage.write(scenario.reverted)
        code, told = stage.apply(*scenario.flags)
        if code != 0:
            return Ended(point, f"the next apply ended with {code}: {told[-500:]}", stage.longest)
        return Ended(point, problem_of(stage), stage.longest)


def problem_of(stage: Stage) -> str:
    """What is not as it should be, in words."""
    return "; ".join(_problems(stage, stage.scenario))


def _problems(stage: Stage, scenario: Scenario) -> Iterator[str]:
    if scenario.held is not None:
        yield from _of_instances(stage, scenario)
        yield from _of_the_profile(stage, scenario.held)
    elif stage.iam.list_instance_profiles()["InstanceProfiles"]:
        yield "the profile is still there"
    if stage.iam.get_role(RoleName="theirs")["Role"] != stage.theirs:
        yield "another's role was touched"
    code, told = stage.run("plan", "--detailed-exitcode", "--quiet", *scenario.flags)
    if code != 0:
        yield f"the plan is not empty: {told[-500:]}"


def _of_instances(stage: Stage, scenario: Scenario) -> Iterator[str]:
    served = stage.served()
    for _, instance in sorted(stage.running) or [("", i) for i in stage.fleet]:
        if instance not in served:
            yield f"{instance} is without a profile"
        elif scenario.is_served and served[instance] != scenario.held:
            yield f"{instance} is served {served[instance]}, not {scenario.held}"


def _of_the_profile(stage: Stage, role: str) -> Iterator[str]:
    name = "other" if stage.scenario.name == "move" else "web"
    profile = stage.iam.get_instance_profile(InstanceProfileName=name)["InstanceProfile"]
    held = {r["RoleName"]: r["RoleId"] for r in profile["Roles"]}
    if list(held) != [role]:
        yield f"the profile holds {held}"
        return
    tags = {tag["Key"].removeprefix("reconciler:"): tag["Value"] for tag in profile["Tags"]}
    if any(mark.startswith("in-flight") for mark in tags):
        yield f"instances are noted as in flight: {tags}"
    note = tags["role-id"]
    if note.startswith(("pending", "failed")) or held[role] not in note:
        yield f"the profile's note is {note}"


@dataclass(frozen=True)
class Row:
    """Of the table in ``docs/reliability.md``."""

    name: str
    points: int
    recovered: int
    longest: float


def points(number: int) -> list[Point]:
    return [Point(number, at, late) for at in range(1, count(number) + 1) for late in (False, True)]


def sweep(workers: int) -> Iterator[tuple[Row, list[Ended]]]:
    """Every scenario in turn, with those of its deaths that did not end well."""
    # A sandbox patches moto for its whole process, so each has a process of its own.
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
        planned = list(pool.map(points, range(len(SCENARIOS))))
        for number, scenario in enumerate(SCENARIOS):
            ended = list(pool.map(die, planned[number]))
            broken = [one for one in ended if one.problem]
            longest = max((one.longest for one in ended), default=0.0)
            yield Row(scenario.name, len(ended), len(ended) - len(broken), longest), broken
