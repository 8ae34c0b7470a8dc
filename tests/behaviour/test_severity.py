"""How severe a drift is, and how it reads: what happened in AWS, with values."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from reconciler.drift.causes import RULES
from reconciler.drift.findings import Drift, Finding
from reconciler.drift.severity import SEVERITIES
from reconciler.exit_codes import ExitCode
from reconciler.render.styled_text import plain
from reconciler.render.text.drift import drift_lines
from tests.behaviour.faults import refusing
from tests.prepared import prepared
from tests.program import ROOT
from tests.rig import ACCOUNT, Rig

AWS_POLICY = "arn:aws:iam::aws:policy/"
ASSETS = f"arn:aws:iam::{ACCOUNT}:policy/assets"
SPEC = """
policies:
  assets: {document: {Version: 2012-10-17, Statement: [
    {Sid: Read, Effect: Allow, Action: [s3:GetObject, s3:ListBucket], Resource: "arn:aws:s3:::a/*"}]}}
roles:
  web:
    trust: ec2
    instance_profile: true
    managed_policies: [AmazonSSMManagedInstanceCore]
    inline_policies: {logs: {Version: 2012-10-17, Statement: [
      {Effect: Allow, Action: 'logs:PutLogEvents', Resource: '*'}]}}
    permissions_boundary: assets
    tags: {team: web}
associations:
  fleet: {instance_profile: web, select: {tags: {app: web}}}
"""


def document(*statements: dict[str, Any]) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": list(statements)})


def allow(action: object, **more: object) -> dict[str, object]:
    return {"Effect": "Allow", "Action": action, "Resource": "*", **more}


def let(principal: object) -> str:
    return document({"Effect": "Allow", "Principal": principal, "Action": "sts:AssumeRole"})


def trust(principal: object) -> Callable[[Any], object]:
    return lambda iam: iam.update_assume_role_policy(RoleName="web", PolicyDocument=let(principal))


def inline(action: object) -> Callable[[Any], object]:
    return lambda iam: iam.put_role_policy(
        RoleName="web", PolicyName="more", PolicyDocument=document(allow(action))
    )


def attached(arn: str) -> Callable[[Any], object]:
    return lambda iam: iam.attach_role_policy(RoleName="web", PolicyArn=arn)


def version(*statements: dict[str, object]) -> Callable[[Any], object]:
    return lambda iam: iam.create_policy_version(
        PolicyArn=ASSETS, PolicyDocument=document(*statements), SetAsDefault=True
    )


def of_others(action: str) -> Callable[[Any], object]:
    def made(iam: Any) -> None:
        arn = iam.create_policy(PolicyName="theirs", PolicyDocument=document(allow(action)))
        iam.attach_role_policy(RoleName="web", PolicyArn=arn["Policy"]["Arn"])

    return made


EC2 = "ec2.amazonaws.com"
BY_HAND: dict[str, tuple[Callable[[Any], object], str, str]] = {
    "everyone is trusted": (trust({"Service": EC2, "AWS": "*"}), "critical", "trust-widened"),
    "another account is trusted": (
        trust({"Service": EC2, "AWS": "222222222222"}),
        "critical",
        "trust-widened",
    ),
    "another service is trusted": (
        trust({"Service": [EC2, "lambda.amazonaws.com"]}),
        "critical",
        "trust-widened",
    ),
    "an administrator's policy": (
        attached(f"{AWS_POLICY}AdministratorAccess"),
        "critical",
        "permissions-widened",
    ),
    "a policy of AWS that reads": (attached(f"{AWS_POLICY}ReadOnlyAccess"), "warning", "differs"),
    "a policy of others with everything": (of_others("*"), "critical", "permissions-widened"),
    "a policy of others": (of_others("s3:GetObject"), "warning", "differs"),
    "an inline policy that passes roles": (
        inline(["s3:GetObject", "iam:PassRole"]),
        "critical",
        "permissions-widened",
    ),
    "an inline policy with everything of IAM": (
        inline("iam:*"),
        "critical",
        "permissions-widened",
    ),
    "an inline policy": (inline("s3:*"), "warning", "differs"),
    "a version that passes roles": (
        version(allow("iam:PassRole")),
        "critical",
        "permissions-widened",
    ),
    "a narrower version": (version(allow("s3:GetObject")), "warning", "differs"),
    "the boundary is gone": (
        lambda iam: iam.delete_role_permissions_boundary(RoleName="web"),
        "critical",
        "boundary-removed",
    ),
    "another boundary": (
        lambda iam: iam.put_role_permissions_boundary(
            RoleName="web", PermissionsBoundary=f"{AWS_POLICY}ReadOnlyAccess"
        ),
        "warning",
        "differs",
    ),
    "a tag of a role": (
        lambda iam: iam.tag_role(RoleName="web", Tags=[{"Key": "team", "Value": "x"}]),
        "info",
        "tags",
    ),
    "a tag of a profile": (
        lambda iam: iam.tag_instance_profile(
            InstanceProfileName="web", Tags=[{"Key": "x", "Value": "x"}]
        ),
        "info",
        "tags",
    ),
    "a tag and the duration": (
        lambda iam: (
            iam.tag_role(RoleName="web", Tags=[{"Key": "team", "Value": "x"}]),
            iam.update_role(RoleName="web", MaxSessionDuration=7200),
        ),
        "warning",
        "differs",
    ),
}


@pytest.fixture
@prepared
def settled(aws: Rig) -> Rig:
    aws.launch(1, tags={"app": "web"})
    aws.write(SPEC)
    aws.settle()
    aws.clock.sleep(60)
    return aws


def only(drift: Drift) -> Finding:
    (found,) = drift.findings
    return found


@pytest.mark.parametrize("case", BY_HAND)
def test_what_somebody_did_by_hand(settled: Rig, case: str) -> None:
    change, severity, rule = BY_HAND[case]
    change(settled.iam)
    drift = settled.drift()
    found = only(drift)
    assert found.severity == severity
    assert rule in {cause.rule for cause in found.causes}
    for lowest in SEVERITIES:
        is_counted = SEVERITIES.index(found.severity) <= SEVERITIES.index(lowest)
        wanted = ExitCode.DIFFERENCES if is_counted else ExitCode.OK
        assert drift.exit_code_from(lowest) is wanted


def test_an_instance_without_its_profile_is_critical(settled: Rig) -> None:
    (association,) = settled.ec2().describe_iam_instance_profile_associations()[
        "IamInstanceProfileAssociations"
    ]
    settled.ec2().disassociate_iam_instance_profile(AssociationId=association["AssociationId"])
    settled.clock.sleep(60)
    found = only(settled.drift())
    assert (found.status, found.severity) == ("missing", "critical")
    assert found.causes[0].rule == "not-associated"


def test_a_policy_whose_document_cannot_be_read_counts_by_its_name(settled: Rig) -> None:
    settled.iam.attach_role_policy(RoleName="web", PolicyArn=f"{AWS_POLICY}AdministratorAccess")
    with refusing(settled, "GetPolicy", "AccessDenied"):
        assert only(settled.drift()).severity == "critical"


def test_a_drift_says_what_happened(settled: Rig) -> None:
    """Gained is what AWS has and the specs do not."""
    iam = settled.iam
    iam.attach_role_policy(RoleName="web", PolicyArn=f"{AWS_POLICY}AdministratorAccess")
    iam.detach_role_policy(RoleName="web", PolicyArn=f"{AWS_POLICY}AmazonSSMManagedInstanceCore")
    iam.update_role(RoleName="web", MaxSessionDuration=7200)
    iam.create_policy_version(
        PolicyArn=ASSETS,
        SetAsDefault=True,
        PolicyDocument=document(
            allow(["s3:GetObject", "s3:PutObject"], Sid="Read", Resource="arn:aws:s3:::a/*")
        ),
    )
    said = [one.strip() for one in plain(drift_lines(settled.drift())).splitlines()]
    for text in (
        "+ gained managed_policies: AdministratorAccess",
        "- lost managed_policies: AmazonSSMManagedInstanceCore",
        "~ max_session_duration: AWS has 2h, specs want 1h",
        "~ Read: Allow on arn:aws:s3:::a/*",
        "+ gained Action: s3:PutObject",
        "- lost Action: s3:ListBucket",
        "critical: AdministratorAccess allows *",
    ):
        assert text in said, said


@pytest.mark.parametrize("rule", RULES)
def test_every_rule_is_documented(rule: str) -> None:
    text = (ROOT / "docs" / "drift.md").read_text("utf-8")
    assert f"| `{rule}` | `{RULES[rule].severity}` |" in text


def test_an_instance_without_its_profile_comes_first(aws: Rig) -> None:
    """Also where a person took it, and something else is as severe."""
    aws.write(
        "roles: {a: {trust: ec2}}\ninstance_profiles: {p: {role: a}}\n"
        "associations: {x: {instance_profile: p, select: {tags: {app: web}}}}\n"
    )
    aws.launch(1, tags={"app": "web"})
    aws.settle()
    admin = "arn:aws:iam::aws:policy/AdministratorAccess"
    aws.iam.attach_role_policy(RoleName="a", PolicyArn=admin)
    (row,) = aws.ec2().describe_iam_instance_profile_associations()[
        "IamInstanceProfileAssociations"
    ]
    aws.ec2().disassociate_iam_instance_profile(AssociationId=row["AssociationId"])
    aws.clock.sleep(60)
    assert [(f.severity, f.address.kind) for f in aws.drift().findings] == [
        ("critical", "association"),
        ("critical", "role"),
    ]
