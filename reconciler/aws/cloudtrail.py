"""The principal that changed something, from CloudTrail's event history.

``LookupEvents`` has the management events of the last 90 days. It takes one attribute per call, and
two calls a second per account and region; events arrive minutes after the call.

Source: docs.aws.amazon.com/awscloudtrail/latest/APIReference/API_LookupEvents.html
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from reconciler.aws.errors import translated
from reconciler.aws.session import Clients
from reconciler.ports import Clock, Event
from reconciler.threads import interruptible

PAUSE_SECONDS = 0.5
PAGE = 50
MOST_PAGES = 4


class AwsTrail:
    """A ``Trail`` over boto3."""

    def __init__(self, clients: Clients, clock: Clock) -> None:
        self._clients = clients
        self._clock = clock
        self._asked: dict[str, float] = {}

    def events(self, region: str, resource: str) -> Iterator[Event]:
        """Changes of the resource of that name that AWS made, the newest first. Raises
        ``AwsError``."""
        attribute = {"AttributeKey": "ResourceName", "AttributeValue": resource}
        token: dict[str, str] = {}
        for _ in range(MOST_PAGES):
            self._wait(region)
            page = self._page(region, LookupAttributes=[attribute], MaxResults=PAGE, **token)
            yield from filter(None, map(_event, page.get("Events", ())))
            if not page.get("NextToken"):
                return
            token = {"NextToken": page["NextToken"]}

    @interruptible
    def _page(self, region: str, **params: Any) -> dict[str, Any]:
        client = self._clients.get("cloudtrail", region)
        with translated("cloudtrail:LookupEvents"):
            answer: dict[str, Any] = client.lookup_events(**params)
            return answer

    def _wait(self, region: str) -> None:
        """At most two calls a second."""
        now = self._clock.now()
        free = self._asked.get(region, 0.0) + PAUSE_SECONDS
        if now < free:
            self._clock.sleep(free - now)
        self._asked[region] = max(now, free)


def _event(answer: dict[str, Any]) -> Event | None:
    """``None`` for what only read, or was refused."""
    try:
        detail = json.loads(answer.get("CloudTrailEvent") or "{}")
    except ValueError:
        detail = {}
    if answer.get("ReadOnly") == "true" or detail.get("errorCode"):
        return None
    identity = detail.get("userIdentity") or {}
    by = identity.get("arn") or identity.get("invokedBy") or answer.get("Username")
    return Event(
        id=str(answer.get("EventId", "")),
        name=str(answer.get("EventName", "")),
        at=answer["EventTime"].timestamp(),
        by=str(by) if by else None,
        user_agent=str(detail.get("userAgent") or ""),
    )
