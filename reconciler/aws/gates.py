"""What a cut-over watches: alarms of CloudWatch, the health of a load balancer's targets, and calls
that CloudTrail recorded as denied."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from functools import partial
from math import ceil, floor
from typing import Any

from reconciler.aws.cloudtrail import MOST_PAGES, AwsTrail, delivered_to, detail_of, issued_at
from reconciler.aws.errors import translated
from reconciler.aws.session import Clients
from reconciler.errors import Denied
from reconciler.model.ownership import InstanceKey
from reconciler.plan.gates import AlarmState, DeniedCall, DeniedCalls, TargetState, WatchedSession
from reconciler.ports import Clock
from reconciler.threads import interruptible

NAMES_OF_A_CALL = 100
"""Source: docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_DescribeAlarms.html"""
KINDS = ["MetricAlarm", "CompositeAlarm"]
"""Composite ones are answered only where they are asked for."""
MOST_TEXT = 200
MOST_OF_BUSY = 20
"""Pages of a busy instance's calls, before it got the role and after that: ten seconds each."""
_REFUSED = re.compile(r"AccessDenied|UnauthorizedOperation|NotAuthorized|AuthorizationError")


class AwsGates:
    """A ``Gates`` over boto3, for one account; several threads may ask."""

    def __init__(self, clients: Clients, clock: Clock) -> None:
        self._clients = clients
        self._trail = AwsTrail(clients, clock)

    def alarms(self, region: str, names: Collection[str]) -> tuple[AlarmState, ...]:
        """Of any number. Raises ``AwsError``."""
        ordered = sorted(set(names))
        found: list[AlarmState] = []
        for start in range(0, len(ordered), NAMES_OF_A_CALL):
            found += self._alarms(region, ordered[start : start + NAMES_OF_A_CALL])
        return tuple(found)

    @interruptible
    def _alarms(self, region: str, names: list[str]) -> list[AlarmState]:
        client, found = self._clients.get("cloudwatch", region), []
        token: dict[str, str] = {}
        with translated("cloudwatch:DescribeAlarms"):
            while True:
                page = client.describe_alarms(AlarmNames=names, AlarmTypes=KINDS, **token)
                rows = (*page.get("MetricAlarms", ()), *page.get("CompositeAlarms", ()))
                for row in rows:
                    reason = _short(str(row.get("StateReason") or ""))
                    state = str(row["StateValue"])
                    found.append(AlarmState(region, str(row["AlarmName"]), state, reason))
                if not page.get("NextToken"):
                    return found
                token = {"NextToken": page["NextToken"]}

    @interruptible
    def targets(self, region: str, group: str) -> tuple[TargetState, ...]:
        """All of a target group. Raises ``AwsError``; the code is ``TargetGroupNotFound`` if there
        is none of that ARN."""
        client = self._clients.get("elbv2", region)
        with translated("elasticloadbalancing:DescribeTargetHealth"):
            answer = client.describe_target_health(TargetGroupArn=group)
        rows = answer.get("TargetHealthDescriptions", ())
        return tuple(_target(group, region, row) for row in rows)

    def denied(self, region: str, session: WatchedSession) -> DeniedCalls:
        """Of sessions that EC2 made, which it names after the instance. Raises ``AwsError``.

        A busy instance hides them among its other calls: then what was before is looked through
        by itself, without which nobody could tell what is new."""
        cut: list[str] = []

        def found(since: float, until: float, pages: int, part: str) -> tuple[DeniedCall, ...]:
            name, told = session.key.instance, partial(cut.append, part)
            listed = self._trail.lookup(region, "Username", name, since, pages, until, told)
            return tuple(_denied(session.key, listed))

        calls = found(session.before, ceil(session.until), MOST_PAGES, "all")
        # CloudTrail tells times to the second, and both ends belong to what is asked for.
        since = floor(session.began_at)
        if not cut or session.before > since - 1:
            return DeniedCalls(calls, is_whole=not cut)
        cut.clear()
        before = found(session.before, since - 1, MOST_OF_BUSY, "before")
        if cut:
            return DeniedCalls((), is_whole=False)
        after = found(since, ceil(session.until), MOST_OF_BUSY, "after")
        return DeniedCalls((*before, *after), is_whole=not cut)


def _target(group: str, region: str, row: dict[str, Any]) -> TargetState:
    health = row.get("TargetHealth") or {}
    told = [str(health[name]) for name in ("Reason", "Description") if health.get(name)]
    return TargetState(
        group=group,
        region=region,
        target=str(row["Target"]["Id"]),
        state=str(health.get("State", "")),
        reason=_short(": ".join(told)),
    )


def _denied(key: InstanceKey, events: Iterator[dict[str, Any]]) -> Iterator[DeniedCall]:
    for event in events:
        detail = detail_of(event)
        role_id = delivered_to(detail, key.instance)
        if role_id and _REFUSED.search(str(detail.get("errorCode") or "")):
            action, resource = _what(detail)
            yield DeniedCall(
                key=key,
                at=event["EventTime"].timestamp(),
                action=_short(action),
                resource=_short(resource),
                role_id=role_id,
                issued_at=issued_at(detail),
            )


def _what(detail: Mapping[str, Any]) -> tuple[str, str]:
    """Action and resource. Some operations have another name than the action that they need, and
    the message has that of the action."""
    listed = detail.get("resources")
    named = [r for r in listed if isinstance(r, dict)] if isinstance(listed, list) else []
    resources = [str(r["ARN"]) for r in named if r.get("ARN")]
    if said := Denied.read(str(detail.get("errorMessage") or "")):
        return said.action, said.resource or next(iter(resources), "*")
    service = str(detail.get("eventSource") or "").partition(".")[0]
    return f"{service}:{detail.get('eventName')}", next(iter(resources), "*")


def _short(text: str) -> str:
    return text if len(text) <= MOST_TEXT else f"{text[: MOST_TEXT - 3]}..."
