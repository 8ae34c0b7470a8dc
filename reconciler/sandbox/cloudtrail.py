"""CloudTrail's event history, which moto lacks: what was changed in the sandbox, and by which
principal; and what applications on its instances called (``watched.py``)."""

from __future__ import annotations

import json
from typing import Any

from moto.core.responses import ActionResult

from reconciler.sandbox.state import Change, Logged, World
from reconciler.sandbox.watched import calls_of, event_of

_NAMES = ("RoleName", "InstanceProfileName", "PolicyName", "PolicyArn", "InstanceId", "ResourceId")
GLOBAL = "us-east-1"
PAGE = 50


class TrailLayer:
    """Answers ``LookupEvents`` from the log of the sandbox: successful changes, without delay. IAM
    events appear in one region, as in AWS."""

    def __init__(self, world: World) -> None:
        self._world = world

    def lookup_events(self, request: Any) -> ActionResult:
        asked = json.loads(request.body or "{}")
        attributes = asked.get("LookupAttributes", ())
        wanted = {a["AttributeValue"] for a in attributes}
        start = int(asked.get("NextToken") or 0)
        names = {a["AttributeValue"] for a in attributes if a["AttributeKey"] == "Username"}
        found = [e for name in names for e in self._of_session(name, asked, request)] or [
            _event(number, change)
            for number, change in enumerate(self._world.changes)
            if change.logged.account == request.current_account
            and _region(change.logged) == request.region
            and (not wanted or wanted & change.resources)
        ][::-1]
        size = self._world.page(min(int(asked.get("MaxResults") or PAGE), PAGE))
        page: dict[str, Any] = {"Events": found[start : start + size]}
        if start + size < len(found):
            page["NextToken"] = str(start + size)
        return ActionResult(page)

    def _of_session(self, name: str, asked: Any, request: Any) -> list[dict[str, Any]]:
        """Events of a session of the instance of that name, the newest first."""
        here = (request.current_account, request.region, name)
        since, until = asked.get("StartTime", 0.0), asked.get("EndTime", float("inf"))
        calls = sorted(calls_of(self._world, *here, since, until), key=lambda call: call.at)
        return [event_of(number, call, *here) for number, call in enumerate(calls)][::-1]


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
    arn = f"arn:aws:iam::{logged.account}:user/sandbox"
    detail = {
        "eventVersion": "1.11",
        "userIdentity": {"type": "IAMUser", "arn": arn, "userName": "sandbox"},
        "eventSource": f"{logged.service}.amazonaws.com",
        "eventName": logged.operation,
        "awsRegion": _region(logged),
        "userAgent": logged.user_agent,
        "readOnly": False,
    }
    return {
        "EventId": f"00000000-0000-0000-0000-{number:012d}",
        "EventName": logged.operation,
        "ReadOnly": "false",
        "EventTime": logged.at,
        "EventSource": f"{logged.service}.amazonaws.com",
        "Username": "sandbox",
        "Resources": [{"ResourceName": name} for name in sorted(change.resources)],
        "CloudTrailEvent": json.dumps(detail),
    }
