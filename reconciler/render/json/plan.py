"""The plan, and findings about specs, as JSON, in the shapes of ``types.py``. Two plans of one
situation are the same bytes but for ``created_at``. The file of a saved plan is in ``planfile.py``.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any, cast

from reconciler import __version__
from reconciler.commands.planfile import request_json, specs_digest
from reconciler.commands.planned import Planned
from reconciler.diagnostics import Diagnostic, Location
from reconciler.executor.estimate import estimate
from reconciler.model.consumers import ConsumerGroup
from reconciler.model.launch_sources import Origin
from reconciler.plan.blast_radius import Apart, BlastRadius
from reconciler.plan.calls import Wait, printable
from reconciler.plan.changes import Change, Conflict, Guard, Kept, Unmet, Unread, actions_of
from reconciler.plan.impact import Impact
from reconciler.plan.plan import Plan, Step, TargetPlan, summary
from reconciler.render.json import types
from reconciler.render.json.impact_types import ImpactShape
from reconciler.render.json.planfile import sealed
from reconciler.render.json.types import DiagnosticShape, SourceShape


def plan_json(planned: Planned, created_at: str) -> types.PlanShape:
    """With what it takes to make the plan again. ``created_at`` is as ``now_as_text`` has it."""
    plan = planned.plan
    head, seconds, asked = header(plan, created_at), estimate(plan), request_json(planned.request)
    # A drift's own flags are in no plan, nor is a shard where there is none.
    saved = {name: asked[name] for name in types.RequestShape.__annotations__}
    for name in ("shard", "impact", "rotate"):
        if not saved[name]:
            del saved[name]
    if "rotate" not in saved:
        del saved["rotation"]
    document: types.PlanShape = {
        "format_version": head["format_version"],
        "reconciler": head["reconciler"],
        "created_at": head["created_at"],
        "owner": head["owner"],
        "digest": plan.digest,
        "targets": [_target(target) for target in plan.targets],
        "summary": cast("types.SummaryShape", summary(plan)),
        "seconds": {"about": seconds.about, "least": seconds.least, "most": seconds.most},
        "api_calls": dict(plan.api_calls),
        "diagnostics": diagnostics_json(planned.diagnostics),
        "request": cast("types.RequestShape", saved),
        "specs_digest": specs_digest(planned),
        "file_digest": "",
    }
    return sealed(document)


def now_as_text() -> str:
    """As ``time_as_text`` has it."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def time_as_text(epoch: float) -> str:
    """UTC, to the second: ``2026-11-23T20:00:00Z``."""
    return datetime.fromtimestamp(epoch, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def header(plan: Plan, created_at: str) -> types.Header:
    return {
        "format_version": "1.0",
        "reconciler": __version__,
        "created_at": created_at,
        "owner": plan.owner,
    }


def target_header(target: TargetPlan) -> types.TargetHeader:
    return {
        "target": target.target,
        "account_id": target.identity.account_id,
        "partition": target.identity.partition,
        "account_alias": target.identity.alias,
        "caller": target.identity.arn,
        "regions": list(target.regions),
    }


def _target(target: TargetPlan) -> types.TargetShape:
    return {
        **target_header(target),
        "changes": [
            change_json(
                change,
                target.blast_radius.get(change.address),
                target.impact.get(change.address, ()),
            )
            for change in target.changes
        ],
        "steps": [step_json(step) for step in target.steps],
        "kept": [kept_json(kept) for kept in target.kept],
        "ignored": [kept_json(kept) for kept in target.ignored],
        "conflicts": [conflict_json(conflict) for conflict in target.conflicts],
        "guards": [guard_json(guard) for guard in target.guards],
        "unread": [unread_json(unread) for unread in target.unread],
        "unmet": [unmet_json(one) for one in target.unmet],
        "rules": [cast("types.RuleShape", dict(rule)) for rule in target.rules],
        "settings": cast("types.SettingsShape", dict(target.settings)),
    }


def change_json(
    change: Change, radius: BlastRadius | None = None, impacts: Iterable[Impact] = ()
) -> types.ChangeShape:
    made: types.ChangeShape = {
        "address": str(change.address),
        "kind": cast("Any", change.kind),
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
    if change.widens:
        made["widens"] = [{"kind": one.kind, "text": one.in_words} for one in change.widens]
    if radius is not None:
        made["blast_radius"] = _radius(radius)
    if told := [_impact(one) for one in impacts]:
        made["impact"] = told
    return made


def _impact(impact: Impact) -> ImpactShape:
    return {
        "role": impact.before,
        "role_after": impact.after,
        "losses": [
            {
                "kind": loss.kind,
                "what": loss.what,
                "detail": list(loss.detail),
                "used_at": time_as_text(loss.use.at),
                "region": loss.use.region,
            }
            for loss in impact.losses
        ],
        "unknown": list(impact.unknown),
    }


def apart_json(apart: Iterable[Apart]) -> list[types.ApartShape]:
    return [
        {"kind": one.kind, "reason": one.reason, "instances": list(one.instances)} for one in apart
    ]


def _radius(radius: BlastRadius) -> types.BlastRadiusShape:
    made: types.BlastRadiusShape = {
        "instances": radius.count,
        "regions": list(radius.regions),
        "consumers": [consumers_json(group) for group in radius.consumers],
        "new_instances": [
            {
                "kind": cast("Any", other.kind),
                "name": other.name,
                "region": other.region,
                "starts_from": other.by,
                "instance_profile": other.profile,
                "role": other.role,
                "wanted": other.wanted,
                "wanted_role": other.wanted_role,
                "instances": other.instances,
                "association": other.association,
            }
            for other in radius.launches
        ],
    }
    if radius.apart:
        made["apart"] = apart_json(radius.apart)
    return made


def consumers_json(group: ConsumerGroup) -> types.ConsumersShape:
    return {
        "region": group.region,
        "started_by": origin_json(group.origin),
        "count": group.count,
        "names": [{"name": name, "instances": list(ids)} for name, ids in group.instances],
    }


def origin_json(origin: Origin | None) -> types.OriginShape | None:
    return {"kind": origin.kind, "name": origin.name} if origin is not None else None


def source_json(source: Location | None) -> types.SourceShape | None:
    if source is None:
        return None
    return {"file": source.file, "line": source.line, "column": source.column}


def step_json(step: Step) -> types.CallShape | types.WaitShape:
    action = step.action
    if isinstance(action, Wait):
        return _wait(step, action)
    made: types.CallShape = {
        "id": step.id,
        "address": str(step.address),
        "call": action.name,
        "region": action.region,
        "params": printable(action.params),
        "after": list(step.after),
    }
    if step.note is not None:
        made["note"] = step.note
    return made


def _wait(step: Step, wait: Wait) -> types.WaitShape:
    made: types.WaitShape = {
        "id": step.id,
        "address": str(step.address),
        "wait": wait.condition,
        "region": wait.region,
        "params": {
            "seconds": wait.seconds,
            "instance": wait.instance,
            "instance_profile": wait.profile,
        },
        "after": list(step.after),
    }
    if step.note is not None:
        made["note"] = step.note
    return made


def kept_json(kept: Kept) -> types.KeptShape:
    return {"address": str(kept.address), "reason": kept.reason, "status": kept.status}


def unread_json(unread: Unread) -> types.UnreadShape:
    return {"address": str(unread.address), "region": unread.region, "reason": unread.reason}


def unmet_json(unmet: Unmet) -> types.UnmetShape:
    return {
        "address": str(unmet.address),
        "region": unmet.region,
        "code": unmet.found.code,
        "reason": unmet.found.message,
        "needed_by": None if unmet.needed_by is None else str(unmet.needed_by),
        "source": source_json(unmet.found.location),
    }


def conflict_json(conflict: Conflict) -> types.ConflictShape:
    return {
        "address": str(conflict.address),
        "reason": conflict.reason,
        "owner": conflict.owner,
        "lift": conflict.lift,
        "source": source_json(conflict.source),
    }


def guard_json(guard: Guard) -> types.GuardShape:
    return {
        "key": guard.key,
        "reason": guard.reason,
        "lift": guard.lift,
        "addresses": [str(address) for address in guard.addresses],
    }


def diagnostics_json(diagnostics: Iterable[Diagnostic]) -> list[DiagnosticShape]:
    return [
        {
            "severity": d.severity,
            "code": d.code,
            "message": d.message,
            **_place(d.location),
            "suggestion": d.suggestion,
            "related": [{"message": label, **_place(place)} for label, place in d.related],
        }
        for d in diagnostics
    ]


def _place(place: Location) -> SourceShape:
    return {"file": place.file, "line": place.line, "column": place.column}
