"""Attributes that need care: what AWS does with them, and what is done about it."""

from __future__ import annotations

from typing import Any

import pytest

from tests.behaviour.test_ownership import DOCUMENT, TRUST
from tests.rig import ACCOUNT, Rig

READ = "{Version: 2012-10-17, Statement: [{Effect: Allow, Action: 's3:Get*', Resource: '*'}]}"
POLICY = f"arn:aws:iam::{ACCOUNT}:policy/p"


def writes(aws: Rig) -> list[str]:
    return [c.operation for c in aws.writes()]


def settled(aws: Rig, spec: str, **flags: Any) -> list[str]:
    """Applies, and tells the calls that it took."""
    aws.write(spec)
    aws.aws.log.clear()
    aws.settle(**flags)
    return writes(aws)


def test_an_inline_policy_in_another_case_is_not_put_and_deleted(aws: Rig) -> None:
    """AWS overwrites `Logs` by `logs`, and would then delete what was just written."""
    role = "roles: {{r: {{trust: ec2, inline_policies: {{{}: {}}}}}}}"
    settled(aws, role.format("Logs", READ))
    assert settled(aws, role.format("logs", READ)) == []
    changed = READ.replace("Get", "Put")
    assert settled(aws, role.format("LOGS", changed)) == ["PutRolePolicy"]
    assert aws.iam.list_role_policies(RoleName="r")["PolicyNames"] == ["Logs"]


def test_a_role_tag_key_in_another_case_is_one_tag(aws: Rig) -> None:
    """To take `team` off would take off the `Team` that replaces it."""
    settled(aws, "roles: {r: {trust: ec2, tags: {team: web}}}")
    assert settled(aws, "roles: {r: {trust: ec2, tags: {Team: web}}}") == ["TagRole"]
    assert aws.role_tags("r")["Team"] == "web"


def test_profile_and_policy_tag_keys_are_two_in_two_cases(aws: Rig) -> None:
    both = "tags: {team: a, Team: b}"
    spec = f"instance_profiles: {{p: {{role: null, {both}}}}}\npolicies: {{p: {{document: {READ}, {both}}}}}"
    settled(aws, spec)
    assert {"team", "Team"} <= set(aws.profile_tags("p"))
    untagged = settled(aws, spec.replace("team: a, ", ""))
    assert sorted(untagged) == ["UntagInstanceProfile", "UntagPolicy"]
    assert "Team" in aws.profile_tags("p")


def test_a_trust_policy_with_a_recreated_role_is_written_again(aws: Rig) -> None:
    """It shows an id and trusts nobody, though the spec did not change: it is written anew."""
    aws.iam.create_role(RoleName="caller", AssumeRolePolicyDocument=TRUST)
    spec = """
roles:
  r:
    trust_policy:
      Version: 2012-10-17
      Statement: [{Effect: Allow, Action: 'sts:AssumeRole',
        Principal: {AWS: 'arn:aws:iam::${account_id}:role/caller'}}]
"""
    settled(aws, spec)
    aws.iam.delete_role(RoleName="caller")
    aws.iam.create_role(RoleName="caller", AssumeRolePolicyDocument=TRUST)
    live = aws.iam.get_role(RoleName="r")["Role"]["AssumeRolePolicyDocument"]
    assert live["Statement"][0]["Principal"]["AWS"].startswith("AROA")
    plan = aws.plan().plan
    assert [c.reason for c in plan.changes] == [
        "its trust policy names a role or user that no longer exists"
    ]
    assert settled(aws, spec) == ["UpdateAssumeRolePolicy"]


def test_inline_policies_are_rotated_when_there_is_no_room_for_both(aws: Rig) -> None:
    """10,240 characters in all: what is stale goes first, and only then."""
    big = READ.replace("s3:Get*", "s3:" + "x" * 6000)
    role = "roles: {{r: {{trust: ec2, inline_policies: {{{}: {}}}}}}}"
    settled(aws, role.format("a", big))
    assert settled(aws, role.format("b", big)) == ["DeleteRolePolicy", "PutRolePolicy"]
    assert settled(aws, role.format("c", READ)) == ["PutRolePolicy", "DeleteRolePolicy"]


def test_managed_policies_are_rotated_new_before_old_where_there_is_room(aws: Rig) -> None:
    role = "roles: {{r: {{trust: ec2, managed_policies: [{}]}}}}"
    settled(aws, role.format("ReadOnlyAccess"))
    calls = settled(aws, role.format("AmazonSSMManagedInstanceCore"))
    assert calls == ["AttachRolePolicy", "DetachRolePolicy"]


def test_a_boundary_that_is_not_in_the_spec_is_kept(aws: Rig) -> None:
    spec = f"policies: {{p: {{document: {READ}}}}}\nroles: {{r: {{trust: ec2}}}}"
    settled(aws, spec)
    aws.iam.put_role_permissions_boundary(RoleName="r", PermissionsBoundary=POLICY)
    assert settled(aws, spec) == []
    null = spec.replace("trust: ec2", "trust: ec2, permissions_boundary: null")
    aws.write(null)
    assert [g.lift for g in aws.plan().plan.guards] == ["--allow boundary=role/r"]
    lifted = {"allow": frozenset({("boundary", "role/r")})}
    assert settled(aws, null, **lifted) == ["DeleteRolePermissionsBoundary"]


def test_description_and_session_are_always_sent_both(aws: Rig) -> None:
    """By the docs, what is left out may be reset."""
    settled(aws, "roles: {r: {trust: ec2, description: x, max_session_duration: 2h}}")
    assert settled(aws, "roles: {r: {trust: ec2, max_session_duration: 2h}}") == ["UpdateRole"]
    sent = aws.writes()[0].params
    assert (sent["Description"], int(sent["MaxSessionDuration"])) == ("", 7200)
    assert settled(aws, "roles: {r: {trust: ec2}}") == ["UpdateRole"]
    assert aws.iam.get_role(RoleName="r")["Role"]["MaxSessionDuration"] == 3600


def test_an_equal_document_makes_no_version(aws: Rig) -> None:
    """Other order, other case of actions, one in a list or alone: the same document."""
    one = """policies: {p: {document: {Version: 2012-10-17, Statement: [
      {Effect: Allow, Action: ['s3:GetObject', 's3:PutObject'], Resource: '*'}]}}}"""
    same = """policies: {p: {document: {Statement: {Resource: ['*'],
      Action: ['S3:putobject', 's3:GetObject'], Effect: Allow}, Version: 2012-10-17}}}"""
    settled(aws, one)
    assert settled(aws, same) == []
    assert len(aws.iam.list_policy_versions(PolicyArn=POLICY)["Versions"]) == 1


def test_the_default_version_counts_and_need_not_be_the_newest(aws: Rig) -> None:
    spec = f"policies: {{p: {{document: {READ}}}}}"
    settled(aws, spec)
    for number in range(4):
        document = DOCUMENT.replace("s3:*", f"s3:Get{number}")
        aws.iam.create_policy_version(PolicyArn=POLICY, PolicyDocument=document)
    assert settled(aws, spec) == []
    aws.iam.set_default_policy_version(PolicyArn=POLICY, VersionId="v5")
    assert settled(aws, spec) == ["DeletePolicyVersion", "CreatePolicyVersion"]
    versions = aws.iam.list_policy_versions(PolicyArn=POLICY)["Versions"]
    assert sorted(v["VersionId"] for v in versions) == ["v2", "v3", "v4", "v5", "v6"]


def test_a_policy_s_description_cannot_change_and_that_is_a_warning(aws: Rig) -> None:
    spec = "policies: {{p: {{description: {}, document: {}}}}}"
    settled(aws, spec.format("one", READ))
    aws.write(spec.format("two", READ))
    plan = aws.plan().plan
    assert plan.is_empty
    kept = [(str(k.address), k.reason, k.status) for k in plan.targets[0].kept]
    assert kept == [("policy/p", "its description cannot be changed in AWS", "warning")]
    aws.write(f"policies: {{p: {{document: {READ}}}}}")
    assert aws.plan().plan.targets[0].kept == ()


def test_a_list_that_is_not_exclusive_keeps_other_entries(aws: Rig) -> None:
    """What others attached and put stays; what is listed is enforced."""
    spec = """
roles:
  r:
    trust: ec2
    managed_policies: {exclusive: false, policies: [ReadOnlyAccess]}
    inline_policies: {exclusive: false, policies: {own: DOC}}
""".replace("DOC", READ)
    settled(aws, spec)
    aws.iam.attach_role_policy(
        RoleName="r", PolicyArn="arn:aws:iam::aws:policy/AmazonSSMManagedInstanceCore"
    )
    aws.iam.put_role_policy(RoleName="r", PolicyName="theirs", PolicyDocument=DOCUMENT)
    assert settled(aws, spec) == []
    aws.iam.put_role_policy(RoleName="r", PolicyName="own", PolicyDocument=DOCUMENT)
    aws.iam.detach_role_policy(RoleName="r", PolicyArn="arn:aws:iam::aws:policy/ReadOnlyAccess")
    assert sorted(settled(aws, spec)) == ["AttachRolePolicy", "PutRolePolicy"]
    assert sorted(aws.iam.list_role_policies(RoleName="r")["PolicyNames"]) == ["own", "theirs"]


def test_what_a_spec_leaves_out_has_its_default(aws: Rig) -> None:
    settled(aws, "roles: {r: {trust: ec2}}")
    aws.iam.tag_role(RoleName="r", Tags=[{"Key": "theirs", "Value": "x"}])
    aws.iam.put_role_policy(RoleName="r", PolicyName="theirs", PolicyDocument=DOCUMENT)
    aws.iam.update_role(RoleName="r", Description="theirs", MaxSessionDuration=7200)
    assert {f.path for c in aws.plan().plan.changes for f in c.differences} == {
        "description",
        "inline_policies.theirs",
        "max_session_duration",
        "tags.theirs",
    }
    aws.settle()


def test_another_prefix_for_our_tags(aws: Rig) -> None:
    """What carries the usual one is then somebody else's."""
    settings = "version: 1\nowner: tests\ntag_prefix: 'acme/'\n"
    spec = "roles: {v1: {trust: ec2}, v2: {trust: ec2}}\ninstance_profiles: {p: {role: v1}}"
    aws.write(spec, settings)
    aws.settle()
    assert aws.role_tags("v1") == {"acme/owner": "tests/v1"}
    aws.clock.sleep(60)
    instance = aws.launch(1, profile="p")[0]
    aws.write(spec.replace("role: v1", "role: v2"), settings)
    aws.settle()
    assert aws.served(instance) == "v2"
    assert set(aws.profile_tags("p")) == {"acme/owner", "acme/role-id"}
    aws.write(spec)
    assert {c.reason for c in aws.plan().plan.conflicts} == {"exists and is not managed"}


REFERENCES = {
    "a role": ("instance_profiles: {p: {role: nobody}}", "no-such-role", "'nobody'"),
    "a policy": (
        "roles: {r: {trust: ec2, managed_policies: ['arn:aws:iam::${account_id}:policy/none']}}",
        "no-such-policy",
        "policy/none",
    ),
    "a policy of AWS's": (
        "roles: {r: {trust: ec2, managed_policies: [NoSuchPolicyOfAws]}}",
        "no-such-policy",
        "NoSuchPolicyOfAws",
    ),
    "a role that does not trust EC2": (
        "instance_profiles: {p: {role: lambda}}",
        "ec2-trust",
        "role/lambda",
    ),
}


@pytest.mark.parametrize("case", REFERENCES)
def test_references_to_missing_resources(aws: Rig, case: str) -> None:
    """Found by plan, with the place."""
    spec, code, named = REFERENCES[case]
    trust = TRUST.replace("ec2.", "lambda.")
    aws.iam.create_role(RoleName="lambda", AssumeRolePolicyDocument=trust)
    aws.write(spec)
    planned = aws.plan()
    assert planned.plan.is_empty
    (found,) = planned.diagnostics
    assert (found.code, found.location.line) == (code, 1)
    assert named in found.message
    assert aws.writes()[1:] == []


def test_a_role_outside_the_set_may_be_named(aws: Rig) -> None:
    aws.iam.create_role(RoleName="Theirs", AssumeRolePolicyDocument=TRUST)
    settled(aws, "instance_profiles: {p: {role: theirs}}")
    assert aws.role_in("p") == "Theirs"
