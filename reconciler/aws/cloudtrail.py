"""CloudTrail's event history: who changed something, and which session of an instance called.

``LookupEvents`` has the management events of the last 90 days. It takes one attribute per call, and
two calls a second per account and region; events arrive minutes after the call.

Source: docs.aws.amazon.com/awscloudtrail/latest/APIReference/API_LookupEvents.html
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from threading import Lock
from typing import Any

from reconciler.aws.errors import translated
from reconciler.aws.session import Clients
from reconciler.model.evidence import LOOKUP_SECONDS
from reconciler.ports import Clock, Event
from reconciler.threads import interruptible

PAGE = 50
MOST_PAGES = 4


class AwsTrail:
    """A ``Trail`` over boto3."""

    def __init__(self, clients: Clients, clock: Clock) -> None:
        self._clients = clients
        self._clock = clock
        self._free: dict[str, float] = {}
        self._lock = Lock()

    def events(self, region: str, resource: str) -> Iterator[Event]:
        """Changes of the resource of that name that AWS made, the newest first. Raises
        ``AwsError``."""
        yield from filter(None, map(_event, self.lookup(region, "ResourceName", resource)))

    def lookup(
        self,
        region: str,
        key: str,
        value: str,
        since: float | None = None,
        most_pages: int = MOST_PAGES,
    ) -> Iterator[dict[str, Any]]:
        """Events as CloudTrail answers them, the newest first; a page is asked for when it is
        needed. ``since`` is in seconds of the epoch. Raises ``AwsError``."""
        asked: dict[str, Any] = {
            "LookupAttributes": [{"AttributeKey": key, "AttributeValue": value}]
        }
        if since is not None:
            asked["StartTime"] = datetime.fromtimestamp(since, tz=UTC)
        for _ in range(most_pages):
            self._wait(region)
            page = self._page(region, MaxResults=PAGE, **asked)
            yield from page.get("Events", ())
            if not page.get("NextToken"):
                return
            asked["NextToken"] = page["NextToken"]

    @interruptible
    def _page(self, region: str, **params: Any) -> dict[str, Any]:
        client = self._clients.get("cloudtrail", region)
        with translated("cloudtrail:LookupEvents"):
            answer: dict[str, Any] = client.lookup_events(**params)
            return answer

    def _wait(self, region: str) -> None:
        """At most two calls a second, from whatever thread; also after one that came late."""
        while True:
            with self._lock:
                now = self._clock.now()
                left = self._free.get(region, 0.0) - now
                if left <= 0:
                    self._free[region] = now + LOOKUP_SECONDS
                    return
            self._clock.sleep(left)


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
