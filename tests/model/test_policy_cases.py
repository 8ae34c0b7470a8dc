"""Sixty worked cases of whether a policy allows a request, each with the answer by AWS's
documentation: what ``can`` and the sandbox answer from.

Source: docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_evaluation-logic.html and the
pages about elements, operators (reference_policies_elements_condition_operators.html), several keys
and values (reference_policies_condition-logic-multiple-context-keys-or-values.html) and variables
(reference_policies_variables.html).
"""

from __future__ import annotations

from typing import Any, Final

import pytest

from reconciler.model.policy_decision import Outcome, PolicyQuestion, decide

BUCKET = "arn:aws:s3:::b"
KEY = f"{BUCKET}/k"
ROLE = "arn:aws:iam::111111111111:role/app/web"
QUEUE = "arn:aws:sqs:eu-west-1:111111111111:q"
ALLOWED: Final = "allowed"
NONE: Final = "implicitDeny"
DENIED: Final = "explicitDeny"
Rows = list[tuple[str, Outcome, list[dict[str, Any]], str, str, dict[str, Any]]]


def allow(action: Any = "s3:GetObject", on: Any = "*", **condition: Any) -> dict[str, Any]:
    made = {"Effect": "Allow", "Action": action, "Resource": on}
    return {**made, "Condition": condition} if condition else made


def deny(action: Any = "s3:GetObject", on: Any = "*", **condition: Any) -> dict[str, Any]:
    return {**allow(action, on, **condition), "Effect": "Deny"}


def all_but(action: Any, on: Any = "*", effect: str = "Allow") -> dict[str, Any]:
    return {"Effect": effect, "NotAction": action, "Resource": on}


def elsewhere(on: Any, action: Any = "s3:*", effect: str = "Allow") -> dict[str, Any]:
    return {"Effect": effect, "Action": action, "NotResource": on}


def under(operator: str, key: str, values: Any, effect: str = "Allow") -> dict[str, Any]:
    return {**allow("s3:GetObject"), "Effect": effect, "Condition": {operator: {key: values}}}


GET, PUT = "s3:GetObject", "s3:PutObject"
PLAIN: Rows = [
    ("nothing is denied by default", NONE, [], GET, KEY, {}),
    ("one statement allows", ALLOWED, [allow()], GET, KEY, {}),
    ("another action", NONE, [allow()], PUT, KEY, {}),
    ("another service", NONE, [allow("s3:*")], "sqs:SendMessage", QUEUE, {}),
    ("a deny before an allow", DENIED, [deny(), allow()], GET, KEY, {}),
    ("a deny after an allow", DENIED, [allow("*"), deny("s3:*")], GET, KEY, {}),
    ("a deny alone is explicit", DENIED, [deny()], GET, KEY, {}),
    ("a deny of another action", ALLOWED, [allow("s3:*"), deny(PUT)], GET, KEY, {}),
    ("a deny of another resource", ALLOWED, [allow(), deny(GET, f"{BUCKET}/x")], GET, KEY, {}),
    ("a list of actions", ALLOWED, [allow([PUT, GET])], GET, KEY, {}),
    ("a list of resources", ALLOWED, [allow(GET, [QUEUE, KEY])], GET, KEY, {}),
    ("actions in any case", ALLOWED, [allow("S3:GETOBJECT")], GET, KEY, {}),
    ("the request in any case", ALLOWED, [allow()], "S3:getobject", KEY, {}),
    ("resources by their case", NONE, [allow(GET, "arn:aws:s3:::B/*")], GET, KEY, {}),
    ("keys by their case", NONE, [allow(GET, f"{BUCKET}/K")], GET, KEY, {}),
]
WILD: Rows = [
    ("all actions", ALLOWED, [allow("*")], GET, KEY, {}),
    ("all of a service", ALLOWED, [allow("s3:*")], GET, KEY, {}),
    ("a beginning", ALLOWED, [allow("s3:Get*")], GET, KEY, {}),
    ("an end", ALLOWED, [allow("s3:*Object")], GET, KEY, {}),
    ("a middle", ALLOWED, [allow("s3:*Obj*")], GET, KEY, {}),
    ("one letter", ALLOWED, [allow("s3:Ge?Object")], GET, KEY, {}),
    ("one letter is not none", NONE, [allow("s3:GetObject?")], GET, KEY, {}),
    ("a star may be nothing", ALLOWED, [allow("s3:GetObject*")], GET, KEY, {}),
    ("a bucket is none of its objects", NONE, [allow(GET, BUCKET)], GET, KEY, {}),
    (
        "objects are not the bucket",
        NONE,
        [allow("s3:*", f"{BUCKET}/*")],
        "s3:ListBucket",
        BUCKET,
        {},
    ),
    ("a star spans slashes", ALLOWED, [allow(GET, f"{BUCKET}/*")], GET, f"{BUCKET}/a/b/c", {}),
    ("a beginning of buckets", ALLOWED, [allow(GET, f"{BUCKET}*")], GET, f"{BUCKET}2/k", {}),
    (
        "a path of roles",
        ALLOWED,
        [allow("iam:*", ROLE.replace("app", "*"))],
        "iam:GetRole",
        ROLE,
        {},
    ),
    ("without a path", NONE, [allow("iam:*", ROLE.replace("app/", ""))], "iam:GetRole", ROLE, {}),
    (
        "any region",
        ALLOWED,
        [allow("sqs:*", QUEUE.replace("eu-west-1", "*"))],
        "sqs:SendMessage",
        QUEUE,
        {},
    ),
    (
        "an account of another",
        NONE,
        [allow("sqs:*", QUEUE.replace("1" * 12, "2" * 12))],
        "sqs:SendMessage",
        QUEUE,
        {},
    ),
    ("brackets are plain", NONE, [allow(GET, f"{BUCKET}/[k]")], GET, KEY, {}),
]
BUT: Rows = [
    ("all but the action", NONE, [all_but(GET)], GET, KEY, {}),
    ("all but another", ALLOWED, [all_but("iam:*")], GET, KEY, {}),
    ("all but, in any case", NONE, [all_but("S3:get*")], GET, KEY, {}),
    ("all but, on a resource", NONE, [all_but("iam:*", QUEUE)], GET, KEY, {}),
    (
        "a deny of all but others",
        DENIED,
        [allow("*"), all_but("iam:*", effect="Deny")],
        GET,
        KEY,
        {},
    ),
    ("a deny of all but this", ALLOWED, [allow("*"), all_but("s3:*", effect="Deny")], GET, KEY, {}),
    ("everywhere but here", NONE, [elsewhere(f"{BUCKET}/*")], GET, KEY, {}),
    ("everywhere but there", ALLOWED, [elsewhere(f"{BUCKET}2/*")], GET, KEY, {}),
    ("everywhere but in a list", NONE, [elsewhere([QUEUE, KEY])], GET, KEY, {}),
    (
        "a deny everywhere but there",
        DENIED,
        [allow(), elsewhere(QUEUE, effect="Deny")],
        GET,
        KEY,
        {},
    ),
    ("a deny everywhere but here", ALLOWED, [allow(), elsewhere(KEY, effect="Deny")], GET, KEY, {}),
]
IP, TLS, TAG = "aws:SourceIp", "aws:SecureTransport", "aws:PrincipalTag/team"
NOW, TIMES = "aws:CurrentTime", "aws:MultiFactorAuthAge"
CONDITIONS: Rows = [
    ("equal", ALLOWED, [under("StringEquals", TAG, "a")], GET, KEY, {TAG: "a"}),
    ("equal by case", NONE, [under("StringEquals", TAG, "a")], GET, KEY, {TAG: "A"}),
    ("whatever case", ALLOWED, [under("StringEqualsIgnoreCase", TAG, "a")], GET, KEY, {TAG: "A"}),
    (
        "the key in any case",
        ALLOWED,
        [under("StringEquals", TAG.upper(), "a")],
        GET,
        KEY,
        {TAG: "a"},
    ),
    ("one of some values", ALLOWED, [under("StringEquals", TAG, ["b", "a"])], GET, KEY, {TAG: "a"}),
    (
        "none of some values",
        NONE,
        [under("StringNotEquals", TAG, ["b", "a"])],
        GET,
        KEY,
        {TAG: "a"},
    ),
    ("no wildcard in equal", NONE, [under("StringEquals", TAG, "a*")], GET, KEY, {TAG: "ab"}),
    ("a wildcard in like", ALLOWED, [under("StringLike", TAG, "a*")], GET, KEY, {TAG: "ab"}),
    ("a key that is absent", NONE, [under("StringEquals", TAG, "a")], GET, KEY, {}),
    ("absent, negated", ALLOWED, [under("StringNotEquals", TAG, "a")], GET, KEY, {}),
    ("absent, if it exists", ALLOWED, [under("StringEqualsIfExists", TAG, "a")], GET, KEY, {}),
    ("there, if it exists", NONE, [under("StringEqualsIfExists", TAG, "a")], GET, KEY, {TAG: "b"}),
    (
        "absent, in a deny",
        ALLOWED,
        [allow(), under("StringEquals", TAG, "a", "Deny")],
        GET,
        KEY,
        {},
    ),
    (
        "absent, in a negated deny",
        DENIED,
        [allow(), under("StringNotEquals", TAG, "a", "Deny")],
        GET,
        KEY,
        {},
    ),
    ("null is absent", ALLOWED, [under("Null", TAG, "true")], GET, KEY, {}),
    ("not null is there", ALLOWED, [under("Null", TAG, "false")], GET, KEY, {TAG: ""}),
    ("a switch", ALLOWED, [under("Bool", TLS, True)], GET, KEY, {TLS: "true"}),
    (
        "a deny without TLS",
        DENIED,
        [allow(), under("Bool", TLS, "false", "Deny")],
        GET,
        KEY,
        {TLS: "false"},
    ),
    ("a network", ALLOWED, [under("IpAddress", IP, "10.0.0.0/8")], GET, KEY, {IP: "10.9.8.7"}),
    (
        "outside a network",
        NONE,
        [under("NotIpAddress", IP, "10.0.0.0/8")],
        GET,
        KEY,
        {IP: "10.9.8.7"},
    ),
    (
        "an address of IPv6",
        ALLOWED,
        [under("IpAddress", IP, "2001:db8::/32")],
        GET,
        KEY,
        {IP: "2001:db8::1"},
    ),
    ("less than", ALLOWED, [under("NumericLessThan", TIMES, "300")], GET, KEY, {TIMES: "299"}),
    ("not less than", NONE, [under("NumericLessThan", TIMES, "300")], GET, KEY, {TIMES: "300"}),
    (
        "after",
        ALLOWED,
        [under("DateGreaterThan", NOW, "2026-01-01T00:00:00Z")],
        GET,
        KEY,
        {NOW: "2026-11-27T00:00:00Z"},
    ),
    (
        "an ARN by its parts",
        ALLOWED,
        [under("ArnLike", "aws:SourceArn", "arn:aws:sqs:*:*:q")],
        GET,
        KEY,
        {"aws:SourceArn": QUEUE},
    ),
    (
        "an ARN is no text",
        NONE,
        [under("ArnLike", "aws:SourceArn", "arn:aws:*q")],
        GET,
        KEY,
        {"aws:SourceArn": QUEUE},
    ),
    (
        "two keys are both needed",
        NONE,
        [allow(StringEquals={TAG: "a", "aws:RequestedRegion": "eu-west-1"})],
        GET,
        KEY,
        {TAG: "a", "aws:RequestedRegion": "us-east-1"},
    ),
    (
        "two operators are both needed",
        NONE,
        [allow(StringEquals={TAG: "a"}, Bool={TLS: "true"})],
        GET,
        KEY,
        {TAG: "a", TLS: "false"},
    ),
    (
        "all of many",
        NONE,
        [under("ForAllValues:StringEquals", "aws:TagKeys", ["a"])],
        GET,
        KEY,
        {"aws:TagKeys": ["a", "b"]},
    ),
    (
        "all of none",
        ALLOWED,
        [under("ForAllValues:StringEquals", "aws:TagKeys", ["a"])],
        GET,
        KEY,
        {},
    ),
    (
        "any of many",
        ALLOWED,
        [under("ForAnyValue:StringEquals", "aws:TagKeys", ["a"])],
        GET,
        KEY,
        {"aws:TagKeys": ["a", "b"]},
    ),
    ("any of none", NONE, [under("ForAnyValue:StringEquals", "aws:TagKeys", ["a"])], GET, KEY, {}),
]
HOME = f"{BUCKET}/${{aws:username}}/*"
VARIABLES: Rows = [
    ("a variable", ALLOWED, [allow(GET, HOME)], GET, f"{BUCKET}/me/k", {"aws:username": "me"}),
    ("another's", NONE, [allow(GET, HOME)], GET, f"{BUCKET}/you/k", {"aws:username": "me"}),
    ("without a value", NONE, [allow(GET, HOME)], GET, f"{BUCKET}/me/k", {}),
    (
        "a star in a value is plain",
        NONE,
        [allow(GET, HOME)],
        GET,
        f"{BUCKET}/you/k",
        {"aws:username": "*"},
    ),
    (
        "a default",
        ALLOWED,
        [allow(GET, f"{BUCKET}/${{{TAG}, 'none'}}/*")],
        GET,
        f"{BUCKET}/none/k",
        {},
    ),
    ("a star as such", NONE, [allow(GET, f"{BUCKET}/${{*}}")], GET, KEY, {}),
    ("a dollar as such", ALLOWED, [allow(GET, f"{BUCKET}/${{$}}")], GET, f"{BUCKET}/$", {}),
    (
        "in a condition",
        ALLOWED,
        [under("StringEquals", "s3:prefix", "${aws:username}")],
        GET,
        KEY,
        {"aws:username": "me", "s3:prefix": "me"},
    ),
]
ROWS = [*PLAIN, *WILD, *BUT, *CONDITIONS, *VARIABLES]
assert len(ROWS) >= 60


def asked(action: str, resource: str, context: dict[str, Any]) -> PolicyQuestion:
    made = {k.casefold(): (v,) if isinstance(v, str) else tuple(v) for k, v in context.items()}
    return PolicyQuestion(action, resource, made)


@pytest.mark.parametrize("row", ROWS, ids=[row[0] for row in ROWS])
def test_what_a_policy_answers(
    row: tuple[str, Outcome, list[dict[str, Any]], str, str, dict[str, Any]],
) -> None:
    _, outcome, statements, action, resource, context = row
    document = {"Version": "2012-10-17", "Statement": statements}
    assert decide([document], asked(action, resource, context)).outcome == outcome


def test_an_older_policy_has_no_variables() -> None:
    document = {"Version": "2008-10-17", "Statement": [allow(GET, HOME)]}
    me = {"aws:username": "me"}
    assert decide([document], asked(GET, f"{BUCKET}/me/k", me)).outcome == NONE
    assert decide([document], asked(GET, f"{BUCKET}/${{aws:username}}/k", me)).outcome == ALLOWED


def test_policies_count_together_and_each_with_its_own_version() -> None:
    first = {"Version": "2012-10-17", "Statement": allow("s3:*")}
    second = {"Version": "2012-10-17", "Statement": [deny(PUT)]}
    assert decide([first, second], asked(GET, KEY, {})).outcome == ALLOWED
    assert decide([second, first], asked(PUT, KEY, {})).outcome == DENIED
