"""What people have been told while it happened, so that the end does not tell it again."""

from __future__ import annotations

import math
from contextvars import ContextVar
from dataclasses import dataclass, field

from reconciler.cli.console import Console
from reconciler.executor.outcomes import Outcome
from reconciler.model.address import Address
from reconciler.render.styled_text import Piece, data

_TARGET: ContextVar[str | None] = ContextVar("target", default=None)


@dataclass
class Told:
    """Failures, and what was skipped, that stderr has shown with the reason."""

    _shown: set[tuple[str | None, Address, str, str]] = field(default_factory=set)

    @property
    def target(self) -> str | None:
        """The target that is applied here; ``None`` if there is only one."""
        return _TARGET.get()

    def enter(self, target: str) -> None:
        """What is told from here on, and in threads that begin here, is about this target."""
        _TARGET.set(target)

    def here(self, address: Address) -> Address:
        """The address as it is shown: with its target, if there are several."""
        return Address(f"{self.target}: {address.kind}", address.name) if self.target else address

    def of_target(self, how: str, number: int, of: int) -> str:
        """How the target that is applied here ended."""
        return f"target {self.target}: {how} ({number} of {of} targets)"

    def failed(
        self, console: Console, address: Address, what: str, reason: str, brief: str
    ) -> None:
        """Prints it, with ``brief`` in place of what was told before."""
        self.note(address, what, reason)
        mark = Piece("  ✗ " if console.is_terminal else "failed ", "bold red")
        console.event(mark, data(f"{self.here(address)} {what}: {brief or reason}"))

    def note(self, address: Address, what: str, reason: str) -> None:
        # A set takes it whole, whichever thread adds it.
        self._shown.add((self.target, address, what, reason))

    def has(self, outcome: Outcome) -> bool:
        key = (outcome.target, outcome.address, outcome.what, outcome.reason)
        return key in self._shown


def wait_in_words(what: str, seconds: float, of: float | None) -> str:
    """``EC2 to see role/web-v1: 35 s of 60 s left``; ``the association to complete (12 s)``."""
    if of is None:
        return f"{what} ({seconds:.0f} s)"
    return f"{what}: {math.ceil(max(of - seconds, 0.0))} s of {math.ceil(of)} s left"
