"""What a kind answers with, near the limits that AWS has."""

from __future__ import annotations

from dataclasses import replace

import pytest

from reconciler.kinds import policy, role
from reconciler.kinds.context import KindContext, tag_calls
from reconciler.model.address import name_key
from reconciler.model.live import LivePolicy, LiveRole, LiveState, PolicyVersion
from reconciler.model.policy_document import PolicyDocument
from reconciler.model.resources import Identity, Policy, Role
from reconciler.plan.calls import ApiCall
from reconciler.plan.graph import topological_order
from reconciler.spec.desired import DesiredState

ME = Identity("111111111111", "aws")
CONTEXT = KindContext(
    identity=ME, owner="me", prefix="reconciler:", live=LiveState(ME), desired=DesiredState()
)


def document(action: str, service: str = "ec2") -> PolicyDocument:
    statement = {"Effect": "Allow", "Action": action, "Principal": {"Service": service}}
    return PolicyDocument.of({"Version": "2012-10-17", "Statement": [statement]})


def arn(name: str) -> str:
    return f"arn:aws:iam::111111111111:policy/{name}"


@pytest.mark.parametrize(
    ("versions", "wanted"),
    [
        (("v1", "v2", "v3", "v4*"), ["CreatePolicyVersion"]),
        (("v1", "v2", "v3", "v4", "v5*"), ["DeletePolicyVersion v1", "CreatePolicyVersion"]),
        (("v1*", "v2", "v3", "v4", "v5"), ["DeletePolicyVersion v2", "CreatePolicyVersion"]),
    ],
)
def test_the_oldest_version_goes_where_there_are_five(
    versions: tuple[str, ...], wanted: list[str]
) -> None:
    """But never the one that is in force."""
    made = tuple(PolicyVersion(v.strip("*"), v.endswith("*"), 1.0) for v in versions)
    before = Policy("p", document("a"))
    live = LivePolicy(resource=before, id="ANPA", arn=arn("p"), versions=made)
    steps = policy.update(live, replace(before, document=document("b")), CONTEXT)
    assert [_told(step.action) for step in steps] == wanted


def _told(action: object) -> str:
    assert isinstance(action, ApiCall)
    return " ".join([action.operation, *filter(None, [action.params.get("VersionId")])])


@pytest.mark.parametrize(("held", "first"), [(9, "AttachRolePolicy"), (10, "DetachRolePolicy")])
def test_new_permissions_come_first_while_there_is_room(held: int, first: str) -> None:
    """A role has ten at most."""
    before = Role(
        "r", document("sts:AssumeRole"), managed_policies=tuple(map(arn, "abcdefghij"[:held]))
    )
    after = replace(before, managed_policies=(*before.managed_policies[1:], arn("z")))
    live = LiveRole(resource=before, id="AROA", arn="arn")
    ordered = topological_order(
        tuple(replace(step, requires=frozenset()) for step in role.update(live, after, CONTEXT))
    )
    assert _told(ordered[0].pending.action) == first


def test_a_trust_without_ec2_comes_after_the_last_profile_has_let_go() -> None:
    before = Role("r", document("sts:AssumeRole", "ec2.amazonaws.com"))
    shut = replace(before, trust_policy=document("sts:AssumeRole", "lambda.amazonaws.com"))
    (step,) = role.update(LiveRole(resource=before, id="AROA", arn="arn"), shut, CONTEXT)
    assert {label.state for label in step.after} == {"free"}
    (step,) = role.update(LiveRole(resource=shut, id="AROA", arn="arn"), before, CONTEXT)
    assert not step.after


def test_a_tag_that_changes_its_case_is_not_taken_off() -> None:
    """To a role ``team`` and ``Team`` are one: what removes the first would remove the second."""
    found = list(tag_calls("Role", {"RoleName": "r"}, {"team": "a"}, {"Team": "a"}, name_key))
    assert [call.operation for call in found] == ["TagRole"]
    found = list(tag_calls("Policy", {"PolicyArn": "p"}, {"team": "a"}, {"Team": "a"}))
    assert [call.operation for call in found] == ["UntagPolicy", "TagPolicy"]
