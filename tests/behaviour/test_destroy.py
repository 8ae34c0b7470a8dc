"""Everything that the owner has goes, in a legal order, and nothing else does."""

from __future__ import annotations

from typing import Any

import pytest

from reconciler.commands.apply import Applied
from reconciler.errors import RefusedError
from reconciler.exit_codes import ExitCode
from reconciler.render.json.apply import summary_json
from reconciler.render.styled_text import plain
from reconciler.render.text.apply import result_lines
from reconciler.render.text.look import Look
from reconciler.render.text.plan import plan_lines
from tests.behaviour.test_ownership import TRUST
from tests.prepared import prepared
from tests.rig import Rig

SPEC = """
roles: {web: {trust: ec2, managed_policies: [read], inline_policies: {own: &d {Version: 2012-10-17,
  Statement: [{Effect: Allow, Action: 's3:*', Resource: '*'}]}}, instance_profile: true}}
policies: {read: {document: *d}}
associations: {fleet: {instance_profile: web, select: {tags: {app: web}}}}
"""
USED = ("consumers", "instance-profile/web")


@pytest.fixture
@prepared
def used(aws: Rig) -> Rig:
    aws.iam.create_role(RoleName="theirs", AssumeRolePolicyDocument=TRUST)
    aws.launch(2, tags={"app": "web"})
    aws.write(SPEC)
    aws.settle()
    return aws


def test_destroy_deletes_everything(used: Rig) -> None:
    plan = used.plan(destroy=True).plan
    wanted = ["--allow consumers=instance-profile/web", "--allow delete=3"]
    assert [g.lift for g in plan.guards] == wanted
    assert {c.actions for c in plan.changes} == {("delete",)}
    assert [str(k.address) for t in plan.targets for k in t.kept] == ["policy/read", "role/web"]
    assert plan.held == tuple(k for t in plan.targets for k in t.kept)
    released = frozenset({USED, ("release", "role/web"), ("delete", "5")})
    used.settle(destroy=True, allow=released)
    assert used.names() == {"roles": ["theirs"], "profiles": [], "policies": []}
    assert used.associations() == {}


def test_destroy_keeps_a_released_role_for_hours(used: Rig) -> None:
    applied = used.apply(destroy=True, allow=frozenset({USED, ("delete", "3")}))
    assert applied.exit_code == ExitCode.PARTLY_APPLIED
    assert "kept: role/web: processes may hold its credentials until" in said(applied)
    assert used.names()["roles"] == ["theirs", "web"]
    used.clock.sleep(7 * 3600)
    used.settle(destroy=True)
    assert used.names()["roles"] == ["theirs"]


def said(applied: Applied) -> str:
    return plain(result_lines(applied, "destroy"))


def borrowed(aws: Rig) -> None:
    """Somebody else's profile holds our role; nothing else is ours."""
    aws.write("roles: {ddr: {trust: ec2}}")
    aws.settle()
    aws.iam.create_instance_profile(InstanceProfileName="eks-auto-x")
    aws.iam.add_role_to_instance_profile(InstanceProfileName="eks-auto-x", RoleName="ddr")


HELD = ("role/ddr", "instance-profile/eks-auto-x holds it")


def test_destroy_that_can_delete_nothing(aws: Rig) -> None:
    borrowed(aws)
    plan = aws.plan(destroy=True).plan
    assert [(str(k.address), k.reason) for k in plan.held] == [HELD]
    words = plain(plan_lines(plan, Look()))
    assert "No changes" not in words and "match the specs" not in words
    assert "Nothing can be destroyed: 1 resource is kept." in words
    told = summary_json(plan, None)
    assert told["remaining"] == 1
    assert [(k["address"], k["reason"]) for k in told["kept"]] == [HELD]


@pytest.mark.parametrize("flags", [{"destroy": True}, {"prune": True}])
def test_a_kept_resource_makes_the_exit_code_3(aws: Rig, flags: dict[str, Any]) -> None:
    borrowed(aws)
    aws.write("roles: {ddr: {trust: ec2}, other: {trust: ec2}}")
    aws.settle()
    aws.write("roles: {third: {trust: lambda}}")
    applied = aws.apply(allow=frozenset({("delete", "1")}), **flags)
    assert "other" not in aws.names()["roles"]
    assert applied.exit_code == ExitCode.PARTLY_APPLIED
    told = summary_json(applied.planned.plan, applied)
    assert told["remaining"] == 1
    assert [(k["address"], k["reason"]) for k in told["kept"]] == [HELD]
    assert "kept: role/ddr" in said(applied)
    assert "complete" not in said(applied)


def test_resources_kept_without_prune_are_no_failure(aws: Rig) -> None:
    borrowed(aws)
    aws.write("roles: {third: {trust: lambda}}")
    aws.settle()


def test_launched_consumers_are_guarded(used: Rig) -> None:
    used.launch(1, profile="web")
    guards = used.plan(destroy=True, allow=frozenset({("delete", "3")})).plan.guards
    assert "consumers" in {g.key for g in guards}


def test_destroy_with_only(used: Rig) -> None:
    plan = used.plan(destroy=True, only=("association/*",)).plan
    assert {c.kind for c in plan.changes} == {"association"}
    used.settle(destroy=True, only=("association/*",))
    assert used.associations() == {}
    assert "web" in used.names()["roles"]


def test_destroy_needs_an_explicit_owner(aws: Rig) -> None:
    aws.write("roles: {web: {trust: ec2}}", "version: 1\n")
    with pytest.raises(RefusedError) as refused:
        aws.plan(destroy=True)
    assert refused.value.exit_code == 4


def test_destroy_keeps_resources_of_other_owners(used: Rig) -> None:
    assert used.plan(destroy=True, owner="others").plan.is_empty
