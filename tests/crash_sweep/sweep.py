"""Strikes the program at every write of every scenario, applies again, and looks."""

from __future__ import annotations

import random
import subprocess
import tempfile
from collections.abc import Callable, Collection, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from multiprocessing import get_context
from pathlib import Path

from tests.crash_sweep.scenarios import SCENARIOS, Scenario
from tests.crash_sweep.stage import (
    Stage,
    Strike,
    interrupt,
    kill,
    staged,
    start_another,
    start_another_commit,
    start_others,
    terminate,
)

WAYS: dict[str, tuple[Callable[[Stage], None], ...]] = {
    "killed": (kill,),
    "killed twice": (kill,),
    "interrupted": (interrupt, terminate),
    "two at once": (start_another,),
    "beside another owner": (start_others,),
    "beside another commit": (start_another_commit,),
}
ENDINGS = {"killed": -9, "killed twice": -9, "interrupted": 130}


@dataclass(frozen=True)
class Point:
    """What is done to the program before or after its write number ``at``."""

    scenario: int
    at: int
    is_after: bool
    way: str = "killed"

    def __str__(self) -> str:
        when = "after" if self.is_after else "before"
        return f"{SCENARIOS[self.scenario].name}, {self.way} {when} write {self.at}"


@dataclass(frozen=True)
class Ended:
    """``problem`` is empty where all was well; ``longest`` is in seconds."""

    point: Point
    problem: str
    longest: float


def undisturbed(number: int) -> tuple[int, float]:
    """How many writes the scenario makes when nothing happens, and the longest time, in seconds,
    that an instance is without credentials."""
    with tempfile.TemporaryDirectory() as folder, staged(SCENARIOS[number], Path(folder)) as stage:
        scenario = SCENARIOS[number]
        code, told = stage.apply_struck(*scenario.flags)
        # A region that cannot be read is told with another code.
        assert code == scenario.code or stage.denied, (scenario.name, told)
        if stage.denied:
            code, told = stage.apply(*scenario.flags)
            assert code == scenario.code, (scenario.name, told)
        problem = "" if scenario.reverted else problem_of(stage)
        assert not problem, (scenario.name, problem)
        return stage.writes, stage.longest


def struck(point: Point) -> Ended:
    try:
        return _struck(point)
    except subprocess.TimeoutExpired:
        return Ended(point, "it did not come to an end", 0.0)


def _struck(point: Point) -> Ended:
    scenario = SCENARIOS[point.scenario]
    with tempfile.TemporaryDirectory() as folder, staged(scenario, Path(folder)) as stage:
        do = WAYS[point.way][point.at % len(WAYS[point.way])]
        stage.strikes = {point.at: Strike(do, point.is_after)}
        code, told = stage.apply_struck(*scenario.flags)
        beside = stage.wait_for_others()
        wanted = ENDINGS.get(point.way)
        # The last write may be over before a signal is heard.
        if wanted is not None and code not in (wanted, 0 if wanted > 0 else wanted):
            return Ended(point, f"it ended with {code}: {told[-300:]}", 0.0)
        if traces := [text for text in (told, *(t for _, t in beside)) if "Traceback" in text]:
            return Ended(point, traces[0][-500:], 0.0)
        if scenario.reverted is not None:
            stage.write(scenario.reverted)
        if point.way == "killed twice":
            # The same death for the same point: a sweep can be made again.
            at = random.Random(str(point)).randint(1, max(2, point.at))
            stage.strikes = {at: Strike(kill, is_after=at % 2 == 0)}
            stage.apply_struck(*scenario.flags)
            stage.strikes = {}
        by = scenario.resumed_by
        command = by[point.at % len(by)] if by and point.way != "two at once" else None
        code, told = stage.apply(*scenario.flags, command=command)
        if code != scenario.code:
            return Ended(point, f"the next apply ended with {code}: {told[-500:]}", stage.longest)
        problem = problem_of(stage, command or scenario.command)
        if point.way == "beside another owner":
            problem = "; ".join(filter(None, (problem, *_of_others(stage, beside))))
        return Ended(point, problem, stage.longest)


def problem_of(stage: Stage, last: str | None = None) -> str:
    """What is not as it should be, in words, after the command that came last."""
    return "; ".join(_problems(stage, stage.scenario, last or stage.scenario.command))


def _problems(stage: Stage, scenario: Scenario, last: str) -> Iterator[str]:
    names = {
        p["InstanceProfileName"] for p in stage.iam.list_instance_profiles()["InstanceProfiles"]
    }
    if scenario.held is not None:
        yield from _of_instances(stage, scenario)
        yield from _of_the_profile(stage, scenario.held)
    elif "web" in names:
        yield "the profile is still there"
    if shadows := [name for name in names if "hop" in name]:
        yield f"a shadow is still there: {shadows}"
    if stage.iam.get_role(RoleName="theirs")["Role"] != stage.theirs:
        yield "another's role was touched"
    for role in scenario.stays:
        yield from _of_a_role_that_stays(stage, role)
    if stage.elsewhere and stage.served().get(stage.elsewhere) is None and "web" in names:
        yield "the instance elsewhere lost its credentials"
    if scenario.command == "rotate":
        yield from _of_sessions(stage, last)
    if scenario.command in ("apply", "rotate"):
        flags = scenario.flags if scenario.command == "apply" else ()
        code, told = stage.run("plan", "specs", "--detailed-exitcode", "--quiet", *flags)
        if code != 0:
            yield f"the plan is not empty: {told[-500:]}"


def _of_sessions(stage: Stage, last: str) -> Iterator[str]:
    """An apply ends what was begun, and begins nothing; a rotation always gives fresh sessions."""
    issued = stage.sessions()
    fresh = {instance for instance, at in issued.items() if at >= stage.began}
    if fresh != issued.keys() and (fresh or last == "rotate"):
        yield f"{sorted(issued.keys() - fresh)} still have the sessions that they had"
    name = "AWSRevokeOlderSessions"
    if name not in stage.iam.list_role_policies(RoleName="v1")["PolicyNames"]:
        if "--revoke" in stage.scenario.flags and last == "rotate":
            yield "no session was revoked"
        return
    found = stage.iam.get_role_policy(RoleName="v1", PolicyName=name)["PolicyDocument"]
    (statement,) = found["Statement"]
    (since,) = statement["Condition"]["DateLessThan"].values()
    denied = datetime.strptime(since, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC).timestamp()
    if too_old := sorted(i for i, at in issued.items() if at < denied):
        yield f"{too_old} are denied everything"
    if denied < stage.began - 1:
        yield "sessions from before the rotation are not denied"


def _of_a_role_that_stays(stage: Stage, role: str) -> Iterator[str]:
    roles = {found["RoleName"] for found in stage.iam.list_roles()["Roles"]}
    if role not in roles:
        yield f"{role} is gone, and processes may hold its credentials"
        return
    attached = stage.iam.list_attached_role_policies(RoleName=role)["AttachedPolicies"]
    if role == "v2" and not attached:
        yield f"{role} lost its policy"


def _of_instances(stage: Stage, scenario: Scenario) -> Iterator[str]:
    served = stage.served()
    for _, instance in sorted(stage.running) or [("", i) for i in stage.fleet]:
        if instance == stage.elsewhere:
            continue
        if instance not in served:
            yield f"{instance} is without a profile"
        elif scenario.is_served and served[instance] != scenario.held:
            yield f"{instance} is served {served[instance]}, not {scenario.held}"


def _of_the_profile(stage: Stage, role: str) -> Iterator[str]:
    name = "other" if stage.scenario.name.startswith("move") else "web"
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


def _of_others(stage: Stage, beside: list[tuple[int, str]]) -> Iterator[str]:
    """The other owner got what it wanted, and keeps it."""
    yield from (
        f"the other's apply ended with {code}: {told[-300:]}" for code, told in beside if code
    )
    code, told = stage.run("drift", "others", "--quiet")
    if code != 0:
        yield f"the other's world drifted: {told[-300:]}"
    if stage.served().get(stage.others) != "others":
        yield "the other's instance does not hold its role"


@dataclass(frozen=True)
class Row:
    """Of the table in ``docs/reliability.md``: points by the way of striking, and how many of all
    ended well. ``undisturbed`` and ``longest`` are seconds that an instance was without credentials,
    when nothing happened and at the worst."""

    name: str
    points: dict[str, int]
    recovered: int
    undisturbed: float
    longest: float


def points(number: int, writes: int) -> list[Point]:
    """A death before and after every write; the rest at some of them."""
    every = range(1, writes + 1)
    if SCENARIOS[number].other_commit is not None:
        return [
            Point(number, at, late, "beside another commit")
            for at in every
            for late in (False, True)
        ]
    made = [Point(number, at, late) for at in every for late in (False, True)]
    made += [Point(number, at, at % 4 == 0, "killed twice") for at in every[::2]]
    made += [Point(number, at, at % 4 < 2, "interrupted") for at in every[1::2]]
    made += [Point(number, at, False, "two at once") for at in every[::5]]
    made += [Point(number, at, False, "beside another owner") for at in every[1::8]]
    return made


def sweep(workers: int, names: Collection[str]) -> Iterator[tuple[Row, list[Ended]]]:
    """Every scenario in turn, or those of these names, with those of its points that did not end
    well."""
    chosen = [n for n, one in enumerate(SCENARIOS) if not names or one.name in names]
    # A sandbox patches moto for its whole process, so each has a process of its own.
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
        calm = list(pool.map(undisturbed, chosen))
        for number, (writes, bare) in zip(chosen, calm, strict=True):
            planned = points(number, writes)
            ended = list(pool.map(struck, planned))
            broken = [one for one in ended if one.problem]
            by_way = {way: sum(p.way == way for p in planned) for way in WAYS}
            longest = max((one.longest for one in ended), default=0.0)
            name, well = SCENARIOS[number].name, len(ended) - len(broken)
            yield Row(name, by_way, well, bare, longest), broken
