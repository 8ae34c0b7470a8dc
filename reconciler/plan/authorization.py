"""What AWS asks of the caller for each call: actions, on which resource, under which conditions.

One table for everything that is sent, beside the calls themselves (``calls.py``): the policies that
``permissions`` prints and the tables of the docs are made from it, and a test compares it with the
calls that a sandbox saw.

Source: docs.aws.amazon.com/service-authorization/latest/reference, the pages in ``PAGES``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal

Purpose = Literal["plan", "apply", "destroy", "rotate", "forget", "drift", "import", "verify"]
Reading = Literal["plan", "apply", "drift", "import", "verify"]
"""What calls that read are for: ``destroy``, ``rotate`` and ``forget`` read what ``apply`` does."""
On = Literal["*", "role", "policy", "instance-profile", "instance", "document"]

_START = "docs.aws.amazon.com/service-authorization/latest/reference/list_"
PAGES: Final[Mapping[str, str]] = {
    "iam": f"{_START}awsidentityandaccessmanagementiam.html",
    "ec2": f"{_START}amazonec2.html",
    "autoscaling": f"{_START}amazonec2autoscaling.html",
    "ecs": f"{_START}amazonelasticcontainerservice.html",
    "tag": f"{_START}amazonresourcegrouptaggingapi.html",
    "cloudtrail": f"{_START}awscloudtrail.html",
    "access-analyzer": f"{_START}awsiamaccessanalyzer.html",
    "sts": f"{_START}awssecuritytokenservice.html",
    "organizations": f"{_START}awsorganizations.html",
    "s3": f"{_START}amazons3.html",
    "sns": f"{_START}amazonsns.html",
    "events": f"{_START}amazoneventbridge.html",
    "ssm": f"{_START}awssystemsmanager.html",
    "cloudwatch": f"{_START}amazoncloudwatch.html",
    "elasticloadbalancing": f"{_START}awselasticloadbalancingv2.html",
}
"""Where AWS says what a service's actions need, by the prefix of its actions."""

REGION: Final = "aws:RequestedRegion"
TAG_KEYS: Final = "aws:TagKeys"
POLICY_ARN: Final = "iam:PolicyARN"
BOUNDARY: Final = "iam:PermissionsBoundary"
PASSED_TO: Final = "iam:PassedToService"
ASSOCIATED: Final = "iam:AssociatedResourceArn"
OLD_PROFILE: Final = "ec2:InstanceProfile"
NEW_PROFILE: Final = "ec2:NewInstanceProfile"


@dataclass(frozen=True, slots=True)
class Need:
    """An action that AWS checks. ``keys`` are the condition keys that a printed policy may use for
    it; the tag of our owner (``aws:ResourceTag/...``) comes on top, on what left the specs."""

    action: str
    on: On
    keys: tuple[str, ...] = ()


PASS_ROLE: Final = Need("iam:PassRole", "role", (PASSED_TO, ASSOCIATED))
"""Also asked where a call puts a role that is in a profile on an instance, or into a profile."""


def _own(call: str, on: On, *keys: str) -> tuple[Need, ...]:
    """Most calls need the action of their own name."""
    return (Need(call, on, keys),)


_ALL: tuple[Reading, ...] = ("plan", "apply", "drift", "import", "verify")
_SPECS: tuple[Reading, ...] = ("plan", "apply", "drift", "verify")


@dataclass(frozen=True, slots=True)
class Read:
    """A call that only reads, what it is for, and who makes it: no purpose for those that depend on
    a flag or a setting, which ``why`` names."""

    needs: tuple[Need, ...]
    purposes: tuple[Reading, ...]
    why: str


READS: Final[Mapping[str, Read]] = {
    # Nobody can be denied to ask who they are.
    "sts:GetCallerIdentity": Read((), _ALL, "account and caller"),
    "iam:ListAccountAliases": Read(
        _own("iam:ListAccountAliases", "*"), _ALL, "the account's alias, for people"
    ),
    "iam:GetAccountAuthorizationDetails": Read(
        _own("iam:GetAccountAuthorizationDetails", "*"), _ALL, "roles and policies"
    ),
    "iam:ListRoles": Read(
        _own("iam:ListRoles", "*"), _ALL, "descriptions and session durations of roles"
    ),
    "iam:ListInstanceProfiles": Read(
        _own("iam:ListInstanceProfiles", "*"), _ALL, "instance profiles and their roles"
    ),
    "iam:ListPolicies": Read(
        _own("iam:ListPolicies", "*"), _SPECS, "a policy at another path, with `--only`"
    ),
    "iam:GetAccountSummary": Read(
        _own("iam:GetAccountSummary", "*"), _SPECS, "quotas, where the specs exceed the usual ones"
    ),
    "iam:ListInstanceProfileTags": Read(
        _own("iam:ListInstanceProfileTags", "instance-profile"), _ALL, "marks of profiles"
    ),
    "iam:ListPolicyTags": Read(_own("iam:ListPolicyTags", "policy"), _ALL, "marks of policies"),
    "iam:GetRole": Read(_own("iam:GetRole", "role"), _SPECS, "one role, before it changes"),
    "iam:ListRolePolicies": Read(
        _own("iam:ListRolePolicies", "role"), _SPECS, "one role, before it changes"
    ),
    "iam:GetRolePolicy": Read(
        _own("iam:GetRolePolicy", "role"), _SPECS, "one role, before it changes"
    ),
    "iam:ListAttachedRolePolicies": Read(
        _own("iam:ListAttachedRolePolicies", "role"), _SPECS, "one role, before it changes"
    ),
    "iam:ListInstanceProfilesForRole": Read(
        _own("iam:ListInstanceProfilesForRole", "role"), ("apply",), "who has a role that goes"
    ),
    "iam:GetInstanceProfile": Read(
        _own("iam:GetInstanceProfile", "instance-profile"), _SPECS, "one profile, in a cut-over"
    ),
    "iam:GetPolicy": Read(
        _own("iam:GetPolicy", "policy"), _SPECS, "one policy, AWS's own included"
    ),
    "iam:GetPolicyVersion": Read(
        _own("iam:GetPolicyVersion", "policy"), _SPECS, "one policy, AWS's own included"
    ),
    "iam:ListPolicyVersions": Read(
        _own("iam:ListPolicyVersions", "policy"), _SPECS, "one policy, before it changes"
    ),
    "ec2:DescribeInstances": Read(
        _own("ec2:DescribeInstances", "*", REGION), _ALL, "instances and their tags"
    ),
    "ec2:DescribeIamInstanceProfileAssociations": Read(
        _own("ec2:DescribeIamInstanceProfileAssociations", "*", REGION), _ALL, "associations"
    ),
    "ec2:DescribeRegions": Read(
        _own("ec2:DescribeRegions", "*", REGION), _ALL, "enabled regions, to find consumers in"
    ),
    # What new instances are started from. None of it is needed: what is denied is told as unknown.
    "ec2:DescribeLaunchTemplateVersions": Read(
        _own("ec2:DescribeLaunchTemplateVersions", "*", REGION),
        (),
        "new instances, in `explain` and `plan`",
    ),
    "ec2:DescribeFleets": Read(
        _own("ec2:DescribeFleets", "*", REGION), (), "new instances, in `explain` and `plan`"
    ),
    "ec2:DescribeSpotFleetRequests": Read(
        _own("ec2:DescribeSpotFleetRequests", "*", REGION),
        (),
        "new instances, in `explain` and `plan`",
    ),
    "autoscaling:DescribeAutoScalingGroups": Read(
        _own("autoscaling:DescribeAutoScalingGroups", "*", REGION),
        (),
        "new instances, in `explain` and `plan`",
    ),
    "autoscaling:DescribeLaunchConfigurations": Read(
        _own("autoscaling:DescribeLaunchConfigurations", "*", REGION),
        (),
        "new instances, in `explain` and `plan`",
    ),
    "ecs:DescribeCapacityProviders": Read(
        _own("ecs:DescribeCapacityProviders", "*", REGION), (), "new instances, in `explain`"
    ),
    "ecs:ListClusters": Read(
        _own("ecs:ListClusters", "*", REGION), (), "new instances, in `explain`"
    ),
    "tag:GetResources": Read(
        _own("tag:GetResources", "*"), _SPECS, "tags of many profiles and policies at once"
    ),
    "cloudtrail:LookupEvents": Read(
        _own("cloudtrail:LookupEvents", "*"),
        ("drift", "verify"),
        "who changed something, with `--who`; calls of instances, as evidence; "
        "`cutover.checks.denied` and `cutover.verify`",
    ),
    # Composite alarms are answered only to those who may ask about all. Source:
    # docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_DescribeAlarms.html
    "cloudwatch:DescribeAlarms": Read(
        _own("cloudwatch:DescribeAlarms", "*"), (), "`cutover.checks.alarms`"
    ),
    "elasticloadbalancing:DescribeTargetHealth": Read(
        _own("elasticloadbalancing:DescribeTargetHealth", "*"),
        (),
        "`cutover.checks.target_groups`",
    ),
    "sts:AssumeRole": Read(
        _own("sts:AssumeRole", "role"), (), "`role_arn` of a target, of the identity that calls"
    ),
    "organizations:ListAccounts": Read(
        _own("organizations:ListAccounts", "*"), (), "`targets_from`"
    ),
    "organizations:ListAccountsForParent": Read(
        _own("organizations:ListAccountsForParent", "*"), (), "`targets_from` with units"
    ),
    "organizations:ListOrganizationalUnitsForParent": Read(
        _own("organizations:ListOrganizationalUnitsForParent", "*"), (), "`targets_from` with units"
    ),
    "organizations:ListTagsForResource": Read(
        _own("organizations:ListTagsForResource", "*"), (), "`targets_from` with tags"
    ),
    # Without the second, S3 answers that a missing object may not be read. Source:
    # docs.aws.amazon.com/AmazonS3/latest/API/API_GetObject.html
    "s3:GetObject": Read(
        (Need("s3:GetObject", "*"), Need("s3:ListBucket", "*")), (), "`--baseline s3://...`"
    ),
    "s3:PutObject": Read(_own("s3:PutObject", "*"), (), "`--baseline s3://...`"),
    "iam:SimulatePrincipalPolicy": Read(
        _own("iam:SimulatePrincipalPolicy", "role"),
        (),
        "`doctor`, `apply --preflight`, `--impact`: what a role is allowed",
    ),
    # What roles in use would lose. None of it is needed: what is denied is told as unknown.
    "iam:GenerateServiceLastAccessedDetails": Read(
        _own("iam:GenerateServiceLastAccessedDetails", "role"),
        (),
        "`impact` in the settings, or `--impact`: what roles have used",
    ),
    "iam:GetServiceLastAccessedDetails": Read(
        _own("iam:GetServiceLastAccessedDetails", "*"),
        (),
        "`impact` in the settings, or `--impact`: what roles have used",
    ),
    "iam:SimulateCustomPolicy": Read(
        _own("iam:SimulateCustomPolicy", "*"),
        (),
        "`impact` in the settings, or `--impact`: what roles will be allowed; `can --online`",
    ),
    "ssm:DescribeInstanceInformation": Read(
        _own("ssm:DescribeInstanceInformation", "*"),
        (),
        "`doctor`, and evidence with `imds`: who answers to SSM",
    ),
    # It runs a command that reads. Both resources are checked, each against the action. Source:
    # docs.aws.amazon.com/systems-manager/latest/userguide/run-command-setting-up.html
    "ssm:SendCommand": Read(
        (Need("ssm:SendCommand", "instance"), Need("ssm:SendCommand", "document")),
        (),
        "evidence with `imds`, also of `cutover.verify`: asks the metadata service on the instance",
    ),
    "ssm:ListCommandInvocations": Read(
        _own("ssm:ListCommandInvocations", "*"), (), "evidence with `imds`: the answers"
    ),
    # Told as unknown where they are denied.
    "access-analyzer:ValidatePolicy": Read(
        _own("access-analyzer:ValidatePolicy", "*", REGION), (), "`plan --access-analyzer`"
    ),
    "access-analyzer:CheckNoNewAccess": Read(
        _own("access-analyzer:CheckNoNewAccess", "*", REGION), (), "`plan --access-analyzer`"
    ),
    "sns:Publish": Read(_own("sns:Publish", "*"), (), "`--notify` with a topic"),
    "events:PutEvents": Read(_own("events:PutEvents", "*"), (), "`--notify` with an event bus"),
}
"""By call. What is not of a printed policy's purposes is for the reader of the docs."""

ANALYZING: Final = ("access-analyzer:ValidatePolicy", "access-analyzer:CheckNoNewAccess")
"""Calls of `plan --access-analyzer`."""
OF_IMPACT: Final = (
    "iam:GenerateServiceLastAccessedDetails",
    "iam:GetServiceLastAccessedDetails",
    "iam:SimulateCustomPolicy",
    "iam:SimulatePrincipalPolicy",
)
"""Reads by which a plan finds out what roles in use would lose, where that is asked for."""

WRITES: Final[Mapping[str, tuple[Need, ...]]] = {
    # Tags in the request are checked as a call of their own. Source:
    # docs.aws.amazon.com/IAM/latest/UserGuide/id_tags_roles.html, and the pages beside it.
    "iam:CreateRole": (Need("iam:CreateRole", "role"), Need("iam:TagRole", "role")),
    "iam:UpdateRole": _own("iam:UpdateRole", "role"),
    "iam:UpdateAssumeRolePolicy": _own("iam:UpdateAssumeRolePolicy", "role"),
    "iam:AttachRolePolicy": _own("iam:AttachRolePolicy", "role", POLICY_ARN),
    "iam:DetachRolePolicy": _own("iam:DetachRolePolicy", "role"),
    "iam:PutRolePolicy": _own("iam:PutRolePolicy", "role"),
    "iam:DeleteRolePolicy": _own("iam:DeleteRolePolicy", "role"),
    "iam:PutRolePermissionsBoundary": _own("iam:PutRolePermissionsBoundary", "role", BOUNDARY),
    "iam:DeleteRolePermissionsBoundary": _own("iam:DeleteRolePermissionsBoundary", "role"),
    "iam:TagRole": _own("iam:TagRole", "role"),
    "iam:UntagRole": _own("iam:UntagRole", "role"),
    "iam:DeleteRole": _own("iam:DeleteRole", "role"),
    "iam:CreatePolicy": (Need("iam:CreatePolicy", "policy"), Need("iam:TagPolicy", "policy")),
    "iam:CreatePolicyVersion": _own("iam:CreatePolicyVersion", "policy"),
    "iam:DeletePolicyVersion": _own("iam:DeletePolicyVersion", "policy"),
    "iam:TagPolicy": _own("iam:TagPolicy", "policy"),
    "iam:UntagPolicy": _own("iam:UntagPolicy", "policy"),
    "iam:DeletePolicy": _own("iam:DeletePolicy", "policy"),
    "iam:CreateInstanceProfile": (
        Need("iam:CreateInstanceProfile", "instance-profile"),
        Need("iam:TagInstanceProfile", "instance-profile"),
    ),
    "iam:TagInstanceProfile": _own("iam:TagInstanceProfile", "instance-profile"),
    "iam:UntagInstanceProfile": _own("iam:UntagInstanceProfile", "instance-profile"),
    "iam:AddRoleToInstanceProfile": (
        Need("iam:AddRoleToInstanceProfile", "instance-profile"),
        PASS_ROLE,
    ),
    "iam:RemoveRoleFromInstanceProfile": _own(
        "iam:RemoveRoleFromInstanceProfile", "instance-profile"
    ),
    "iam:DeleteInstanceProfile": _own("iam:DeleteInstanceProfile", "instance-profile"),
    "ec2:AssociateIamInstanceProfile": (
        Need("ec2:AssociateIamInstanceProfile", "instance", (NEW_PROFILE,)),
        PASS_ROLE,
    ),
    "ec2:ReplaceIamInstanceProfileAssociation": (
        Need("ec2:ReplaceIamInstanceProfileAssociation", "instance", (NEW_PROFILE,)),
        PASS_ROLE,
    ),
    "ec2:DisassociateIamInstanceProfile": _own("ec2:DisassociateIamInstanceProfile", "instance"),
    "ec2:StopInstances": _own("ec2:StopInstances", "instance", OLD_PROFILE),
    "ec2:StartInstances": _own("ec2:StartInstances", "instance", OLD_PROFILE),
    "ec2:CreateTags": _own("ec2:CreateTags", "instance", TAG_KEYS),
    "ec2:DeleteTags": _own("ec2:DeleteTags", "instance", TAG_KEYS),
}
"""What ``apply``, ``destroy``, ``rotate`` and ``forget`` send, by ``ApiCall.name``."""

ON_INSTANCES: Final = (
    "ssm:DescribeInstanceInformation",
    "ssm:SendCommand",
    "ssm:ListCommandInvocations",
)
"""Calls that ask the metadata service of instances."""
COMMANDS: Final = ("AWS-RunShellScript", "AWS-RunPowerShellScript")
"""Documents of Systems Manager by which it is asked: on Linux and macOS, and on Windows."""


def reads_for(purpose: Reading) -> tuple[Need, ...]:
    """What a command needs to read."""
    return tuple(need for read in READS.values() if purpose in read.purposes for need in read.needs)


Decision = Literal["allowed", "denied", "unknown"]
Context = tuple[tuple[str, tuple[str, ...]], ...]
"""The values of condition keys, sorted by key."""


@dataclass(frozen=True, slots=True)
class Question:
    """Whether the caller may do each of the actions on each of the resources."""

    actions: tuple[str, ...]
    resources: tuple[str, ...]
    context: Context = ()


@dataclass(frozen=True, slots=True)
class Simulated:
    """What AWS's simulator says of one action on one resource. ``lacking`` are condition keys that
    some policy names and the question has not; ``is_bounded`` is whether the permissions boundary
    does not allow it, ``is_organization`` whether a policy of the organization does not."""

    action: str
    resource: str
    decision: Literal["allowed", "explicitDeny", "implicitDeny"]
    lacking: tuple[str, ...] = ()
    is_bounded: bool = False
    is_organization: bool = False


@dataclass(frozen=True, slots=True)
class Verdict:
    """The answer for one action on one resource. ``why`` is empty for what is allowed."""

    action: str
    resource: str
    decision: Decision
    why: str = ""
