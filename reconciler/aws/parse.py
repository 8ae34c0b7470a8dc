"""From what AWS answers to the model. Pure.

AWS's model requires next to nothing of an answer, and emulators leave members out. What follows
from an ARN is completed from it; ``IncompleteAnswerError`` is raised for the rest, so that the
caller can ask for that one thing by itself. A member that AWS itself leaves out when it has no
value (a description, a boundary, tags of one thing) is empty when it is absent.
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any, Literal, TypeVar

from reconciler.model.address import name_key
from reconciler.model.live import (
    UNKNOWN,
    AssociationRow,
    LiveInstance,
    LivePolicy,
    LivePrincipal,
    LiveProfile,
    LiveRole,
    PolicyVersion,
)
from reconciler.model.ownership import InstanceKey, split_tags
from reconciler.model.policy_document import PolicyDocument
from reconciler.model.resources import DEFAULT_SESSION_SECONDS, InstanceProfile, Policy, Role
from reconciler.ports import Facts

Answer = Mapping[str, Any]
_T = TypeVar("_T", LivePolicy, LiveProfile)


class IncompleteAnswerError(Exception):
    """A response lacks a member that cannot be derived."""

    def __init__(self, member: str) -> None:
        super().__init__(member)
        self.member = member


def need(answer: Answer, member: str) -> Any:
    """Raises ``IncompleteAnswerError``."""
    value = answer.get(member)
    if value is None:
        raise IncompleteAnswerError(member)
    return value


def tags_of(listed: Iterable[Mapping[str, str]] | None) -> dict[str, str]:
    return {need(tag, "Key"): tag.get("Value", "") for tag in listed or ()}


def name_of(answer: Answer, member: str) -> str:
    """The name of a role, a policy or a profile, from its ARN where it is not said."""
    if name := answer.get(member):
        return str(name)
    if "/" not in (arn := str(answer.get("Arn", ""))):
        raise IncompleteAnswerError(member)
    return arn.rpartition("/")[2]


def _path(answer: Answer) -> str:
    if path := answer.get("Path"):
        return str(path)
    resource = str(need(answer, "Arn")).split(":", 5)[-1]
    return "/".join(["", *resource.split("/")[1:-1], ""])


def role(detail: Answer, listed: Answer, prefix: str) -> LiveRole:
    """``detail`` is from ``GetAccountAuthorizationDetails``, which has neither description nor
    session; these are in ``listed``, from ``ListRoles``. Raises ``IncompleteAnswerError``."""
    whole = {**listed, **detail}
    # Role tag keys ignore case; all others' do not.
    # Source: docs.aws.amazon.com/IAM/latest/UserGuide/id_tags.html
    tags = split_tags(tags_of(detail.get("Tags")), prefix, same_key=name_key)
    attached = need(detail, "AttachedManagedPolicies")
    inline = need(detail, "RolePolicyList")
    resource = Role(
        name=name_of(whole, "RoleName"),
        trust_policy=PolicyDocument.of(need(whole, "AssumeRolePolicyDocument")),
        path=_path(whole),
        description=listed.get("Description", ""),
        managed_policies=tuple(need(p, "PolicyArn") for p in attached),
        inline_policies=tuple(
            (need(p, "PolicyName"), PolicyDocument.of(need(p, "PolicyDocument"))) for p in inline
        ),
        permissions_boundary=detail.get("PermissionsBoundary", {}).get("PermissionsBoundaryArn"),
        max_session_seconds=need(listed, "MaxSessionDuration"),
        tags=tags.user,
    )
    return LiveRole(
        resource=resource,
        id=need(whole, "RoleId"),
        arn=need(whole, "Arn"),
        marks=tags.marks,
        aws_tags=tags.aws,
        malformed_marks=tags.malformed_marks,
        tags_known="Tags" in detail,
        created_at=whole["CreateDate"].timestamp() if "CreateDate" in whole else 0.0,
    )


def single_role(answer: Answer, prefix: str) -> LiveRole:
    """One role from ``GetRole``, with its policies; an absent member means an absent attribute."""
    session = {"MaxSessionDuration": DEFAULT_SESSION_SECONDS}
    whole = {"Tags": [], **session, **answer}
    return role(whole, whole, prefix)


def policy(detail: Answer, tags: Mapping[str, str] | None, prefix: str) -> LivePolicy:
    """``tags`` is ``None`` where they were not read. Raises ``IncompleteAnswerError``."""
    versions = need(detail, "PolicyVersionList")
    default_id = detail.get("DefaultVersionId")
    known = [{"IsDefaultVersion": v.get("VersionId") == default_id, **v} for v in versions]
    default = next((v for v in known if v["IsDefaultVersion"]), None)
    if default is None:
        raise IncompleteAnswerError("DefaultVersionId")
    made = LivePolicy(
        resource=Policy(
            name=name_of(detail, "PolicyName"),
            document=PolicyDocument.of(need(default, "Document")),
            path=_path(detail),
            description=detail.get("Description", ""),
        ),
        id=need(detail, "PolicyId"),
        arn=need(detail, "Arn"),
        tags_known=False,
        versions=_versions(known),
        attachments=int(need(detail, "AttachmentCount")),
        boundaries=int(detail.get("PermissionsBoundaryUsageCount", 0)),
    )
    return made if tags is None else tagged(made, tags, prefix)


def _versions(known: Iterable[Answer]) -> tuple[PolicyVersion, ...]:
    """AWS numbers them in sequence, so without a date the numbers give the order."""
    listed = list(known)
    is_dated = all(v.get("CreateDate") for v in listed)
    made = []
    for version in listed:
        name = str(need(version, "VersionId"))
        number = float(name.removeprefix("v").partition(".")[0] or 0)
        created = version["CreateDate"].timestamp() if is_dated else number
        is_default = bool(version["IsDefaultVersion"])
        made.append(PolicyVersion(name, is_default, created, version.get("Document")))
    return tuple(sorted(made, key=lambda v: v.created_at))


def principal(kind: Literal["user", "group"], detail: Answer) -> LivePrincipal:
    """Raises ``IncompleteAnswerError``."""
    name, number = {"user": ("UserName", "UserId"), "group": ("GroupName", "GroupId")}[kind]
    attached = need(detail, "AttachedManagedPolicies")
    return LivePrincipal(
        kind,
        name_of(detail, name),
        need(detail, number),
        _path(detail),
        tuple(sorted(need(policy, "PolicyArn") for policy in attached)),
        detail.get("PermissionsBoundary", {}).get("PermissionsBoundaryArn"),
    )


def profile(
    answer: Answer, tags: Mapping[str, str] | None, prefix: str, regions: Container[str]
) -> LiveProfile:
    """``tags`` is ``None`` where they were not read; ``regions`` are those that there are: no
    instance is in flight in any other. Raises ``IncompleteAnswerError``."""
    # The nested role lacks most attributes: only its name and id are used.
    held = next(iter(need(answer, "Roles")), None)
    made = LiveProfile(
        resource=InstanceProfile(
            name=name_of(answer, "InstanceProfileName"),
            role=name_of(held, "RoleName") if held else None,
            path=_path(answer),
        ),
        id=need(answer, "InstanceProfileId"),
        arn=need(answer, "Arn"),
        tags_known=False,
        role_id=need(held, "RoleId") if held else None,
        created_at=need(answer, "CreateDate").timestamp(),
    )
    return made if tags is None else tagged(made, tags, prefix, regions)


def tagged(
    live: _T, tags: Mapping[str, str], prefix: str, regions: Container[str] = frozenset()
) -> _T:
    """The same with its tags, which lists leave out. ``regions`` as in ``profile``."""
    of = live.resource.name if isinstance(live, LiveProfile) else None
    split = split_tags(tags, prefix, is_region=lambda name: name in regions, of=of)
    return replace(
        live,
        resource=replace(live.resource, tags=split.user),
        marks=split.marks,
        aws_tags=split.aws,
        malformed_marks=split.malformed_marks,
        tags_known=True,
    )


def facts(answer: Answer, id_member: str, document: Any = None) -> Facts:
    """Raises ``IncompleteAnswerError``."""
    tags = tags_of(answer.get("Tags"))
    return Facts(need(answer, id_member), need(answer, "Arn"), tags, document)


def row(answer: Answer) -> AssociationRow | None:
    """``None`` for a terminated one: emulators continue to list it. Raises
    ``IncompleteAnswerError``."""
    state = need(answer, "State")
    if state == "disassociated":
        return None
    named = need(answer, "IamInstanceProfile")
    return AssociationRow(
        need(answer, "AssociationId"), need(named, "Arn"), need(named, "Id"), state
    )


def epoch_of(text: Any) -> float | None:
    """``None`` for what is no time."""
    try:
        return datetime.fromisoformat(str(text)).timestamp()
    except ValueError:
        return None


def instance(answer: Answer, region: str, prefix: str) -> LiveInstance:
    """Without its associations. Raises ``IncompleteAnswerError``."""
    split = split_tags(tags_of(answer.get("Tags")), prefix)
    launched = answer.get("LaunchTime")
    return LiveInstance(
        key=InstanceKey(region, need(answer, "InstanceId")),
        state=answer.get("State", {}).get("Name", UNKNOWN),
        launched_at=launched.timestamp() if launched else 0.0,
        tags={**split.user, **split.aws},
        marks=split.marks,
        unstoppable=_unstoppable(answer, split.aws),
        malformed_marks=split.malformed_marks,
        operator=operator_of(answer),
    )


def operator_of(answer: Answer) -> str | None:
    """The service that manages the instance, which is told by ``Managed``, its principal's name, or
    both. Source: docs.aws.amazon.com/AWSEC2/latest/APIReference/API_OperatorResponse.html"""
    operator = answer.get("Operator") or {}
    principal = operator.get("Principal")
    is_managed = operator.get("Managed", principal is not None)
    return str(principal or "an AWS service") if is_managed else None


def with_rows(live: LiveInstance, rows: Iterable[AssociationRow]) -> LiveInstance:
    return replace(live, rows=in_order(rows))


def unseen(key: InstanceKey, rows: Iterable[AssociationRow]) -> LiveInstance:
    """An instance that only its associations name."""
    return LiveInstance(key=key, state=UNKNOWN, rows=in_order(rows))


def in_order(rows: Iterable[AssociationRow]) -> tuple[AssociationRow, ...]:
    return tuple(sorted(rows, key=lambda r: r.id))


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
