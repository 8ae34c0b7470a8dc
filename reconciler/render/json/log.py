"""A line of the log of AWS calls."""

from __future__ import annotations

from datetime import UTC, datetime

from reconciler.ports import Attempt
from reconciler.render.json.event_types import LogShape


def log_json(attempt: Attempt) -> LogShape:
    return {
        "time": sent_at(attempt),
        "run": attempt.run,
        "call": attempt.call,
        "region": attempt.region,
        "attempt": attempt.number,
        "ms": milliseconds(attempt),
        "status": attempt.status,
        "code": attempt.code,
        "request_id": attempt.request_id,
    }


def sent_at(attempt: Attempt) -> str:
    """UTC, in milliseconds."""
    text = datetime.fromtimestamp(attempt.at, UTC).isoformat(timespec="milliseconds")
    return text.removesuffix("+00:00") + "Z"


def milliseconds(attempt: Attempt) -> int:
    return round(attempt.seconds * 1000)
