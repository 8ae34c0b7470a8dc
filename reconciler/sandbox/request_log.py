"""One request to the sandbox, as it came."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

READS = ("Get", "List", "Describe")


@dataclass(frozen=True, slots=True)
class Logged:
    service: str
    operation: str
    account: str
    region: str
    params: dict[str, Any]
    user_agent: str
    at: float = 0.0
    """Seconds of the epoch, on the clock of the sandbox."""

    @property
    def is_read(self) -> bool:
        return self.operation.startswith(READS) or self.is_dry_run

    @property
    def is_dry_run(self) -> bool:
        """It asks, and changes nothing."""
        return str(self.params.get("DryRun", "")).casefold() == "true"
