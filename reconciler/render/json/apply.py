"""What an apply did, as JSON."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from reconciler.cutover.decisions import AGAIN
from reconciler.executor.outcomes import Outcome, Result, Stranded
from reconciler.exit_codes import ExitCode
from reconciler.model.revocation import moment
from reconciler.plan.changes import Guard
from reconciler.plan.plan import Plan
from reconciler.render.aws_cli import by_hand
from reconciler.render.json.event_types import SummaryMembers
from reconciler.render.json.plan import kept_json, source_json
from reconciler.render.json.session_types import OldSessionsShape, UnprovedShape
from reconciler.render.json.types import FailureShape, OutcomeShape, StrandedShape
from reconciler.render.old_sessions import old_sessions

if TYPE_CHECKING:
    from reconciler.commands.apply import Applied


def outcome_json(applied: Applied | None, exit_code: ExitCode) -> OutcomeShape:
    """``None`` for a plan that was not carried out: it was empty, stopped, or declined."""
    outcomes = applied.result.outcomes if applied else ()
    not_begun = applied.result.not_begun if applied else ()
    left = applied.left if applied else None
    lost = applied.result.stranded if applied else ()
    remaining: list[str] | None = None
    if left is not None:
        # What lacks something is named, not what it lacks.
        lacking = dict.fromkeys(one.needed_by or one.address for one in left.unmet)
        remaining = [str(one) for one in (*(change.address for change in left.changes), *lacking)]
    made: OutcomeShape = {
        "exit_code": int(exit_code),
        "applied": applied.result.steps_applied if applied else 0,
        "failed": sum(o.status == "failed" for o in outcomes),
        "skipped": sum(o.status == "skipped" for o in outcomes),
        "interrupted": applied.result.interrupted if applied else False,
        "failures": [_failure(o) for o in outcomes if o.status != "applied"],
        "left": remaining,
        "stranded": [stranded_json(one) for one in lost],
        "advice": list(advised(applied)) if applied else [],
    }
    if not_begun:
        made["not_begun"] = list(not_begun)
    if applied is not None and (old := old_sessions_json(applied)):
        made["old_sessions"] = old
    if applied is not None and (unproved := _unproved(applied.result)):
        made["unproved"] = unproved
    return made


def summary_json(
    plan: Plan, applied: Applied | None, guards: Iterable[Guard] = ()
) -> SummaryMembers:
    """The last line of ``apply --json``; ``None`` for a plan that was not carried out. ``guards``
    are those that stopped it besides the plan's own."""
    left = applied.left if applied else plan
    held = left.held if left is not None else plan.held
    result = applied.result if applied else None
    if applied:
        advice = [*advised(applied)]
    else:  # what a person must decide before anything is done
        advice = [f"{c.address} {c.reason}; use {c.lift} to manage it" for c in plan.conflicts]
        advice += [f"{guard.reason}; {guard.lift}" for guard in (*plan.guards, *guards)]
    made: SummaryMembers = {
        "applied": result.steps_applied if result else 0,
        "failed": result.count("failed") if result else 0,
        "skipped": result.count("skipped") if result else 0,
        "remaining": (len(left.changes) + len(left.unmet) if left else 0) + len(held),
        "kept": [kept_json(kept) for kept in held],
        "stranded": [stranded_json(one) for one in (result.stranded if result else ())],
        "advice": advice,
    }
    if result and result.not_begun:
        made["not_begun"] = list(result.not_begun)
    if applied is not None and (old := old_sessions_json(applied)):
        made["old_sessions"] = old
    if result is not None and (unproved := _unproved(result)):
        made["unproved"] = unproved
    return made


def _unproved(result: Result) -> list[UnprovedShape]:
    return [
        {"target": outcome.target, "address": str(outcome.address), "text": text}
        for outcome in result.outcomes
        for text in outcome.unproved
    ]


def old_sessions_json(applied: Applied) -> list[OldSessionsShape]:
    made: list[OldSessionsShape] = []
    for one in old_sessions(applied):
        told: OldSessionsShape = {
            "target": one.target,
            "role": str(one.role),
            "until": moment(one.until),
        }
        if one.command:
            told["command"] = one.command
        made.append(told)
    return made


def advised(applied: Applied) -> tuple[str, ...]:
    """What to do next, each thing once; nothing where all is done."""
    given = applied.result.advice
    if given or applied.left is None or applied.left.is_empty:
        return given
    return (AGAIN,)


def stranded_json(one: Stranded) -> StrandedShape:
    return {
        "target": one.target,
        "address": str(one.address),
        "region": one.region,
        "what": one.what,
        "unknown": one.unknown or None,
        "command": by_hand(one.call),
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
        "source": source_json(outcome.source),
    }
