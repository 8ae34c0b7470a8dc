"""Drift as a Lambda function: the specs are in the package, the baseline in S3."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from reconciler.cli.app import run
from reconciler.exit_codes import ExitCode


def handler(event: dict[str, Any], _context: object) -> dict[str, Any]:
    """``event`` may have ``flags``, a list of more of them. Raises for an error, so that the
    function's alarm tells; drift was told to whom it concerns."""
    specs = os.environ.get("SPECS", str(Path(__file__).parent / "specs"))
    flags = ["--quiet", "--json", *event.get("flags", [])]
    if baseline := os.environ.get("BASELINE"):
        flags += ["--baseline", baseline]
        for place in os.environ.get("NOTIFY", "").split():
            flags += ["--notify", place]
    code = run(["drift", specs, *flags])
    if code not in (ExitCode.OK, ExitCode.DIFFERENCES):
        raise RuntimeError(f"drift ended with {code}; the log says why")
    return {"exit_code": int(code), "has_drift": code == ExitCode.DIFFERENCES}
