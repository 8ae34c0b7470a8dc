"""The sandbox's part of Access Analyzer answers as AWS does."""

from __future__ import annotations

import json
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.rig import HOME, Rig


def document(*statements: Any) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": [*statements]})


def allow(action: object, **more: Any) -> dict[str, Any]:
    return {"Effect": "Allow", "Action": action, "Resource": "*", **more}


PASSED = {"StringEquals": {"iam:PassedToService": "ec2.amazonaws.com"}}


@pytest.mark.parametrize(
    ("kind", "text", "found"),
    [
        ("IDENTITY_POLICY", document(allow("s3:GetObject")), []),
        ("IDENTITY_POLICY", document(allow("iam:PassRole")), ["PASS_ROLE_WITH_STAR_IN_RESOURCE"]),
        ("IDENTITY_POLICY", document(allow("iam:PassRole", Condition=PASSED)), []),
        ("IDENTITY_POLICY", document(allow(["s3:*", "s3:Get*"])), ["REDUNDANT_ACTION"]),
        ("IDENTITY_POLICY", '{"Statement": []}', ["MISSING_VERSION"]),
        ("IDENTITY_POLICY", "{", ["JSON_SYNTAX_ERROR"]),
        ("RESOURCE_POLICY", document(allow("sts:AssumeRole")), ["MISSING_PRINCIPAL"]),
    ],
)
def test_validation(aws: Rig, kind: str, text: str, found: list[str]) -> None:
    client = aws.client("accessanalyzer", HOME)
    answer = client.validate_policy(policyDocument=text, policyType=kind)
    assert [one["issueCode"] for one in answer["findings"]] == found
    assert all(one["learnMoreLink"].startswith("https://") for one in answer["findings"])


@pytest.mark.parametrize(
    ("before", "after", "reasons"),
    [
        ([allow("s3:*")], [allow("s3:GetObject")], []),
        ([allow("s3:GetObject")], [allow(["s3:GetObject"])], []),
        ([allow("s3:Get*")], [allow("s3:*", Sid="Wide")], ["sid: Wide"]),
        ([allow("s3:Get*")], [allow("s3:Get*"), allow("sqs:*")], ["index: 1"]),
        ([allow("s3:*"), {**allow("s3:Put*"), "Effect": "Deny"}], [allow("s3:*")], ["Deny"]),
    ],
)
def test_new_access(aws: Rig, before: list[Any], after: list[Any], reasons: list[str]) -> None:
    answer = aws.client("accessanalyzer", HOME).check_no_new_access(
        existingPolicyDocument=document(*before),
        newPolicyDocument=document(*after),
        policyType="IDENTITY_POLICY",
    )
    assert answer["result"] == ("FAIL" if reasons else "PASS")
    assert len(answer["reasons"]) == len(reasons)
    for one, part in zip(answer["reasons"], reasons, strict=True):
        assert part in one["description"]


def test_what_is_no_document_is_refused(aws: Rig) -> None:
    with pytest.raises(ClientError) as refused:
        aws.client("accessanalyzer", HOME).check_no_new_access(
            existingPolicyDocument="x", newPolicyDocument="{}", policyType="IDENTITY_POLICY"
        )
    assert refused.value.response["Error"]["Code"] == "ValidationException"
    assert refused.value.response["ResponseMetadata"]["HTTPStatusCode"] == 400
