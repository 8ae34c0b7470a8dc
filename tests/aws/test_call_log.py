"""Every attempt is told, however it ends."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest
from botocore.awsrequest import AWSRequest, AWSResponse
from botocore.compat import HTTPHeaders

from reconciler.aws.reader import AwsReader
from reconciler.aws.session import Login, Session, identity_of, reading
from reconciler.errors import AwsError
from reconciler.executor.interrupt import Interrupt
from reconciler.executor.retrying_reader import RetryingReader
from reconciler.model.ownership import InstanceKey
from reconciler.ports import Attempt
from reconciler.sandbox.embedded import JumpingClock


@dataclass
class Told:
    attempts: list[Attempt] = field(default_factory=list)

    def attempted(self, attempt: Attempt) -> None:
        self.attempts.append(attempt)


class _Raw:
    def __init__(self, body: bytes) -> None:
        self.body = body

    def stream(self, **_: object) -> list[bytes]:
        return [self.body]


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> Told:
    for name, value in (("ACCESS_KEY_ID", "a"), ("SECRET_ACCESS_KEY", "b")):
        monkeypatch.setenv(f"AWS_{name}", value)
    return Told()


def test_a_response_that_cannot_be_parsed_is_told_once(told: Told) -> None:
    clients = reading(Session(Login(run="r", region="eu-west-1"), log=told))
    client = clients.get("sts")

    def answer(request: AWSRequest, **_: object) -> AWSResponse:
        return AWSResponse(str(request.url), 200, HTTPHeaders(), _Raw(b"<html>hush"))

    client.meta.events.register("before-send", answer)
    with pytest.raises(AwsError) as refused:
        identity_of(clients)
    assert refused.value.code == "ResponseParserError"
    (one,) = told.attempts
    assert (one.call, one.region, one.number) == ("sts:GetCallerIdentity", "eu-west-1", 1)
    assert (one.status, one.code) == (None, "ResponseParserError")


def test_a_refused_connection_is_told_for_each_try(
    told: Told, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("reconciler.aws.session.READ_ATTEMPTS", 2)
    login = Login(run="r", region="eu-west-1", endpoint_url="http://127.0.0.1:1")
    with pytest.raises(AwsError):
        identity_of(reading(Session(login, log=told)))
    assert [(a.number, a.status, a.code) for a in told.attempts] == [
        (1, None, "EndpointConnectionError"),
        (2, None, "EndpointConnectionError"),
    ]


def test_without_credentials_nothing_is_sent_and_nothing_told(
    told: Told, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("ACCESS_KEY_ID", "SECRET_ACCESS_KEY"):
        monkeypatch.delenv(f"AWS_{name}")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", "/dev/null")
    monkeypatch.setenv("AWS_CONFIG_FILE", "/dev/null")
    with pytest.raises(AwsError):
        identity_of(reading(Session(Login(run="r", region="eu-west-1"), log=told)))
    assert not told.attempts


XML = """<Response><Errors><Error><Code>{code}</Code><Message>m</Message></Error></Errors></Response>"""
EMPTY = "<DescribeRegionsResponse><regionInfo/></DescribeRegionsResponse>"


def test_a_read_that_we_repeat_counts_on(told: Told, monkeypatch: pytest.MonkeyPatch) -> None:
    """botocore makes two attempts of each of ours; a later read of the same begins anew."""
    monkeypatch.setattr("reconciler.aws.session.READ_ATTEMPTS", 2)
    monkeypatch.setattr("botocore.retries.standard.ExponentialBackoff.delay_amount", lambda *_: 0)
    clients = reading(Session(Login(run="r", region="eu-west-1"), log=told))
    refusals = [XML.format(code="Unavailable")] * 3

    def answer(request: AWSRequest, **_: object) -> AWSResponse:
        is_refused = bool(refusals) and "Associations" in str(request.body)
        text = refusals.pop() if is_refused else EMPTY
        return AWSResponse(
            str(request.url), 503 if is_refused else 200, HTTPHeaders(), _Raw(text.encode())
        )

    clients.get("ec2", "eu-west-1").meta.events.register("before-send", answer)
    reader = RetryingReader(AwsReader(clients, "reconciler:", 4), JumpingClock(), Interrupt())
    for _ in range(2):
        reader.instances([InstanceKey("eu-west-1", "i-1")])
    numbers = [(a.number, a.status) for a in told.attempts if a.call.endswith("Associations")]
    assert numbers == [(1, 503), (2, 503), (3, 503), (4, 200), (1, 200)]
