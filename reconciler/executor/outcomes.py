"""What became of each piece of work."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from reconciler.ports import AwsError

Status = Literal["applied", "failed", "skipped"]


@dataclass(frozen=True, slots=True)
class Outcome:
    """``what`` is the call or the wait; ``remaining`` is what was left undone."""

    address: str
    what: str
    status: Status
    reason: str = ""
    remaining: tuple[str, ...] = ()
    request_id: str = ""
    cause: str | None = None
    """The address that it waited for, where that is why it was skipped."""
    target: str | None = None
    """Of which target, where there are several."""
    cut_over: int = 0
    """How many instances it brought over, and are there still."""


def failed(address: str, what: str, error: AwsError, wanted: str = "") -> Outcome:
    """``wanted`` says which permission is missing."""
    reason = f"{error.code}: {error.message}{wanted}"
    return Outcome(address, what, "failed", reason, request_id=error.request_id)


@dataclass(frozen=True, slots=True)
class Result:
    """Of a whole apply, in the order of the plan."""

    outcomes: tuple[Outcome, ...]
    interrupted: bool = False

    def count(self, status: Status) -> int:
        return sum(outcome.status == status for outcome in self.outcomes)

    @property
    def is_complete(self) -> bool:
        return all(outcome.status == "applied" for outcome in self.outcomes)
