"""A moment in words."""

from __future__ import annotations

from datetime import UTC, datetime


def hour_of(epoch: float) -> str:
    """To the minute; ``epoch`` is in seconds."""
    return datetime.fromtimestamp(epoch, tz=UTC).strftime("%Y-%m-%d %H:%M UTC")
