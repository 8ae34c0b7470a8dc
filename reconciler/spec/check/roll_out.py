"""How a profile wants its instances cut over: shares that ascend, things to watch that can be, and
a strategy under which they mean something."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

from reconciler.diagnostics import Diagnostic
from reconciler.model.checks import Checks, alarm_of, group_of
from reconciler.model.resources import RollOut
from reconciler.spec.desired import DesiredProfile, Place

ALARM_NAME_LENGTH = 255
"""Source: docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_MetricAlarm.html"""
LONGEST_WINDOW_SECONDS = 6 * 3600


def check_roll_out(entity: DesiredProfile) -> Iterator[Diagnostic]:
    limits, place = entity.limits, entity.place
    for number, (before, after) in enumerate(pairwise(limits.checkpoints), start=1):
        if after <= before:
            message = f"checkpoints ascend, and {after}% comes after {before}%"
            yield _error("invalid-checkpoint", message, place, "checkpoints", number)
    yield from _names(limits.checks, place)
    yield from _strategy(limits, place)
    yield from _times(limits, place)


def _error(code: str, message: str, place: Place, *at: str | int) -> Diagnostic:
    return Diagnostic("error", code, message, place.at("cutover", *at))


def _names(checks: Checks, place: Place) -> Iterator[Diagnostic]:
    for number, text in enumerate(checks.alarms):
        at = ("checks", "alarms", number)
        if not 1 <= len(alarm_of(text).name) <= ALARM_NAME_LENGTH:
            message = f"the name of an alarm has 1 to {ALARM_NAME_LENGTH} characters"
            yield _error("invalid-name", message, place, *at)
        elif text.startswith("arn:") and alarm_of(text).region is None:
            message = f"{text!r} is not the ARN of a CloudWatch alarm"
            yield _error("invalid-arn", message, place, *at)
    for number, text in enumerate(checks.target_groups):
        if group_of(text) is None:
            message = f"{text!r} is not the ARN of a target group"
            yield _error("invalid-arn", message, place, "checks", "target_groups", number)
    window = checks.denied.window_seconds if checks.denied else 1
    if not 1 <= window <= LONGEST_WINDOW_SECONDS:
        message = "the window is from 1s to 6h: credentials of an instance last six hours"
        yield _error("invalid-duration", message, place, "checks", "denied", "window")


def _strategy(limits: RollOut, place: Place) -> Iterator[Diagnostic]:
    given = {
        "bake": limits.bake_seconds,
        "checkpoints": limits.checkpoints,
        "checks": limits.checks,
        "verify": limits.verify,
    }
    if limits.strategy == "wait":
        for key in (name for name, value in given.items() if value):
            message = f"strategy wait refreshes no instance, so {key} would never be looked at"
            yield _error("unused-check", message, place, key)
    if limits.strategy == "hop" and limits.checkpoints:
        message = (
            "strategy hop has no checkpoints: until the next apply, instances would stay on the "
            "temporary profile"
        )
        yield _error("unused-check", message, place, "checkpoints")


def _times(limits: RollOut, place: Place) -> Iterator[Diagnostic]:
    """Warns of checks that are made before there is anything to see."""
    denied, here = limits.checks.denied, place.at("cutover", "checks")
    if not limits.checks or limits.strategy == "wait":
        return
    if not limits.bake_seconds:
        message = "without bake, checks are made once, as soon as a batch has ended"
        yield Diagnostic("warning", "no-bake", message, here, "give the first batch time: bake: 5m")
    elif denied is not None and limits.bake_seconds < denied.window_seconds:
        message = "bake is shorter than the window of denied calls, so that not all of it is seen"
        hint = "CloudTrail also has events minutes late: let bake be 5m longer than the window"
        yield Diagnostic("warning", "no-bake", message, here, hint)
