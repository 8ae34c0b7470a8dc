"""What Slack, SNS, EventBridge and webhooks are told, within what each of them takes."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler.errors import AwsError, DeliveryError
from reconciler.notify.notice import size
from reconciler.notify.notifier import MOST_BYTES, Destination, deliver, destination_of
from reconciler.notify.slack import (
    HEADER_CHARACTERS,
    MOST_BLOCKS,
    SECTION_CHARACTERS,
    mrkdwn,
    slack_message,
)
from reconciler.notify.webhook import Web
from tests.notify.drifts import finding, notice
from tests.receiver import receiver
from tests.render.situations import HOSTILE
from tests.sampling import sampled


def is_within_limits(message: dict[str, Any]) -> None:
    """docs.slack.dev/reference/block-kit/blocks, and the sum that Slack does not write down."""
    assert message["text"]
    assert 1 <= len(message["blocks"]) <= MOST_BLOCKS == 50
    for block in message["blocks"]:
        text = block["text"]["text"]
        most = HEADER_CHARACTERS if block["type"] == "header" else SECTION_CHARACTERS
        assert 0 < len(text) <= most
    assert len(json.dumps(message)) < 40_000
    assert sum(len(block["text"]["text"]) for block in message["blocks"]) < 13_000


@pytest.mark.parametrize("count", [1, 40, 60, 500])
@pytest.mark.parametrize("length", [10, 500, 5_000])
def test_limits_of_slack(count: int, length: int) -> None:
    many = [finding(f"role/r{n}", reason="x" * length) for n in range(count)]
    message = slack_message(notice(*many))
    is_within_limits(message)
    told = sum("`default role/" in b["text"]["text"] for b in message["blocks"])
    assert told >= 1
    if told < count:
        assert f"and {count - told} more" in message["blocks"][-1]["text"]["text"]


def test_slack_escapes_names() -> None:
    message = slack_message(notice(finding(f"role/{HOSTILE}<!channel>", reason="<!here> & *b*")))
    is_within_limits(message)
    text = json.dumps(message)
    assert "<!" not in text
    assert "&lt;!channel&gt;" in text
    assert "\\u001b[" not in text.replace("\\\\u001b[", "")


@given(st.text(max_size=50))
def test_mrkdwn_escapes_markup(text: str) -> None:
    made = mrkdwn(text)
    assert not set("<>`") & set(made)
    assert made.count("&") == sum(made.count(e) for e in ("&amp;", "&lt;", "&gt;"))


def test_severity_is_that_of_the_gravest_finding() -> None:
    died = finding("instance-profile/web", status="in_progress", severity="critical")
    message = slack_message(notice(died, finding()))
    assert ":rotating_light:" in message["blocks"][2]["text"]["text"]
    assert notice(finding(), died).severity == "critical"


class Published:
    """In the place of AWS; ``error`` is what it answers instead."""

    def __init__(self, error: AwsError | None = None) -> None:
        self.error = error
        self.messages: list[dict[str, Any]] = []

    def publish(self, topic_arn: str, subject: str, message: str, attributes: Any) -> None:
        if self.error:
            raise self.error
        self.messages.append({"subject": subject, "body": message, "attributes": attributes})

    def put_event(self, bus: str, source: str, detail_type: str, detail: str) -> None:
        if self.error:
            raise self.error
        self.messages.append({"source": source, "type": detail_type, "body": detail})


TOPIC = "arn:aws:sns:us-east-1:123456789012:drift"


def test_sns() -> None:
    aws = Published()
    deliver(Destination("sns", TOPIC), notice(finding()), Web(), aws)
    (sent,) = aws.messages
    assert sent["subject"] == "Drift in tests, account 123456789012"
    assert sent["attributes"] == {
        "status": "drifted",
        "severity": "warning",
        "account": "123456789012",
    }
    assert [f["address"] for f in json.loads(sent["body"])["told"]] == ["role/a"]


def test_eventbridge() -> None:
    aws = Published()
    deliver(Destination("eventbridge", "default"), notice(finding()), Web(), aws)
    assert aws.messages[0]["source"] == "io.reconciler"
    assert aws.messages[0]["type"] == "Reconciler Drift Detected"


@pytest.mark.parametrize("count", sampled([1, 100, 1_000], [5_000]))
def test_payloads_fit_into_sns_and_eventbridge(count: int) -> None:
    many = [finding(f"role/r{n}", reason="ü" * 400) for n in range(count)]
    payload = notice(*many).fitting(MOST_BYTES)
    assert size(payload) <= MOST_BYTES < 256 * 1024
    assert payload["told"]
    assert payload.get("truncated", False) == (count > 100)


def test_an_aws_error_is_a_delivery_error() -> None:
    aws = Published(AwsError("sns:Publish", "NotFound", "no topic"))
    with pytest.raises(DeliveryError, match="sns:Publish: NotFound: no topic"):
        deliver(Destination("sns", TOPIC), notice(finding()), Web(), aws)


def test_a_webhook_receives_the_drift_document() -> None:
    with receiver() as there:
        deliver(Destination("webhook", there.url), notice(finding()), Web(), Published())
    (came,) = there.received
    assert came.json["findings"][0]["address"] == "role/a"
    assert came.json["told"] == came.json["findings"]


@pytest.mark.parametrize(
    "text",
    [
        "slack",
        "slack=",
        "mail=x@y",
        "slack=ftp://secret",
        "sns=secret",
        "slack=env:",
        "slack=env:NO",
    ],
)
def test_an_invalid_destination(text: str) -> None:
    with pytest.raises(ValueError, match=r"takes|variable|begin") as caught:
        destination_of(text, {})
    assert "secret" not in str(caught.value)


def test_a_destination_from_an_environment_variable() -> None:
    destination = destination_of("slack=env:HOOK", {"HOOK": "https://hooks.slack.test/T0/secret"})
    assert destination.place.endswith("/secret")
    assert destination.name == "slack at hooks.slack.test"
    assert "secret" not in destination.id
    assert destination.id == destination_of("slack=https://hooks.slack.test/T0/secret", {}).id
