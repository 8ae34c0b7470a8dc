"""What a change takes from a role in use, as a plan tells it: permissions that the role used, and
that whoever has it will not have any more. None of it belongs to what is approved: what is used
changes from day to day."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from reconciler.model.address import same_name

DAY_SECONDS = 86_400


@dataclass(frozen=True, slots=True)
class LastUse:
    """The last attempt, also one that was denied. ``at`` is in seconds of the epoch."""

    at: float
    region: str | None = None


@dataclass(frozen=True, slots=True)
class Usage:
    """What a role used within the 400 days that AWS remembers; the last four hours may be missing.
    ``actions`` are named as in a policy, ``services`` by the prefix of their actions. ``tracked``
    are the actions whose use AWS would have told, in lower case; a service without any is known as
    a whole.

    Source: docs.aws.amazon.com/IAM/latest/UserGuide/access_policies_last-accessed.html
    """

    actions: Mapping[str, LastUse] = field(default_factory=dict)
    services: Mapping[str, LastUse] = field(default_factory=dict)
    tracked: frozenset[str] = frozenset()


LossKind = Literal["denied", "fewer-resources", "conditions", "service", "part-of-service"]
"""``denied``: nowhere any more. ``fewer-resources``: not on all resources, and AWS does not record
which were used. ``conditions``: only under conditions, or on resources with a variable in their
name, and a simulation does not know the values.
``service`` and ``part-of-service``: of a service of which AWS does not record single actions, all
or some of what was allowed."""


@dataclass(frozen=True, slots=True)
class Loss:
    """``what`` is an action, or a service. ``detail`` are the resources, the condition keys and
    variables, or the patterns of actions that ``kind`` is about, as they are written in policies.
    """

    kind: LossKind
    what: str
    use: LastUse
    detail: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Impact:
    """For those who have the role ``before`` and will have ``after``, both by name; they are one
    where the role itself changes. ``unknown`` says what could not be found out, and why."""

    before: str
    after: str
    losses: tuple[Loss, ...] = ()
    unknown: tuple[str, ...] = ()
    now: float = 0.0
    """When it was asked, in seconds of the epoch."""

    def told(self, loss: Loss) -> str:
        """A sentence without its full stop."""
        where = f" in {loss.use.region}" if loss.use.region else ""
        by = "" if self.is_same_role else f" by role {self.before}"
        used = f"used {ago(self.now - loss.use.at)}{by}{where}"
        return f"{_what(loss, self.after, self.is_same_role)}, {used}"

    @property
    def is_same_role(self) -> bool:
        return same_name(self.before, self.after)

    @property
    def sentences(self) -> tuple[str, ...]:
        """All that is lost, and then what is not known, each without its full stop."""
        why = (f"what is used may be lost: {reason}" for reason in self.unknown)
        return (*(self.told(loss) for loss in self.losses), *why)


def _what(loss: Loss, role: str, is_same_role: bool) -> str:
    detail = ", ".join(loss.detail[:FEW])
    if len(loss.detail) > FEW:
        detail += f" and {len(loss.detail) - FEW} more"
    match loss.kind:
        case "denied":
            return f"{role} {'no longer allows' if is_same_role else 'does not allow'} {loss.what}"
        case "fewer-resources":
            detail = "all" if "*" in loss.detail else detail
            unknown = f"no longer on {detail}; AWS does not record which were used"
            return f"{role} allows {loss.what} on fewer resources ({unknown})"
        case "conditions":
            under = f" ({detail})" if detail else ""
            return f"{role} allows {loss.what} only under conditions{under}"
        case "service":
            return f"{role} allows nothing of {loss.what}"
        case "part-of-service":
            unknown = f"no longer {detail}; AWS does not record which actions were used"
            return f"{role} allows less of {loss.what} ({unknown})"


FEW = 3


def ago(seconds: float) -> str:
    """In whole days, for AWS shows a use hours later."""
    days = int(max(0.0, seconds) // DAY_SECONDS)
    if not days:
        return "within the last day"
    return "1 day ago" if days == 1 else f"{days} days ago"
