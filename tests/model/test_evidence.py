"""What proves that an instance is served the role of its profile, and what does not."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from reconciler.model.evidence import (
    Associated,
    Evidence,
    Expectation,
    Metadata,
    RoleSession,
    Silence,
    judge,
)
from reconciler.model.ownership import InstanceKey

HOUR, MINUTE = 3600.0, 60.0
NOW = 1_800_000_000.0
LAUNCH = NOW - 48 * HOUR
OLD, NEW = "AROAOLD0123456789", "AROANEW0123456789"
EXPECTED = Expectation(
    InstanceKey("us-east-1", "i-0abc1234"), NEW, "web-v2", "iip-assoc-2", LAUNCH, spread=6 * MINUTE
)


def call(role: str, issued: float, used: float = 0.0, error: str | None = None) -> RoleSession:
    """With credentials that were issued so many seconds before now."""
    name = "web-v2" if role == NEW else "web-v1"
    return RoleSession(role, name, NOW - issued, NOW - used, "s3:ListBuckets", error)


def said(
    role: str | None, got: float | None, asked: float = 0.0, code: str = "Success"
) -> Metadata:
    """By the metadata service, about credentials that it got so many seconds before now."""
    return Metadata(NOW - asked, role, "AIPA1", None if got is None else NOW - got, code)


def made(ago: float, association: str | None = "iip-assoc-2") -> Associated:
    return Associated(NOW - ago, association)


def answer(
    seen: tuple[RoleSession | Metadata, ...], associated: Associated | None = None, **known: Any
) -> tuple[str, str]:
    expected = replace(EXPECTED, **known)
    found = judge(expected, Evidence(seen, (), associated), NOW)
    assert found.because
    return found.status, found.how


PROVED, EARLIER = ("proved", "session"), ("unknown", "earlier-session")
CONTRADICTED, NOT_RENEWED = ("contradicted", "other-role"), ("unknown", "not-renewed")


@pytest.mark.parametrize(
    ("seen", "associated", "wanted"),
    [
        # The profile's role, since the association began.
        ((call(NEW, HOUR),), None, PROVED),
        ((call(NEW, HOUR),), made(2 * HOUR), PROVED),
        ((call(NEW, HOUR),), made(HOUR), PROVED),
        ((call(NEW, HOUR, error="AccessDenied"),), None, PROVED),
        # Credentials that ended long ago prove what they proved.
        ((call(NEW, 30 * HOUR, 29 * HOUR),), None, PROVED),
        # Credentials from before it began prove nothing, whoever issued them, whenever used.
        ((call(NEW, 3 * HOUR),), made(2 * HOUR), EARLIER),
        ((call(OLD, 3 * HOUR),), made(2 * HOUR), EARLIER),
        ((call(OLD, 50 * HOUR, 49 * HOUR),), None, EARLIER),
        # In the second in which one profile replaced another it may be either.
        ((call(OLD, 2 * HOUR),), made(2 * HOUR), EARLIER),
        # Another role, since the association began.
        ((call(OLD, HOUR),), None, CONTRADICTED),
        ((call(OLD, HOUR),), made(2 * HOUR), CONTRADICTED),
        ((call(OLD, HOUR, error="AccessDenied"),), made(2 * HOUR), CONTRADICTED),
        # EC2 has renewed such credentials since, and nobody has shown with what.
        ((call(OLD, 8 * HOUR),), made(9 * HOUR), ("unknown", "expired-session")),
        # What was issued last counts, whichever was used last.
        ((call(OLD, 3 * HOUR, 0), call(NEW, HOUR, MINUTE)), made(2 * HOUR), PROVED),
        ((call(NEW, 3 * HOUR, 0), call(OLD, HOUR, MINUTE)), made(4 * HOUR), CONTRADICTED),
        # The call that made the association has not arrived: another one is the newest.
        ((call(NEW, HOUR),), made(2 * HOUR, "iip-assoc-1"), ("unknown", "young-association")),
        ((call(OLD, HOUR),), made(2 * HOUR, "iip-assoc-1"), ("unknown", "young-association")),
    ],
)
def test_calls_of_the_instance(
    seen: tuple[RoleSession, ...], associated: Associated | None, wanted: tuple[str, str]
) -> None:
    assert answer(seen, associated) == wanted


@pytest.mark.parametrize(
    ("seen", "associated", "put_in", "wanted"),
    [
        # A cut-over in progress, or one that waits for AWS: the role was put in an hour ago.
        (call(NEW, MINUTE), None, HOUR, PROVED),
        (call(NEW, 2 * HOUR), None, HOUR, EARLIER),
        (call(OLD, 2 * HOUR), None, HOUR, NOT_RENEWED),
        (call(OLD, 2 * HOUR), made(3 * HOUR), HOUR, NOT_RENEWED),
        # EC2 may see the swap some minutes late, and our clock may be wrong.
        (call(OLD, 55 * MINUTE), None, HOUR, NOT_RENEWED),
        (call(OLD, 50 * MINUTE), None, HOUR, CONTRADICTED),
        # This instance has been associated since: there is no such excuse.
        (call(OLD, 55 * MINUTE), made(58 * MINUTE), HOUR, CONTRADICTED),
        (call(OLD, 2 * HOUR), made(58 * MINUTE), HOUR, EARLIER),
    ],
)
def test_a_role_that_was_put_in_lately(
    seen: RoleSession, associated: Associated | None, put_in: float, wanted: tuple[str, str]
) -> None:
    assert answer((seen,), associated, put_in=NOW - put_in) == wanted


@pytest.mark.parametrize(
    ("seen", "associated", "wanted"),
    [
        # All consumers let go of the other role an hour ago, and the call that associated this one
        # is not in CloudTrail yet: an old process goes on.
        (call(OLD, 2 * HOUR), None, NOT_RENEWED),
        (call(OLD, 55 * MINUTE), None, NOT_RENEWED),
        (call(OLD, 50 * MINUTE), None, CONTRADICTED),
        (call(OLD, 2 * HOUR), made(90 * MINUTE), EARLIER),
        (call(OLD, 80 * MINUTE), made(90 * MINUTE), CONTRADICTED),
    ],
)
def test_a_role_that_was_let_go_of(
    seen: RoleSession, associated: Associated | None, wanted: tuple[str, str]
) -> None:
    assert answer((seen,), associated, let_go={OLD: NOW - HOUR}) == wanted


def test_a_run_knows_what_it_has_associated_itself() -> None:
    """Before CloudTrail does."""
    known = {"put_in": NOW - HOUR, "renewed_after": NOW - 10 * MINUTE}
    assert answer((call(OLD, 30 * MINUTE),), None, **known) == NOT_RENEWED
    assert answer((call(OLD, MINUTE),), None, **known) == CONTRADICTED
    assert answer((call(OLD, 8 * MINUTE),), made(9 * MINUTE), **known) == CONTRADICTED
    assert answer((call(NEW, 8 * MINUTE),), None, **known) == PROVED


@pytest.mark.parametrize(
    ("seen", "known", "wanted"),
    [
        (said("web-v2", HOUR), {}, ("proved", "metadata")),
        (said("WEB-V2", HOUR), {}, ("proved", "metadata")),
        (said("web-v1", HOUR), {}, CONTRADICTED),
        (said(None, None, code="InstanceProfileNotFound"), {}, ("contradicted", "no-credentials")),
        # The same name, of a role that was deleted and made again since.
        (said("web-v2", 2 * HOUR), {"role_created_at": NOW - HOUR}, CONTRADICTED),
        (said("web-v2", None), {"role_created_at": NOW - HOUR}, CONTRADICTED),
        (said("web-v2", None), {"role_created_at": NOW - 8 * HOUR}, ("proved", "metadata")),
        # EC2 goes on with what it served before the role was put in.
        (said("web-v1", 2 * HOUR), {"put_in": NOW - HOUR}, NOT_RENEWED),
        (said("web-v1", None), {"put_in": NOW - HOUR}, NOT_RENEWED),
        (said("web-v1", 30 * MINUTE), {"put_in": NOW - HOUR}, CONTRADICTED),
        # But not once the instance was associated again, for longer than it takes.
        (said("web-v1", 2 * HOUR), {"renewed_after": NOW - 30}, NOT_RENEWED),
        (said(None, None, code="404"), {"renewed_after": NOW - 30}, NOT_RENEWED),
        (said("web-v1", 2 * HOUR), {"renewed_after": NOW - 90}, CONTRADICTED),
        # An empty profile gives nothing.
        (said(None, None, code="404"), {"role_id": None, "role": None}, ("proved", "metadata")),
        (said("web-v1", HOUR), {"role_id": None, "role": None}, CONTRADICTED),
    ],
)
def test_what_the_metadata_service_says(
    seen: Metadata, known: dict[str, Any], wanted: tuple[str, str]
) -> None:
    assert answer((seen,), None, **known) == wanted


def test_what_ec2_served_last_counts_whoever_says_so() -> None:
    assert answer((call(OLD, HOUR), said("web-v2", 50 * MINUTE, asked=MINUTE))) == (
        "proved",
        "metadata",
    )
    assert answer((said("web-v2", 3 * HOUR, asked=2 * HOUR), call(OLD, HOUR))) == CONTRADICTED


def test_who_says_nothing_is_told_with_what_it_takes() -> None:
    lacking = Silence("cloudtrail", "denied", "not allowed", "cloudtrail:LookupEvents", True)
    found = judge(EXPECTED, Evidence(silences=(lacking,)), NOW)
    assert (found.status, found.how, found.permissions) == (
        "unknown",
        "denied",
        ("cloudtrail:LookupEvents",),
    )
    assert not found.may_change
    quiet = Silence("imds", "no-answer", "its agent sleeps")
    both = judge(EXPECTED, Evidence(silences=(lacking, quiet)), NOW)
    assert both.may_change
    seen = judge(EXPECTED, Evidence((call(NEW, HOUR),), (lacking,)), NOW)
    assert (seen.status, seen.permissions) == ("proved", ("cloudtrail:LookupEvents",))


def test_what_cannot_be_expected_cannot_be_judged() -> None:
    assert answer((call(NEW, HOUR),), None, obstacle="the profile was deleted") == (
        "unknown",
        "not-served",
    )
    assert judge(EXPECTED, Evidence(), NOW).how == "not-asked"
