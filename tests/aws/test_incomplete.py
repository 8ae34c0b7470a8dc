"""Answers that lack a member: completed, asked for by themselves, or one clear error; never a
traceback, and never taken for what they do not say.

Emulators leave members out: LocalStack 4 the names of policies, MiniStack the dates of versions,
moto the ids; AWS's model requires next to nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from reconciler.aws import paging
from reconciler.aws.reader import AwsReader
from reconciler.errors import AwsError
from reconciler.plan.plan import Plan
from tests.rig import Rig, rig

SPEC = """
policies:
  read: {path: /p/, document: &d {Version: 2012-10-17, Statement: [{Effect: Allow, Action: 's3:*', Resource: '*'}]}, tags: {k: v}}
roles:
  a: {trust: ec2, path: /r/, description: d, managed_policies: [read], inline_policies: {own: *d}, max_session_duration: 2h, tags: {Team: web}}
instance_profiles:
  web: {role: a, path: /i/, tags: {x: y}}
associations:
  fleet: {instance_profile: web, select: {tags: {app: web}}}
"""
SECOND = "'s3:Get*'"

Answers = dict[str, list[dict[str, Any]]]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rig]:
    with rig(Path(tmp_path_factory.mktemp("incomplete"))) as aws:
        aws.launch(1, tags={"app": "web"})
        aws.write(SPEC.replace("'s3:*'", SECOND))
        aws.settle()
        aws.write(SPEC)
        aws.settle()
        yield aws


class Dropping:
    """Between botocore and the reader: one member of every item of one list is left out."""

    def __init__(self, operation: str, path: tuple[str, ...]) -> None:
        self.operation, self.path = operation, path
        self.dropped = 0

    def __call__(self, parsed: Any, model: Any, **_: Any) -> None:
        if model.name == self.operation:
            self._drop(parsed, self.path)

    def _drop(self, node: Any, path: tuple[str, ...]) -> None:
        if isinstance(node, list):
            for item in node:
                self._drop(item, path)
        elif isinstance(node, dict) and path[0] in node:
            if len(path) == 1:
                del node[path[0]]
                self.dropped += 1
            else:
                self._drop(node[path[0]], path[1:])


def answering(aws: Rig, dropping: Callable[..., None], **flags: Any) -> Plan:
    """A plan made of answers that were changed on the way."""
    clients = reader_of(aws)._clients
    event = "after-call"
    opened = [
        clients.get(s, r) for s, r in (("iam", None), ("ec2", "us-east-1"), ("ec2", "eu-west-1"))
    ]
    for client in opened:
        client.meta.events.register(event, dropping)
    try:
        return aws.plan(**flags).plan
    finally:
        for client in opened:
            client.meta.events.unregister(event, dropping)


def reader_of(aws: Rig) -> AwsReader:
    (connection,) = aws.opened.values()
    assert isinstance(connection.reader, AwsReader)
    return connection.reader


ROLE = ("Path", "RoleName", "RoleId", "Arn", "CreateDate", "AssumeRolePolicyDocument")
PROFILE = ("Path", "InstanceProfileName", "InstanceProfileId", "Arn", "CreateDate", "Roles")
POLICY = (
    "PolicyName",
    "PolicyId",
    "Arn",
    "Path",
    "DefaultVersionId",
    "AttachmentCount",
    "CreateDate",
    "UpdateDate",
    "IsAttachable",
    "PolicyVersionList",
)
GAAD = "GetAccountAuthorizationDetails"
BULK: list[tuple[str, tuple[str, ...]]] = [
    *((GAAD, ("RoleDetailList", m)) for m in (*ROLE, "Tags", "AttachedManagedPolicies", "RolePolicyList", "InstanceProfileList", "RoleLastUsed")),
    *((GAAD, ("RoleDetailList", "RolePolicyList", m)) for m in ("PolicyName", "PolicyDocument")),
    *((GAAD, ("RoleDetailList", "AttachedManagedPolicies", m)) for m in ("PolicyName", "PolicyArn")),
    *((GAAD, ("Policies", m)) for m in POLICY if m != "Arn"),
    *((GAAD, ("Policies", "PolicyVersionList", m)) for m in ("CreateDate", "IsDefaultVersion", "Document", "VersionId")),
    *(("ListRoles", ("Roles", m)) for m in (*ROLE, "MaxSessionDuration")),
    *(("ListInstanceProfiles", ("InstanceProfiles", m)) for m in PROFILE),
    *(("ListInstanceProfiles", ("InstanceProfiles", "Roles", m)) for m in ROLE[:-1]),
    *(("DescribeInstances", ("Reservations", "Instances", m)) for m in ("LaunchTime", "RootDeviceType", "InstanceLifecycle", "IamInstanceProfile")),
    *(("DescribeIamInstanceProfileAssociations", ("IamInstanceProfileAssociations", m)) for m in ("Timestamp",)),
]  # fmt: skip


def name(case: object) -> str:
    operation, path = case if isinstance(case, tuple) else ("", ())
    return f"{operation}:{'.'.join(path)}"


@pytest.mark.parametrize("case", BULK, ids=name)
def test_a_bulk_answer_without_it_makes_the_same_plan(
    made: Rig, case: tuple[str, tuple[str, ...]]
) -> None:
    plan = answering(made, dropping := Dropping(*case))
    optional = {"InstanceLifecycle", "Timestamp", "RoleLastUsed", "InstanceProfileList"}
    assert dropping.dropped or case[1][-1] in optional
    assert plan.is_empty, plan.changes
    assert not plan.unread
    assert answering(made, Dropping(*case), prune=True).is_empty


ROLE_ALONE = (*ROLE, "Description", "MaxSessionDuration", "Tags")
ALONE: list[tuple[str, tuple[str, ...]]] = [
    *(("GetRole", ("Role", m)) for m in ("Path", "RoleName", "RoleLastUsed")),
    *(("GetPolicy", ("Policy", m)) for m in ("Path", "PolicyName", "CreateDate", "UpdateDate", "IsAttachable")),
    *(("GetPolicyVersion", ("PolicyVersion", m)) for m in ("VersionId", "IsDefaultVersion", "CreateDate")),
    *(("ListPolicyVersions", ("Versions", m)) for m in ("IsDefaultVersion", "CreateDate")),
    *(("GetInstanceProfile", ("InstanceProfile", m)) for m in ("Path", "InstanceProfileName")),
    *(("GetRolePolicy", (m,)) for m in ("RoleName", "PolicyName")),
    *(("ListAttachedRolePolicies", ("AttachedPolicies", m)) for m in ("PolicyName",)),
]  # fmt: skip


@pytest.mark.parametrize("case", ALONE, ids=name)
def test_an_answer_about_one_thing_without_it_makes_the_same_plan(
    made: Rig, case: tuple[str, tuple[str, ...]]
) -> None:
    plan = answering(made, Dropping(*case), only=("role/*", "policy/*", "instance-profile/*"))
    assert plan.is_empty, plan.changes


REQUIRED: list[tuple[str, tuple[str, ...], str]] = [
    ("GetRole", ("Role",), "iam:GetRole"),
    *(("GetRole", ("Role", m), "iam:GetRole") for m in ("RoleId", "Arn", "AssumeRolePolicyDocument")),
    *(("GetPolicy", ("Policy", m), "iam:GetPolicy") for m in ("PolicyId", "DefaultVersionId")),
    ("GetPolicyVersion", ("PolicyVersion", "Document"), "iam:GetPolicyVersion"),
    ("GetRolePolicy", ("PolicyDocument",), "iam:GetRolePolicy"),
    *(("GetInstanceProfile", ("InstanceProfile", m), "iam:GetInstanceProfile") for m in ("InstanceProfileId", "Arn", "Roles")),
]  # fmt: skip


@pytest.mark.parametrize(("operation", "path", "call"), REQUIRED)
def test_what_nothing_else_tells_is_one_clear_error(
    made: Rig, operation: str, path: tuple[str, ...], call: str
) -> None:
    with pytest.raises(AwsError) as error:
        answering(
            made, Dropping(operation, path), only=("role/*", "policy/*", "instance-profile/*")
        )
    assert error.value.call == call
    assert error.value.message == f"the response has no {path[-1]}"
    assert error.value.code == paging.INCOMPLETE


EC2: list[tuple[str, tuple[str, ...]]] = [
    *(("DescribeIamInstanceProfileAssociations", ("IamInstanceProfileAssociations", m)) for m in ("AssociationId", "InstanceId", "State", "IamInstanceProfile")),
    *(("DescribeIamInstanceProfileAssociations", ("IamInstanceProfileAssociations", "IamInstanceProfile", m)) for m in ("Arn", "Id")),
    ("DescribeInstances", ("Reservations", "Instances", "InstanceId")),
]  # fmt: skip


@pytest.mark.parametrize("case", EC2, ids=name)
def test_a_region_whose_answer_is_not_whole_is_not_known(
    made: Rig, case: tuple[str, tuple[str, ...]]
) -> None:
    plan = answering(made, Dropping(*case))
    told = [u.reason for u in plan.unread]
    assert told == [f"ec2:{case[0]}: the response has no {case[1][-1]}"]


def test_an_instance_without_a_state_is_not_known(made: Rig) -> None:
    """It is nobody's that has stopped."""
    plan = answering(made, Dropping("DescribeInstances", ("Reservations", "Instances", "State")))
    assert not plan.changes
    kept = [k.reason for t in plan.targets for k in t.kept if k.address.is_instance]
    assert any("counts as running" in reason for reason in kept)


def test_a_row_that_has_ended_is_no_association(made: Rig) -> None:
    """moto and LocalStack go on listing it."""

    def ended(parsed: Any, model: Any, **_: Any) -> None:
        if model.name == "DescribeIamInstanceProfileAssociations":
            for row in parsed["IamInstanceProfileAssociations"]:
                row["State"] = "disassociated"

    plan = answering(made, ended)
    (change,) = plan.changes
    assert change.actions == ("create",)
    assert change.address.is_instance


NOT_THERE = {
    "LocalStack": AwsError("iam:x", "InternalFailure", "not yet implemented or pro", status=501),
    "moto's page of HTML": AwsError("iam:x", "ResponseParserError", "not AWS", is_uncertain=True),
    "another emulator": AwsError("iam:x", "InvalidAction", "unknown", status=400),
}


@pytest.mark.parametrize("emulator", NOT_THERE)
@pytest.mark.parametrize("missing", ["ListInstanceProfileTags", "ListPolicyTags"])
def test_tags_come_with_the_thing_where_nobody_lists_them(
    made: Rig, monkeypatch: pytest.MonkeyPatch, emulator: str, missing: str
) -> None:
    asked = paging.ApiReader.each_page

    def pages(self: Any, of: Any, service: str, operation: str, *more: Any, **params: Any) -> Any:
        if paging.call_name(service, operation) == f"iam:{missing}":
            raise NOT_THERE[emulator]
        return asked(self, of, service, operation, *more, **params)

    monkeypatch.setattr(paging.ApiReader, "each_page", pages)
    assert made.plan().plan.is_empty
    assert made.plan(prune=True).plan.is_empty


def test_localstack_s_answers(made: Rig) -> None:
    """Several members are missing at once: version 4.14 has neither names nor ids of policies."""

    def localstack(parsed: Any, model: Any, **_: Any) -> None:
        if model.name == GAAD:
            for policy in parsed.get("Policies", ()):
                for member in ("PolicyName", "PolicyId", "Description", "AttachmentCount"):
                    policy.pop(member, None)
                for version in policy["PolicyVersionList"]:
                    version.pop("CreateDate", None)
            for role in parsed.get("RoleDetailList", ()):
                role.pop("Tags", None)

    assert answering(made, localstack).is_empty
    assert answering(made, localstack, destroy=True).changes
