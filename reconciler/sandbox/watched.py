"""What a roll-out watches, which moto lacks or keeps still: alarms that ring, targets that fail
their health checks, and applications on the instances whose calls are denied. All of it is switched
while the sandbox runs.

Sources: docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_DescribeAlarms.html,
docs.aws.amazon.com/elasticloadbalancing/latest/APIReference/API_DescribeTargetHealth.html,
docs.aws.amazon.com/awscloudtrail/latest/userguide/cloudtrail-event-reference-user-identity.html
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from moto.cloudwatch.models import cloudwatch_backends
from moto.core.responses import ActionResult
from moto.iam.models import iam_backends

from reconciler.sandbox.faults import refused
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


@dataclass(frozen=True, slots=True)
class SessionCall:
    """A call of an application with the credentials that its instance was served."""

    at: float
    app: App
    role: Any
    session_began: float
    is_denied: bool


def calls_of(
    world: World, account: str, region: str, instance: str, since: float, until: float
) -> Iterator[SessionCall]:
    """What the applications on an instance have called, as CloudTrail shows it by now."""
    backend, key = iam_backends[account]["aws"], (account, region, instance)
    now = world.clock.now()
    for app in world.apps:
        if app.instance not in (None, instance):
            continue
        at = app.since
        while at <= min(until, now - app.late_seconds):
            if at >= since and (held := world.was_served(key, at)) is not None:
                role_id, began = held
                role = backend.roles.get(role_id)
                if role is not None:
                    yield SessionCall(at, app, role, began, not _is_allowed(backend, role, app))
            at += app.every_seconds


def _is_allowed(backend: Any, role: Any, app: App) -> bool:
    asked = {
        "PolicySourceArn": role.arn,
        "ActionNames": [app.action],
        "ResourceArns": [app.resource],
    }
    answer = simulated(backend, (), asked)["EvaluationResults"][0]
    return bool(answer["EvalDecision"] == "allowed")


def event_of(number: int, call: SessionCall, account: str, region: str, instance: str) -> Any:
    """As ``LookupEvents`` answers it."""
    service, _, operation = call.app.action.partition(":")
    session = f"arn:aws:sts::{account}:assumed-role/{call.role.name}/{instance}"
    detail: dict[str, Any] = {
        "eventVersion": "1.11",
        "userIdentity": {
            "type": "AssumedRole",
            "principalId": f"{call.role.id}:{instance}",
            "arn": session,
            "accountId": account,
            "sessionContext": {
                "sessionIssuer": {
                    "type": "Role",
                    "principalId": call.role.id,
                    "arn": call.role.arn,
                    "accountId": account,
                    "userName": call.role.name,
                },
                "attributes": {"creationDate": _time(call.session_began)},
                "ec2RoleDelivery": "2.0",
            },
        },
        "eventTime": _time(call.at),
        "eventSource": f"{service}.amazonaws.com",
        "eventName": operation,
        "awsRegion": region,
        "readOnly": True,
    }
    if call.is_denied:
        detail["errorCode"] = "AccessDenied"
        detail["errorMessage"] = (
            f"User: {session} is not authorized to perform: {call.app.action} on resource: "
            f"{call.app.resource} because no identity-based policy allows the {call.app.action} "
            "action"
        )
    return {
        "EventId": f"00000000-0000-0000-0001-{number:012d}",
        "EventName": operation,
        "ReadOnly": "true",
        "EventTime": call.at,
        "EventSource": f"{service}.amazonaws.com",
        "Username": instance,
        "Resources": [],
        "CloudTrailEvent": json.dumps(detail),
    }


def _time(at: float) -> str:
    return datetime.fromtimestamp(at, tz=UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
