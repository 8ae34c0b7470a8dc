"""A check-up, for programs."""

from __future__ import annotations

from collections.abc import Sequence

from reconciler import __version__
from reconciler.doctor.checks import Check
from reconciler.plan.authorization import Reading
from reconciler.render.json.checkup_types import CheckShape, DoctorShape
from reconciler.render.text.doctor import counts


def doctor_json(checks: Sequence[Check], purpose: Reading, created_at: str) -> DoctorShape:
    return {
        "format_version": "1.0",
        "reconciler": __version__,
        "created_at": created_at,
        "command": purpose,
        "checks": [_check(one) for one in checks],
        "summary": counts(checks),
    }


def _check(check: Check) -> CheckShape:
    return {
        "check": check.name,
        "target": check.target,
        "status": check.status,
        "message": check.message,
        "fix": check.fix,
        "data": dict(check.data),
    }
