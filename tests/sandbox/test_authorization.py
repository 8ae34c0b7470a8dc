"""A sandbox that enforces policies refuses in AWS's words, and knows what a request has."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError

from reconciler.sandbox.authorization import Authorizer, is_known
from tests.rig import ACCOUNT, HOME, Rig

WHO = f"arn:aws:iam::{ACCOUNT}:user/ci"
TRUST = json.dumps(
    {
        "Version": "2012-10-17",
        "Statement": {
            "Effect": "Allow",
            "Principal": {"Service": "ec2.amazonaws.com"},
            "Action": "sts:AssumeRole",
        },
    }
)


def allow(**more: Any) -> dict[str, Any]:
    return {"Effect": "Allow", "Action": "*", "Resource": "*", **more}


def deny(**more: Any) -> dict[str, Any]:
    return {**allow(**more), "Effect": "Deny"}


@contextmanager
def enforcing(aws: Rig, *statements: dict[str, Any]) -> Iterator[Authorizer]:
    document = {"Version": "2012-10-17", "Statement": list(statements)}
    made = Authorizer(aws.aws, [document], WHO)
    aws.aws.before.append(made)
    try:
        yield made
    finally:
        aws.aws.before.remove(made)


def refusal(call: Any, **params: Any) -> tuple[str, str, int]:
    with pytest.raises(ClientError) as refused:
        call(**params)
    answer: Any = refused.value.response
    status = answer["ResponseMetadata"]["HTTPStatusCode"]
    return answer["Error"]["Code"], answer["Error"]["Message"], status


def test_iam_says_it_in_its_own_words(aws: Rig) -> None:
    arn = f"arn:aws:iam::{ACCOUNT}:role/web"
    with enforcing(aws, allow(Action="s3:*")):
        found = refusal(aws.iam.create_role, RoleName="web", AssumeRolePolicyDocument=TRUST)
    assert found == (
        "AccessDenied",
        f"User: {WHO} is not authorized to perform: iam:CreateRole on resource: {arn} "
        "because no identity-based policy allows the iam:CreateRole action",
        403,
    )
    with enforcing(aws, allow(), deny(Action="iam:Create*")):
        _, message, _ = refusal(aws.iam.create_role, RoleName="web", AssumeRolePolicyDocument=TRUST)
    assert message.endswith(f"{arn} with an explicit deny in an identity-based policy")


def test_ec2_and_others_have_codes_of_their_own(aws: Rig) -> None:
    with enforcing(aws, allow(Action="s3:*")):
        code, message, status = refusal(aws.ec2(HOME).describe_instances)
        assert (code, status) == ("UnauthorizedOperation", 403)
        assert message == (
            "You are not authorized to perform this operation. "
            f"User: {WHO} is not authorized to perform: ec2:DescribeInstances "
            "because no identity-based policy allows the ec2:DescribeInstances action"
        )
        code, _, status = refusal(boto3.client("cloudtrail", HOME).lookup_events)
        assert (code, status) == ("AccessDeniedException", 400)
        boto3.client("sts", HOME).get_caller_identity()  # nobody is denied that


@pytest.fixture
def web(aws: Rig) -> Rig:
    """A role and a profile ``web``, and an instance with it."""
    aws.iam.create_role(RoleName="web", AssumeRolePolicyDocument=TRUST)
    aws.iam.create_role(RoleName="Other", AssumeRolePolicyDocument=TRUST)
    tags = [{"Key": "team", "Value": "a"}]
    aws.iam.create_instance_profile(InstanceProfileName="web", Tags=tags)
    aws.iam.add_role_to_instance_profile(InstanceProfileName="web", RoleName="web")
    aws.iam.create_instance_profile(InstanceProfileName="empty")
    aws.clock.sleep(60)
    aws.launch(1, profile="web")
    aws.clock.sleep(60)
    return aws


PASSED = f"arn:aws:iam::{ACCOUNT}:role/Other"


@pytest.mark.parametrize(
    ("condition", "is_met"),
    [
        ({"StringEquals": {"iam:PassedToService": "ec2.amazonaws.com"}}, True),
        ({"StringEquals": {"iam:PassedToService": "lambda.amazonaws.com"}}, False),
        # Without a region and an id, as AWS wants it.
        ({"ArnLike": {"iam:AssociatedResourceArn": "arn:aws:ec2:*:*:instance/*"}}, True),
        ({"ArnLike": {"iam:AssociatedResourceArn": "arn:aws:ec2:us-east-1:*:instance/*"}}, False),
        ({"ArnLike": {"iam:AssociatedResourceArn": "arn:aws:ec2:*:*:instance/i-1"}}, False),
        ({"StringEquals": {"aws:ResourceTag/team": "a"}}, False),
    ],
)
def test_a_role_is_passed_into_a_profile(web: Rig, condition: dict[str, Any], is_met: bool) -> None:
    passing = allow(Action="iam:PassRole", Resource=PASSED, Condition=condition)
    add = {"InstanceProfileName": "empty", "RoleName": "other"}
    with enforcing(web, allow(Action="iam:Add*"), passing) as made:
        if is_met:
            web.iam.add_role_to_instance_profile(**add)
        else:
            code, message, _ = refusal(web.iam.add_role_to_instance_profile, **add)
            assert code == "AccessDenied"
            assert f"iam:PassRole on resource: {PASSED}" in message
    assert [one.action for one in made.denied] == ([] if is_met else ["iam:PassRole"])


@pytest.mark.parametrize(
    ("resource", "is_met"),
    [
        (f"arn:aws:ec2:{HOME}:*:instance/*", True),
        ("arn:aws:ec2:*:*:instance/*", True),
        ("arn:aws:ec2:*:*:instance/i-1", False),
        (f"arn:aws:ec2:eu-west-1:{ACCOUNT}:instance/*", False),
    ],
)
def test_a_role_is_passed_to_an_instance(web: Rig, resource: str, is_met: bool) -> None:
    """Also where the profile is given by its name; a dry run asks the same."""
    condition = {"ArnLike": {"iam:AssociatedResourceArn": resource}}
    passing = allow(Action="iam:PassRole", Condition=condition)
    (instance,) = web.instance_ids()
    with enforcing(web, allow(Action="ec2:*"), passing):
        code, message, _ = refusal(
            web.ec2(HOME).associate_iam_instance_profile,
            InstanceId=instance,
            IamInstanceProfile={"Name": "web"},
        )
    if is_met:
        assert code == "IncorrectState"
    else:
        assert code == "UnauthorizedOperation"
        assert f"iam:PassRole on resource: arn:aws:iam::{ACCOUNT}:role/web" in message


@pytest.mark.parametrize(
    "condition",
    [
        {"StringEquals": {"ec2:InstanceProfile": f"arn:aws:iam::{ACCOUNT}:instance-profile/web"}},
        {"StringEquals": {"aws:ResourceTag/app": "web", "ec2:ResourceTag/app": "web"}},
        {"StringEquals": {"aws:RequestedRegion": HOME, "ec2:Region": HOME}},
        {"StringEquals": {"aws:PrincipalAccount": ACCOUNT, "aws:ResourceAccount": ACCOUNT}},
        {"Bool": {"aws:SecureTransport": "true", "aws:ViaAWSService": "false"}},
        {"DateGreaterThan": {"aws:CurrentTime": "2020-01-01T00:00:00Z"}},
    ],
)
def test_what_a_request_about_an_instance_has(web: Rig, condition: dict[str, Any]) -> None:
    (instance,) = web.instance_ids()
    web.ec2(HOME).create_tags(Resources=[instance], Tags=[{"Key": "app", "Value": "web"}])
    assert all(is_known(key) for keys in condition.values() for key in keys)
    with enforcing(web, allow(Action="ec2:StopInstances", Condition=condition)) as made:
        web.ec2(HOME).stop_instances(InstanceIds=[instance])
    assert made.denied == []


@pytest.mark.parametrize(
    ("condition", "is_met"),
    [
        ({"StringEquals": {"aws:RequestTag/team": "b"}}, True),
        ({"StringEquals": {"aws:ResourceTag/team": "a"}}, True),
        ({"StringEquals": {"iam:ResourceTag/team": "a"}}, True),
        ({"StringEquals": {"aws:RequestedRegion": HOME}}, True),
        ({"ForAllValues:StringEquals": {"aws:TagKeys": ["team"]}}, True),
        ({"ForAllValues:StringEquals": {"aws:TagKeys": ["other"]}}, False),
    ],
)
def test_what_a_request_about_tags_has(web: Rig, condition: dict[str, Any], is_met: bool) -> None:
    tags = [{"Key": "team", "Value": "b"}]
    with enforcing(web, allow(Action="iam:TagInstanceProfile", Condition=condition)) as made:
        if is_met:
            web.iam.tag_instance_profile(InstanceProfileName="web", Tags=tags)
        else:
            refusal(web.iam.tag_instance_profile, InstanceProfileName="web", Tags=tags)
    assert bool(made.denied) != is_met


def test_the_boundary_of_a_role_is_asked_about(web: Rig) -> None:
    """A guard against escalation: roles without the boundary get no policies."""
    document = json.dumps({"Version": "2012-10-17", "Statement": [allow(Action="s3:*")]})
    arn = web.iam.create_policy(PolicyName="b", PolicyDocument=document)["Policy"]["Arn"]
    web.iam.put_role_permissions_boundary(RoleName="web", PermissionsBoundary=arn)
    condition = {"StringEquals": {"iam:PermissionsBoundary": arn}}
    put = {"PolicyName": "p", "PolicyDocument": document}
    with enforcing(web, allow(Action="iam:PutRolePolicy", Condition=condition)):
        web.iam.put_role_policy(RoleName="web", **put)
        assert refusal(web.iam.put_role_policy, RoleName="Other", **put)[0] == "AccessDenied"


def test_tags_of_what_is_created_need_a_permission_of_their_own(aws: Rig) -> None:
    tags = [{"Key": "a", "Value": "b"}]
    with enforcing(aws, allow(), deny(Action="iam:TagRole")):
        _, message, _ = refusal(
            aws.iam.create_role, RoleName="web", AssumeRolePolicyDocument=TRUST, Tags=tags
        )
        assert "iam:TagRole on resource: " in message
        aws.iam.create_role(RoleName="web", AssumeRolePolicyDocument=TRUST)


def test_nothing_is_refused_if_it_only_listens(aws: Rig) -> None:
    document = {"Version": "2012-10-17", "Statement": [allow(Action="s3:*")]}
    listening = Authorizer(aws.aws, [document], WHO, refuses=False)
    aws.aws.before.append(listening)
    aws.iam.list_roles()
    assert [one.action for one in listening.denied] == ["iam:ListRoles"]
