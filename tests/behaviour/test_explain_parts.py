"""Explain: everything that a change reaches tells of it, whatever was asked about."""

from __future__ import annotations

import pytest

from reconciler.errors import RefusedError
from reconciler.explain.explanation import Explained
from reconciler.explain.reading import explain
from reconciler.render.json.explain import explain_json
from reconciler.render.styled_text import plain
from reconciler.render.text.explain import explain_lines
from reconciler.render.text.look import Look
from tests.behaviour.test_ownership import TRUST
from tests.rig import HOME, Rig

SPEC = """
policies:
  read: {document: {Version: 2012-10-17, Statement: [
    {Effect: Allow, Action: 's3:Get*', Resource: '*'}]}}
  other: {document: {Version: 2012-10-17, Statement: [
    {Effect: Allow, Action: 'sqs:Get*', Resource: '*'}]}}
roles:
  shared:
    trust: ec2
    managed_policies: [read, other]
    inline_policies: {own: {Version: 2012-10-17, Statement: [
      {Effect: Allow, Action: 's3:Put*', Resource: '*'}]}}
  bounded: {trust: ec2, permissions_boundary: read}
instance_profiles:
  one: {role: shared}
  two: {role: shared, path: /team/}
"""
NOW = "2026-11-23T20:00:00Z"


def settled(aws: Rig) -> str:
    """Two profiles share a role; an instance has one of them."""
    aws.write(SPEC)
    aws.settle(regions=(HOME,))
    aws.clock.sleep(60)
    (member,) = aws.launch(1, profile="one")
    return member


def explained(aws: Rig, asked: str) -> Explained:
    aws.opened.clear()
    return explain(asked, aws.request(regions=(HOME,)), aws.commands())


def text(aws: Rig, asked: str) -> str:
    return plain(explain_lines(explained(aws, asked), Look()))


@pytest.mark.parametrize(
    ("before", "after", "address"),
    [("s3:Get*", "s3:GetObject", "policy/read"), ("s3:Put*", "s3:PutObject", "role/shared")],
)
@pytest.mark.parametrize("asked", ["member", "instance-profile/one", "role/shared"])
def test_a_policy_that_changes_is_told_of_everyone_who_has_it(
    aws: Rig, asked: str, before: str, after: str, address: str
) -> None:
    member = settled(aws)
    aws.write(SPEC.replace(before, after))
    made = explained(aws, member if asked == "member" else asked)
    (one,) = made.answers
    assert [str(change.address) for change in one.next.changes] == [address]
    told = plain(explain_lines(made, Look()))
    assert "nothing: " not in told
    assert f"~ {address}" in told
    differing = [policy.name for role in one.roles for policy in role.policies if policy.differs]
    assert differing == ["read" if address == "policy/read" else "own"]
    assert "differs from the specs" in told
    (shape,) = explain_json(made, NOW)["answers"]
    policies = shape["roles"][0]["policies"]
    assert [p["name"] for p in policies if p["differs"]] == differing


def test_a_policy_tells_nothing_of_others_beside_it(aws: Rig) -> None:
    settled(aws)
    aws.write(SPEC.replace("sqs:Get*", "sqs:GetQueueUrl"))
    (one,) = explained(aws, "policy/read").answers
    assert one.next.changes == ()


def test_a_shared_role_is_in_all_its_profiles(aws: Rig) -> None:
    settled(aws)
    assert "inside instance-profile/one, instance-profile/two" in text(aws, "role/shared")


def test_a_boundary_is_not_attached(aws: Rig) -> None:
    settled(aws)
    made = explained(aws, "policy/read")
    told = plain(explain_lines(made, Look()))
    assert "is attached to role/shared\n" in told
    assert "is the permissions boundary of role/bounded" in told
    (shape,) = explain_json(made, NOW)["answers"]
    assert shape["policies"][0]["boundary_of"] == ["role/bounded"]


def test_an_inline_policy_has_no_address_and_its_role_is_named(aws: Rig) -> None:
    settled(aws)
    with pytest.raises(RefusedError) as refused:
        explained(aws, "policy/own")
    assert "; role/shared has an inline policy of that name: explain the role" in (
        refused.value.message
    )


def test_what_is_to_be_emptied_was_gained_by_nobody(aws: Rig) -> None:
    settled(aws)
    aws.write(SPEC.replace("one: {role: shared}", "one: {role: null}"))
    told = text(aws, "instance-profile/one")
    assert '+ AWS alone has role: "shared"' in told
    assert "gained" not in told


def test_what_is_left_out_is_told_with_its_reason(aws: Rig) -> None:
    settled(aws)
    aws.write(SPEC.replace("one: {role: shared}", "one: {role: nobody}"))
    told = text(aws, "instance-profile/one")
    assert "instance-profile/one is left out: role 'nobody' exists neither in the specs" in told


def test_an_adoption_tells_which_instances_it_leaves_out(aws: Rig) -> None:
    aws.iam.create_role(RoleName="hand", AssumeRolePolicyDocument=TRUST)
    aws.iam.create_instance_profile(InstanceProfileName="hand")
    aws.iam.add_role_to_instance_profile(InstanceProfileName="hand", RoleName="hand")
    aws.clock.sleep(60)
    (plain_one,) = aws.launch(1, profile="hand", tags={"Name": "one"})
    aws.launch(1, profile="hand", operator="ecs.amazonaws.com")
    aws.write("roles: {next: {trust: ec2}}\ninstance_profiles: {hand: {role: next}}")
    answer = explained(aws, "instance-profile/hand")
    told = plain(explain_lines(answer, Look()))
    left = "1 more is not cut over: ecs.amazonaws.com manages it"
    assert f"its 1 running instance is cut over, {left}\n" in told
    assert "      #   us-east-1: 2: one, " in told
    assert f"      # {left}\n" in told
    change = next(c for c in answer.answers[0].next.then if c.address.name == "hand")
    assert change.consumers == (plain_one,)
