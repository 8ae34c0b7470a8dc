"""A record of the cut-overs of one apply, for programs and archives."""

from __future__ import annotations

from reconciler import __version__
from reconciler.commands.apply import Applied
from reconciler.executor.outcomes import Outcome
from reconciler.executor.record import BatchRecord, CutOverRecord, InstanceRecord, Turn
from reconciler.exit_codes import ExitCode
from reconciler.plan.plan import TargetPlan
from reconciler.render.json.plan import time_as_text
from reconciler.render.json.record_types import (
    BatchRecordShape,
    CutOverRecordShape,
    InstanceRecordShape,
    RecordShape,
    TargetRecordShape,
    TurnShape,
    WithoutShape,
)
from reconciler.render.json.verify import evidence_json


def record_json(applied: Applied, exit_code: ExitCode, run: str, written_at: str) -> RecordShape:
    plan = applied.planned.plan
    several = len(plan.targets) > 1
    return {
        "format_version": "1.0",
        "reconciler": __version__,
        "run": run,
        "digest": plan.digest,
        "written_at": written_at,
        "exit_code": int(exit_code),
        "targets": [_target(applied, target, several=several) for target in plan.targets],
    }


def _target(applied: Applied, target: TargetPlan, *, several: bool) -> TargetRecordShape:
    name = target.target if several else None
    outcomes = [o for o in applied.result.outcomes if o.target == name]
    return {
        "target": target.target,
        "account_id": target.identity.account_id,
        "caller": target.identity.arn,
        "cutovers": [_cutover(one, one.record) for one in outcomes if one.record is not None],
    }


def _cutover(outcome: Outcome, record: CutOverRecord) -> CutOverRecordShape:
    cutover = record.cutover
    return {
        "address": str(cutover.address),
        "before": cutover.before.name if cutover.before else None,
        "after": cutover.after.name if cutover.after else None,
        "strategy": cutover.limits.strategy,
        "began_at": time_as_text(record.began_at),
        "ended_at": time_as_text(record.ended_at),
        "status": outcome.status,
        "reason": outcome.reason or None,
        "advice": (outcome.advice or None) if outcome.status != "applied" else None,
        "rolled_back": record.was_rolled_back,
        "batches": [_batch(batch) for batch in record.batches],
        "instances": [_instance(one) for one in record.instances],
    }


def _batch(batch: BatchRecord) -> BatchRecordShape:
    return {
        "number": batch.number,
        "ended_at": time_as_text(batch.ended_at),
        "passed_at": _maybe(batch.passed_at),
        "asked": batch.asked,
        "alarms": [
            {"name": a.name, "region": a.region, "state": a.state, "reason": a.reason or None}
            for a in batch.alarms
        ],
        "unhealthy": [
            {
                "target_group": t.group,
                "region": t.region,
                "target": t.target,
                "reason": t.reason or None,
            }
            for t in batch.unhealthy
        ],
        "denied": [
            {
                "instance": call.key.instance,
                "region": call.key.region,
                "action": call.action,
                "resource": call.resource,
                "at": time_as_text(call.at),
            }
            for call in batch.denied
        ],
        "command": batch.command,
        "evidence": [
            {
                "instance": key.instance,
                "region": key.region,
                "status": judged.status,
                "evidence": evidence_json(judged),
            }
            for key, judged in sorted(batch.evidence.items())
        ],
    }


def _instance(one: InstanceRecord) -> InstanceRecordShape:
    return {
        "instance": one.key.instance,
        "region": one.key.region,
        "turns": [_turn(turn) for turn in one.turns],
        "failure": one.failure or None,
    }


def _turn(turn: Turn) -> TurnShape:
    without: WithoutShape | None = None
    if turn.lost != "nothing" and turn.taken_at is not None:
        seconds = None if turn.given_at is None else round(turn.given_at - turn.taken_at, 1)
        since, until = time_as_text(turn.taken_at), _maybe(turn.given_at)
        without = {"since": since, "until": until, "seconds": seconds}
    return {
        "role": turn.role,
        "batch": turn.batch,
        "lost": turn.lost,
        "without": without,
        "given_at": _maybe(turn.given_at),
        "in_effect_at": _maybe(turn.in_effect_at),
    }


def _maybe(at: float | None) -> str | None:
    return None if at is None else time_as_text(at)
