"""CloudTrail's event history: who changed something, and which session of an instance called.

``LookupEvents`` has the management events of the last 90 days. It takes one attribute per call, and
two calls a second per account and region; events arrive minutes after the call.

Source: docs.aws.amazon.com/awscloudtrail/latest/APIReference/API_LookupEvents.html
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from threading import Lock
from typing import Any

from reconciler.aws.errors import translated
from reconciler.aws.parse import epoch_of
from reconciler.aws.session import Clients
from reconciler.model.evidence import LOOKUP_SECONDS
from reconciler.ports import Clock, Event
from reconciler.threads import interruptible

PAGE = 50
MOST_PAGES = 4
_ROLE_ID = re.compile(r"AROA[A-Z0-9]{12,124}")


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
        until: float | None = None,
        cut_short: Callable[[], None] = lambda: None,
    ) -> Iterator[dict[str, Any]]:
        """Events as CloudTrail answers them, the newest first; a page is asked for when it is
        needed. ``since`` and ``until`` are in seconds of the epoch; ``cut_short`` is called if
        there are older ones than on the last page that may be asked for. Raises ``AwsError``."""
        asked: dict[str, Any] = {
            "LookupAttributes": [{"AttributeKey": key, "AttributeValue": value}]
        }
        if since is not None:
            asked["StartTime"] = datetime.fromtimestamp(since, tz=UTC)
        if until is not None and until < self._clock.now():
            # Whether AWS takes one that is yet to come is not documented.
            asked["EndTime"] = datetime.fromtimestamp(until, tz=UTC)
        for _ in range(most_pages):
            self._wait(region)
            page = self._page(region, MaxResults=PAGE, **asked)
            yield from page.get("Events", ())
            if not page.get("NextToken"):
                return
            asked["NextToken"] = page["NextToken"]
        cut_short()

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


def detail_of(event: Mapping[str, Any]) -> Mapping[str, Any]:
    """The event itself; empty where it cannot be read."""
    try:
        found = json.loads(event.get("CloudTrailEvent") or "{}")
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def identity_of(detail: Mapping[str, Any]) -> Mapping[str, Any]:
    """Who called."""
    return within(detail, "userIdentity")


def within(value: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    """The member of that name, empty where there is none with members of its own."""
    found = value.get(name)
    return found if isinstance(found, dict) else {}


def delivered_to(detail: Mapping[str, Any], instance: str) -> str | None:
    """The id of the role whose credentials the metadata service of the instance delivered for the
    call; ``None`` if it did not. A session may be named after an instance by anybody who may assume
    a role, and the identity that EC2 gives an instance beside its profile (``aws:ec2-instance``) is
    named after it too."""
    identity = identity_of(detail)
    role_id, _, session = str(identity.get("principalId") or "").partition(":")
    is_delivered = bool(within(identity, "sessionContext").get("ec2RoleDelivery"))
    return role_id if is_delivered and session == instance and _ROLE_ID.fullmatch(role_id) else None


def issued_at(detail: Mapping[str, Any]) -> float | None:
    """When the session was issued."""
    context = within(identity_of(detail), "sessionContext")
    return epoch_of(within(context, "attributes").get("creationDate"))


def _event(answer: dict[str, Any]) -> Event | None:
    """``None`` for what only read, or was refused."""
    detail = detail_of(answer)
    if answer.get("ReadOnly") == "true" or detail.get("errorCode"):
        return None
    identity = identity_of(detail)
    by = identity.get("arn") or identity.get("invokedBy") or answer.get("Username")
    return Event(
        id=str(answer.get("EventId", "")),
        name=str(answer.get("EventName", "")),
        at=answer["EventTime"].timestamp(),
        by=str(by) if by else None,
        user_agent=str(detail.get("userAgent") or ""),
    )
