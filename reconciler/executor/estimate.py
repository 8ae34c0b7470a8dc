"""How long carrying out a plan takes: at least, and at most.

Every call, wait and read has a budget, so an apply is bounded. "At most" is when each of them uses
all of it, ten at a time as far as their order allows; a failed canary's way back comes on top.
"""

from __future__ import annotations

from dataclasses import dataclass

from reconciler.executor.observer import OWN_WRITE_LAG_SECONDS
from reconciler.executor.retry_rules import THROTTLE_SECONDS
from reconciler.plan.calls import ApiCall, Wait
from reconciler.plan.plan import Plan, Step, TargetPlan

PARALLELISM = 10
REQUEST_SECONDS = 70.0
"""Seconds to connect, and for a missing response: the last try may start as the budget ends."""
CALL_SECONDS = 2 * (THROTTLE_SECONDS + REQUEST_SECONDS)
"""Seconds for a call and for the observation of its effect: both are retried while throttled."""
SURE = ("propagated",)
"""Waits that always last for their full time, whatever AWS shows."""


@dataclass(frozen=True, slots=True)
class DurationEstimate:
    """Seconds."""

    least: int
    most: int


def estimate(plan: Plan) -> DurationEstimate:
    """Of all targets, which are carried out one after the other."""
    parts = [_of_target(target) for target in plan.targets]
    return DurationEstimate(sum(p.least for p in parts), sum(p.most for p in parts))


def _of_target(target: TargetPlan) -> DurationEstimate:
    steps = target.steps
    waits = [(step.id, step.action) for step in steps if isinstance(step.action, Wait)]
    sure = {number: wait.seconds for number, wait in waits if wait.condition in SURE}
    least = _longest_way(steps, {step.id: sure.get(step.id, 0.0) for step in steps})
    most = {step.id: _most(step) for step in steps}
    longest, whole = _longest_way(steps, most), sum(most.values())
    # Graham's bound for steps that start as soon as they may and a worker is free.
    return DurationEstimate(round(least), round(longest + (whole - longest) / PARALLELISM))


def _longest_way(steps: tuple[Step, ...], seconds: dict[int, float]) -> float:
    """Through the steps, each after those that it names; they are in such an order already."""
    ends: dict[int, float] = {}
    for step in steps:
        begins = max((ends[before] for before in step.after), default=0.0)
        ends[step.id] = begins + seconds[step.id]
    return max(ends.values(), default=0.0)


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


def duration(least: int, most: int) -> str:
    """``1 min (at most 5 h 10 min)``; both in seconds."""
    return f"{in_words(least)} (at most {in_words(most)})" if least else f"at most {in_words(most)}"
