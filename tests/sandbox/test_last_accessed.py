"""The sandbox's reports of what roles have used: a job that takes its time, and its answer."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from botocore.exceptions import ClientError

from reconciler.sandbox.plant import plant
from reconciler.sandbox.seed import RoleSeed, Seed, UseSeed
from reconciler.sandbox.snapshot import snapshot
from reconciler.sandbox.state import RoleUse
from tests.rig import ACCOUNT, AWAY, HOME, Rig
from tests.sandbox.test_simulator import TRUST

DAY = 86_400
ARN = f"arn:aws:iam::{ACCOUNT}:role/web"


def made(aws: Rig, actions: list[str], **used: float) -> None:
    """A role with a policy; ``used`` are days ago, with two underlines for a colon."""
    aws.iam.create_role(RoleName="web", AssumeRolePolicyDocument=TRUST)
    statement = {"Effect": "Allow", "Action": actions, "Resource": "*"}
    document = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    aws.iam.put_role_policy(RoleName="web", PolicyName="p", PolicyDocument=document)
    now = aws.clock.now()
    aws.aws.used[ACCOUNT, aws.role_id("web")] = {
        name.replace("__", ":"): RoleUse(now - days * DAY, AWAY) for name, days in used.items()
    }


def begin(aws: Rig, level: str = "ACTION_LEVEL", arn: str = ARN) -> str:
    answer = aws.iam.generate_service_last_accessed_details(Arn=arn, Granularity=level)
    job: str = answer["JobId"]
    return job


def services(aws: Rig, level: str = "ACTION_LEVEL") -> dict[str, Any]:
    job = begin(aws, level)
    aws.clock.sleep(aws.aws.lags.reports)
    answer = aws.iam.get_service_last_accessed_details(JobId=job)
    assert answer["JobStatus"] == "COMPLETED"
    return {one["ServiceNamespace"]: one for one in answer["ServicesLastAccessed"]}


def test_a_job_is_in_progress_until_it_is_complete(aws: Rig) -> None:
    made(aws, ["s3:*"])
    aws.aws.lags = replace(aws.aws.lags, reports=20.0)
    job = begin(aws)
    answer = aws.iam.get_service_last_accessed_details(JobId=job)
    assert (answer["JobStatus"], answer["JobType"]) == ("IN_PROGRESS", "ACTION_LEVEL")
    assert answer["ServicesLastAccessed"] == []
    assert "JobCompletionDate" not in answer
    aws.clock.sleep(20)
    answer = aws.iam.get_service_last_accessed_details(JobId=job)
    assert answer["JobStatus"] == "COMPLETED"
    assert answer["JobCompletionDate"] > answer["JobCreationDate"]


def test_actions_with_their_last_use(aws: Rig) -> None:
    made(aws, ["s3:Get*", "s3:PutObject"], s3__GetObject=2, s3__ListBucket=3)
    (service,) = services(aws).values()
    actions = {one["ActionName"]: one for one in service["TrackedActionsLastAccessed"]}
    assert actions.keys() == {"GetObject", "ListBucket", "PutObject"}
    assert "LastAccessedTime" not in actions["PutObject"]
    assert actions["GetObject"]["LastAccessedRegion"] == AWAY
    assert actions["GetObject"]["LastAccessedEntity"] == ARN
    assert service["LastAuthenticated"] == actions["GetObject"]["LastAccessedTime"]


def test_a_service_alone_and_services_alone(aws: Rig) -> None:
    made(aws, ["*"], s3__GetObject=2, sqs=1)
    found = services(aws)
    assert "TrackedActionsLastAccessed" not in found["sqs"]
    assert found["sqs"]["LastAuthenticatedRegion"] == AWAY
    assert "TrackedActionsLastAccessed" not in services(aws, "SERVICE_LEVEL")["s3"]


def test_only_what_the_policies_allow_now_is_told(aws: Rig) -> None:
    made(aws, ["s3:*", "ec2:DescribeInstances"], s3__GetObject=2, sqs__SendMessage=2)
    found = services(aws)
    assert found.keys() == {"ec2", "s3"}
    assert "LastAuthenticated" not in found["ec2"]


def test_a_use_is_forgotten_after_four_hundred_days(aws: Rig) -> None:
    made(aws, ["s3:*"], s3__GetObject=401, s3__PutObject=399)
    (service,) = services(aws).values()
    assert [o["ActionName"] for o in service["TrackedActionsLastAccessed"]] == ["PutObject"]


def test_a_long_report_has_pages(aws: Rig) -> None:
    made(aws, ["*"], **{f"s{number:03}__Get": 1 for number in range(120)})
    job = begin(aws)
    aws.clock.sleep(1)
    first = aws.iam.get_service_last_accessed_details(JobId=job)
    assert (len(first["ServicesLastAccessed"]), first["IsTruncated"]) == (100, True)
    rest = aws.iam.get_service_last_accessed_details(JobId=job, Marker=first["Marker"])
    assert (len(rest["ServicesLastAccessed"]), rest["IsTruncated"]) == (20, False)


def test_what_is_not_there(aws: Rig) -> None:
    with pytest.raises(ClientError) as refused:
        begin(aws, arn=ARN.replace("web", "nobody"))
    assert refused.value.response["Error"]["Code"] == "NoSuchEntity"
    with pytest.raises(ClientError) as refused:
        aws.iam.get_service_last_accessed_details(JobId="0" * 36)
    assert refused.value.response["Error"]["Code"] == "NoSuchEntity"


def test_a_report_changes_nothing(aws: Rig) -> None:
    made(aws, ["s3:*"])
    before = len(aws.writes())
    services(aws)
    assert len(aws.writes()) == before


def test_a_role_that_is_made_again_has_used_nothing(aws: Rig) -> None:
    made(aws, ["s3:*"], s3__GetObject=1)
    aws.iam.delete_role_policy(RoleName="web", PolicyName="p")
    aws.iam.delete_role(RoleName="web")
    aws.iam.create_role(RoleName="web", AssumeRolePolicyDocument=TRUST)
    assert services(aws) == {}


def test_a_seed_says_what_was_used_and_a_copy_keeps_it(aws: Rig) -> None:
    used = {"s3:GetObject": UseSeed(days_ago=2, region=AWAY), "sqs": UseSeed(at=1.0)}
    plant(Seed(roles={"web": RoleSeed(used=used)}), aws.aws)
    held = aws.aws.used[ACCOUNT, aws.role_id("web")]
    assert held["s3:GetObject"] == RoleUse(aws.clock.now() - 2 * DAY, AWAY)
    assert held["sqs"] == RoleUse(1.0, HOME)
    copied = snapshot(aws.aws).roles["web"].used
    assert copied["s3:GetObject"] == UseSeed(at=aws.clock.now() - 2 * DAY, region=AWAY)
