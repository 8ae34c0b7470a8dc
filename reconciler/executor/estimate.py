"""How long carrying out a plan takes: about, at least, and at most.

"About" counts each step with what it usually takes.
Every call, wait and read has a budget, so an apply is bounded. "At most" is when each of them uses
all of it, ten at a time as far as their order allows; a failed canary's way back comes on top.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from heapq import heapreplace

from reconciler.executor.observer import OWN_WRITE_LAG_SECONDS
from reconciler.executor.retry_rules import THROTTLE_SECONDS
from reconciler.plan.calls import ApiCall, Condition, Wait
from reconciler.plan.cut_over import CutOver
from reconciler.plan.plan import Plan, Step, TargetPlan

PARALLELISM = 10
TARGETS = 8
"""How many of each go on at a time, where no flag says otherwise."""
REQUEST_SECONDS = 70.0
"""Seconds to connect, and for a missing response: the last try may start as the budget ends."""
CALL_SECONDS = 2 * (THROTTLE_SECONDS + REQUEST_SECONDS)
"""Seconds for a call and for the observation of its effect: both are retried while throttled."""
SURE = ("propagated", "baked")
"""Waits that always last for their full time, whatever AWS shows."""


USUAL_CALL_SECONDS = 0.3
USUAL_SECONDS: Mapping[Condition, float] = {
    "gone": 5.0,
    "associated": 5.0,
    "stable": 20.0,
    "stopped": 40.0,
    "running": 20.0,
    "verified": 60.0,
}
"""What the waits usually take; evidence of CloudTrail takes longer, of the metadata
service less. No page of AWS says it, and it was not measured on AWS;
``tests/executor/test_estimate.py`` compares the estimate with the sandbox at such delays."""


@dataclass(frozen=True, slots=True)
class DurationEstimate:
    """Seconds."""

    about: int
    least: int
    most: int


def estimate(plan: Plan) -> DurationEstimate:
    """Of all targets, of which so many are carried out at a time."""
    parts = [_of_target(target) for target in plan.targets]
    return DurationEstimate(
        round(_side_by_side((p.about for p in parts), TARGETS)),
        round(_side_by_side((p.least for p in parts), TARGETS)),
        round(_side_by_side((p.most for p in parts), TARGETS)),
    )


def _of_target(target: TargetPlan) -> DurationEstimate:
    steps = target.steps
    waits = [(step.id, step.action) for step in steps if isinstance(step.action, Wait)]
    sure = {number: wait.seconds for number, wait in waits if wait.condition in SURE}
    least, _ = _longest_way(steps, {step.id: sure.get(step.id, 0.0) for step in steps}, {})
    about = _in_parallel(target, steps, dict(_usual(steps)))
    most = _in_parallel(target, steps, {step.id: _most(step) for step in steps})
    return DurationEstimate(round(max(about, least)), round(least), round(most))


def _in_parallel(target: TargetPlan, steps: tuple[Step, ...], seconds: dict[int, float]) -> float:
    """Graham's bound for steps that start as soon as they may, where calls need a free worker and
    waits do not; no less than the cut-overs, of which so many begin at a time, need."""
    is_call = {step.id: isinstance(step.action, ApiCall) for step in steps}
    longest, on_it = _longest_way(steps, seconds, is_call)
    calls = sum(seconds[number] for number, yes in is_call.items() if yes) - on_it
    cutovers = _side_by_side(_of_cutovers(target, seconds), target.most_cutovers)
    return max(longest, cutovers) + calls / PARALLELISM


def _side_by_side(each: Iterable[float], number: int) -> float:
    """Seconds until all are over, if so many go on at a time and each begins as soon as it can."""
    slots = [0.0] * number
    for one in each:
        heapreplace(slots, slots[0] + one)
    return max(slots)


def _of_cutovers(target: TargetPlan, seconds: Mapping[int, float]) -> list[float]:
    """Seconds of each cut-over, all of whose steps come one after the other."""
    found: list[float] = []
    number = 0
    for ordered in target.work:
        action = ordered.pending.action
        count = len(target.preview.get(action, ())) if isinstance(action, CutOver) else 1
        if isinstance(action, CutOver):
            found.append(sum(seconds[n] for n in range(number + 1, number + count + 1)))
        number += count
    return found


def _longest_way(
    steps: tuple[Step, ...], seconds: Mapping[int, float], is_call: Mapping[int, bool]
) -> tuple[float, float]:
    """Seconds through the steps, each after those that it names, and those of calls among them. The
    steps are in such an order already."""
    ends: dict[int, tuple[float, float]] = {}
    for step in steps:
        begins, calls = max((ends[before] for before in step.after), default=(0.0, 0.0))
        lasts = seconds[step.id]
        ends[step.id] = begins + lasts, calls + (lasts if is_call.get(step.id) else 0.0)
    return max(ends.values(), default=(0.0, 0.0))


def _usual(steps: tuple[Step, ...]) -> Iterator[tuple[int, float]]:
    """Seconds by the id of the step. A plan lists the instances of a batch one after the other, but
    what it waits for passes for all of them at once."""
    last: Condition | None = None
    for step in steps:
        if not isinstance(step.action, Wait):
            yield step.id, USUAL_CALL_SECONDS
            continue
        condition = step.action.condition
        usual = USUAL_SECONDS.get(condition)
        lasts = step.action.seconds if usual is None else min(usual, step.action.seconds)
        yield step.id, 0.0 if usual is not None and condition == last else lasts
        last = condition


def _most(step: Step) -> float:
    match step.action:
        case Wait(seconds=seconds):
            return seconds
        case ApiCall(service="iam"):
            return CALL_SECONDS + OWN_WRITE_LAG_SECONDS
        case _:
            return CALL_SECONDS


def in_words(seconds: int) -> str:
    """``95`` is ``1 min 35 s``; beyond an hour seconds are left out."""
    hours, rest = divmod(seconds, 3600)
    minutes, left = divmod(rest, 60)
    if hours:
        return f"{hours} h {minutes} min"
    if minutes:
        return f"{minutes} min" + (f" {left} s" if left else "")
    return f"{left} s"


def about_in_words(seconds: int) -> str:
    """``less than a minute``, ``about 2 min``, ``about 1 h 20 min``."""
    if seconds < 60:
        return "less than a minute"
    minutes = round(seconds / 60)
    return f"about {in_words(minutes * 60)}"


def duration(found: DurationEstimate, *, is_full: bool = False) -> str:
    """``about 2 min``; with ``is_full`` the bound as well."""
    about = about_in_words(found.about)
    return f"{about} (at most {in_words(found.most)})" if is_full else about
