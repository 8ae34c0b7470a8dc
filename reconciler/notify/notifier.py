"""``--notify KIND=PLACE``: destinations of drift notifications, and delivery."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from reconciler.diagnostics import meant
from reconciler.errors import AwsError, DeliveryError
from reconciler.notify.notice import Notice
from reconciler.notify.slack import slack_message
from reconciler.notify.webhook import Web, host_of
from reconciler.render.json.encode import json_text

KINDS = ("slack", "webhook", "sns", "eventbridge")
FROM_ENVIRONMENT = "env:"
MOST_BYTES = 240_000
"""SNS and EventBridge take 256 KiB, attributes and envelope included."""
SUBJECT_CHARACTERS = 100
SOURCE = "io.reconciler"


class Publisher(Protocol):
    """Sends to SNS and EventBridge. Raises ``AwsError``."""

    def publish(
        self, topic_arn: str, subject: str, message: str, attributes: Mapping[str, str]
    ) -> None: ...

    def put_event(self, bus: str, source: str, detail_type: str, detail: str) -> None: ...


@dataclass(frozen=True, slots=True)
class Destination:
    """``place`` is a URL, an ARN or the name of a bus. It may be a secret: it is never printed."""

    kind: str
    place: str

    @property
    def id(self) -> str:
        """Equal for equal places, and does not reveal the place."""
        text = f"{self.kind}={self.place}"
        return f"{self.kind}-{hashlib.sha256(text.encode()).hexdigest()[:12]}"

    @property
    def name(self) -> str:
        """A name that may be printed."""
        if self.kind in ("slack", "webhook"):
            return f"{self.kind} at {host_of(self.place)}"
        return f"{self.kind} {self.place.rpartition(':')[2]}"


def destination_of(text: str, environment: Mapping[str, str]) -> Destination:
    """Parses ``KIND=PLACE``. ``slack=env:NAME`` reads the place from an environment variable, which
    ``ps`` does not show. Raises ``ValueError``, whose message does not contain the place."""
    kind, equals, place = text.partition("=")
    if kind not in KINDS or not equals or not place:
        known = f"takes KIND=PLACE, with KIND one of {', '.join(KINDS)}"
        raise ValueError(f"{known}{meant(kind, KINDS)}")
    if place.startswith(FROM_ENVIRONMENT):
        name = place.removeprefix(FROM_ENVIRONMENT)
        if not environment.get(name):
            raise ValueError(f"{kind}: the environment variable {name} is not set, or empty")
        place = environment[name]
    if kind in ("slack", "webhook"):
        try:
            host_of(place)
        except DeliveryError as error:
            raise ValueError(f"{kind}: {error}") from error
    if kind == "sns" and not place.startswith("arn:"):
        raise ValueError("sns: takes the ARN of a topic")
    return Destination(kind, place)


def deliver(destination: Destination, notice: Notice, web: Web, publisher: Publisher) -> None:
    """Sends the notification. Raises ``DeliveryError``."""
    try:
        match destination.kind:
            case "slack":
                web.ask("POST", destination.place, slack_message(notice))
            case "webhook":
                web.ask("POST", destination.place, notice.payload())
            case "sns":
                _publish(destination, notice, publisher)
            case _:
                detail = json_text(notice.fitting(MOST_BYTES), None)
                ended = "Resolved" if notice.status == "resolved" else "Detected"
                kind = f"Reconciler Drift {ended}"
                publisher.put_event(destination.place, SOURCE, kind, detail)
    except AwsError as error:
        raise DeliveryError(f"{error.call}: {error.code}: {error.message}") from error


def _publish(destination: Destination, notice: Notice, publisher: Publisher) -> None:
    subject = notice.title.encode("ascii", "replace").decode()[:SUBJECT_CHARACTERS]
    attributes = {
        "status": notice.status,
        "severity": notice.severity,
        "account": ",".join(notice.accounts),
    }
    message = json_text(notice.fitting(MOST_BYTES), None)
    publisher.publish(destination.place, subject, message, attributes)
