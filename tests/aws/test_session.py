"""Whose credentials, and for how long."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from botocore.utils import parse_timestamp

from reconciler.aws.session import Login, Session, identity_of, reading
from reconciler.errors import AwsError
from reconciler.sandbox.embedded import embedded
from reconciler.sandbox.state import World

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


PROCESS = """#!/bin/sh
echo '{{"Version": 1, "AccessKeyId": "a", "SecretAccessKey": "b", "Expiration": "{until}"}}'
"""


@pytest.mark.parametrize("how", ["it is gone", "it fails"])
def test_what_renews_them_fails_and_nothing_was_sent(
    aws: World, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, how: str
) -> None:
    """It may be back in a moment, and an instance may be without its profile meanwhile."""
    process, config = tmp_path / "process", tmp_path / "config"
    until = datetime.now(UTC) + timedelta(seconds=300)
    process.write_text(PROCESS.format(until=until.isoformat()))
    process.chmod(0o755)
    config.write_text(f"[default]\nregion = us-east-1\ncredential_process = {process}\n")
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(config))
    session = Session(Login(run="test"))
    clients = reading(session)
    assert identity_of(clients)
    if how == "it fails":
        process.write_text("#!/bin/sh\nexit 1\n")
    else:
        process.unlink()
    for ask in (lambda: identity_of(clients), lambda: session.outlives(600)):
        with pytest.raises(AwsError) as refused:
            ask()
        assert refused.value.was_not_sent
        assert str(process) in refused.value.message or how == "it fails"


def test_a_session_whose_end_nobody_knows_is_doubted(
    aws: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    session = Session(Login(run="test", region="us-east-1"))
    assert "their expiry is not known" in session.doubts()[0]
    assert expiring(monkeypatch, 700).doubts() == ()
    monkeypatch.delenv("AWS_CREDENTIAL_EXPIRATION")
    monkeypatch.delenv("AWS_SESSION_TOKEN")
    assert Session(Login(run="test", region="us-east-1")).doubts() == ()


@pytest.mark.parametrize("text", ["tomorrow", "2026-13-40T00:00:00Z", "1800000000"])
def test_an_expiry_that_is_none_is_told_and_stops_nothing(
    aws: World, monkeypatch: pytest.MonkeyPatch, text: str
) -> None:
    monkeypatch.setenv("AWS_CREDENTIAL_EXPIRATION", text)
    session = Session(Login(run="test", region="us-east-1"))
    assert session.outlives(600)
    assert session.doubts() == (
        f"AWS_CREDENTIAL_EXPIRATION is {text!r}, which is not an ISO 8601 time",
    )
    assert identity_of(reading(session)).account_id


@pytest.mark.parametrize("form", ["%Y-%m-%dT%H:%M:%SZ", "%Y-%m-%dT%H:%M:%S", "%Y%m%dT%H%M%SZ"])
def test_an_expiry_as_tools_write_it(
    aws: World, monkeypatch: pytest.MonkeyPatch, form: str
) -> None:
    at = datetime.now(UTC) + timedelta(seconds=300)
    monkeypatch.setenv("AWS_CREDENTIAL_EXPIRATION", at.strftime(form))
    session = Session(Login(run="test", region="us-east-1"))
    assert (session.outlives(600), session.outlives(200), session.doubts()) == (False, True, ())


def test_a_static_profile_with_a_token_is_doubted(
    aws: World, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    keys = "aws_access_key_id = x\naws_secret_access_key = x\naws_session_token = x\n"
    (tmp_path / "credentials").write_text(f"[ci]\n{keys}")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "credentials"))
    assert Session(Login(run="test", region="us-east-1", profile="ci")).doubts()


MFA = """
[profile home]
aws_access_key_id = x
aws_secret_access_key = x
[profile admin]
role_arn = arn:aws:iam::222222222222:role/admin
source_profile = home
mfa_serial = arn:aws:iam::222222222222:mfa/me
[profile further]
role_arn = arn:aws:iam::333333333333:role/further
source_profile = admin
"""


@pytest.mark.parametrize("profile", ["admin", "further"])
def test_nobody_is_asked_for_an_mfa_code_who_is_not_there(
    aws: World, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, profile: str
) -> None:
    (tmp_path / "config").write_text(MFA)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    session = Session(Login(run="test", region="us-east-1", profile=profile))
    with pytest.raises(AwsError) as refused:
        identity_of(reading(session))
    assert refused.value.code == "MfaRequired"
    assert f"profile '{profile}' needs an MFA code" in refused.value.message


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


@pytest.mark.parametrize(
    ("endpoint", "is_remote"),
    [
        (None, True),
        ("https://ec2.eu-west-1.amazonaws.com", True),
        ("http://127.0.0.1:5000", False),
        ("http://localhost:4566", False),
        ("http://aws.localhost:4566", False),
        ("http://[::1]:5000", False),
        ("http://10.0.0.1:5000", True),
    ],
)
def test_whether_ec2_is_on_this_machine(endpoint: str | None, is_remote: bool) -> None:
    assert Session(Login("r", region="eu-west-1", endpoint_url=endpoint)).is_remote() is is_remote


def test_an_endpoint_of_the_environment_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL_EC2", "http://127.0.0.1:5000")
    assert not Session(Login("r", region="eu-west-1")).is_remote()


@pytest.mark.parametrize(
    "text",
    [
        "2026-01-01T00:00:00Z",
        "2026-01-01T23:59:59.123Z",
        "2026-01-01T00:00:00.123456Z",
        "2026-01-01T00:00:00",
        "2026-01-01T02:00:00+02:00",
        "2026-01-01",
        "20260101",  # seconds of the epoch
        "1767225600.5",
        "Thu, 01 Jan 2026 00:00:00 GMT",
        1767225600,
    ],
)
def test_times_are_read_as_botocore_reads_them(aws: World, text: Any) -> None:
    session = Session(Login(run="test", region="us-east-1")).boto._session
    parser = session.get_component("response_parser_factory").create_parser("query")
    assert parser._timestamp_parser(text) == parse_timestamp(text)


@pytest.mark.parametrize("text", ["", "2026-13-01T00:00:00Z", "2026-W01-1", "soon"])
def test_what_is_no_time_is_an_error_as_for_botocore(aws: World, text: str) -> None:
    session = Session(Login(run="test", region="us-east-1")).boto._session
    parser = session.get_component("response_parser_factory").create_parser("query")
    with pytest.raises(ValueError):
        parse_timestamp(text)
    with pytest.raises(ValueError):
        parser._timestamp_parser(text)
