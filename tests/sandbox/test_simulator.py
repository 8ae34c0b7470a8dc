"""The sandbox's simulator of policies decides as AWS does."""

from __future__ import annotations

import json
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.rig import ACCOUNT, Rig

ARN = f"arn:aws:iam::{ACCOUNT}:role/app/web"
TRUST = json.dumps(
    {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Effect": "Allow",
                "Principal": {"Service": "ec2.amazonaws.com"},
                "Action": "sts:AssumeRole",
            }
        ],
    }
)


def allowing(**more: Any) -> dict[str, Any]:
    return {"Effect": "Allow", "Action": "iam:*", "Resource": "*", **more}


def under(operator: str, value: Any, key: str = "aws:x") -> dict[str, Any]:
    return allowing(Condition={operator: {key: value}})


def simulated(aws: Rig, statements: list[Any], **asked: Any) -> dict[str, Any]:
    aws.iam.create_role(RoleName="caller", AssumeRolePolicyDocument=TRUST)
    document = json.dumps({"Version": "2012-10-17", "Statement": statements})
    aws.iam.put_role_policy(RoleName="caller", PolicyName="p", PolicyDocument=document)
    entries = [
        {"ContextKeyName": key, "ContextKeyType": "string", "ContextKeyValues": values}
        for key, values in asked.pop("context", {}).items()
    ]
    params = {"ActionNames": ["iam:GetRole"], "ResourceArns": [ARN], **asked}
    (result,) = aws.iam.simulate_principal_policy(
        PolicySourceArn=f"arn:aws:iam::{ACCOUNT}:role/caller", ContextEntries=entries, **params
    )["EvaluationResults"]
    found: dict[str, Any] = result
    return found


@pytest.mark.parametrize(
    ("statements", "decision"),
    [
        ([allowing()], "allowed"),
        ([allowing(Action="IAM:getrole")], "allowed"),
        ([allowing(Action=["iam:Get*", "s3:*"])], "allowed"),
        ([allowing(Action="iam:List*")], "implicitDeny"),
        ([{"Effect": "Allow", "NotAction": "s3:*", "Resource": "*"}], "allowed"),
        ([{"Effect": "Allow", "NotAction": "iam:*", "Resource": "*"}], "implicitDeny"),
        ([allowing(Resource=f"arn:aws:iam::{ACCOUNT}:role/*/web")], "allowed"),
        ([allowing(Resource=f"arn:aws:iam::{ACCOUNT}:role/web")], "implicitDeny"),
        ([allowing(), allowing(Effect="Deny")], "explicitDeny"),
        ([allowing(), {"Effect": "Deny", "Action": "*", "NotResource": ARN}], "allowed"),
    ],
)
def test_what_a_statement_is_about(aws: Rig, statements: list[Any], decision: str) -> None:
    found = simulated(aws, statements)
    assert found["EvalDecision"] == decision
    (single,) = found["ResourceSpecificResults"]
    assert (single["EvalResourceName"], single["EvalResourceDecision"]) == (ARN, decision)


@pytest.mark.parametrize(
    ("statement", "given", "is_met"),
    [
        (under("StringEquals", "a"), ["a"], True),
        (under("StringEquals", ["b", "a"]), ["a"], True),
        (under("StringEquals", "a"), ["A"], False),
        (under("StringEqualsIgnoreCase", "a"), ["A"], True),
        (under("StringNotEquals", "a"), ["a"], False),
        (under("StringNotEquals", ["a", "b"]), ["c"], True),
        (under("StringLike", "a*"), ["abc"], True),
        (under("StringNotLike", "a*"), ["abc"], False),
        (under("ArnLike", "arn:aws:iam::*:role/*"), [ARN], True),
        (under("ArnLike", "arn:aws:*"), [ARN], False),
        (under("Bool", True), ["true"], True),
        (under("NumericLessThan", "5"), ["4"], True),
        (under("NumericLessThan", "5"), ["5"], False),
        (under("NumericNotEquals", "5"), ["5"], False),
        (under("DateGreaterThan", "2026-01-01T00:00:00Z"), ["2026-11-27T00:00:00Z"], True),
        (under("DateLessThan", "2026-01-01T00:00:00Z"), ["1800000000"], False),
        (under("IpAddress", "10.0.0.0/8"), ["10.1.2.3"], True),
        (under("NotIpAddress", "10.0.0.0/8"), ["10.1.2.3"], False),
        (under("ForAllValues:StringLike", "a*"), ["a1", "b1"], False),
        (under("ForAnyValue:StringLike", "a*"), ["a1", "b1"], True),
        (under("StringEqualsIfExists", "a"), ["b"], False),
    ],
)
def test_conditions(aws: Rig, statement: Any, given: list[str], is_met: bool) -> None:
    found = simulated(aws, [statement], context={"AWS:X": given})
    assert found["EvalDecision"] == ("allowed" if is_met else "implicitDeny")
    assert found["MissingContextValues"] == []


@pytest.mark.parametrize(
    ("operator", "value", "is_met"),
    [
        ("StringEquals", "a", False),
        ("StringNotEquals", "a", True),
        ("StringEqualsIfExists", "a", True),
        ("ForAllValues:StringEquals", "a", True),
        ("ForAnyValue:StringEquals", "a", False),
        ("Null", "true", True),
        ("Null", "false", False),
    ],
)
def test_a_key_that_is_not_given(aws: Rig, operator: str, value: Any, is_met: bool) -> None:
    found = simulated(aws, [under(operator, value)])
    assert found["EvalDecision"] == ("allowed" if is_met else "implicitDeny")
    assert found["MissingContextValues"] == ["aws:x"]


def test_of_several_resources_each_is_told_and_the_worst_counts(aws: Rig) -> None:
    other = f"arn:aws:iam::{ACCOUNT}:role/other"
    found = simulated(aws, [allowing(Resource=ARN)], ResourceArns=[ARN, other])
    assert found["EvalDecision"] == "implicitDeny"
    single = {
        one["EvalResourceName"]: one["EvalResourceDecision"]
        for one in found["ResourceSpecificResults"]
    }
    assert single == {ARN: "allowed", other: "implicitDeny"}


@pytest.mark.parametrize(
    ("arn", "code"),
    [
        (f"arn:aws:iam::{ACCOUNT}:role/nobody", "NoSuchEntity"),
        (f"arn:aws:sts::{ACCOUNT}:assumed-role/caller/run", "InvalidInput"),
    ],
)
def test_principals_that_are_none(aws: Rig, arn: str, code: str) -> None:
    with pytest.raises(ClientError) as refused:
        aws.iam.simulate_principal_policy(PolicySourceArn=arn, ActionNames=["iam:GetRole"])
    assert refused.value.response["Error"]["Code"] == code


def test_a_user_has_the_policies_of_its_groups(aws: Rig) -> None:
    aws.iam.create_user(UserName="me")
    aws.iam.create_group(GroupName="all")
    aws.iam.add_user_to_group(UserName="me", GroupName="all")
    document = json.dumps({"Version": "2012-10-17", "Statement": [allowing()]})
    arn = aws.iam.create_policy(PolicyName="p", PolicyDocument=document)["Policy"]["Arn"]
    aws.iam.attach_group_policy(GroupName="all", PolicyArn=arn)
    (found,) = aws.iam.simulate_principal_policy(
        PolicySourceArn=f"arn:aws:iam::{ACCOUNT}:user/me", ActionNames=["iam:GetRole"]
    )["EvaluationResults"]
    assert found["EvalDecision"] == "allowed"


def custom(aws: Rig, statements: list[Any], **asked: Any) -> dict[str, Any]:
    made = json.dumps({"Version": "2012-10-17", "Statement": statements})
    params = {"ActionNames": ["iam:GetRole"], "ResourceArns": [ARN], **asked}
    answer = aws.iam.simulate_custom_policy(PolicyInputList=[made], **params)
    found: dict[str, Any] = answer["EvaluationResults"][0]
    return found


@pytest.mark.parametrize(
    ("statements", "boundary", "decision"),
    [
        ([allowing()], None, "allowed"),
        ([allowing(Action="s3:*")], None, "implicitDeny"),
        ([allowing(), allowing(Effect="Deny")], None, "explicitDeny"),
        ([{"Effect": "Allow", "NotAction": "s3:*", "Resource": "*"}], None, "allowed"),
        ([{"Effect": "Allow", "Action": "*", "NotResource": ARN}], None, "implicitDeny"),
        ([under("StringEquals", "a")], None, "implicitDeny"),
        ([under("StringNotEquals", "a")], None, "allowed"),
        ([allowing()], [allowing()], "allowed"),
        ([allowing()], [allowing(Action="s3:*")], "implicitDeny"),
        ([allowing()], [allowing(), allowing(Effect="Deny")], "explicitDeny"),
        ([allowing(Action="s3:*")], [allowing()], "implicitDeny"),
    ],
)
def test_documents_are_simulated_with_their_boundary(
    aws: Rig, statements: list[Any], boundary: list[Any] | None, decision: str
) -> None:
    more: dict[str, Any] = {}
    if boundary is not None:
        made = json.dumps({"Version": "2012-10-17", "Statement": boundary})
        more["PermissionsBoundaryPolicyInputList"] = [made]
    found = custom(aws, statements, **more)
    assert found["EvalDecision"] == decision
    assert ("PermissionsBoundaryDecisionDetail" in str(found)) == (boundary is not None)


def test_a_deny_in_a_boundary_is_explicit(aws: Rig) -> None:
    made = json.dumps({"Version": "2012-10-17", "Statement": [allowing(Effect="Deny")]})
    arn = aws.iam.create_policy(PolicyName="limit", PolicyDocument=made)["Policy"]["Arn"]
    simulated(aws, [allowing()])
    aws.iam.put_role_permissions_boundary(RoleName="caller", PermissionsBoundary=arn)
    (found,) = aws.iam.simulate_principal_policy(
        PolicySourceArn=f"arn:aws:iam::{ACCOUNT}:role/caller", ActionNames=["iam:GetRole"]
    )["EvaluationResults"]
    assert found["EvalDecision"] == "explicitDeny"


def test_a_wildcard_in_a_resource_is_a_character(aws: Rig) -> None:
    statements = [allowing(Resource="arn:aws:s3:::b/a*", Action="s3:*")]
    for resource, decision in (
        ("arn:aws:s3:::b/*", "implicitDeny"),
        ("arn:aws:s3:::b/a*", "allowed"),
    ):
        asked = {"ActionNames": ["s3:GetObject"], "ResourceArns": [resource]}
        assert custom(aws, statements, **asked)["EvalDecision"] == decision


@pytest.mark.parametrize(
    "wrong",
    [
        {"ActionNames": ["s3:Get*"]},
        {"ActionNames": ["GetObject"]},
        {"PermissionsBoundaryPolicyInputList": ["{}"]},
        {"PermissionsBoundaryPolicyInputList": ["no"]},
        {"PolicyInputList": []},
    ],
)
def test_what_the_simulator_does_not_take(aws: Rig, wrong: dict[str, Any]) -> None:
    document = json.dumps({"Version": "2012-10-17", "Statement": [allowing()]})
    asked = {"PolicyInputList": [document], "ActionNames": ["iam:GetRole"], **wrong}
    with pytest.raises(ClientError) as refused:
        aws.iam.simulate_custom_policy(**asked)
    assert refused.value.response["Error"]["Code"] in ("InvalidInput", "ValidationError")
