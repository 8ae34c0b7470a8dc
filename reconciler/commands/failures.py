"""When a run over many targets gives up on those that have not begun."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field


@dataclass
class FailureLimit:
    """Once ``most`` targets failed, no further one begins; ``None`` for no limit. A target fails if
    something in it cannot be read, or if a step fails; it counts once in a run. What is under way
    goes on to its end, so a few more may fail."""

    most: int | None = None
    _failed: set[str] = field(default_factory=set)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def note(self, target: str) -> None:
        """The target failed."""
        with self._lock:
            self._failed.add(target)

    @property
    def why(self) -> str | None:
        """Why no further target begins, or ``None``."""
        with self._lock:
            is_reached = self.most is not None and len(self._failed) >= self.most
        return f"the limit of --max-failures {self.most} was reached" if is_reached else None
