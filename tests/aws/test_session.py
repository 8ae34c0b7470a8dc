"""Whose credentials, and for how long."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest

from reconciler.aws.session import Login, Session, identity_of, reading
from reconciler.ports import AwsError
from reconciler.sandbox.embedded import embedded
from reconciler.sandbox.world import World

ROLE = "arn:aws:iam::222222222222:role/reconciler"


@pytest.fixture
def aws(monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    with embedded(World()) as world:
        monkeypatch.setenv("AWS_SESSION_TOKEN", "token")
        yield world


def expiring(monkeypatch: pytest.MonkeyPatch, seconds: int) -> Session:
    at = datetime.now(UTC) + timedelta(seconds=seconds)
    monkeypatch.setenv("AWS_CREDENTIAL_EXPIRATION", at.isoformat())
    return Session(Login(run="test", region="us-east-1"))


@pytest.mark.parametrize(("lasts", "wanted"), [(300, False), (590, False), (700, True)])
def test_whether_they_outlive_a_batch(
    aws: World, monkeypatch: pytest.MonkeyPatch, lasts: int, wanted: bool
) -> None:
    assert expiring(monkeypatch, lasts).outlives(600) == wanted


def test_keys_that_do_not_say_when_they_end(aws: World) -> None:
    assert Session(Login(run="test", region="us-east-1")).outlives(600)


def test_expired_ones_are_an_error_with_help(aws: World, monkeypatch: pytest.MonkeyPatch) -> None:
    session = expiring(monkeypatch, -10)
    for ask in (lambda: session.outlives(600), lambda: identity_of(reading(session))):
        with pytest.raises(AwsError) as refused:
            ask()
        assert refused.value.code == "ExpiredToken"
        assert "sign in again" in refused.value.message


def test_a_target_s_role_is_assumed_and_renewed(aws: World) -> None:
    """Once for all clients, with the external id; again before its time is over."""
    login = Login(run="r1", region="us-east-1", role_arn=ROLE, external_id="secret")
    session = Session(login)
    assert identity_of(reading(session)).account_id == "222222222222"
    assert identity_of(reading(session)).account_id == "222222222222"
    assumed = [c.params for c in aws.log if c.operation == "AssumeRole"]
    assert len(assumed) == 1
    wanted = {"RoleArn": ROLE, "ExternalId": "secret", "RoleSessionName": "reconciler-r1"}
    assert {name: assumed[0][name] for name in wanted} == wanted
    assert session.outlives(600)
    # An hour is what a role is assumed for: nothing lasts longer, so it is assumed anew in vain.
    assert not session.outlives(2 * 3600)


@pytest.mark.parametrize(
    ("given", "first", "second", "wanted"),
    [
        (None, "eu-west-1", "eu-west-2", "eu-west-1"),
        (None, None, "eu-west-2", "eu-west-2"),
        ("us-west-1", "eu-west-1", "eu-west-2", "us-west-1"),
        (None, "", "eu-west-2", "eu-west-2"),
    ],
)
def test_where_the_region_is_said(
    aws: World,
    monkeypatch: pytest.MonkeyPatch,
    given: str | None,
    first: str | None,
    second: str,
    wanted: str,
) -> None:
    if first is not None:
        monkeypatch.setenv("AWS_REGION", first)
    monkeypatch.setenv("AWS_DEFAULT_REGION", second)
    assert Session(Login(run="test", region=given)).region == wanted
