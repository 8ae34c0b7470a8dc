"""Everything that the owner has goes, in a legal order, and nothing else does."""

from __future__ import annotations

import pytest

from reconciler.commands.request import Refused
from tests.behaviour.test_ownership import TRUST
from tests.rig import Rig

SPEC = """
roles: {web: {trust: ec2, managed_policies: [read], inline_policies: {own: &d {Version: 2012-10-17,
  Statement: [{Effect: Allow, Action: 's3:*', Resource: '*'}]}}, instance_profile: true}}
policies: {read: {document: *d}}
associations: {fleet: {instance_profile: web, select: {tags: {app: web}}}}
"""
USED = ("consumers", "instance-profile/web")


@pytest.fixture
def used(aws: Rig) -> Rig:
    aws.iam.create_role(RoleName="theirs", AssumeRolePolicyDocument=TRUST)
    aws.launch(2, tags={"app": "web"})
    aws.write(SPEC)
    aws.settle()
    return aws


def test_all_of_it_goes(used: Rig) -> None:
    plan = used.plan(destroy=True).plan
    wanted = ["--allow consumers=instance-profile/web", "--allow delete=3"]
    assert [g.lift for g in plan.guards] == wanted
    assert {c.actions for c in plan.changes} == {("delete",)}
    assert [str(k.address) for t in plan.targets for k in t.kept] == ["policy/read", "role/web"]
    released = frozenset({USED, ("release", "role/web"), ("delete", "5")})
    used.settle(destroy=True, allow=released)
    assert used.names() == {"roles": ["theirs"], "profiles": [], "policies": []}
    assert used.associations() == {}


def test_a_role_that_was_served_stays_for_hours(used: Rig) -> None:
    used.settle(destroy=True, allow=frozenset({USED, ("delete", "3")}))
    assert used.names()["roles"] == ["theirs", "web"]
    used.clock.sleep(7 * 3600)
    used.settle(destroy=True)
    assert used.names()["roles"] == ["theirs"]


def test_launched_consumers_are_guarded(used: Rig) -> None:
    used.launch(1, profile="web")
    guards = used.plan(destroy=True, allow=frozenset({("delete", "3")})).plan.guards
    assert "consumers" in {g.key for g in guards}


def test_a_part_of_it(used: Rig) -> None:
    plan = used.plan(destroy=True, only=("association/*",)).plan
    assert {c.kind for c in plan.changes} == {"association"}
    used.settle(destroy=True, only=("association/*",))
    assert used.associations() == {}
    assert "web" in used.names()["roles"]


def test_it_needs_an_owner_that_was_given(aws: Rig) -> None:
    aws.write("roles: {web: {trust: ec2}}", "version: 1\n")
    with pytest.raises(Refused) as refused:
        aws.plan(destroy=True)
    assert refused.value.exit_code == 4


def test_another_owners_stay(used: Rig) -> None:
    assert used.plan(destroy=True, owner="others").plan.is_empty
