"""``drift --accept``: what AWS has is written into the specs, and nothing else of them changes."""

from __future__ import annotations

import difflib
import json
from collections.abc import Callable
from typing import Any

import pytest

from reconciler.drift.accept import Accepted, accept
from reconciler.drift.findings import drift_of
from tests.behaviour.test_ownership import TRUST
from tests.prepared import prepared
from tests.rig import Rig

SPEC = """\
# Our roles.
version: 1
defaults:
  tags: {team: web}

policies:
  own:
    document: {Version: 2012-10-17, Statement: [{Effect: Allow, Action: "s3:*", Resource: "*"}]}
    tags: {a: b}  # of the policy

roles:
  # the first
  a:
    trust: ec2  # why
    description: about a
    managed_policies:
      # from AWS
      - AmazonSSMManagedInstanceCore
      - own    # ours
    tags:
      tier: front   # kept
      cost: "012"
  b: {trust: [ec2, lambda], tags: {x: y}, inline_policies: {p: {Version: 2012-10-17, Statement: [{Effect: Allow, Action: "s3:*", Resource: "*"}]}}}
  c:
    trust: ec2

instance_profiles:
  web:
    role: a
# the end
"""
DOCUMENT = json.dumps(
    {
        "Version": "2012-10-17",
        "Statement": [{"Effect": "Deny", "Action": "ec2:*", "Resource": "*", "Sid": "No"}],
    }
)
OTHER = TRUST.replace("ec2.amazonaws.com", "lambda.amazonaws.com")
ACCOUNT_TRUST = TRUST.replace(
    '"Service":"ec2.amazonaws.com"', '"AWS":"arn:aws:iam::123456789012:root"'
)
AWS = "arn:aws:iam::aws:policy/"


def own(iam: Any) -> str:
    return str(next(p["Arn"] for p in iam.list_policies(Scope="Local")["Policies"]))


def swap(iam: Any, role: str) -> None:
    iam.remove_role_from_instance_profile(InstanceProfileName="web", RoleName="a")
    iam.add_role_to_instance_profile(InstanceProfileName="web", RoleName=role)


BY_HAND: dict[str, tuple[Callable[[Any], Any], str, list[str]]] = {
    "a description": (
        lambda iam: iam.update_role(RoleName="a", Description="x: y", MaxSessionDuration=3600),
        "role/a",
        ["-    description: about a", '+    description: "x: y"'],
    ),
    "a description that goes": (
        lambda iam: iam.update_role(RoleName="a", Description="", MaxSessionDuration=3600),
        "role/a",
        ["-    description: about a"],
    ),
    "a session": (
        lambda iam: iam.update_role(RoleName="c", Description="", MaxSessionDuration=7200),
        "role/c",
        ["+    max_session_duration: 7200"],
    ),
    "a tag": (
        lambda iam: iam.tag_role(RoleName="a", Tags=[{"Key": "cost", "Value": "1.10"}]),
        "role/a",
        ['-      cost: "012"', '+      cost: "1.10"'],
    ),
    "a tag that comes": (
        lambda iam: iam.tag_role(RoleName="c", Tags=[{"Key": "on", "Value": "1.10"}]),
        "role/c",
        ['+    tags: {"on": "1.10"}'],
    ),
    "a tag that goes": (
        lambda iam: iam.untag_role(RoleName="b", TagKeys=["x"]),
        "role/b",
        [],
    ),
    "a tag in brackets": (
        lambda iam: iam.tag_policy(PolicyArn=own(iam), Tags=[{"Key": "c", "Value": "d - e"}]),
        "policy/own",
        ["-    tags: {a: b}  # of the policy", '+    tags: {a: b, c: d - e}  # of the policy'],
    ),
    "a policy that comes": (
        lambda iam: iam.attach_role_policy(RoleName="a", PolicyArn=f"{AWS}ReadOnlyAccess"),
        "role/a",
        ["+      - ReadOnlyAccess"],
    ),
    "the first policy": (
        lambda iam: iam.attach_role_policy(RoleName="c", PolicyArn=own(iam)),
        "role/c",
        ["+    managed_policies: [own]"],
    ),
    "a policy that goes": (
        lambda iam: iam.detach_role_policy(RoleName="a", PolicyArn=own(iam)),
        "role/a",
        ["-      - own    # ours"],
    ),
    "an inline policy": (
        lambda iam: iam.put_role_policy(RoleName="c", PolicyName="n", PolicyDocument=DOCUMENT),
        "role/c",
        [],
    ),
    "an inline policy that goes": (
        lambda iam: iam.delete_role_policy(RoleName="b", PolicyName="p"),
        "role/b",
        [],
    ),
    "another trust": (
        lambda iam: iam.update_assume_role_policy(RoleName="c", PolicyDocument=OTHER),
        "role/c",
        ["-    trust: ec2", "+    trust: lambda"],
    ),
    "a trust that is no shorthand": (
        lambda iam: iam.update_assume_role_policy(RoleName="c", PolicyDocument=ACCOUNT_TRUST),
        "role/c",
        [],
    ),
    "a document": (
        lambda iam: iam.create_policy_version(
            PolicyArn=own(iam), PolicyDocument=DOCUMENT, SetAsDefault=True
        ),
        "policy/own",
        [],
    ),
    "another role": (lambda iam: swap(iam, "c"), "instance-profile/web", ["-    role: a", "+    role: c"]),
    "a role that is gone": (lambda iam: iam.delete_role(RoleName="c"), "role/c", ["-  c:", "-    trust: ec2"]),
    "several": (
        lambda iam: (
            iam.update_role(RoleName="a", Description="z", MaxSessionDuration=7200),
            iam.untag_role(RoleName="a", TagKeys=["tier", "cost"]),
            iam.tag_role(RoleName="a", Tags=[{"Key": "n", "Value": "m"}]),
            iam.update_assume_role_policy(RoleName="c", PolicyDocument=OTHER),
        ),
        "role/*",
        [],
    ),
}  # fmt: skip


@pytest.fixture
@prepared
def applied(aws: Rig) -> Rig:
    aws.write(SPEC)
    aws.settle()
    return aws


def accepting(aws: Rig, *patterns: str) -> Accepted:
    planned = aws.plan(for_drift=True)
    return accept(planned, drift_of(planned), patterns)


@pytest.mark.parametrize("case", BY_HAND)
def test_accepting_a_manual_change_resolves_the_finding(applied: Rig, case: str) -> None:
    """The finding is gone afterwards, comments and layout are as they were."""
    act, address, wanted = BY_HAND[case]
    act(applied.iam)
    before = applied.drift().findings
    assert before
    made = accepting(applied, address)
    assert made.refused == {}
    ((_, text),) = made.files.items()
    changed = [
        line.rstrip("\n")
        for line in difflib.unified_diff(SPEC.splitlines(True), text.splitlines(True), n=0)
        if line[0] in "+-" and line[:3] not in ("+++", "---")
    ]
    assert changed
    if wanted:
        assert changed == wanted
    (applied.folder / "spec.yaml").write_text(text)
    left = [d.path for f in applied.drift().findings for d in f.differences]
    # That consumers hold the other role is noted by the next apply, which changes nothing else.
    assert left == (["served_role"] if case == "another role" else []), text
    removed = [line for line in changed if line.startswith("-")]
    lost = SPEC.count("#") - text.count("#")
    assert lost <= sum("#" in line for line in removed)


def test_findings_that_cannot_be_accepted(applied: Rig) -> None:
    iam = applied.iam
    iam.untag_role(RoleName="a", TagKeys=["team"])
    iam.create_role(RoleName="loose", AssumeRolePolicyDocument=TRUST)
    applied.write(SPEC.replace("  c:\n    trust: ec2\n", "  new: {trust: ec2}\n"))
    made = accepting(applied, "role/a", "role/c", "role/nobody")
    assert made.files == {}
    assert made.refused["role/a"] == "the tag team comes from `defaults` of its file"
    assert "reconciler import" in made.refused["role/c"]
    assert made.refused["role/nobody"] == "no finding matches"


@pytest.mark.parametrize(
    ("spec", "address", "why"),
    [
        ("x-t: &t {k: v}\nroles: {a: {trust: ec2, tags: *t}}\n", "role/a", "alias"),
        (
            "roles:\n  a: {trust: ec2, tags: &t {k: v}}\n  b: {trust: ec2, tags: *t}\n",
            "role/a",
            "anchor",
        ),
    ],
)
def test_shared_values_are_not_accepted(aws: Rig, spec: str, address: str, why: str) -> None:
    aws.write(spec)
    aws.settle()
    aws.iam.tag_role(RoleName="a", Tags=[{"Key": "n", "Value": "m"}])
    made = accepting(aws, address)
    assert made.files == {}
    assert why in made.refused[address]


def test_a_profile_from_the_shorthand_is_not_accepted(aws: Rig) -> None:
    aws.write("roles: {a: {trust: ec2, instance_profile: true}, b: {trust: ec2}}")
    aws.settle()
    aws.iam.remove_role_from_instance_profile(InstanceProfileName="a", RoleName="a")
    aws.iam.add_role_to_instance_profile(InstanceProfileName="a", RoleName="b")
    made = accepting(aws, "instance-profile/a")
    assert "write it out first" in made.refused["instance-profile/a"]
