"""CloudTrail's event history, which moto lacks: what was changed in the sandbox, and by which
principal; and the calls of instances, each by the session that EC2 named after it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any
from uuid import NAMESPACE_OID, uuid5

from moto.core.exceptions import ServiceException
from moto.core.responses import ActionResult
from moto.ec2.models import ec2_backends
from moto.iam.models import iam_backends

from reconciler.sandbox.faults import refused
from reconciler.sandbox.sessions import Used
from reconciler.sandbox.state import Change, Logged, World
from reconciler.sandbox.watched import calls_of

_NAMES = ("RoleName", "InstanceProfileName", "PolicyName", "PolicyArn", "InstanceId", "ResourceId")
GLOBAL = "us-east-1"
PAGE = 50
DAYS = 90
CALLER = "sandbox"
_KEYS = ("ResourceName", "Username", "EventName", "EventSource", "EventId", "ReadOnly")


class TrailLayer:
    """Answers ``LookupEvents`` from the log of the sandbox: successful changes, and the calls that
    instances have made, as late as ``Lags.trail`` says. IAM events appear in one region, as in AWS.
    Source: docs.aws.amazon.com/awscloudtrail/latest/APIReference/API_LookupEvents.html
    """

    def __init__(self, world: World) -> None:
        self._world = world

    def lookup_events(self, request: Any) -> ActionResult:
        asked = json.loads(request.body or "{}")
        attributes = asked.get("LookupAttributes") or []
        _check(asked, attributes)
        token = str(asked.get("NextToken") or "0")
        if not token.isdecimal():
            raise _invalid("NextToken", "The token is not valid.")
        key, value = None, ""
        if attributes:
            key, value = str(attributes[0]["AttributeKey"]), str(attributes[0]["AttributeValue"])
        events = sorted(self._events(request, key, value), key=lambda e: e["EventTime"])[::-1]
        now = self._world.clock.now()
        oldest = max(float(asked.get("StartTime") or 0.0), now - DAYS * 86400)
        newest = min(float(asked.get("EndTime") or now), now - self._world.lags.trail)
        found = [e for e in events if oldest <= e["EventTime"] <= newest]
        start = int(token)
        size = self._world.page(int(asked.get("MaxResults") or PAGE))
        page: dict[str, Any] = {"Events": found[start : start + size]}
        if start + size < len(found):
            page["NextToken"] = str(start + size)
        return ActionResult(page)

    def _events(self, request: Any, key: str | None, value: str) -> Iterator[dict[str, Any]]:
        account, region = request.current_account, request.region
        if key != "Username" or value == CALLER:
            for number, change in enumerate(self._world.changes):
                here = (change.logged.account, _region(change.logged))
                if here == (account, region) and _fits(change, key, value):
                    yield _event(number, change)
        if key == "Username" and value != CALLER:
            lags = self._world.lags
            now = self._world.clock.now() - lags.trail
            for there in {region, *(self._world.regions if region == GLOBAL else ())}:
                settle(self._world, account, there, value)
                whose = (account, there, value)
                by_itself = self._world.sessions.by(whose, now, lags.calls)
                for used in (*by_itself, *calls_of(self._world, whose, now)):
                    if region == (GLOBAL if used.service == "iam" else there):
                        yield _of_instance(used)


def settle(world: World, account: str, region: str, name: str) -> None:
    """The instance's association takes effect in time, also while nobody lists it."""
    for row in (r for r in world.rows_of(account, region) if r.instance == name):
        profiles = iam_backends[account]["aws"].instance_profiles.values()
        profile = next((p for p in profiles if p.id == row.profile_id), None)
        instance = ec2_backends[account][region].get_instance(name)
        world.state(row, instance.state == "running", profile)


def _check(asked: Any, attributes: list[Any]) -> None:
    if len(attributes) > 1 or any(a.get("AttributeKey") not in _KEYS for a in attributes):
        raise _invalid("LookupAttributes", "Only one valid attribute is allowed.")
    if not 1 <= int(asked.get("MaxResults") or PAGE) <= PAGE:
        raise _invalid("MaxResults", f"MaxResults must be between 1 and {PAGE}.")
    start, end = asked.get("StartTime"), asked.get("EndTime")
    if start is not None and end is not None and start > end:
        raise _invalid("TimeRange", "StartTime must be before EndTime.")


def _invalid(what: str, message: str) -> ServiceException:
    return refused("cloudtrail", f"Invalid{what}Exception", message)


def _fits(change: Change, key: str | None, value: str) -> bool:
    match key:
        case "ResourceName":
            return value in change.resources
        case "EventName":
            return value == change.logged.operation
        case "EventSource":
            return value == f"{change.logged.service}.amazonaws.com"
        case "ReadOnly":
            return value == "false"
        case "EventId":
            return False
        case _:
            return True


def _region(logged: Logged) -> str:
    return GLOBAL if logged.service == "iam" else logged.region


def resources_of(logged: Logged) -> frozenset[str]:
    """Every name that the request gives, wherever it stands."""
    found: set[str] = set()

    def walk(value: Any) -> None:
        match value:
            case dict():
                for inner in value.values():
                    walk(inner)
            case list():
                for inner in value:
                    walk(inner)
            case str():
                found.add(value)

    for name, value in logged.params.items():
        if name in _NAMES or name.endswith(("Ids", "Id")):
            walk(value)
    return frozenset(found)


def _event(number: int, change: Change) -> dict[str, Any]:
    logged = change.logged
    arn = f"arn:aws:iam::{logged.account}:user/{CALLER}"
    answer: dict[str, Any] | None = None
    if change.association is not None:  # EC2's newer calls are told like this
        made = {"associationId": change.association, "instanceId": change.instance}
        answer = {f"{logged.operation}Response": {"iamInstanceProfileAssociation": made}}
    detail = {
        "eventVersion": "1.11",
        "userIdentity": {"type": "IAMUser", "arn": arn, "userName": CALLER},
        "eventSource": f"{logged.service}.amazonaws.com",
        "eventName": logged.operation,
        "awsRegion": _region(logged),
        "userAgent": logged.user_agent,
        "readOnly": False,
        "responseElements": answer,
    }
    return {
        "EventId": f"00000000-0000-0000-0000-{number:012d}",
        "EventName": logged.operation,
        "ReadOnly": "false",
        "EventTime": int(logged.at),
        "EventSource": f"{logged.service}.amazonaws.com",
        "Username": CALLER,
        "Resources": [{"ResourceName": name} for name in sorted(change.resources)],
        "CloudTrailEvent": json.dumps(detail),
    }


def _of_instance(used: Used) -> dict[str, Any]:
    account, region, instance = used.key
    session = used.session
    start = f"arn:aws:iam::{account}:role"
    detail: dict[str, Any] = {
        "eventVersion": "1.11",
        "userIdentity": {
            "type": "AssumedRole",
            "principalId": f"{session.role_id}:{instance}",
            "arn": f"arn:aws:sts::{account}:assumed-role/{session.role}/{instance}",
            "accountId": account,
            "sessionContext": {
                "sessionIssuer": {
                    "type": "Role",
                    "principalId": session.role_id,
                    "arn": f"{start}/{session.role}",
                    "accountId": account,
                    "userName": session.role,
                },
                "attributes": {
                    "creationDate": moment(session.issued_at),
                    "mfaAuthenticated": "false",
                },
                "ec2RoleDelivery": "2.0",
            },
        },
        "eventTime": moment(used.at),
        "eventSource": f"{used.service}.amazonaws.com",
        "eventName": used.operation,
        "awsRegion": GLOBAL if used.service == "iam" else region,
        **({"errorCode": used.error} if used.error else {}),
    }
    if used.denied_on is not None:
        action = f"{used.service}:{used.operation}"
        detail["errorMessage"] = (
            f"User: {detail['userIdentity']['arn']} is not authorized to perform: {action} on "
            f"resource: {used.denied_on} because no identity-based policy allows the {action} "
            "action"
        )
    return {
        "EventId": str(uuid5(NAMESPACE_OID, f"{used.key} {used.at} {used.operation}")),
        "EventName": used.operation,
        "ReadOnly": "true",
        "EventTime": int(used.at),
        "EventSource": f"{used.service}.amazonaws.com",
        "Username": instance,
        "Resources": [],
        "CloudTrailEvent": json.dumps(detail),
    }


def moment(epoch: float) -> str:
    """To the second, as CloudTrail writes it."""
    return datetime.fromtimestamp(int(epoch), tz=UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
