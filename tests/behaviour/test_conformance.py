"""Every kind: created, each attribute changed, deleted; after each apply the plan is empty."""

from __future__ import annotations

from typing import Any

import pytest

from tests.rig import Rig

READ = "{Version: 2012-10-17, Statement: [{Effect: Allow, Action: 's3:Get*', Resource: '*'}]}"
WRITE = "{Version: 2012-10-17, Statement: [{Effect: Allow, Action: 's3:Put*', Resource: '*'}]}"
TRUST_BOTH = "trust: [ec2, lambda]"

BASE = f"""
policies:
  assets:
    description: Assets
    document: {READ}
    tags: {{team: web}}
  bound:
    document: {READ}
roles:
  web:
    description: Web
    trust: ec2
    managed_policies: [AmazonSSMManagedInstanceCore, assets]
    inline_policies:
      logs: {READ}
    permissions_boundary: bound
    max_session_duration: 2h
    tags: {{team: web, Tier: front}}
instance_profiles:
  web:
    role: web
    tags: {{team: web}}
"""

CHANGES = {
    "policy document": (f"document: {READ}\n    tags", f"document: {WRITE}\n    tags"),
    "policy tag changed": ("tags: {team: web}\n  bound", "tags: {team: data}\n  bound"),
    "policy tag added and removed": ("tags: {team: web}\n  bound", "tags: {Team: web}\n  bound"),
    "role description": ("description: Web", "description: Web tier"),
    "role description cleared": ("    description: Web\n", ""),
    "trust": ("trust: ec2", TRUST_BOTH),
    "managed policy swapped": (
        "[AmazonSSMManagedInstanceCore, assets]",
        "[CloudWatchAgentServerPolicy]",
    ),
    "managed policies gone": ("    managed_policies: [AmazonSSMManagedInstanceCore, assets]\n", ""),
    "service-role policy": (
        "[AmazonSSMManagedInstanceCore, assets]",
        "[AWSLambdaBasicExecutionRole]",
    ),
    "inline changed": (f"logs: {READ}", f"logs: {WRITE}"),
    "inline renamed": (f"logs: {READ}", f"other: {READ}"),
    "inline gone": (f"    inline_policies:\n      logs: {READ}\n", ""),
    "boundary other": ("permissions_boundary: bound", "permissions_boundary: assets"),
    "boundary null": ("permissions_boundary: bound", "permissions_boundary: null"),
    "session": ("max_session_duration: 2h", "max_session_duration: 3h"),
    "session default": ("    max_session_duration: 2h\n", ""),
    "role tag changed": ("{team: web, Tier: front}", "{team: data, Tier: front}"),
    "role tag in another case": ("{team: web, Tier: front}", "{Team: web, tier: front}"),
    "role tags gone": ("    tags: {team: web, Tier: front}\n", ""),
    "profile tag": ("role: web\n    tags: {team: web}", "role: web\n    tags: {team: data, a: b}"),
    "profile emptied": ("role: web\n    tags", "role: null\n    tags"),
}


@pytest.mark.parametrize("case", CHANGES)
def test_each_attribute_converges(aws: Rig, case: str) -> None:
    before, after = CHANGES[case]
    assert before in BASE
    aws.write(BASE)
    aws.settle()
    aws.write(BASE.replace(before, after, 1))
    plan = aws.settle(allow=frozenset({("boundary", "role/web")}))
    assert not plan.is_empty
    aws.write(BASE)
    assert not aws.settle(allow=frozenset({("boundary", "role/web")})).is_empty


def test_what_a_user_sees_in_aws(aws: Rig) -> None:
    aws.write(BASE)
    aws.settle()
    role: dict[str, Any] = aws.iam.get_role(RoleName="web")["Role"]
    assert role["Description"] == "Web"
    assert role["MaxSessionDuration"] == 7200
    assert role["PermissionsBoundary"]["PermissionsBoundaryArn"].endswith(":policy/bound")
    assert role["AssumeRolePolicyDocument"]["Statement"][0]["Principal"] == {
        "Service": "ec2.amazonaws.com"
    }
    attached = aws.iam.list_attached_role_policies(RoleName="web")["AttachedPolicies"]
    assert sorted(p["PolicyName"] for p in attached) == ["AmazonSSMManagedInstanceCore", "assets"]
    assert aws.iam.list_role_policies(RoleName="web")["PolicyNames"] == ["logs"]
    assert aws.role_tags("web") == {"team": "web", "Tier": "front", "reconciler:owner": "tests/web"}
    assert aws.profile_tags("web") == {
        "team": "web",
        "reconciler:owner": "tests/web",
        "reconciler:role-id": role["RoleId"],
    }
    assert aws.role_in("web") == "web"


def test_prune_order_is_accepted_by_aws(aws: Rig) -> None:
    aws.write(BASE)
    aws.settle()
    aws.write("roles:\n  other: {trust: ec2}\n")
    kept = aws.plan().plan.targets[0].kept
    # Whose policies are is read only to prune: it costs a call for each.
    assert [str(k.address) for k in kept] == ["instance-profile/web", "role/web"]
    aws.settle()
    assert aws.names()["roles"] == ["other", "web"]
    plan = aws.settle(prune=True, allow=frozenset({("delete", "4")}))
    assert [str(c.address) for c in plan.changes] == [
        "instance-profile/web",
        "role/web",
        "policy/assets",
        "policy/bound",
    ]
    assert aws.names() == {"roles": ["other"], "profiles": [], "policies": []}


def test_policies_keep_at_most_five_versions(aws: Rig) -> None:
    for number in range(8):
        aws.write(BASE.replace("s3:Get*", f"s3:Get{number}*", 1))
        aws.settle()
    arn = "arn:aws:iam::123456789012:policy/assets"
    versions = aws.iam.list_policy_versions(PolicyArn=arn)["Versions"]
    assert len(versions) == 5
    default = next(v["VersionId"] for v in versions if v["IsDefaultVersion"])
    document = aws.iam.get_policy_version(PolicyArn=arn, VersionId=default)["PolicyVersion"][
        "Document"
    ]
    assert document["Statement"][0]["Action"] == "s3:Get7*"


def test_names_in_another_case_are_the_same(aws: Rig) -> None:
    aws.write(BASE)
    aws.settle()
    aws.write(
        BASE.replace("  web:", "  WEB:").replace("logs:", "LOGS:").replace("role: web", "role: Web")
    )
    assert aws.plan().plan.is_empty


def test_roles_that_trust_each_other(aws: Rig) -> None:
    trust = """
  {name}:
    trust_policy:
      Version: 2012-10-17
      Statement:
        - Effect: Allow
          Principal: {{AWS: "arn:aws:iam::${{account_id}}:role/{other}"}}
          Action: sts:AssumeRole
"""
    names = [("a", "b"), ("b", "c"), ("c", "a"), ("d", "a"), ("self", "self")]
    aws.write("roles:" + "".join(trust.format(name=n, other=o) for n, o in names))
    aws.settle()
    assert aws.names()["roles"] == ["a", "b", "c", "d", "self"]


def test_ten_policies_are_rotated(aws: Rig) -> None:
    """With room for all, new ones come first; with the quota full, old ones must go first."""
    policies = "".join(f"  p{n}: {{document: {READ}}}\n" for n in range(20))
    role = "roles:\n  web: {{trust: ec2, managed_policies: [{}]}}\n"
    first, second = (", ".join(f"p{n}" for n in r) for r in (range(10), range(10, 20)))
    aws.write(f"policies:\n{policies}{role.format(first)}")
    aws.settle()
    aws.write(f"policies:\n{policies}{role.format(second)}")
    before = len(aws.aws.log)
    aws.settle()
    calls = [c.operation for c in aws.aws.log[before:] if c.operation.endswith("RolePolicy")]
    assert calls.index("DetachRolePolicy") < calls.index("AttachRolePolicy")
    attached = aws.iam.list_attached_role_policies(RoleName="web")["AttachedPolicies"]
    assert len(attached) == 10


def test_a_no_op_plan_of_forty_profiles_is_eight_calls(aws: Rig) -> None:
    count = 40
    aws.launch(count, tags={"app": "web"})
    roles = "".join(f"  r{n}: {{trust: ec2, instance_profile: true}}\n" for n in range(count))
    ids = sorted(aws.instance_ids())
    links = "".join(
        f"  a{n}: {{instance_profile: r{n}, instances: [{i}]}}\n" for n, i in enumerate(ids)
    )
    aws.write(f"roles:\n{roles}associations:\n{links}")
    aws.settle(regions=("us-east-1",))
    aws.opened.clear()
    calls = dict(aws.plan(regions=("us-east-1",)).plan.api_calls)
    assert sum(calls.values()) == 8, calls
