"""What died half way is ended before anything else, also where no spec names it any more."""

from __future__ import annotations

from typing import Any

import pytest

from reconciler.exit_codes import ExitCode
from tests.behaviour.faults import Crash, dying, refusing
from tests.prepared import prepared
from tests.rig import Rig

ROLES = "roles: {v1: {trust: ec2}, v2: {trust: ec2, description: 'TEXT'}}\n"
SPEC = ROLES + "instance_profiles: {web: {role: ROLE}}\n"
ALL = frozenset({("delete", "1"), ("consumers", "instance-profile/web")})


def spec(role: str, text: str = "") -> str:
    return SPEC.replace("ROLE", role).replace("TEXT", text)


@pytest.fixture
@prepared
def fleet(aws: Rig) -> tuple[Rig, list[str]]:
    """Three instances hold v1, and the specs want v2."""
    aws.write(spec("v1"))
    aws.settle()
    aws.clock.sleep(60)
    instances = aws.launch(3, profile="web")
    aws.write(spec("v2"))
    return aws, instances


def die(aws: Rig, operation: str, **flags: Any) -> None:
    """The run dies when the first call of ``operation`` has taken effect."""
    with dying(aws, operation), pytest.raises(Crash):
        aws.apply(**flags)


def is_whole(aws: Rig, instances: list[str], role: str) -> None:
    assert aws.role_in("web") == role
    assert {aws.served(i) for i in instances} == {role}
    tags = aws.profile_tags("web")
    assert tags["reconciler:role-id"] == aws.role_id(role)
    assert not [key for key in tags if "in-flight" in key]


def test_instances_in_flight_are_restored_after_the_profile_left_the_specs(
    fleet: tuple[Rig, list[str]],
) -> None:
    """They get their profile back, and all of them the role that was being rolled out."""
    aws, instances = fleet
    die(aws, "DisassociateIamInstanceProfile")
    aws.write(ROLES)
    assert "in_progress" in {f.status for f in aws.drift().findings}
    plan = aws.settle()
    assert ("restore",) in {c.actions for c in plan.changes}
    is_whole(aws, instances, "v2")


def test_an_empty_profile_that_left_the_specs_gets_its_role(fleet: tuple[Rig, list[str]]) -> None:
    aws, instances = fleet
    die(aws, "RemoveRoleFromInstanceProfile")
    assert aws.role_in("web") is None
    aws.write(ROLES)
    aws.settle()
    is_whole(aws, instances, "v2")


def test_a_deleted_new_role_restores_the_old_one(fleet: tuple[Rig, list[str]]) -> None:
    aws, instances = fleet
    die(aws, "RemoveRoleFromInstanceProfile")
    aws.iam.delete_role(RoleName="v2")
    aws.write("roles: {v1: {trust: ec2}}")
    aws.settle()
    is_whole(aws, instances, "v1")


def test_prune_finishes_an_interrupted_cut_over_first(fleet: tuple[Rig, list[str]]) -> None:
    """Nobody in flight is left without a way back; the profile goes the next time."""
    aws, instances = fleet
    die(aws, "DisassociateIamInstanceProfile")
    aws.write(ROLES)
    plan = aws.plan(prune=True, allow=ALL).plan
    kept = {str(k.address): k.reason for k in plan.targets[0].kept}
    assert kept["instance-profile/web"].startswith("a run died during its cut-over")
    assert aws.apply(prune=True, allow=ALL).exit_code == ExitCode.PARTLY_APPLIED
    is_whole(aws, instances, "v2")
    aws.settle(prune=True, allow=ALL)
    assert aws.names()["profiles"] == []


def test_a_prune_interrupted_while_the_profile_is_empty(fleet: tuple[Rig, list[str]]) -> None:
    """The next one deletes the profile; without one, the role goes back in."""
    aws, instances = fleet
    aws.settle()
    aws.write(ROLES)
    die(aws, "RemoveRoleFromInstanceProfile", prune=True, allow=ALL)
    assert aws.profile_tags("web")["reconciler:role-id"].startswith(
        f"pending/{aws.role_id('v2')}/-/"
    )
    again = aws.plan(prune=True, allow=ALL).plan
    assert [(str(c.address), c.actions) for c in again.changes] == [
        ("instance-profile/web", ("delete",))
    ]
    aws.settle()
    is_whole(aws, instances, "v2")


def test_instances_are_restored_before_other_steps(fleet: tuple[Rig, list[str]]) -> None:
    """A role of the same plan that cannot be updated keeps nobody from getting its profile."""
    aws, instances = fleet
    die(aws, "DisassociateIamInstanceProfile")
    aws.write(spec("v2", "another text"))
    with refusing(aws, "UpdateRole", "AccessDenied"):
        applied = aws.apply()
    assert [str(o.address) for o in applied.result.outcomes if o.status == "failed"] == ["role/v2"]
    is_whole(aws, instances, "v2")
    aws.settle()


def test_a_leftover_mark_is_cleared(aws: Rig) -> None:
    """Everyone has arrived, and the run died before it said so."""
    profiles = "instance_profiles: {one: {role: v1}, two: {role: v2}}\n"
    moved = "associations: {a: {instance_profile: NAME, select: {tags: {app: web}}}}\n"
    instance = aws.launch(1, tags={"app": "web"})[0]
    aws.write(ROLES + profiles + moved.replace("NAME", "one"))
    aws.settle()
    aws.ec2().stop_instances(InstanceIds=[instance])
    aws.write(ROLES + profiles + moved.replace("NAME", "two"))
    die(aws, "AssociateIamInstanceProfile")
    assert "reconciler:in-flight" in aws.profile_tags("two")
    assert [(str(f.address), f.status) for f in aws.drift().findings] == [
        ("instance-profile/two", "in_progress")
    ]
    plan = aws.settle()
    assert [c.reason for c in plan.changes] == ["the in-flight mark of an earlier run is removed"]
    assert "reconciler:in-flight" not in aws.profile_tags("two")
    assert aws.profile_of(instance) == "two"
