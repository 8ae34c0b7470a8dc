"""What an import leaves out, as values: no AWS and no files."""

from __future__ import annotations

from dataclasses import replace

from reconciler.importer.importer import Imported, Selection, imported
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
    assert made.skipped == {"members of an Auto Scaling group": 1}


def test_resources_of_other_managers_are_skipped() -> None:
    state = live("roles: {linked: {trust: ec2}, stack: {trust: ec2}, reserved: {trust: ec2}}")
    roles = dict(state.roles)
    for name, path in (("linked", "/aws-service-role/x/"), ("reserved", "/aws-reserved/y/")):
        roles[name] = replace(roles[name], resource=replace(roles[name].resource, path=path))
    stack = {"aws:cloudformation:stack-name": "x"}
    roles["stack"] = replace(roles["stack"], aws_tags=stack)
    made = importing(replace(state, roles=roles))
    assert made.files == {}
    assert made.skipped == {"managed by AWS": 2, "managed by CloudFormation": 1}
