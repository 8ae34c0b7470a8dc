"""What a preflight found, for programs."""

from __future__ import annotations

from reconciler.commands.preflight import Preflight
from reconciler.plan.authorization import Verdict
from reconciler.render.json.checkup_types import PreflightMembers, VerdictShape


def preflight_json(found: Preflight) -> PreflightMembers:
    return {
        "account_id": found.account_id,
        "allowed": len(found.asked.of("allowed")),
        "denied": [verdict_json(one) for one in found.denied],
        "unknown": [verdict_json(one) for one in found.unknown],
        "quotas": [
            {"what": room.what, "used": room.used, "quota": room.most, "needed": needed}
            for room, needed in found.full
        ],
        "not_asked": list(found.asked.not_asked),
    }


def verdict_json(verdict: Verdict) -> VerdictShape:
    return {"action": verdict.action, "resource": verdict.resource, "why": verdict.why}
