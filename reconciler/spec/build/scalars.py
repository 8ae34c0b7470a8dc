"""Scalars that have a form of their own: durations, shares, dates."""

from __future__ import annotations

import re
from typing import Annotated, Any

from pydantic import BeforeValidator, PlainSerializer, WithJsonSchema
from pydantic_core import PydanticCustomError

_DURATION = re.compile(r"([0-9]{1,9})(s|m|h|)")
_UNITS = {"": 1, "s": 1, "m": 60, "h": 3600}
_SHARE = re.compile(r"([0-9]{1,3})%")


def _seconds(value: Any) -> Any:
    if isinstance(value, int):
        return value
    try:
        return seconds_of(value)
    except ValueError as error:
        raise PydanticCustomError(
            "invalid-duration", "must be a duration such as 90s, 60m, 1h or 3600 (seconds)"
        ) from error


def seconds_of(value: Any) -> int:
    """``90s``, ``60m``, ``1h`` or ``3600`` in seconds. Raises ``ValueError`` for all else."""
    found = _DURATION.fullmatch(value) if isinstance(value, str) else None
    if not found:
        raise ValueError(value)
    return int(found[1]) * _UNITS[found[2]]


def _share(value: Any) -> Any:
    if isinstance(value, int):
        return value
    found = _SHARE.fullmatch(value) if isinstance(value, str) else None
    if not found or int(found[1]) > 100:
        raise PydanticCustomError("invalid-share", "must be a share such as 30%")
    return int(found[1])


def _count_or_share(code: str) -> BeforeValidator:
    """``code`` is the finding for anything else."""

    def validated(value: Any) -> Any:
        text = value if isinstance(value, str) else ""
        share = _SHARE.fullmatch(text)
        number = int(share[1]) if share else int(text) if re.fullmatch(r"[0-9]{1,6}", text) else 0
        if number == 0 or (share and number > 100):
            said = "must be a count of at least 1, or a share from 1% to 100%"
            raise PydanticCustomError(code, said)
        return text

    return BeforeValidator(validated)


def _checkpoint(value: Any) -> Any:
    if isinstance(value, int):
        return value
    found = _SHARE.fullmatch(value) if isinstance(value, str) else None
    if not found or not 1 <= int(found[1]) <= 99:
        raise PydanticCustomError("invalid-checkpoint", "must be a share from 1% to 99%")
    return int(found[1])


def _count(value: Any) -> Any:
    if isinstance(value, int):
        return value
    if not isinstance(value, str) or not re.fullmatch(r"[0-9]{1,6}", value):
        raise PydanticCustomError("invalid-count", "must be a count")
    return int(value)


def _text(value: Any) -> Any:
    if value is None:
        raise PydanticCustomError("wrong-type", 'must be text; quote it ("") to mean nothing')
    return value


Seconds = Annotated[
    int,
    BeforeValidator(_seconds),
    WithJsonSchema({"type": ["string", "integer"], "pattern": r"^[0-9]+(s|m|h)?$", "minimum": 0}),
]
Share = Annotated[
    int,
    BeforeValidator(_share),
    PlainSerializer(lambda percent: f"{percent}%"),
    WithJsonSchema({"type": "string", "pattern": r"^[0-9]{1,3}%$"}),
]
Checkpoint = Annotated[
    int,
    BeforeValidator(_checkpoint),
    PlainSerializer(lambda percent: f"{percent}%"),
    WithJsonSchema({"type": "string", "pattern": r"^[1-9][0-9]?%$"}),
]
Count = Annotated[
    int,
    BeforeValidator(_count),
    WithJsonSchema({"type": ["string", "integer"], "pattern": r"^[0-9]{1,6}$", "minimum": 0}),
]
_COUNT_OR_SHARE = WithJsonSchema(
    {"type": ["string", "integer"], "pattern": r"^[1-9][0-9]*%?$", "minimum": 1}
)
MaxUnavailable = Annotated[str, _count_or_share("invalid-max-unavailable"), _COUNT_OR_SHARE]
Canary = Annotated[str, _count_or_share("invalid-canary"), _COUNT_OR_SHARE]
Text = Annotated[
    str,
    BeforeValidator(_text),
    WithJsonSchema({"type": ["string", "number", "boolean"]}),
]
"""Text that may look like something else: ``0123``, ``on``, ``1.10``."""
