"""JSON as this program writes it, and JSON that others wrote: the one place for both."""

from __future__ import annotations

import json
import re
from math import isfinite
from typing import Any, NoReturn, TypeVar

from pydantic import TypeAdapter, ValidationError

from reconciler.render.escape import LOG_COMMAND, is_plain

_T = TypeVar("_T")
MOST_DEPTH = 100
"""Of JSON that is read; what we write has less than twenty levels."""
_HALVES = re.compile("[\ud800-\udfff]")
_ADAPTERS: dict[Any, TypeAdapter[Any]] = {}
"""By shape: one takes longer to make than to use."""
_BEYOND_ASCII = re.compile(r"[^\x00-\x7e]")


def json_text(value: Any, indent: int | None = 2) -> str:
    """JSON that is harmless in the log of a pipeline and on a terminal: characters that a runner
    would obey (``##[…]``) or that are not displayed as such are written as escapes, which every
    JSON parser undoes. No line begins with ``::``."""
    text = json.dumps(value, indent=indent, ensure_ascii=False)
    # Both stand in strings alone: the syntax of JSON has neither.
    commands = LOG_COMMAND.sub(lambda found: f"##{found[1]}\\u005b", text)
    return _BEYOND_ASCII.sub(
        lambda found: found[0] if is_plain(found[0]) else json.dumps(found[0])[1:-1], commands
    )


def parsed(text: str, shape: type[_T]) -> _T:
    """The content of foreign JSON, if it has the shape. Raises ``ValueError`` that says where it
    does not."""
    try:
        value = json.loads(text, parse_constant=_no_number, parse_float=_finite)
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error
    except ValueError as error:
        raise ValueError(f"it is not valid JSON ({error})") from error
    _look_through(value)
    try:
        adapter = _ADAPTERS.get(shape) or _ADAPTERS.setdefault(shape, TypeAdapter(shape))
        content: _T = adapter.validate_python(value, strict=True)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(str(part) for part in first["loc"])
        raise ValueError(f"{where}: {first['msg']}" if where else first["msg"]) from error
    return content


def _no_number(name: str) -> NoReturn:
    raise ValueError(f"{name} is not a number")


def _finite(text: str) -> float:
    """``1e999`` is good JSON; what Python makes of it would be written as ``Infinity``."""
    return number if isfinite(number := float(text)) else _no_number(text)


def _look_through(value: Any) -> None:
    """Raises ``ValueError`` for what no later step could go through or write again."""
    level = [value]
    for _ in range(MOST_DEPTH):
        if any(isinstance(v, str) and _HALVES.search(v) for v in level):
            raise ValueError("it has text with half of a surrogate pair")
        outer, level = level, []
        for v in outer:
            if isinstance(v, dict | list):
                level.extend(v)
            if isinstance(v, dict):
                level.extend(v.values())
        if not level:
            return
    raise ValueError("it is nested too deeply")
