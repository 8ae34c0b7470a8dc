"""What an import leaves out, as values: no AWS and no files."""

from __future__ import annotations

from dataclasses import replace

import pytest

from reconciler.importer.importer import Imported, Selection, imported
from reconciler.importer.managers import manager_of
from reconciler.model.live import LiveState
from tests.planner.worlds import instance, live

SPEC = """\
roles: {web: {trust: ec2}}
instance_profiles: {web: {role: web}}
"""


def importing(state: LiveState) -> Imported:
    roles = {name: replace(role, marks={}) for name, role in state.roles.items()}
    profiles = {name: replace(profile, marks={}) for name, profile in state.profiles.items()}
    unowned = replace(state, roles=roles, profiles=profiles)
    return imported(unowned, Selection(everything=True), "team")


def test_members_of_auto_scaling_groups_are_skipped() -> None:
    """Whatever else keeps them from being restarted, in whatever words."""
    member = instance(1, "web", tags={"aws:autoscaling:groupName": "web-asg"})
    spot = replace(instance(2, "web"), unstoppable="not an Auto Scaling matter: it is spot")
    made = importing(live(SPEC, [member, spot]))
    assert made.files["web.yaml"]["associations"]["web"]["instances"] == [spot.key.instance]
    assert made.skipped == {"members of an Auto Scaling group": (member.key.instance,)}


def test_resources_of_other_managers_are_skipped() -> None:
    state = live("roles: {linked: {trust: ec2}, stack: {trust: ec2}, reserved: {trust: ec2}}")
    roles = dict(state.roles)
    for name, path in (("linked", "/aws-service-role/x/"), ("reserved", "/aws-reserved/y/")):
        roles[name] = replace(roles[name], resource=replace(roles[name].resource, path=path))
    stack = {"aws:cloudformation:stack-name": "x"}
    roles["stack"] = replace(roles["stack"], aws_tags=stack)
    made = importing(replace(state, roles=roles))
    assert made.files == {}
    assert made.skipped == {
        "managed by AWS": ("role/linked", "role/reserved"),
        "managed by CloudFormation": ("role/stack",),
    }


SHORT = "roles: {web: {trust: ec2, instance_profile: true, tags: {team: web}}}"


def test_a_profile_that_instances_use_is_written_out() -> None:
    """To give its instances another role, one changes `role` there."""
    made = importing(live(SHORT, [instance(1, "web")]))
    file = made.files["web.yaml"]
    assert file["instance_profiles"] == {"web": {"role": "web", "tags": {"team": "web"}}}
    assert "instance_profile" not in file["roles"]["web"]
    unused = importing(live(SHORT, [])).files["web.yaml"]
    assert unused == {
        "version": 1,
        "roles": {"web": {**file["roles"]["web"], "instance_profile": True}},
    }


def test_an_unknown_use_counts_as_use() -> None:
    state = replace(live(SHORT, []), unread_regions={"eu-west-1": "denied"})
    assert "instance_profiles" in importing(state).files["web.yaml"]


def test_an_association_names_regions_in_which_the_set_does_not_look() -> None:
    there = instance(1, "web")
    away = replace(there, key=replace(there.key, region="eu-west-1", instance="i-away"))
    state = live(SPEC, [there, away])
    roles = {name: replace(role, marks={}) for name, role in state.roles.items()}
    profiles = {name: replace(profile, marks={}) for name, profile in state.profiles.items()}
    state = replace(state, roles=roles, profiles=profiles)
    everything = Selection(everything=True)
    for regions, wanted in (
        (None, None),
        ((there.key.region, "eu-west-1"), None),
        ((there.key.region,), sorted({there.key.region, "eu-west-1"})),
    ):
        made = imported(state, everything, "team", regions=regions)
        assert made.files["web.yaml"]["associations"]["web"].get("regions") == wanted
        assert made.regions == tuple(sorted({there.key.region, "eu-west-1"}))


def test_instances_that_plan_would_not_touch_are_skipped() -> None:
    theirs = replace(instance(1, "web"), operator="ecs.amazonaws.com")
    made = importing(live(SPEC, [theirs]))
    assert "associations" not in made.files["web.yaml"]
    assert made.skipped == {"instances: ecs.amazonaws.com manages it": (theirs.key.instance,)}


@pytest.mark.parametrize(
    ("tags", "tool"),
    [
        ({"ManagedBy": "terraform"}, "Terraform"),
        ({"managed-by": "Terraform Cloud"}, "Terraform"),
        ({"acme:managed_by": "x"}, None),
        ({"app.kubernetes.io/managed-by": "pulumi"}, "Pulumi"),
        ({"terraform": "true"}, "Terraform"),
        ({"Terraform": "false"}, None),
        ({"terraform-workspace": "prod"}, "Terraform"),
        ({"CreatedBy": "OpenTofu"}, "OpenTofu"),
        ({"aws:cloudformation:stack-name": "x"}, "CloudFormation"),
        ({"eks:cluster-name": "c"}, "EKS"),
        ({"alpha.eksctl.io/cluster-name": "c"}, "EKS"),
        ({"kubernetes.io/cluster/prod": "owned"}, "EKS"),
        ({"ManagedBy": "platform-team", "Name": "terraform-runner", "team": "eks"}, None),
        ({}, None),
    ],
)
def test_what_other_tools_write(tags: dict[str, str], tool: str | None) -> None:
    assert manager_of(tags) == tool


def test_what_looks_managed_is_imported_and_told() -> None:
    state = live(
        "roles: {a: {trust: ec2, tags: {ManagedBy: terraform}}, b: {trust: ec2}}\n"
        "instance_profiles: {b: {role: b}}",
        [instance(1, "b", tags={"eks:cluster-name": "c"})],
    )
    made = importing(state)
    assert {tool: [str(a) for a in found] for tool, found in made.managers.items()} == {
        "EKS": ["instance-profile/b"],
        "Terraform": ["role/a"],
    }
    assert made.files["a.yaml"]["roles"]["a"]["tags"] == {"ManagedBy": "terraform"}
