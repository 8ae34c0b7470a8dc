"""What can come next in a cut-over."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import repeat
from typing import Literal

from reconciler.model.evidence import Expectation
from reconciler.model.ownership import InstanceKey
from reconciler.plan.calls import ApiCall
from reconciler.plan.cut_over import Observation
from reconciler.plan.gates import WatchedSession


@dataclass(frozen=True, slots=True)
class Ask:
    """Calls that change nothing, since they must be refused: with the code ``refusal`` where they
    would be allowed."""

    calls: tuple[ApiCall, ...]
    refusal: Literal["LimitExceeded", "DryRunOperation"]
    why: str


@dataclass(frozen=True, slots=True)
class Act:
    """Calls to make, in order. With ``is_hint`` a failure is only a warning; ``undo`` is made if a
    call is refused that leaves the profile without a role."""

    calls: tuple[ApiCall, ...]
    why: str
    is_hint: bool = False
    undo: tuple[ApiCall, ...] = ()
    whys: tuple[str, ...] = ()
    """Of each call, where it is not ``why`` for all of them."""

    def explained(self) -> Iterator[tuple[ApiCall, str]]:
        """Each call, with what it is for."""
        return zip(self.calls, self.whys or repeat(self.why), strict=False)


@dataclass(frozen=True, slots=True)
class Pause:
    """Nothing to do for ``seconds``; then look at ``watch`` again. ``whole`` is the length of the
    wait that ``seconds`` are left of, ``None`` if they are all of it. It need not be waited longer
    than ``at_most`` seconds before the next decision."""

    seconds: float
    why: str
    watch: tuple[InstanceKey, ...] = ()
    is_poll: bool = False
    whole: float | None = None
    at_most: float | None = None


@dataclass(frozen=True, slots=True)
class List:
    """Ask all regions for consumers once more."""


@dataclass(frozen=True, slots=True)
class AskGates:
    """Ask about everything that is watched; ``sessions`` are those whose denied calls count."""

    sessions: tuple[WatchedSession, ...] = ()


@dataclass(frozen=True, slots=True)
class RunCheck:
    """Run the command of the run about the batch that has ended."""

    batch: tuple[InstanceKey, ...]
    number: int


@dataclass(frozen=True, slots=True)
class AskEvidence:
    """Look for evidence of the roles that these instances are served."""

    expected: tuple[Expectation, ...]


@dataclass(frozen=True, slots=True)
class Verified:
    """No further evidence is looked for. ``unknown`` are instances of which it is not known which
    role they are served, each with the reason."""

    unknown: tuple[tuple[InstanceKey, str], ...] = ()


@dataclass(frozen=True, slots=True)
class BatchPassed:
    """The batch that has ended has stood its time, and all that is watched agrees."""


@dataclass(frozen=True, slots=True)
class GiveUpInstance:
    """This instance cannot be cut over; the others continue as ``limits`` says."""

    key: InstanceKey
    reason: str


@dataclass(frozen=True, slots=True)
class BatchDone:
    """All instances of a batch are back."""


@dataclass(frozen=True, slots=True)
class Done:
    pass


@dataclass(frozen=True, slots=True)
class GiveUp:
    """The cut-over ends here. ``roll_back`` restores the previous role; ``is_stop`` means that the
    run was asked to stop, or that the specs want it to end here for now, and that everything
    unfinished has been restored; ``advice`` is what to do next, where nothing was refused."""

    reason: str
    roll_back: bool = False
    is_stop: bool = False
    advice: str = ""
    is_checkpoint: bool = False


AGAIN = "apply again to resume"
GO_ON = "apply again to go on"
SIGN_IN = "sign in again, then apply again"
WHEN_SEEN = "apply again when these instances are listed or replaced"
"""Advice where a cut-over waits for instances that AWS does not show or that a service manages."""


def when_read(observed: Observation) -> str:
    """Advice where a region could not be read."""
    return f"apply again when {', '.join(sorted(observed.unread))} can be read"


Decision = (
    Ask
    | Act
    | Pause
    | List
    | AskGates
    | RunCheck
    | AskEvidence
    | Verified
    | BatchPassed
    | GiveUpInstance
    | BatchDone
    | Done
    | GiveUp
)
