"""What a roll-out watches, which moto lacks or keeps still: alarms that ring, targets that fail
their health checks, and applications on the instances whose calls are denied. All of it is switched
while the sandbox runs.

Sources: docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_DescribeAlarms.html,
docs.aws.amazon.com/elasticloadbalancing/latest/APIReference/API_DescribeTargetHealth.html,
docs.aws.amazon.com/awscloudtrail/latest/userguide/cloudtrail-event-reference-user-identity.html
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from moto.cloudwatch.models import cloudwatch_backends
from moto.core.responses import ActionResult
from moto.iam.models import iam_backends

from reconciler.sandbox.faults import refused
from reconciler.sandbox.revoked import is_revoked
from reconciler.sandbox.sessions import Key, Used
from reconciler.sandbox.simulator import simulated
from reconciler.sandbox.state import App, World

METRIC, COMPOSITE = "MetricAlarm", "CompositeAlarm"
MOST_NAMES = 100


def describe_alarms(world: World, request: Any) -> ActionResult:
    """Of composite alarms only where they are asked for, as on AWS. Alarms that were put with
    ``PutMetricAlarm`` are moto's, in the state that moto has."""
    asked = request.params if hasattr(request, "params") else {}
    names, kinds = asked.get("AlarmNames"), asked.get("AlarmTypes") or [METRIC]
    if names is not None and len(names) > MOST_NAMES:
        raise refused("cloudwatch", "ValidationError", f"at most {MOST_NAMES} AlarmNames")
    here = (request.current_account, request.region)
    states = {
        name: ("MetricAlarm", alarm.state_value, alarm.state_reason)
        for name, alarm in cloudwatch_backends[here[0]][here[1]].alarms.items()
    }
    for (account, region, name), alarm in world.alarms.items():
        if (account, region) == here:
            kind = COMPOSITE if alarm.is_composite else METRIC
            states[name] = (kind, _state(world, account, alarm.state, alarm.role, "OK"), "switched")
    found: dict[str, list[dict[str, Any]]] = {METRIC: [], COMPOSITE: []}
    for name, (kind, state, reason) in sorted(states.items()):
        if kind in kinds and (names is None or name in names):
            arn = f"arn:aws:cloudwatch:{here[1]}:{here[0]}:alarm:{name}"
            row = {"AlarmName": name, "AlarmArn": arn, "StateValue": state, "StateReason": reason}
            found[kind].append(row)
    return ActionResult({"MetricAlarms": found[METRIC], "CompositeAlarms": found[COMPOSITE]})


def describe_target_health(world: World, request: Any) -> ActionResult:
    """Of groups that were switched; there is no other."""
    group = request.params.get("TargetGroupArn")
    here = (request.current_account, request.region, group)
    rows = {k[3]: one for k, one in world.targets.items() if k[:3] == here}
    if not rows:
        said = "One or more target groups not found"
        raise refused("elasticloadbalancing", "TargetGroupNotFound", said)
    told = []
    for instance, one in sorted(rows.items()):
        state = _state(world, here[0], one.state, one.role, "healthy", instance)
        health = {"State": state}
        if state != "healthy":
            health |= {"Reason": one.reason, "Description": "Health checks failed"}
        told.append({"Target": {"Id": instance, "Port": 80}, "TargetHealth": health})
    return ActionResult({"TargetHealthDescriptions": told})


def _state(
    world: World, account: str, state: str, role: str | None, well: str, of: str | None = None
) -> str:
    """The state that was switched; with a role, only while an instance is served that role."""
    if role is None:
        return state
    roles = iam_backends[account]["aws"].roles
    served = {
        roles[role_id].name
        for (owner, _, instance), role_id in world.served.items()
        if owner == account and role_id in roles and of in (None, instance)
    }
    return state if role in served else well


def calls_of(world: World, key: Key, until: float) -> Iterator[Used]:
    """What the applications on an instance have called until then, as CloudTrail shows it by
    now."""
    backend, now = iam_backends[key[0]]["aws"], world.clock.now()
    for app in world.apps:
        if app.instance not in (None, key[2]):
            continue
        service, _, operation = app.action.partition(":")
        at = app.since
        while at <= min(until, now - app.late_seconds):
            session = world.sessions.at(key, at)
            role = backend.roles.get(session.role_id) if session is not None else None
            if session is not None and role is not None:
                is_over = is_revoked(key[0], session, app.action, app.resource, at)
                is_allowed = not is_over and _is_allowed(backend, role, app)
                denied = None if is_allowed else app.resource
                error = None if denied is None else "AccessDenied"
                yield Used(key, session, at, service, operation, error, denied)
            at += app.every_seconds


def _is_allowed(backend: Any, role: Any, app: App) -> bool:
    asked = {
        "PolicySourceArn": role.arn,
        "ActionNames": [app.action],
        "ResourceArns": [app.resource],
    }
    answer = simulated(backend, (), asked)["EvaluationResults"][0]
    return bool(answer["EvalDecision"] == "allowed")
