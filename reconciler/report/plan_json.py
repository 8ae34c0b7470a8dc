"""The plan as JSON, ``docs/reference/json.md``. Two plans of one situation are the same bytes but
for ``created_at``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from reconciler import __version__
from reconciler.changes import Change, Conflict, Guard, Kept, Unread, actions_of
from reconciler.diagnostics import Location
from reconciler.plan import Plan, Step, TargetPlan, summary
from reconciler.requests import ApiCall, printable

FORMAT_VERSION = "1.0"


def plan_json(plan: Plan, created_at: str) -> dict[str, Any]:
    return {
        **header(plan, created_at),
        "digest": plan.digest,
        "targets": [_target(target) for target in plan.targets],
        "summary": summary(plan),
        "api_calls": dict(plan.api_calls),
    }


def header(plan: Plan, created_at: str) -> dict[str, Any]:
    return {
        "format_version": FORMAT_VERSION,
        "reconciler": __version__,
        "created_at": created_at,
        "owner": plan.owner,
    }


def target_header(target: TargetPlan) -> dict[str, Any]:
    return {
        "target": target.target,
        "account_id": target.identity.account_id,
        "partition": target.identity.partition,
        "regions": list(target.regions),
    }


def _target(target: TargetPlan) -> dict[str, Any]:
    return {
        **target_header(target),
        "changes": [change_json(change) for change in target.changes],
        "steps": [step_json(step) for step in target.steps],
        "kept": [_kept(kept) for kept in target.kept],
        "ignored": [_kept(kept) for kept in target.ignored],
        "conflicts": [_conflict(conflict) for conflict in target.conflicts],
        "guards": [_guard(guard) for guard in target.guards],
        "unread": [_unread(unread) for unread in target.unread],
        "rules": [dict(rule) for rule in target.rules],
    }


def change_json(change: Change) -> dict[str, Any]:
    return {
        "address": change.address,
        "kind": change.kind,
        "name": change.name,
        "region": change.region,
        "actions": list(actions_of(change)),
        "before": None if change.before is None else dict(change.before),
        "after": None if change.after is None else dict(change.after),
        "differences": [
            {"path": d.path, "before": d.before, "after": d.after} for d in change.differences
        ],
        "reason": change.reason,
        "consumers": list(change.consumers),
        "intent": dict(change.intent),
        "source": source_json(change.source),
    }


def source_json(source: Location | None) -> dict[str, Any] | None:
    if source is None:
        return None
    return {"file": source.file, "line": source.line, "column": source.column}


def step_json(step: Step) -> dict[str, Any]:
    shared = {"id": step.id, "address": step.address}
    after = {"after": list(step.after)}
    note: Mapping[str, Any] = {} if step.note is None else {"note": step.note}
    action = step.action
    if isinstance(action, ApiCall):
        call = {"call": action.name, "region": action.region, "params": printable(action.params)}
        return {**shared, **call, **after, **note}
    params = {
        "seconds": action.seconds,
        "instance": action.instance,
        "instance_profile": action.profile,
    }
    wait = {"wait": action.condition, "region": action.region, "params": params}
    return {**shared, **wait, **after, **note}


def _kept(kept: Kept) -> dict[str, Any]:
    return {"address": kept.address, "reason": kept.reason, "status": kept.status}


def _unread(unread: Unread) -> dict[str, Any]:
    return {"address": unread.address, "region": unread.region, "reason": unread.reason}


def _conflict(conflict: Conflict) -> dict[str, Any]:
    return {
        "address": conflict.address,
        "reason": conflict.reason,
        "owner": conflict.owner,
        "lift": conflict.lift,
        "source": source_json(conflict.source),
    }


def _guard(guard: Guard) -> dict[str, Any]:
    return {
        "key": guard.key,
        "reason": guard.reason,
        "lift": guard.lift,
        "addresses": list(guard.addresses),
    }
