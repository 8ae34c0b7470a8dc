"""The policy by which somebody revoked sessions of a role is never deleted unasked."""

from __future__ import annotations

import json

import pytest

from tests.behaviour.test_ownership import TRUST
from tests.rig import Rig

DOCUMENT = {
    "Version": "2012-10-17",
    "Statement": [
        {
            "Effect": "Deny",
            "Action": "*",
            "Resource": "*",
            "Condition": {"DateLessThan": {"aws:TokenIssueTime": "2026-11-01T00:00:00Z"}},
        }
    ],
}
OWN = "{Version: 2012-10-17, Statement: [{Effect: Allow, Action: 's3:*', Resource: '*'}]}"


def revoke(aws: Rig, name: str = "AWSRevokeOlderSessions", role: str = "web") -> None:
    aws.iam.put_role_policy(RoleName=role, PolicyName=name, PolicyDocument=json.dumps(DOCUMENT))


def inline(aws: Rig, role: str = "web") -> list[str]:
    names: list[str] = aws.iam.list_role_policies(RoleName=role)["PolicyNames"]
    return sorted(names)


@pytest.mark.parametrize("name", ["AWSRevokeOlderSessions", "awsrevokeoldersessions"])
def test_an_update_keeps_the_revocation_policy(aws: Rig, name: str) -> None:
    aws.write(f"roles: {{web: {{trust: ec2, inline_policies: {{own: {OWN}}}}}}}")
    aws.settle()
    revoke(aws, name)
    revoke(aws, "other")
    plan = aws.settle()
    assert inline(aws) == sorted([name, "own"])
    kept = [k for t in plan.targets for k in t.kept]
    assert [(str(k.address), k.status) for k in kept] == [("role/web", "revoked")]
    assert name in kept[0].reason


def test_drift_reports_the_revocation_policy(aws: Rig) -> None:
    aws.write("roles: {web: {trust: ec2}}")
    aws.settle()
    revoke(aws)
    drift = aws.drift()
    assert [(str(f.address), f.severity, f.status) for f in drift.findings] == [
        ("role/web", "info", "unmanaged")
    ]
    assert "revoked" in (drift.findings[0].reason or "")
    assert drift.exit_code == 0


def test_an_adoption_keeps_the_revocation_policy(aws: Rig) -> None:
    aws.iam.create_role(RoleName="web", AssumeRolePolicyDocument=TRUST)
    revoke(aws)
    aws.write("roles: {web: {trust: ec2}}")
    assert not aws.plan(adopt=True).plan.guards
    aws.settle(adopt=True)
    assert inline(aws) == ["AWSRevokeOlderSessions"]


def test_a_revocation_policy_in_the_specs_is_managed(aws: Rig) -> None:
    spec = "roles: {{web: {{trust: ec2, inline_policies: {{AWSRevokeOlderSessions: {0}}}}}}}"
    aws.write(spec.format(OWN))
    aws.settle()
    revoke(aws)
    aws.settle()
    found = aws.iam.get_role_policy(RoleName="web", PolicyName="AWSRevokeOlderSessions")
    assert found["PolicyDocument"]["Statement"][0]["Effect"] == "Allow"


def test_the_revocation_policy_is_deleted_with_its_role(aws: Rig) -> None:
    aws.write("roles: {web: {trust: ec2}, other: {trust: lambda}}")
    aws.settle()
    revoke(aws)
    aws.write("roles: {other: {trust: lambda}}")
    aws.settle(prune=True)
    assert aws.names()["roles"] == ["other"]
