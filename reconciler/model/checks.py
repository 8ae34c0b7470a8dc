"""What is watched while a cut-over goes on: alarms, the health of targets, refused calls; and what
proves that a batch has the role."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

from reconciler.model.evidence import Source

_ALARM_ARN = re.compile(r"arn:[a-z0-9-]+:cloudwatch:([a-z0-9-]+):([0-9]{12}):alarm:(.+)", re.DOTALL)
_GROUP_ARN = re.compile(
    r"arn:[a-z0-9-]+:elasticloadbalancing:([a-z0-9-]+):([0-9]{12}):targetgroup/([^/]+)/[0-9a-f]+"
)


@dataclass(frozen=True, slots=True)
class InRegion:
    """Something of CloudWatch or of a load balancer: ``name`` is that of an alarm, or the ARN of a
    target group. ``region`` is ``None`` for an alarm that is given by its name alone, which is in
    the regions of the target; ``account_id`` is ``None`` then as well."""

    region: str | None
    name: str
    account_id: str | None = None


@dataclass(frozen=True, slots=True)
class DeniedLimit:
    """How many calls may be denied to an instance in ``window_seconds`` after it got the new role,
    without those of which the same action on the same resource was denied as long before."""

    most: int = 0
    window_seconds: int = 300


@dataclass(frozen=True, slots=True)
class Checks:
    """``alarms`` are names or ARNs, ``target_groups`` ARNs."""

    alarms: tuple[str, ...] = ()
    target_groups: tuple[str, ...] = ()
    denied: DeniedLimit | None = None

    def __bool__(self) -> bool:
        return bool(self.alarms or self.target_groups or self.denied)


@dataclass(frozen=True, slots=True)
class Verify:
    """After each batch: where evidence of the role that its instances are served is looked for, how
    long, and what becomes of the run if there is none by then. Without sources nothing is."""

    sources: tuple[Source, ...] = ()
    timeout_seconds: int = 600
    on_unknown: Literal["continue", "stop"] = "continue"

    def __bool__(self) -> bool:
        return bool(self.sources)


def alarm_of(text: str) -> InRegion:
    """An alarm by its ARN, or by its name."""
    found = _ALARM_ARN.fullmatch(text)
    return InRegion(None, text) if found is None else InRegion(found[1], found[3], found[2])


def group_of(arn: str) -> InRegion | None:
    """``None`` for what is not the ARN of a target group."""
    found = _GROUP_ARN.fullmatch(arn)
    return None if found is None else InRegion(found[1], arn, found[2])


def group_name(arn: str) -> str:
    """A target group as people know it."""
    found = _GROUP_ARN.fullmatch(arn)
    return arn if found is None else found[3]
