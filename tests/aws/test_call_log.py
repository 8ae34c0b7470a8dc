"""Every attempt is told, however it ends."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest
from botocore.awsrequest import AWSRequest, AWSResponse
from botocore.compat import HTTPHeaders

from reconciler.aws.session import Login, Session, identity_of, reading
from reconciler.errors import AwsError
from reconciler.ports import Attempt


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
