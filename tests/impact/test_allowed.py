"""Whether documents allow what is asked, where the question has wildcards, the request has keys
that nobody knows, or a document was not read."""

from __future__ import annotations

from typing import Any

import pytest

from reconciler.impact.allowed import Answer, Held, Outcome, TitledPolicy, answer
from tests.model.test_policy_cases import BUCKET, GET, HOME, KEY, PUT, ROWS, allow, deny, under

VPCE = "aws:SourceVpce"


def policy(*statements: Any, title: str = "p") -> TitledPolicy:
    return TitledPolicy(title, {"Version": "2012-10-17", "Statement": list(statements)})


def asked(held: Held | list[Any], action: str, resource: str | None, **context: str) -> Answer:
    given = held if isinstance(held, Held) else Held("web", (policy(*held),))
    return answer(given, action, resource, {k.casefold(): (v,) for k, v in context.items()})


@pytest.mark.parametrize("row", ROWS, ids=[row[0] for row in ROWS])
def test_it_says_nothing_else_than_the_documents(row: Any) -> None:
    """Of each worked case: what is allowed is never called denied, nor the other way round; what
    depends on a key that the request has not is unknown."""
    _, outcome, statements, action, resource, context = row
    made = {k.casefold(): (v,) if isinstance(v, str) else tuple(v) for k, v in context.items()}
    found = answer(Held("web", (policy(*statements),)), action, resource, made).outcome
    wanted = "allowed" if outcome == "allowed" else "denied"
    lacks = {"absent", "null", "none", "without", "default"} & {*row[0].replace(",", "").split()}
    assert found == wanted or (found == "unknown" and lacks), row[0]


@pytest.mark.parametrize(
    ("statements", "action", "resource", "outcome"),
    [
        ([allow("s3:*")], "s3:Get*", KEY, "allowed"),
        ([allow("*")], "*", "*", "allowed"),
        ([allow("s3:Get*")], "s3:*", KEY, "partly"),
        ([allow("s3:Get*")], "s3:*Object", KEY, "partly"),
        ([allow("s3:Get*")], "s3:Put*", KEY, "denied"),
        ([allow("s3:*"), deny("s3:GetBucketAcl")], "s3:Get*", KEY, "partly"),
        ([allow("s3:*"), deny("s3:Put*")], "s3:Get*", KEY, "allowed"),
        ([allow("s3:*"), deny("s3:*")], "s3:Get*", KEY, "denied"),
        ([allow(GET, f"{BUCKET}/*")], GET, f"{BUCKET}/a*", "allowed"),
        ([allow(GET, f"{BUCKET}/a/*")], GET, f"{BUCKET}/*", "partly"),
        ([allow(GET), deny(GET, f"{BUCKET}/a/*")], GET, f"{BUCKET}/*", "partly"),
        ([allow(GET), deny(GET, f"{BUCKET}2/*")], GET, f"{BUCKET}/*", "allowed"),
        ([{**allow("x"), "NotAction": "s3:Put*"}], "s3:*", KEY, "partly"),
        ([allow(GET, f"{BUCKET}/*")], GET, "*", "partly"),
        ([allow(GET, f"{BUCKET}/*")], GET, None, "allowed"),
        ([allow(GET, f"{BUCKET}/*"), deny(GET, f"{BUCKET}*")], GET, None, "denied"),
        ([allow(GET, f"{BUCKET}/*"), deny(GET, f"{BUCKET}/a*")], GET, None, "allowed"),
        ([allow("s3:Get*", f"{BUCKET}/*")], "s3:*", None, "partly"),
        ([allow(PUT)], GET, None, "denied"),
        # What is allowed in part is denied by another statement in just that part.
        ([allow(GET), deny("s3:Get*")], "s3:*", KEY, "denied"),
        ([allow("*", f"{BUCKET}/a/*"), deny("*", f"{BUCKET}/a*")], GET, f"{BUCKET}/*", "denied"),
        ([allow(GET), allow(PUT), deny("s3:Get*")], "s3:*", KEY, "partly"),
        ([allow("s3:*t"), deny("s3:Get*")], "s3:*", KEY, "partly"),
        ([{**allow("x"), "NotAction": PUT}, deny("s3:Get*")], "s3:*", KEY, "partly"),
    ],
)
def test_a_question_with_wildcards(
    statements: list[Any], action: str, resource: str | None, outcome: Outcome
) -> None:
    made = [
        {k: v for k, v in s.items() if "NotAction" not in s or k != "Action"} for s in statements
    ]
    assert asked(made, action, resource).outcome == outcome


def test_on_any_resource_it_says_where() -> None:
    other = "arn:aws:s3:::c/${aws:username}/*"
    found = asked([allow(GET, [f"{BUCKET}/*", other]), deny(GET, f"{BUCKET}/a")], GET, None)
    assert (found.outcome, found.on) == ("allowed", (f"{BUCKET}/*",))
    assert {(one.effect, one.name) for one in found.by} >= {("Allow", "statement 1")}


def test_a_condition_that_nobody_gave_is_what_it_depends_on() -> None:
    held = [under("StringEquals", VPCE, "vpce-1")]
    found = asked(held, GET, KEY)
    assert (found.outcome, found.why) == ("unknown", "it depends on aws:SourceVpce")
    assert asked(held, GET, KEY, **{VPCE: "vpce-1"}).outcome == "allowed"
    assert asked(held, GET, KEY, **{VPCE: "vpce-2"}).outcome == "denied"
    assert asked([*held, allow()], GET, KEY).outcome == "allowed"


def test_a_deny_under_a_condition() -> None:
    held = [allow(), under("StringNotEquals", VPCE, "vpce-1", "Deny")]
    found = asked(held, GET, KEY)
    assert found.why == "whether a policy denies it depends on aws:SourceVpce"
    assert asked(held, GET, KEY, **{VPCE: "vpce-1"}).outcome == "allowed"
    assert asked(held, GET, KEY, **{VPCE: "vpce-2"}).outcome == "denied"
    assert asked(held[1:], GET, KEY).outcome == "denied", "nothing allows it in any case"


def test_a_variable_in_a_resource_depends_on_its_value() -> None:
    found = asked([allow(GET, HOME)], GET, f"{BUCKET}/me/k")
    assert (found.outcome, found.why) == ("unknown", "it depends on ${aws:username}")
    assert asked([allow(GET, HOME)], GET, "arn:aws:s3:::c/me/k").outcome == "denied"
    me = {"aws:username": "me"}
    assert asked([allow(GET, HOME)], GET, f"{BUCKET}/me/k", **me).outcome == "allowed"


@pytest.mark.parametrize(
    ("boundary", "outcome"),
    [
        ([allow("s3:*")], "allowed"),
        ([allow("ec2:*")], "denied"),
        ([allow("*"), deny(GET)], "denied"),
        ([allow(GET, f"{BUCKET}2/*")], "denied"),
        ([under("Bool", "aws:SecureTransport", "true")], "unknown"),
        ([], "denied"),
    ],
)
def test_a_boundary_limits(boundary: list[Any], outcome: Outcome) -> None:
    held = Held("web", (policy(allow()),), policy(*boundary, title="limit"))
    assert asked(held, GET, KEY).outcome == outcome


def test_a_boundary_allows_nothing_by_itself() -> None:
    assert asked(Held("web", (), policy(allow("*"))), GET, KEY).outcome == "denied"


A = f"{BUCKET}/a/*"
BUT_A: Any = {"Effect": "Allow", "Action": "*", "NotResource": A}


@pytest.mark.parametrize(
    ("own", "boundary", "action", "resource", "outcome"),
    [
        (allow(GET), allow(PUT), "s3:*", KEY, "denied"),
        (allow(GET), allow("s3:*t"), "s3:*", KEY, "partly"),
        (allow("*"), allow(PUT), "s3:*", KEY, "partly"),
        (allow(GET, A), BUT_A, GET, None, "denied"),
        (allow(GET, A), BUT_A, GET, "*", "denied"),
        (allow(GET, f"{BUCKET}/*"), BUT_A, GET, None, "allowed"),
        (BUT_A, allow(GET, A), GET, "*", "denied"),
    ],
)
def test_a_part_that_the_boundary_does_not_allow_is_none(
    own: Any, boundary: Any, action: str, resource: str | None, outcome: Outcome
) -> None:
    held = Held("web", (policy(own),), policy(boundary))
    assert asked(held, action, resource).outcome == outcome


def test_what_was_not_read_may_allow_or_deny() -> None:
    read = policy(allow())
    unread = Held("web", (read,), None, ("AmazonS3ReadOnlyAccess",))
    assert asked(unread, GET, KEY).outcome == "allowed"
    assert asked(unread, PUT, KEY).outcome == "unknown"
    may_deny = Held("web", (read,), None, ("AWSDenyAll",), ("AWSDenyAll",))
    assert asked(may_deny, GET, KEY).outcome == "unknown"
    denied = Held("web", (policy(allow(), deny()),), None, ("AWSDenyAll",), ("AWSDenyAll",))
    assert asked(denied, GET, KEY).outcome == "denied"
    bounded = Held("web", (read,), None, (), (), "arn:aws:iam::aws:policy/PowerUserAccess")
    assert asked(bounded, GET, KEY).outcome == "unknown"
    assert asked(bounded, PUT, KEY).outcome == "denied"


def test_the_statements_that_decide_are_named() -> None:
    held = Held(
        "web",
        (policy({**allow(), "Sid": "Read"}, title="inline policy a"),),
        policy(allow("s3:*"), title="policy/limit"),
    )
    found = asked(held, GET, KEY)
    named = [(one.policy, one.name) for one in found.by]
    assert named == [("inline policy a", "Read"), ("policy/limit", "statement 1")]
