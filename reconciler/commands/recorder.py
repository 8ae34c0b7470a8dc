"""Progress where nobody watches."""

from __future__ import annotations

from dataclasses import dataclass, field

from reconciler.model.address import Address
from reconciler.ports import Within


class Silent:
    """A progress that says nothing; what is to be noticed overrides its part."""

    def reading(self, what: str) -> None: ...

    def entering(self, target: str) -> None: ...

    def target_ended(self, how: str, number: int, of: int) -> None: ...

    def started(self, address: Address, what: str, within: Within | None = None) -> None: ...

    def waiting(
        self, address: Address, what: str, seconds: float, of: float | None = None
    ) -> None: ...

    def done(self, address: Address, what: str, seconds: float) -> None: ...

    def skipped(self, address: Address, what: str, reason: str) -> None: ...

    def failed(self, address: Address, what: str, reason: str, brief: str = "") -> None: ...


@dataclass
class FailureRecorder(Silent):
    """Keeps the failures."""

    failures: list[tuple[Address, str, str, str]] = field(default_factory=list)

    def failed(self, address: Address, what: str, reason: str, brief: str = "") -> None:
        self.failures.append((address, what, reason, brief))
