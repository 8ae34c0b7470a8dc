"""The knobs of a sandbox that behaves as badly as AWS, and mixtures of them, drawn from a seed."""

from __future__ import annotations

import random
import re
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Literal

Broken = Literal["reset", "timeout", "refused"]
"""How a connection ends without an answer; one that is refused was never made."""


@dataclass(frozen=True, slots=True)
class Outage:
    """For ``seconds`` no connection is made. It begins so many ``calls`` after the first one, or
    ``starts_after`` so many seconds, or when an ``operation`` was answered for the first time."""

    seconds: float
    starts_after: float | None = None
    calls: int | None = None
    operation: str | None = None

    @staticmethod
    def of(text: str) -> Outage:
        """``START:SECONDS``, ``after-N-calls:SECONDS`` or ``OPERATION:SECONDS``. Raises
        ``ValueError``."""
        when, _, lasts = text.rpartition(":")
        seconds = float(lasts)
        if not 0 < seconds < float("inf"):
            raise ValueError(text)
        if counted := re.fullmatch(r"after-([0-9]{1,9})-calls", when):
            return Outage(seconds, calls=int(counted[1]))
        if re.fullmatch(r"[0-9]{1,9}(\.[0-9]+)?", when):
            return Outage(seconds, starts_after=float(when))
        if re.fullmatch(r"[A-Z][A-Za-z]+", when):
            return Outage(seconds, operation=when)
        raise ValueError(text)

    def __str__(self) -> str:
        calls = None if self.calls is None else f"after-{self.calls}-calls"
        start = None if self.starts_after is None else f"{self.starts_after:g}"
        return f"{calls or start or self.operation}:{self.seconds:g}"


@dataclass(frozen=True, slots=True)
class Lags:
    """Seconds. ``ec2_sees_iam`` is how late EC2 sees what changed in IAM."""

    ec2_sees_iam: float = 0.0
    associating: float = 0.0
    disassociating: float = 0.0
    restarting: float = 0.0
    """For an instance to stop, and as long again to start."""
    latency: float = 0.0
    """For a request to reach AWS, and its answer to come back."""
    renewing: float = 0.0
    """Until EC2 renews the credentials of an instance, 0 for never: then it serves the role that is
    in the profile by then."""
    calls: float = 0.0
    """Between two calls that each instance makes with its credentials by itself, 0 for none."""
    trail: float = 0.0
    """Until CloudTrail tells of a call."""
    agent_sleep: float = 0.0
    """For which the agent of Systems Manager sleeps once its instance was without a role."""
    reports: float = 1.0
    """For a report of what a role has used."""


LIKE_AWS = Lags(
    ec2_sees_iam=20.0, associating=5.0, disassociating=5.0, restarting=25.0, reports=10.0
)
"""As it is usual on AWS; not measured there."""


@dataclass(frozen=True)
class Chaos:
    """How AWS misbehaves. Seconds are the most that something takes: each time is drawn below it.
    Shares are of the calls that could meet it, from 0 to 1."""

    stale_gets: float = 0.0
    """Seconds by which an answer of IAM about one thing may be older than the last write."""
    stale_lists: float = 0.0
    """The same for IAM's lists."""
    stale_index: float = 0.0
    """The same for AWS's index of tags."""
    index_misses: float = 0.0
    """Share of the resources that the index of tags does not have."""
    unknown: float = 0.0
    """Seconds for which writes do not find a new role, profile or policy, also as a principal."""
    conflict: float = 0.0
    """Seconds for which a deletion still sees what was just detached."""
    page: int | None = None
    """The most items on a page, ``None`` for as many as asked for."""
    throttle: float = 0.0
    """Which part of AWS's request rates is ours, 0 for no throttling."""
    errors: float = 0.0
    """Share of calls that get a 500, a 503, a reset or a time-out, and have no effect."""
    lost: float = 0.0
    """Share of writes that take effect, and whose answer is such an error."""
    concurrent: float = 0.0
    """Share of IAM's writes that meet ``ConcurrentModification``."""
    expires_after: int | None = None
    """Calls after which the credentials of a run are expired."""
    expired: frozenset[str] = frozenset()
    """Runs, by user agent, whose credentials are expired."""
    outage: Outage | None = None
    """When the server is unreachable, once."""
    denied: frozenset[str] = frozenset()
    """Actions, such as ``ec2:AssociateIamInstanceProfile`` or ``iam:PassRole``; with ``@i-0abc``
    for requests that name that instance alone."""
    only: str = ""
    """Spares requests whose user agent does not have this in it."""

    @cached_property
    def is_calm(self) -> bool:
        return self == Chaos(only=self.only)


def mixture(seed: int, *, with_denials: bool = False) -> tuple[Lags, Chaos]:
    """The same for the same seed. Half of the knobs are turned, each by a random amount, so that
    they meet in all combinations; what no run can get past is drawn only ``with_denials``."""
    dice = random.Random(seed)

    def some(most: float, least: float = 0.0) -> float:
        # Drawn in any case: a knob that is left alone does not move the ones after it.
        value = round(dice.uniform(least, most), 3)
        return value if dice.random() < 0.5 else 0.0

    lags = Lags(some(40.0), some(30.0), some(20.0), some(60.0))
    chaos = Chaos(
        stale_gets=some(8.0),
        stale_lists=some(20.0),
        unknown=some(15.0),
        conflict=some(15.0),
        page=int(some(7.0, 1.0)) or None,
        throttle=some(0.5, 0.05),
        errors=some(0.15),
        lost=some(0.15),
        concurrent=some(0.15),
        # Drawn last: what the same seed drew before it had them is the same.
        stale_index=some(120.0),
        index_misses=some(0.5),
    )
    if with_denials:
        denied = frozenset({dice.choice(_DENIABLE)}) if dice.random() < 0.7 else frozenset[str]()
        expires = dice.randint(5, 60) if dice.random() < 0.5 else None
        chaos = replace(chaos, denied=denied, expires_after=expires)
    return lags, chaos


_DENIABLE = (
    "iam:PassRole",
    "iam:TagInstanceProfile",
    "iam:AddRoleToInstanceProfile",
    "iam:RemoveRoleFromInstanceProfile",
    "iam:GetInstanceProfile",
    "iam:GetAccountAuthorizationDetails",
    "ec2:AssociateIamInstanceProfile",
    "ec2:DisassociateIamInstanceProfile",
    "ec2:CreateTags",
    "ec2:DescribeInstances",
)
