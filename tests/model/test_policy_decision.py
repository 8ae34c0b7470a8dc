"""Identity policies are evaluated as IAM does. What the simulator shows of it is in
``tests/sandbox/test_simulator.py``."""

from __future__ import annotations

from typing import Any

import pytest

from reconciler.model.policy_decision import (
    NO_ACTION,
    NO_RESOURCE,
    PolicyQuestion,
    decide,
    keys_of,
    why_not,
)

ROLE = "arn:aws:iam::123456789012:role/app/web"


def allowing(version: str = "2012-10-17", **more: Any) -> dict[str, Any]:
    statement = {"Effect": "Allow", "Action": "iam:*", "Resource": "*", **more}
    return {"Version": version, "Statement": statement}


def is_allowed(document: dict[str, Any], resource: str = ROLE, **context: str) -> bool:
    given = {key.replace("_", ":"): (value,) for key, value in context.items()}
    return decide([document], PolicyQuestion("iam:GetRole", resource, given)).is_allowed


@pytest.mark.parametrize(
    ("pattern", "resource", "fits"),
    [
        ("*", ROLE, True),
        ("arn:aws:iam::*:role/app/*", ROLE, True),
        ("arn:aws:iam::*:role/*/web", ROLE, True),
        ("arn:aws:iam::*:role/w?b", ROLE, False),
        ("arn:aws:iam::123456789012:Role/app/web", ROLE, False),
        # Beyond a colon only where it ends a part; what is missing is completed.
        ("arn:aws:iam:*", ROLE, True),
        ("arn:aws:iam", ROLE, True),
        ("arn:aws:iam::1*e/app/web", ROLE, False),
        ("arn:aws:s3", ROLE, False),
        ("arn:aws:iam::123456789012:role/[a]pp/web", ROLE, False),
    ],
)
def test_resources(pattern: str, resource: str, fits: bool) -> None:
    assert is_allowed(allowing(Resource=pattern), resource) is fits


@pytest.mark.parametrize(
    ("pattern", "fits"),
    [
        ("${aws:PrincipalAccount}", True),
        ("${aws:principalaccount}", True),
        ("${aws:PrincipalTag/nobody}", False),
        ("${aws:PrincipalTag/nobody, '123456789012'}", True),
        ("${aws:Star}", False),  # a value is no pattern
        ("${*}", False),
    ],
)
def test_variables_in_a_resource(pattern: str, fits: bool) -> None:
    resource = f"arn:aws:iam::{pattern}:role/app/web"
    context = {"aws_principalaccount": "123456789012", "aws_star": "*"}
    assert is_allowed(allowing(Resource=resource), **context) is fits


def test_in_older_documents_a_variable_is_plain_text() -> None:
    text = allowing("2008-10-17", Condition={"StringEquals": {"aws:x": "${aws:y}"}})
    assert is_allowed(text, aws_x="${aws:y}", aws_y="1")
    assert not is_allowed(text, aws_x="1", aws_y="1")
    new = allowing(Condition={"StringEquals": {"aws:x": "${aws:y}"}})
    assert is_allowed(new, aws_x="1", aws_y="1")


@pytest.mark.parametrize(
    ("operator", "value", "given", "is_met"),
    [
        ("StringEquals", "${*}", "*", True),
        ("StringEquals", "a*", "a*", True),
        ("StringEquals", "a*", "ab", False),
        ("StringLike", "a${*}", "ab", False),
        ("StringLike", "a${*}", "a*", True),
        ("StringLike", "${aws:nobody}", "x", False),
        ("StringNotLike", "${aws:nobody}", "x", False),
        ("NumericLessThan", "5", "many", False),
        ("DateLessThan", "2027-01-01", "2026-11-27T00:00:00Z", True),
        ("IpAddress", "10.0.0.0/8", "nowhere", False),
        ("ForAnyValue:StringNotEquals", "a", "b", True),
        ("Null", "false", "x", True),
    ],
)
def test_conditions(operator: str, value: str, given: str, is_met: bool) -> None:
    assert is_allowed(allowing(Condition={operator: {"aws:x": value}}), aws_x=given) is is_met


def test_a_set_of_values_that_is_not_there() -> None:
    assert not is_allowed(allowing(Condition={"ForAnyValue:StringNotEquals": {"aws:x": "a"}}))
    assert is_allowed(allowing(Condition={"ForAllValues:StringEquals": {"aws:x": "a"}}))
    optional = allowing(Condition={"ForAnyValue:StringEqualsIfExists": {"aws:x": "a"}})
    assert is_allowed(optional)


def test_what_denies_wins_and_is_named() -> None:
    no = allowing(Effect="Deny", Sid="No")
    found = decide([allowing(), no], PolicyQuestion("iam:GetRole", ROLE))
    assert found.outcome == "explicitDeny"
    assert [one["Sid"] for one in found.by] == ["No"]


def test_an_operator_that_iam_has_not() -> None:
    document = allowing(Condition={"StringSame": {"aws:x": "a"}})
    with pytest.raises(ValueError, match="Invalid condition operator: StringSame"):
        decide([document], PolicyQuestion("iam:GetRole", ROLE, {"aws:x": ("a",)}))


@pytest.mark.parametrize(
    ("more", "why"),
    [
        ({"Action": "s3:*"}, NO_ACTION),
        ({"Effect": "Deny"}, NO_ACTION),
        ({"Resource": "arn:aws:iam::1:role/x"}, NO_RESOURCE),
        (
            {"Condition": {"StringEquals": {"aws:x": "a"}, "Bool": {"aws:y": True}}},
            "a condition is not met: aws:x, aws:y",
        ),
    ],
)
def test_what_the_nearest_statement_lacks(more: dict[str, Any], why: str) -> None:
    documents = [allowing(Action="s3:*"), allowing(**more)]
    assert why_not(documents, PolicyQuestion("iam:GetRole", ROLE)) == why


def test_the_keys_that_a_document_names() -> None:
    condition = {"StringLike": {"aws:X": ["${aws:Y}", "${*}"]}}
    document = allowing(Resource="arn:aws:s3:::${aws:username}/*", Condition=condition)
    assert set(keys_of(document)) == {"aws:X", "aws:Y", "aws:username"}
