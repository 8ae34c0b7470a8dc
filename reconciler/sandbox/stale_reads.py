"""IAM's answers of a while ago: what a read shows that lags behind the writes."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

_PARTS = ("roles", "instance_profiles", "managed_policies", "users", "groups")


@dataclass
class Past:
    """By account, how IAM was before each write."""

    _kept: dict[str, list[tuple[float, dict[str, Any]]]] = field(default_factory=dict)

    def keep(self, account: str, backend: Any, now: float, longest: float) -> None:
        """Called before a write. A state older than ``longest`` seconds is never shown again."""
        kept = [(at, then) for at, then in self._kept.get(account, ()) if at >= now - longest]
        if not kept or kept[-1][0] < now:
            # In one copy, so that things that name each other still do.
            kept.append((now, copy.deepcopy({part: getattr(backend, part) for part in _PARTS})))
        self._kept[account] = kept

    @contextmanager
    def shown(self, account: str, backend: Any, at: float) -> Iterator[None]:
        """IAM as it was at a time, inside the block."""
        # Of each moment the first write is kept, and what was before it.
        then = next((state for when, state in self._kept.get(account, ()) if when > at), None)
        if then is None:
            yield
            return
        now = {part: getattr(backend, part) for part in _PARTS}
        _put(backend, then)
        try:
            yield
        finally:
            _put(backend, now)


def _put(backend: Any, state: dict[str, Any]) -> None:
    for part, value in state.items():
        setattr(backend, part, value)
