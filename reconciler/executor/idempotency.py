"""Whether AWS already looks as a call would leave it, and what became of the instance that a call
is about: read after a lost answer or a refusal, never guessed."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from reconciler.errors import AwsError, InstanceEndedError
from reconciler.model.address import (
    Address,
    name_of,
    policy_address,
    role_address,
    same_name,
    same_resource,
)
from reconciler.model.live import (
    AssociationRow,
    LiveEntity,
    LiveInstance,
    LivePolicy,
    LiveProfile,
    LiveRole,
)
from reconciler.model.ownership import InstanceKey
from reconciler.model.policy_document import PolicyDocument, principals
from reconciler.plan.calls import ApiCall
from reconciler.ports import Facts, Reader

OF_ITS_STATE = frozenset(
    {
        "IncorrectState",
        "IncorrectInstanceState",
        "InvalidAssociationID.NotFound",
        "InvalidInstanceID.NotFound",
    }
)
"""Codes that follow from the state of the instance, or of its association."""


UNSHOWN_SECONDS = 10.0
"""Seconds of retries for an instance that EC2 does not show: it ended long ago, or the response is
outdated."""


OTHERS_SECONDS = 2.0
"""Seconds of retries if another actor's association is listed: it may be gone already."""


@dataclass(frozen=True, slots=True)
class ObservedEffect:
    """Why AWS refused a call about an instance, and for how many seconds that may yet pass."""

    because: str
    seconds: float = 0.0
    has_ended: bool = False

    def explained(self, error: AwsError) -> AwsError:
        made = InstanceEndedError if self.has_ended else AwsError
        message = self.because if self.has_ended else f"{error.message}; {self.because}"
        return made(
            error.call, error.code, message, status=error.status, request_id=error.request_id
        )


def observed_effect(
    call: ApiCall, error: AwsError, reader: Reader, instance: str | None
) -> ObservedEffect | None:
    """What happened to the one instance of ``call``, if that explains the refusal. ``None`` if the
    instance is as expected, starts or stops, or if nothing is known."""
    name = named_instance(call) or instance
    if call.service != "ec2" or error.code not in OF_ITS_STATE or name is None:
        return None
    found = next(iter(reader.instances([InstanceKey(call.region or "", name)])), None)
    if found is None:
        return ObservedEffect(ended(name), UNSHOWN_SECONDS, has_ended=True)
    if found.is_gone:
        return ObservedEffect(ended(name), has_ended=True)
    if call.operation == "ReplaceIamInstanceProfileAssociation":
        return _not_replaced(call, found)
    if call.operation == "AssociateIamInstanceProfile" and error.code == "IncorrectState":
        row = found.row
        arn = call.params.get("IamInstanceProfile", {}).get("Arn", "")
        if row is not None and not same_resource(row.profile_arn, arn):
            return ObservedEffect(taken(name, row), OTHERS_SECONDS)
    return None


def _not_replaced(call: ApiCall, found: LiveInstance) -> ObservedEffect | None:
    name, row = found.key.instance, found.row
    if row is None:
        return ObservedEffect(f"the association of {name} was removed since the plan; plan again")
    if row.id != call.params["AssociationId"]:
        return ObservedEffect(taken(name, row), OTHERS_SECONDS)
    if found.state in ("stopping", "stopped"):
        return ObservedEffect(
            f"{name} has stopped since the plan; the next apply moves it while it is stopped"
        )
    return None


def ended(instance: str) -> str:
    return f"{instance} has terminated; nothing is left to do for it"


def taken(instance: str, row: AssociationRow) -> str:
    return (
        f"{instance} was associated with instance-profile/{row.profile_name} outside of this run "
        "since the plan; plan again"
    )


def named_instance(call: ApiCall) -> str | None:
    """The one instance that the call names; ``None`` for none, or several."""
    named = [*call.params.get("Resources", ()), *call.params.get("InstanceIds", ())]
    only = call.params.get("InstanceId") or (named[0] if len(named) == 1 else None)
    return None if only is None else str(only)


def already_applied(
    call: ApiCall, reader: Reader, account_policies: str, instance: str | None = None
) -> bool:
    """Whether the call has already taken effect.

    ``account_policies`` is the prefix of the ARNs of this account's policies; ``instance`` is the
    instance of a call about an association. ``False`` also if it is not known; then the call is
    sent again.
    """
    params = call.params
    match call.operation:
        case "CreateRole":
            return _is_made(call, reader.role(params["RoleName"]))
        case "CreatePolicy":
            arn = account_policies + params["Path"] + params["PolicyName"]
            return _is_made(call, reader.policy(arn))
        case "CreatePolicyVersion":
            default = reader.policy(params["PolicyArn"])
            wanted = PolicyDocument.of(json.loads(params["PolicyDocument"]))
            return default is not None and PolicyDocument.of(default.document) == wanted
        case "CreateInstanceProfile":
            profile = reader.profile(params["InstanceProfileName"])
            return profile is not None and _has_marks(call, profile)
        case "AddRoleToInstanceProfile" | "RemoveRoleFromInstanceProfile":
            profile = reader.profile(params["InstanceProfileName"])
            if profile is None:
                return False
            is_inside = same_name(profile.resource.role, params["RoleName"])
            return is_inside == call.operation.startswith("Add")
        case "DeleteRole":
            return reader.role(params["RoleName"]) is None
        case "DeletePolicy":
            return reader.policy(params["PolicyArn"]) is None
        case "DeleteInstanceProfile":
            return reader.profile(params["InstanceProfileName"]) is None
        case "DetachRolePolicy" | "DeleteRolePolicy" | "DeleteRolePermissionsBoundary":
            return _is_off(call, reader.entity(role_address(params["RoleName"]), ""))
        case "DeletePolicyVersion":
            arn, version = params["PolicyArn"], params["VersionId"]
            found = reader.entity(policy_address(name_of(arn)), arn)
            return isinstance(found, LivePolicy) and version not in {v.id for v in found.versions}
        case _:
            return _is_associated(call, reader, call.params.get("InstanceId", instance))


def is_named_there(call: ApiCall, reader: Reader, account_policies: str) -> bool:
    """Whether everything that the call refers to can be read: then a refusal that says otherwise
    comes from a part of IAM that has not heard of it yet."""
    params = call.params
    is_there = True
    if "InstanceProfileName" in params:
        is_there = reader.profile(params["InstanceProfileName"]) is not None
    if "RoleName" in params and call.operation != "CreateRole":
        is_there = is_there and reader.role(params["RoleName"]) is not None
    if "PolicyArn" in params:
        is_there = is_there and reader.policy(params["PolicyArn"]) is not None
    trusted = _trusted(call, _roles_of(account_policies))
    return is_there and all(reader.role(name_of(arn)) is not None for arn in trusted)


def is_young_principal(
    call: ApiCall,
    error: AwsError,
    reader: Reader,
    account_policies: str,
    was_made: Callable[[Address], bool],
) -> bool:
    """Whether the principal that AWS calls invalid is a role of this account that was made, or that
    can be read at that very ARN. Where the message names none, each of the call's may be
    meant."""
    start = _roles_of(account_policies)
    quoted = re.findall(r'"([^"]*)"', error.message)
    named = [arn for arn in quoted if arn.startswith(start)] if quoted else _trusted(call, start)
    for arn in named:
        if was_made(role_address(name_of(arn))):
            return True
        found = reader.role(name_of(arn))
        if found is not None and found.arn == arn:
            return True
    return False


def _trusted(call: ApiCall, start: str) -> Iterator[str]:
    """ARNs of this account's roles that a trust policy in the call names."""
    key = {"CreateRole": "AssumeRolePolicyDocument", "UpdateAssumeRolePolicy": "PolicyDocument"}
    named = principals(json.loads(call.params.get(key.get(call.operation, ""), "{}")))
    return (arn for arn in named if arn.startswith(start))


def _roles_of(account_policies: str) -> str:
    """How the ARNs of this account's roles begin."""
    return account_policies.removesuffix(":policy") + ":role/"


def _is_off(call: ApiCall, role: LiveEntity | None) -> bool:
    """Whether the role exists without what the call removes."""
    if not isinstance(role, LiveRole):
        return False
    held = role.resource
    match call.operation:
        case "DetachRolePolicy":
            return call.params["PolicyArn"] not in held.managed_policies
        case "DeleteRolePolicy":
            names = [name for name, _ in held.inline_policies]
            return not any(same_name(name, call.params["PolicyName"]) for name in names)
        case _:
            return held.permissions_boundary is None


def _is_made(call: ApiCall, found: Facts | None) -> bool:
    """Ours by its tags: another's resource of that name is no proof that our call arrived."""
    if found is None:
        return False
    wanted = {tag["Key"]: tag["Value"] for tag in call.params.get("Tags", ())}
    return all(found.tags.get(key) == value for key, value in wanted.items())


def _has_marks(call: ApiCall, profile: LiveProfile) -> bool:
    """Ours by its marks, of which the call has every one, and the owner's names this profile."""
    given = {str(tag["Key"]): str(tag["Value"]) for tag in call.params.get("Tags", ())}
    is_given = [
        any(key.endswith(name) and value == mark for key, value in given.items())
        for name, mark in profile.marks.items()
    ]
    return profile.owner is not None and all(is_given)


def _is_associated(call: ApiCall, reader: Reader, instance: str | None) -> bool:
    if instance is None or call.region is None:
        return False
    found = reader.instances([InstanceKey(call.region, instance)])
    if call.operation == "DisassociateIamInstanceProfile":
        association = call.params["AssociationId"]
        return all(i.row is None or i.row.id != association for i in found)
    arn = call.params.get("IamInstanceProfile", {}).get("Arn")
    return any(i.row is not None and i.row.profile_arn == arn for i in found)
