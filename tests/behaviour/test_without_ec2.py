"""A set of roles and policies alone has nothing to do with EC2."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace

import pytest

from reconciler.errors import RefusedError
from reconciler.exit_codes import ExitCode
from reconciler.spec.settings import Settings
from tests.behaviour.faults import refusing
from tests.rig import Rig

SPEC = """
policies:
  read: {document: {Version: 2012-10-17, Statement: [{Effect: Allow, Action: 's3:Get*', Resource: '*'}]}}
roles:
  worker: {trust: lambda, managed_policies: [read]}
"""
PROFILE = "instance_profiles: {web: {role: worker}}\n"


@pytest.fixture
def denied(aws: Rig) -> Iterator[Rig]:
    """An account whose session may not look at EC2."""
    with ExitStack() as stack:
        for operation in (
            "DescribeInstances",
            "DescribeIamInstanceProfileAssociations",
            "DescribeRegions",
        ):
            stack.enter_context(refusing(aws, operation, "UnauthorizedOperation"))
        yield aws


def nowhere(aws: Rig) -> None:
    """Neither a flag, nor the settings, nor the session names a region."""
    connection = aws.commands().connect(None, Settings())
    for name in list(aws.opened):
        aws.opened[name] = replace(connection, default_region=None)


@pytest.mark.parametrize("flags", [{}, {"prune": True}, {"regions": ()}])
def test_roles_are_applied_without_ec2_calls(denied: Rig, flags: dict[str, object]) -> None:
    if "regions" in flags:
        nowhere(denied)
    denied.write(SPEC)
    plan = denied.plan(**flags).plan
    assert len(plan.changes) == 2
    assert not plan.unread
    denied.settle(**flags)
    assert denied.plan(**flags).plan.is_empty
    assert denied.drift(for_drift=True, **flags).exit_code == ExitCode.OK
    denied.write(SPEC.replace("s3:Get*", "s3:List*"))
    denied.settle(**flags)
    assert not [c for c in denied.aws.log if c.service == "ec2"]


def test_roles_are_pruned_without_ec2_calls(denied: Rig) -> None:
    denied.write(SPEC)
    denied.settle()
    denied.write(
        SPEC.replace(", managed_policies: [read]", "").partition("policies:")[0]
        + "roles: {worker: {trust: lambda}}"
    )
    denied.settle(prune=True)
    assert denied.names()["policies"] == []
    denied.settle(destroy=True)
    assert denied.names()["roles"] == []


def test_a_set_with_a_profile_needs_a_region(aws: Rig) -> None:
    nowhere(aws)
    aws.write(SPEC.replace("lambda", "ec2") + PROFILE)
    with pytest.raises(RefusedError) as refused:
        aws.plan(regions=())
    assert "no region is set" in refused.value.message


def test_a_profile_that_left_the_specs_needs_its_consumers(aws: Rig) -> None:
    """The owner's profile is in no spec any more, but in AWS."""
    aws.write(SPEC.replace("lambda", "ec2") + PROFILE)
    aws.settle()
    aws.clock.sleep(60)
    aws.launch(2, profile="web")
    aws.write("roles: {worker: {trust: ec2}}")
    guards = aws.plan(prune=True).plan.guards
    assert any(g.key == "consumers" for g in guards), guards
