"""What new instances get: from a group to a template's version, to a profile, to its role."""

from __future__ import annotations

import pytest

from reconciler.model.address import profile_address
from reconciler.model.launch_sources import (
    LaunchSource,
    LaunchSources,
    LaunchTemplate,
    Origin,
    Start,
    TemplateRef,
    UnreadCall,
    origin_of,
)
from reconciler.plan.changes import Create, Delete, Update
from reconciler.planner.launches import (
    launches_of,
    naming,
    of_consumers,
    of_instance,
    queries_for,
    role_after,
)
from tests.planner.worlds import HOME, instance, live

TEMPLATE = LaunchTemplate(
    HOME,
    "lt-1",
    "web-lt",
    default=1,
    latest=4,
    profiles={1: "old", 3: None, 4: "arn:aws:iam::1:instance-profile/a/b/web"},
)


def group(*starts: Start, name: str = "web") -> LaunchSource:
    return LaunchSource("auto-scaling-group", HOME, name, name, starts)


def of(*sources: LaunchSource, **more: object) -> LaunchSources:
    return LaunchSources({(HOME, "lt-1"): TEMPLATE}, {(HOME, "lc"): "old"}, sources, **more)  # type: ignore[arg-type]


def template(version: str, name: str = "lt-1") -> Start:
    return Start(template=TemplateRef(name, version))


@pytest.mark.parametrize(
    ("start", "profile", "by"),
    [
        (template("$Default"), "old", "launch template web-lt, version $Default (1)"),
        (template("$Latest"), "web", "launch template web-lt, version $Latest (4)"),
        (template("3"), None, "launch template web-lt, version 3"),
        (template("1", "web-lt"), "old", "launch template web-lt, version 1"),
        (Start(configuration="lc"), "old", "launch configuration lc"),
        (Start(profile="web"), "web", ""),
    ],
)
def test_what_a_group_starts(start: Start, profile: str | None, by: str) -> None:
    (launch,) = launches_of(group(start), of())
    assert launch.is_known
    assert (launch.profile, launch.by) == (profile, by)


@pytest.mark.parametrize(
    ("start", "why"),
    [
        (template("2"), "version 2 of launch template web-lt does not exist"),
        (template("$Default", "lt-9"), "launch template lt-9 does not exist"),
        (Start(configuration="gone"), "launch configuration gone does not exist"),
    ],
)
def test_what_is_gone_is_unknown(start: Start, why: str) -> None:
    (launch,) = launches_of(group(start), of())
    assert launch.unknown == why


@pytest.mark.parametrize(
    ("start", "call"),
    [
        (template("2"), "ec2:DescribeLaunchTemplateVersions"),
        (template("1", "lt-9"), "ec2:DescribeLaunchTemplateVersions"),
        (Start(configuration="x"), "autoscaling:DescribeLaunchConfigurations"),
    ],
)
def test_a_refused_read_names_the_permission(start: Start, call: str) -> None:
    refused = (UnreadCall(HOME, call, "AccessDenied"),)
    (launch,) = launches_of(group(start), of(unread=refused))
    assert launch.unknown == f"{call} (AccessDenied)"


def test_a_group_with_overrides_starts_in_more_than_one_way() -> None:
    found = launches_of(group(template("$Default"), template("$Latest")), of())
    assert [launch.profile for launch in found] == ["old", "web"]


def test_a_capacity_provider_starts_what_its_group_starts() -> None:
    provider = LaunchSource("capacity-provider", HOME, "cp", "cp", group="web")
    (launch,) = launches_of(provider, of(group(template("$Latest"))))
    assert launch.profile == "web"
    assert launch.title == "ECS capacity provider cp"
    assert launch.by == "Auto Scaling group web, launch template web-lt, version $Latest (4)"
    (launch,) = launches_of(provider, of())
    assert launch.unknown == "Auto Scaling group web does not exist"


MEMBER = instance(
    1, "web", tags={"aws:autoscaling:groupName": "web", "aws:ec2:fleet-id": "fleet-1"}
)


def test_a_tag_of_aws_leads_to_the_group() -> None:
    assert origin_of(MEMBER) == Origin("auto-scaling-group", HOME, "web")
    (launch,) = of_instance(MEMBER, of(group(template("1"))))
    assert launch.profile == "old"
    assert of_instance(MEMBER, of()) == ()
    refused = (UnreadCall(HOME, "autoscaling:DescribeAutoScalingGroups", "AccessDenied"),)
    (launch,) = of_instance(MEMBER, of(unread=refused))
    assert launch.title == "Auto Scaling group web"
    assert launch.unknown == "autoscaling:DescribeAutoScalingGroups (AccessDenied)"


def test_without_a_group_the_template_counts() -> None:
    started = instance(2, "web", tags={"aws:ec2launchtemplate:id": "lt-1"})
    assert [launch.profile for launch in of_instance(started, of())] == ["old", "web"]
    assert of_instance(instance(3, "web"), of()) == ()
    gone = instance(2, "web", tags={"aws:ec2launchtemplate:id": "lt-9"})
    assert of_instance(gone, of()) == ()


def test_who_names_a_profile() -> None:
    found = naming(["WEB"], of(group(template("$Latest")), group(template("1"), name="other")))
    assert [(launch.title, launch.version) for launch in found] == [
        ("Auto Scaling group web", "$Latest"),
        ("launch template web-lt", "$Latest"),
    ]


def test_consumers_lead_to_what_started_them() -> None:
    started = instance(2, "web", tags={"aws:ec2launchtemplate:id": "lt-1"})
    fleet = [MEMBER, instance(4, "web", tags=MEMBER.tags), started, instance(3, "web")]
    found = of_consumers(fleet, of(group(template("1"))))
    assert [(launch.title, launch.profile, len(users)) for launch, users in found] == [
        ("Auto Scaling group web", "old", 2),
        ("launch template web-lt", "old", 1),
        ("launch template web-lt", "web", 1),
    ]


def test_nothing_is_asked_about_instances_that_nobody_started() -> None:
    assert queries_for([instance(3, "web")]) == ()
    spot = instance(5, "web", tags={"aws:ec2spot:fleet-request-id": "sfr-1"})
    (query,) = queries_for([MEMBER, spot])
    assert query.region == HOME
    assert query.groups == frozenset({"web"})
    assert query.spot_fleets == frozenset({"sfr-1"})
    assert (query.fleets, query.templates, query.asks_ecs) == (frozenset(), frozenset(), False)


def test_the_role_after_the_changes() -> None:
    account = live("roles: {a: {trust: ec2}}\ninstance_profiles: {web: {role: a}}")
    address = profile_address("WEB")
    assert role_after("web", (), account) == "a"
    assert role_after("web", (Update(address=address, after={"role": "b"}),), account) == "b"
    assert role_after("web", (Update(address=address, after={"tags": {}}),), account) == "a"
    assert role_after("web", (Delete(address=address),), account) is None
    made = Create(address=profile_address("new"), after={"role": "c"})
    assert role_after("new", (made,), account) == "c"
