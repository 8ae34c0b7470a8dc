"""How many calls things take, by operation: a change that adds reads is seen here. And where in a
cut-over the marks of other runs are looked at."""

from __future__ import annotations

from collections import Counter

import pytest

from reconciler.sandbox.fault_config import Lags
from reconciler.sandbox.state import Logged
from tests.behaviour.faults import listening
from tests.rig import HOME, Rig

SPEC = """
roles:
  v1: {{trust: ec2}}
  v2: {{trust: ec2}}
instance_profiles:
  web:
    role: {role}
    cutover: {{strategy: {strategy}}}
associations:
  fleet:
    instance_profile: web
    select: {{tags: {{app: web}}}}
"""
SETTINGS = f"version: 1\nowner: tests\nconsumer_regions: [{HOME}]\n"
TAKES = ("DisassociateIamInstanceProfile", "ReplaceIamInstanceProfileAssociation", "StopInstances")
PLAN = {
    "GetCallerIdentity": 1,
    "ListAccountAliases": 1,
    "GetAccountAuthorizationDetails": 1,
    "ListRoles": 1,
    "ListInstanceProfiles": 1,
    "ListInstanceProfileTags": 1,
    "DescribeInstances": 1,
    "DescribeIamInstanceProfileAssociations": 1,
}
"""Of one profile, in one region."""


def swapped(aws: Rig, count: int, strategy: str = "reassociate") -> list[Logged]:
    """What a run asks of AWS for a new role in the profile of so many instances, with its plans
    before and after."""
    aws.aws.lags = Lags(ec2_sees_iam=30.0, associating=0.2, disassociating=0.2, restarting=0.2)
    aws.launch(count, tags={"app": "web"})
    aws.write(SPEC.format(role="v1", strategy=strategy), SETTINGS)
    aws.settle(regions=(HOME,))
    aws.write(SPEC.format(role="v2", strategy=strategy), SETTINGS)
    aws.aws.log.clear()
    aws.settle(regions=(HOME,))
    return list(aws.aws.log)


def named(log: list[Logged]) -> Counter[str]:
    return Counter(f"{one.operation}?" if one.is_dry_run else one.operation for one in log)


def times(more: int, of: dict[str, int]) -> Counter[str]:
    return Counter({name: count * more for name, count in of.items()})


def test_a_cut_over_of_one_instance(aws: Rig) -> None:
    found = named(swapped(aws, 1)) - times(2, PLAN)
    writes = {
        "TagInstanceProfile": 3,  # pending, in flight, settled
        "UntagInstanceProfile": 1,
        "TagRole": 2,  # let go, before and after
        "RemoveRoleFromInstanceProfile": 1,
        "AddRoleToInstanceProfile": 2,  # asked once while the other role is in
        "DisassociateIamInstanceProfile": 1,
        "AssociateIamInstanceProfile": 1,
        "CreateTags": 1,
        "DeleteTags": 1,
    }
    asks = {"AssociateIamInstanceProfile?": 2}  # with the role before, and with the new one
    reads = {
        "GetInstanceProfile": 5,  # at first, marked, swapped, in flight, before the end
        "GetRole": 1,
        "DescribeInstances": 2,  # all of them, at first and before the end
        "DescribeIamInstanceProfileAssociations": 4,  # and one until it is off, and until it is on
    }
    assert found == Counter({**writes, **asks, **reads})


def test_each_further_instance(aws: Rig) -> None:
    """In batches of one."""
    log = swapped(aws, 4)
    found = named(log)
    assert found["GetInstanceProfile"] == 5 + 3
    assert found["DescribeInstances"] == 2 + 2
    assert found["DescribeIamInstanceProfileAssociations"] == 2 + 4 + 3 * 2
    assert found["TagInstanceProfile"] == 3 + 3


TWO = """
roles:
  v1: {{trust: ec2}}
  v2: {{trust: ec2}}
instance_profiles:
  api: {{role: {role}}}
  web: {{role: {role}}}
associations:
  api: {{instance_profile: api, select: {{tags: {{app: api}}}}}}
  web: {{instance_profile: web, select: {{tags: {{app: web}}}}}}
"""
IN_TURN = f"{SETTINGS}max_cutovers: 1\n"


def two(aws: Rig) -> None:
    for app in ("api", "web"):
        aws.launch(1, tags={"app": app})
    aws.write(TWO.format(role="v1"), IN_TURN)
    aws.settle(regions=(HOME,))
    aws.write(TWO.format(role="v2"), IN_TURN)


def test_a_cut_over_begins_with_the_listing_that_ended_the_one_before(aws: Rig) -> None:
    two(aws)
    aws.aws.log.clear()
    aws.settle(regions=(HOME,))
    # Before the first, after it, and after the second; the plans before and after list too.
    assert named(aws.aws.log)["DescribeInstances"] == 3 + 2


def test_an_instance_that_came_after_that_listing_is_cut_over_too(aws: Rig) -> None:
    two(aws)
    late: list[str] = []
    listed: list[str] = []

    def launch(logged: Logged) -> None:
        if logged.operation == "DescribeInstances":
            listed.append(logged.operation)
        # The third look at all instances, with the plan's, ends the first cut-over.
        if len(listed) == 3 and not late:
            late.append("launching")
            late[:] = [aws.launch(1, profile=name)[0] for name in ("api", "web")]

    with listening(aws.aws.after, launch):
        aws.settle(regions=(HOME,))
    assert {aws.served(instance) for instance in late} == {"v2"}


@pytest.mark.parametrize("strategy", ["reassociate", "hop", "restart"])
def test_the_profile_is_looked_at_before_each_batch(aws: Rig, strategy: str) -> None:
    """Another run may have marked it."""
    log = swapped(aws, 3, strategy)
    has_looked, batches = False, 0
    for one in log:
        if one.operation == "GetInstanceProfile":
            has_looked = True
        elif one.operation in TAKES and not one.is_dry_run:
            assert has_looked, f"{one.operation} without a look at the profile"
            has_looked, batches = False, batches + 1
    assert batches == (6 if strategy == "hop" else 3)


def test_nothing_comes_between_the_two_calls_of_a_swap(aws: Rig) -> None:
    """In between the profile has no role."""
    operations = [one.operation for one in swapped(aws, 2)]
    at = operations.index("RemoveRoleFromInstanceProfile")
    assert operations[at + 1] == "AddRoleToInstanceProfile"


def test_a_plan_without_changes_reads_each_profile_once(aws: Rig) -> None:
    roles = "".join(f"  r{n}: {{trust: ec2, instance_profile: true}}\n" for n in range(5))
    aws.write(f"roles:\n{roles}", SETTINGS)
    aws.settle(regions=(HOME,))
    aws.aws.log.clear()
    assert aws.plan(regions=(HOME,)).plan.is_empty
    expected = Counter({**PLAN, "ListInstanceProfileTags": 5})
    assert named(aws.aws.log) <= expected
