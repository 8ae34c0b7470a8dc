"""What an apply did, as JSON."""

from __future__ import annotations

from reconciler.commands.apply import Applied
from reconciler.executor.outcomes import Outcome
from reconciler.exit_codes import ExitCode
from reconciler.report.shapes import FailureShape, OutcomeShape


def outcome_json(applied: Applied | None, exit_code: ExitCode) -> OutcomeShape:
    """``None`` for a plan that was not carried out: it was empty, stopped, or declined."""
    outcomes = applied.result.outcomes if applied else ()
    left = applied.left if applied else None
    return {
        "exit_code": int(exit_code),
        "applied": sum(o.status == "applied" for o in outcomes),
        "failed": sum(o.status == "failed" for o in outcomes),
        "skipped": sum(o.status == "skipped" for o in outcomes),
        "interrupted": applied.result.interrupted if applied else False,
        "failures": [_failure(o) for o in outcomes if o.status != "applied"],
        "left": None if left is None else [str(change.address) for change in left.changes],
    }


def _failure(outcome: Outcome) -> FailureShape:
    return {
        "target": outcome.target,
        "address": str(outcome.address),
        "what": outcome.what,
        "status": "failed" if outcome.status == "failed" else "skipped",
        "reason": outcome.reason,
        "request_id": outcome.request_id,
        "remaining": list(outcome.remaining),
    }
