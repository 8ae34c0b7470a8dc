"""From what AWS answers to the model. Pure."""

from __future__ import annotations

from collections.abc import Container, Iterable, Mapping
from typing import Any

from reconciler.live import (
    AssociationRow,
    LiveInstance,
    LivePolicy,
    LiveProfile,
    LiveRole,
    PolicyVersion,
)
from reconciler.model import DEFAULT_SESSION_SECONDS, InstanceProfile, Policy, Role
from reconciler.ownership import InstanceKey, split_tags
from reconciler.policy_document import PolicyDocument

Answer = Mapping[str, Any]


def tags_of(listed: Iterable[Mapping[str, str]] | None) -> dict[str, str]:
    return {tag["Key"]: tag["Value"] for tag in listed or ()}


def role(detail: Answer, listed: Answer, prefix: str) -> LiveRole:
    """``detail`` is from ``GetAccountAuthorizationDetails``, which has neither description nor
    session; these are in ``listed``, from ``ListRoles``."""
    # Role tag keys ignore case; all others' do not.
    # Source: docs.aws.amazon.com/IAM/latest/UserGuide/id_tags.html
    tags = split_tags(tags_of(detail.get("Tags")), prefix, same_key=str.casefold)
    resource = Role(
        name=detail["RoleName"],
        trust_policy=PolicyDocument.of(detail["AssumeRolePolicyDocument"]),
        path=detail["Path"],
        description=listed.get("Description", ""),
        managed_policies=tuple(p["PolicyArn"] for p in detail.get("AttachedManagedPolicies", ())),
        inline_policies=tuple(
            (p["PolicyName"], PolicyDocument.of(p["PolicyDocument"]))
            for p in detail.get("RolePolicyList", ())
        ),
        permissions_boundary=detail.get("PermissionsBoundary", {}).get("PermissionsBoundaryArn"),
        max_session_seconds=listed.get("MaxSessionDuration", DEFAULT_SESSION_SECONDS),
        tags=tags.user,
    )
    return LiveRole(
        resource=resource,
        id=detail["RoleId"],
        arn=detail["Arn"],
        marks=tags.marks,
        aws_tags=tags.aws,
        strays=tags.strays,
    )


def policy(detail: Answer, tags: Mapping[str, str] | None, prefix: str) -> LivePolicy:
    """``tags`` is ``None`` where they were not read."""
    split = split_tags(tags or {}, prefix)
    versions = detail.get("PolicyVersionList", ())
    default = next(v for v in versions if v["IsDefaultVersion"])
    return LivePolicy(
        resource=Policy(
            name=detail["PolicyName"],
            document=PolicyDocument.of(default.get("Document", {})),
            path=detail["Path"],
            description=detail.get("Description", ""),
            tags=split.user,
        ),
        id=detail["PolicyId"],
        arn=detail["Arn"],
        marks=split.marks,
        aws_tags=split.aws,
        strays=split.strays,
        tags_known=tags is not None,
        versions=tuple(sorted((_version(v) for v in versions), key=lambda v: v.created_at)),
        attachments=int(detail.get("AttachmentCount", 0)),
        boundaries=int(detail.get("PermissionsBoundaryUsageCount", 0)),
    )


def _version(version: Answer) -> PolicyVersion:
    created = version["CreateDate"].timestamp()
    return PolicyVersion(version["VersionId"], version["IsDefaultVersion"], created)


def profile(
    answer: Answer, tags: Mapping[str, str] | None, prefix: str, regions: Container[str]
) -> LiveProfile:
    """``regions`` are those that there are: no instance is in flight in any other."""
    split = split_tags(tags or {}, prefix, is_region=lambda name: name in regions)
    # What is nested here lacks most attributes of a role: its name and id are all that is used.
    held = next(iter(answer.get("Roles", ())), None)
    return LiveProfile(
        resource=InstanceProfile(
            name=answer["InstanceProfileName"],
            role=held["RoleName"] if held else None,
            path=answer["Path"],
            tags=split.user,
        ),
        id=answer["InstanceProfileId"],
        arn=answer["Arn"],
        marks=split.marks,
        aws_tags=split.aws,
        strays=split.strays,
        tags_known=tags is not None,
        role_id=held["RoleId"] if held else None,
        created_at=answer["CreateDate"].timestamp(),
    )


def row(answer: Answer) -> AssociationRow:
    named = answer["IamInstanceProfile"]
    return AssociationRow(answer["AssociationId"], named["Arn"], named["Id"], answer["State"])


def instance(
    answer: Answer, region: str, rows: Iterable[AssociationRow], prefix: str
) -> LiveInstance:
    split = split_tags(tags_of(answer.get("Tags")), prefix)
    launched = answer.get("LaunchTime")
    return LiveInstance(
        key=InstanceKey(region, answer["InstanceId"]),
        state=answer["State"]["Name"],
        launched_at=launched.timestamp() if launched else 0.0,
        rows=tuple(sorted(rows, key=lambda r: r.id)),
        tags={**split.user, **split.aws},
        marks=split.marks,
        unstoppable=_unstoppable(answer, split.aws),
        strays=split.strays,
    )


def _unstoppable(answer: Answer, aws_tags: Mapping[str, str]) -> str | None:
    """Why the instance would not come back as it was, or at all.

    Source: docs.aws.amazon.com/AWSEC2/latest/UserGuide/Stop_Start.html
    """
    if group := aws_tags.get("aws:autoscaling:groupName"):
        return f"the Auto Scaling group {group} would replace it"
    if answer.get("RootDeviceType") == "instance-store":
        return "its root volume is an instance store, which does not outlive a stop"
    if answer.get("InstanceLifecycle") in ("spot", "capacity-block"):
        return "it is a spot instance, which may not start again"
    return None
