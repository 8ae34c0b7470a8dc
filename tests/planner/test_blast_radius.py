"""Which changes reach running instances, and what is said of those."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from reconciler.diagnostics import Location
from reconciler.model.launch_sources import (
    LaunchSource,
    LaunchSources,
    LaunchTemplate,
    Start,
    TemplateRef,
    UnreadCall,
)
from reconciler.model.live import LiveState
from reconciler.plan.plan import TargetPlan
from reconciler.planner import Options, plan_context, plan_target
from reconciler.planner.blast_radius import concerned, reached, with_blast_radius
from reconciler.planner.context import PlanContext
from reconciler.spec.settings import Settings
from tests.planner.cases import READ, WRITE
from tests.planner.worlds import AWAY, HOME, NOW, TEAM, instance, live, spec_set

BEFORE = (
    f"policies: {{p: {{document: {READ}}}}}\n"
    "roles: {v1: {trust: ec2, managed_policies: [p]}, v2: {trust: ec2}}\n"
    "instance_profiles: {web: {role: v1}}\n"
    "associations: {fleet: {instance_profile: web, select: {tags: {app: web}}}}\n"
)
ASG = {"aws:autoscaling:groupName": "web-asg"}
FLEET = (
    instance(1, "web", is_ours=True, tags={"app": "web", "Name": "web", **ASG}),
    instance(2, "web", is_ours=True, tags={"app": "web", "Name": "web", **ASG}),
    instance(3, "web", is_ours=True, tags={"app": "web"}),
    instance(4, "web", region=AWAY, state="stopped", tags={"app": "web"}),
)


def made(
    after: str, account: LiveState | None = None, **flags: Any
) -> tuple[TargetPlan, PlanContext]:
    options = Options(
        settings=Settings.model_validate({"owner": TEAM}),
        owner=TEAM,
        regions=(AWAY, HOME),
        now=NOW,
        **flags,
    )
    there = account if account is not None else live(BEFORE, FLEET)
    context = plan_context(spec_set(after).desired, there, options)
    return plan_target(context), context


def radius(
    after: str,
    launches: LaunchSources | None = None,
    account: LiveState | None = None,
    **flags: Any,
) -> TargetPlan:
    plan, context = made(after, account, **flags)
    concerns = concerned(plan.changes, context)
    known = launches if launches is not None else LaunchSources()
    return with_blast_radius(plan, concerns, context, known, Location("specs"))


@pytest.mark.parametrize(
    ("before", "after", "addresses"),
    [
        ("role: v1}", "role: v2}", ["instance-profile/web"]),
        ("role: v1}", "role: v1, tags: {a: b}}", []),
        ("managed_policies: [p]", "managed_policies: []", ["role/v1"]),
        ("v1: {trust: ec2", "v1: {trust: [ec2, lambda]", ["role/v1"]),
        ("v1: {trust: ec2", "v1: {description: x, trust: ec2", []),
        # Nobody has it.
        ("v2: {trust: ec2}", "v2: {trust: [ec2, lambda]}", []),
        (READ, WRITE, ["policy/p"]),
        (READ, f"{READ}, tags: {{a: b}}", []),
        ("v2: {trust: ec2}", "v2: {trust: ec2}, v3: {trust: ec2}", []),
    ],
)
def test_which_changes_reach_instances(before: str, after: str, addresses: list[str]) -> None:
    assert before in BEFORE
    plan, context = made(BEFORE.replace(before, after))
    found = concerned(plan.changes, context)
    assert [str(concern.change.address) for concern in found] == addresses
    for concern in found:
        assert [i.key.instance for i in reached(concern, context)] == [
            "i-00000001",
            "i-00000002",
            "i-00000003",
        ]
        assert concern.is_for_all_regions is (concern.change.kind != "instance-profile")


def test_a_plan_without_changes_concerns_nobody() -> None:
    plan, context = made(BEFORE)
    assert plan.is_empty
    assert concerned(plan.changes, context) == ()


def test_consumers_by_region_group_and_name() -> None:
    (found,) = radius(BEFORE.replace("role: v1}", "role: v2}")).blast_radius.values()
    assert found.count == 3
    assert [(g.region, g.origin and g.origin.name, g.instances) for g in found.consumers] == [
        (HOME, "web-asg", (("web", ("i-00000001", "i-00000002")),)),
        (HOME, None, ((None, ("i-00000003",)),)),
    ]


def group(profile: str | None, **more: Any) -> LaunchSources:
    """One that starts new instances with that profile."""
    template = LaunchTemplate(HOME, "lt-1", "web-lt", 1, 1, {1: profile})
    start = Start(template=TemplateRef("lt-1", "$Latest"))
    source = LaunchSource("auto-scaling-group", HOME, "web-asg", "web-asg", (start,))
    return LaunchSources({(HOME, "lt-1"): template}, {}, (source,), **more)


SWAP = BEFORE.replace("role: v1}", "role: v2}")


@pytest.mark.parametrize(
    "profile", ["web", "WEB", "arn:aws:iam::111111111111:instance-profile/web"]
)
def test_new_instances_that_get_the_same_are_no_warning(profile: str) -> None:
    plan = radius(SWAP, group(profile))
    assert plan.diagnostics == ()
    (found,) = plan.blast_radius.values()
    assert found.launches == ()


@pytest.mark.parametrize(
    ("profile", "gets"),
    [
        ("old", "instance-profile/old (no role)"),
        (None, "no instance profile"),
    ],
)
def test_new_instances_that_get_something_else_are_a_warning(
    profile: str | None, gets: str
) -> None:
    (found,) = radius(SWAP, group(profile)).diagnostics
    assert (found.severity, found.code) == ("warning", "new-instances-differ")
    assert found.message == (
        f"Auto Scaling group web-asg (launch template web-lt, version $Latest (1)) in {HOME} "
        f"starts new instances with {gets}; its 2 running instances get "
        "instance-profile/web (role/v2) by the specs"
    )
    assert found.location.line == 3
    assert found.suggestion is not None
    assert "association 'fleet' moves new ones at each apply" in found.suggestion


def test_an_instance_that_moves_leaves_its_group_behind() -> None:
    """The group goes on with the profile that it leaves."""
    account = live(BEFORE, FLEET)
    after = BEFORE.replace("{web: {role: v1}}", "{web: {role: v1}, new: {role: v2}}").replace(
        "{instance_profile: web,", "{instance_profile: new,"
    )
    plan = radius(after, group("web"), account)
    (warning,) = plan.diagnostics
    assert "starts new instances with instance-profile/web (role/v1)" in warning.message
    assert "instance-profile/new (role/v2) by the specs" in warning.message
    assert {str(a) for a in plan.blast_radius} == {
        "association/i-00000001",
        "association/i-00000002",
    }


def test_what_is_denied_is_told_once() -> None:
    refused = tuple(
        UnreadCall(region, "autoscaling:DescribeAutoScalingGroups", "AccessDenied")
        for region in (AWAY, HOME)
    )
    plan = radius(SWAP, LaunchSources(unread=refused))
    assert plan.diagnostics == ()
    assert [(str(k.address), k.reason) for k in plan.kept] == [
        (
            "*",
            f"what new instances get in {AWAY}, {HOME} is not known: "
            "autoscaling:DescribeAutoScalingGroups (AccessDenied) refused",
        )
    ]


def test_a_role_is_still_had_by_those_of_the_mark() -> None:
    """The role inside was swapped by hand: instances may still have the one of the mark."""
    account = live(BEFORE, FLEET)
    profile = account.profiles["web"]
    swapped = replace(profile, resource=replace(profile.resource, role="v2"), role_id="AROAV2")
    account = replace(account, profiles={"web": swapped})
    after = BEFORE.replace("managed_policies: [p]", "managed_policies: []")
    plan, context = made(after, account)
    named = {str(c.change.address) for c in concerned(plan.changes, context)}
    assert "role/v1" in named
