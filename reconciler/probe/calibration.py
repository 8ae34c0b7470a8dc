"""Times of a sandbox, from what a probe has measured."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

from pydantic import TypeAdapter, ValidationError
from pydantic_core import ErrorDetails

from reconciler.errors import RefusedError
from reconciler.exit_codes import ExitCode
from reconciler.render.json.probe_types import ProbeShape
from reconciler.sandbox.fault_config import Chaos, Lags

_LAGS = {
    "ec2_lag": "ec2_sees_iam",
    "associating": "associating",
    "disassociating": "disassociating",
    "restarting": "restarting",
    "trail_lag": "trail",
}
_CHAOS = ("stale_gets", "stale_lists", "stale_index", "unknown")


def read(text: str, name: str) -> ProbeShape:
    """Raises ``RefusedError`` for what is no document of ``probe``, with all that is wrong."""
    try:
        return TypeAdapter(ProbeShape).validate_python(json.loads(text), strict=True)
    except ValidationError as error:
        wrong = tuple(
            f"{'.'.join(map(str, one['loc'])) or 'the whole'}: {one['msg']}"
            for one in sorted(error.errors(), key=_is_missing)[:MOST_MISTAKES]
        )
        message = f"{name} is not what probe writes"
        raise RefusedError(message, ExitCode.ERROR, details=wrong) from error
    except (ValueError, RecursionError) as error:
        raise RefusedError(f"{name} is not JSON: {error}", ExitCode.ERROR) from error


MOST_MISTAKES = 8


def _is_missing(one: ErrorDetails) -> bool:
    """What is wrong is told before what is not there."""
    return one["type"] == "missing"


def calibrated(lags: Lags, chaos: Chaos, probe: ProbeShape) -> tuple[Lags, Chaos]:
    """With the times that the probe knows; the others stay."""
    known = {
        name: value for name, value in probe["times"].items() if isinstance(value, float | int)
    }
    late: dict[str, Any] = {_LAGS[name]: float(known[name]) for name in known if name in _LAGS}
    stale: dict[str, Any] = {name: float(known[name]) for name in known if name in _CHAOS}
    return replace(lags, **late), replace(chaos, **stale)
