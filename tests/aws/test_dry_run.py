"""EC2 is asked whether a call would be allowed, also where botocore's model has no word for it."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import boto3
import pytest
from moto import mock_aws

from reconciler.aws.session import Login, Session, writing
from reconciler.aws.writer import AwsWriter
from reconciler.errors import AwsError
from reconciler.plan.calls import ApiCall
from reconciler.sandbox.fault_config import Chaos
from tests.rig import HOME, Rig

TRUST = (
    '{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"sts:AssumeRole",'
    '"Principal":{"Service":"ec2.amazonaws.com"}}]}'
)


def writer() -> AwsWriter:
    return AwsWriter(writing(Session(Login("test", region=HOME))))


def consumer(aws: Rig) -> tuple[str, str, str]:
    """An instance on a profile, the profile's ARN and the association."""
    aws.iam.create_role(RoleName="r", AssumeRolePolicyDocument=TRUST)
    made = aws.iam.create_instance_profile(InstanceProfileName="p")["InstanceProfile"]
    aws.iam.add_role_to_instance_profile(InstanceProfileName="p", RoleName="r")
    aws.clock.sleep(60)
    instance = aws.launch(1, profile="p")[0]
    rows = aws.ec2().describe_iam_instance_profile_associations()["IamInstanceProfileAssociations"]
    return instance, str(made["Arn"]), str(rows[0]["AssociationId"])


def calls(instance: str, arn: str, association: str) -> list[ApiCall]:
    to = {"IamInstanceProfile": {"Arn": arn}}
    return [
        ApiCall("ec2", "AssociateIamInstanceProfile", {"InstanceId": instance, **to}, HOME),
        ApiCall("ec2", "DisassociateIamInstanceProfile", {"AssociationId": association}, HOME),
        ApiCall(
            "ec2",
            "ReplaceIamInstanceProfileAssociation",
            {"AssociationId": association, **to},
            HOME,
        ),
        ApiCall("ec2", "StartInstances", {"InstanceIds": [instance]}, HOME),
        ApiCall("ec2", "StopInstances", {"InstanceIds": [instance]}, HOME),
    ]


def answer(call: ApiCall) -> tuple[str, int]:
    with pytest.raises(AwsError) as refused:
        writer().send(call.as_dry_run())
    return refused.value.code, refused.value.status


def test_what_is_allowed_is_answered_and_not_done(aws: Rig) -> None:
    instance, arn, association = consumer(aws)
    for call in calls(instance, arn, association):
        assert answer(call) == ("DryRunOperation", 412), call.name
    assert aws.associations()[instance] == [("p", "associated")]
    assert aws.served(instance) == "r"


@pytest.mark.parametrize("who", ["", "@instance"])
def test_what_is_denied_is_answered_so(aws: Rig, who: str) -> None:
    instance, arn, association = consumer(aws)
    for call in calls(instance, arn, association):
        named = who and "AssociationId" not in call.params
        action = f"{call.name}@{instance}" if named else call.name
        aws.aws.chaos = Chaos(denied=frozenset({action}))
        assert answer(call)[0] == "UnauthorizedOperation", call.name
    aws.aws.chaos = Chaos(denied=frozenset({"ec2:StopInstances@i-0123456789abcdef0"}))
    assert answer(calls(instance, arn, association)[-1])[0] == "DryRunOperation"


def test_other_calls_of_the_same_client_are_carried_out(aws: Rig) -> None:
    """Also at the same time: what is asked belongs to one request alone."""
    instance, arn, association = consumer(aws)
    one = writer()
    call = calls(instance, arn, association)[1]

    def ask(_: int) -> str:
        try:
            one.send(call.as_dry_run())
        except AwsError as error:
            return error.code
        return ""

    with ThreadPoolExecutor(4) as pool:
        assert set(pool.map(ask, range(12))) == {"DryRunOperation"}
    one.send(call)
    assert aws.profile_of(instance) is None


def test_who_does_not_know_the_question_does_it_or_refuses() -> None:
    """moto as it is carries out what it was only asked; on a consumer that is a refusal."""
    with mock_aws():
        iam: Any = boto3.client("iam", region_name=HOME)
        ec2: Any = boto3.client("ec2", region_name=HOME)
        iam.create_role(RoleName="r", AssumeRolePolicyDocument=TRUST)
        arn = iam.create_instance_profile(InstanceProfileName="p")["InstanceProfile"]["Arn"]
        iam.add_role_to_instance_profile(InstanceProfileName="p", RoleName="r")
        instance = ec2.run_instances(ImageId="ami-12c6146b", MinCount=1, MaxCount=1)["Instances"]
        name = instance[0]["InstanceId"]
        call = calls(name, arn, "")[0]
        assert writer().send(call.as_dry_run())
        assert answer(replace(call))[0] == "IncorrectState"
