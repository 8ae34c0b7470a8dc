"""What new instances are started from: everything of a region, or what was asked for alone."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from reconciler.aws.reader import AwsReader
from reconciler.aws.session import Login, Session, reading
from reconciler.model.launch_sources import Start, TemplateRef
from reconciler.ports import LaunchQuery
from tests.rig import AWAY, HOME, Rig, rig

IMAGE = {"ImageId": "ami-12c6146b", "InstanceType": "t3.nano"}


@pytest.fixture(scope="module")
def account(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rig]:
    """Two templates, the first with four versions; groups that name them in every way."""
    with rig(tmp_path_factory.mktemp("launches")) as aws:
        ec2, scaling = aws.ec2(), aws.client("autoscaling", HOME)
        for name in ("one", "two"):
            ec2.create_launch_template(
                LaunchTemplateName=name,
                LaunchTemplateData={**IMAGE, "IamInstanceProfile": {"Name": "v1"}},
            )
        for number in (2, 3, 4):
            ec2.create_launch_template_version(
                LaunchTemplateName="one",
                LaunchTemplateData={**IMAGE, "IamInstanceProfile": {"Name": f"v{number}"}},
            )
        ec2.modify_launch_template(LaunchTemplateName="one", DefaultVersion="2")
        scaling.create_launch_configuration(
            LaunchConfigurationName="lc", IamInstanceProfile="old", **IMAGE
        )
        _group(scaling, "configured", LaunchConfigurationName="lc")
        _group(scaling, "default", LaunchTemplate={"LaunchTemplateName": "one"})
        mixed = {
            "LaunchTemplate": {
                "LaunchTemplateSpecification": {"LaunchTemplateName": "one", "Version": "1"},
                "Overrides": [{"LaunchTemplateSpecification": {"LaunchTemplateName": "two"}}],
            }
        }
        _group(scaling, "mixed", MixedInstancesPolicy=mixed)
        yield aws


def _group(scaling: Any, name: str, **more: Any) -> None:
    scaling.create_auto_scaling_group(
        AutoScalingGroupName=name,
        MinSize=0,
        MaxSize=1,
        DesiredCapacity=0,
        AvailabilityZones=["us-east-1a"],
        **more,
    )


@pytest.fixture(scope="module")
def reader(account: Rig) -> AwsReader:
    return AwsReader(reading(Session(Login(run="test", region=HOME))), "reconciler:")


def test_everything_of_a_region(account: Rig, reader: AwsReader) -> None:
    found = reader.launch_sources([LaunchQuery(HOME), LaunchQuery(AWAY)])
    assert found.unread == ()
    one, two = (found.template(HOME, name) for name in ("one", "two"))
    assert one is not None
    assert two is not None
    assert found.template(AWAY, "one") is None
    assert found.template(HOME, one.id) == one
    # Default, latest, and the version that a group is pinned to.
    assert dict(one.profiles) == {1: "v1", 2: "v2", 4: "v4"}
    assert (one.default, one.latest) == (2, 4)
    assert found.configurations == {(HOME, "lc"): "old"}
    assert [source.name for source in found.sources] == ["configured", "default", "mixed"]
    mixed = found.sources[2].starts
    assert [start.template and start.template.version for start in mixed] == ["1", "$Default"]
    assert found.sources[0].starts == (Start(configuration="lc"),)


def test_only_what_was_asked_for(account: Rig, reader: AwsReader) -> None:
    before = len(account.aws.log)
    nothing = frozenset[str]()
    query = LaunchQuery(
        HOME,
        groups=frozenset({"default"}),
        fleets=nothing,
        spot_fleets=nothing,
        templates=nothing,
        asks_ecs=False,
    )
    found = reader.launch_sources([query])
    asked = [logged.operation for logged in account.aws.log[before:]]
    assert asked == ["DescribeAutoScalingGroups", "DescribeLaunchTemplateVersions"]
    (source,) = found.sources
    (template,) = found.templates.values()
    assert source.starts == (Start(template=TemplateRef(template.id)),)
    assert dict(template.profiles) == {2: "v2", 4: "v4"}


def test_a_refused_call_stops_no_other(account: Rig, reader: AwsReader) -> None:
    calm = account.aws.chaos
    account.aws.chaos = replace(calm, denied=frozenset({"ec2:DescribeFleets", "ecs:ListClusters"}))
    try:
        found = reader.launch_sources([LaunchQuery(HOME)])
    finally:
        account.aws.chaos = calm
    assert [(u.region, u.call, u.reason) for u in found.unread] == [
        (HOME, "ec2:DescribeFleets", "UnauthorizedOperation"),
        (HOME, "ecs:ListClusters", "AccessDenied"),
    ]
    assert len(found.sources) == 3
    assert found.templates


def test_a_template_that_is_gone_is_not_there(account: Rig, reader: AwsReader) -> None:
    nothing = frozenset[str]()
    gone = LaunchQuery(
        HOME, nothing, nothing, nothing, frozenset({"lt-0123456789abcdef0"}), asks_ecs=False
    )
    found = reader.launch_sources([gone])
    assert found.templates == {}
    assert found.unread == ()
