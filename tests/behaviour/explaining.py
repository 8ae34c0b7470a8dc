"""An account in the middle of things, for explanations of it: instances of every sort, groups and
fleets that start more, and specs that are not applied yet."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

from moto.moto_api._internal import mock_random

from reconciler.explain.explanation import Explained, Explanation
from reconciler.explain.reading import explain
from tests.behaviour.test_ownership import TRUST
from tests.rig import AWAY, HOME, Rig

SPEC = """
policies:
  read: {document: {Version: 2012-10-17, Statement: [
    {Effect: Allow, Action: 's3:Get*', Resource: '*'}]}}
roles:
  web-v1: {trust: ec2, managed_policies: [AmazonSSMManagedInstanceCore, read]}
  web-v2: {trust: ec2, managed_policies: [read]}
  batch: {trust: lambda}
instance_profiles:
  web: {role: web-v1}
associations:
  web-fleet: {instance_profile: web, select: {tags: {app: web}}}
"""
IMAGE = {"ImageId": "ami-12c6146b", "InstanceType": "t3.nano"}


def template(profile: str | None) -> dict[str, Any]:
    return {**IMAGE, **({"IamInstanceProfile": {"Name": profile}} if profile else {})}


@dataclass
class World:
    """An account in the middle of things. The specs put ``web-v2`` into the profile; AWS has
    ``web-v1`` still."""

    aws: Rig
    solo: str
    stopped: str
    away: str
    managed: str
    ended: str
    member: str
    spot: str

    def explain(self, asked: str, **flags: Any) -> Explained:
        self.aws.opened.clear()
        return explain(asked, self.aws.request(regions=(HOME,), **flags), self.aws.commands())

    def one(self, asked: str) -> Explanation:
        (answer,) = self.explain(asked).answers
        return answer

    @contextmanager
    def denying(self, *actions: str) -> Iterator[None]:
        calm = self.aws.aws.chaos
        self.aws.aws.chaos = replace(calm, denied=frozenset(actions))
        try:
            yield
        finally:
            self.aws.aws.chaos = calm


def in_the_middle(aws: Rig) -> World:
    """Applies the specs, starts what is around them, and changes the specs."""
    aws.iam.create_role(RoleName="legacy", AssumeRolePolicyDocument=TRUST)
    aws.iam.create_instance_profile(InstanceProfileName="legacy")
    aws.iam.add_role_to_instance_profile(InstanceProfileName="legacy", RoleName="legacy")
    (solo,) = aws.launch(1, tags={"app": "web", "Name": "solo"})
    (stopped,) = aws.launch(1, tags={"app": "web"})
    aws.write(SPEC)
    aws.settle(regions=(HOME,), parallelism=1)
    aws.clock.sleep(60)
    # How many ids an apply has taken depends on its threads.
    mock_random.seed(7)
    aws.ec2().stop_instances(InstanceIds=[stopped])
    (away,) = aws.launch(1, region=AWAY, profile="web")
    (managed,) = aws.launch(1, profile="web", operator="ecs.amazonaws.com")
    (ended,) = aws.launch(1, profile="web")
    aws.ec2().terminate_instances(InstanceIds=[ended])
    spot = _fleets(aws)
    group = _group(aws)
    _providers(aws)
    aws.write(SPEC.replace("web: {role: web-v1}", "web: {role: web-v2}"))
    return World(aws, solo, stopped, away, managed, ended, group, spot)


def _group(aws: Rig) -> str:
    """A group that is pinned to a version whose profile the specs know nothing of."""
    made = aws.ec2().create_launch_template(
        LaunchTemplateName="web-lt", LaunchTemplateData=template(None)
    )["LaunchTemplate"]["LaunchTemplateId"]
    for profile in ("legacy", "web"):
        aws.ec2().create_launch_template_version(
            LaunchTemplateId=made, LaunchTemplateData=template(profile)
        )
    aws.client("autoscaling", HOME).create_auto_scaling_group(
        AutoScalingGroupName="web-asg",
        MinSize=1,
        MaxSize=2,
        DesiredCapacity=1,
        AvailabilityZones=["us-east-1a"],
        LaunchTemplate={"LaunchTemplateId": made, "Version": "2"},
        Tags=[{"Key": "app", "Value": "web", "PropagateAtLaunch": True}],
    )
    return _with_tag(aws, "aws:autoscaling:groupName")


def _fleets(aws: Rig) -> str:
    aws.ec2().request_spot_fleet(
        SpotFleetRequestConfig={
            "IamFleetRole": "arn:aws:iam::123456789012:role/fleet",
            "TargetCapacity": 1,
            "AllocationStrategy": "lowestPrice",
            "SpotPrice": "0.1",
            "LaunchSpecifications": [
                {
                    **IMAGE,
                    "IamInstanceProfile": {
                        "Arn": "arn:aws:iam::123456789012:instance-profile/legacy"
                    },
                }
            ],
        }
    )
    return _with_tag(aws, "aws:ec2spot:fleet-request-id")


def _providers(aws: Rig) -> None:
    ecs = aws.client("ecs", HOME)
    ecs.create_cluster(clusterName="main")
    groups = aws.client("autoscaling", HOME).describe_auto_scaling_groups()
    arn = groups["AutoScalingGroups"][0]["AutoScalingGroupARN"]
    ecs.create_capacity_provider(
        name="by-group", autoScalingGroupProvider={"autoScalingGroupArn": arn}
    )
    ecs.create_capacity_provider(
        name="by-ecs",
        cluster="main",
        managedInstancesProvider={
            "infrastructureRoleArn": "arn:aws:iam::123456789012:role/infra",
            "instanceLaunchTemplate": {
                "ec2InstanceProfileArn": "arn:aws:iam::123456789012:instance-profile/web",
                "networkConfiguration": {"subnets": ["subnet-1"]},
            },
        },
    )


def _with_tag(aws: Rig, key: str) -> str:
    found = [
        i["InstanceId"]
        for r in aws.ec2().describe_instances()["Reservations"]
        for i in r["Instances"]
        if any(tag["Key"] == key for tag in i.get("Tags", ()))
    ]
    return str(found[0])
