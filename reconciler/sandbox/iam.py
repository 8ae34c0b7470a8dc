"""IAM as AWS has it, where moto differs: paging, what lists leave out, conflicts, case."""

from __future__ import annotations

import copy
import json
import re
from datetime import UTC, datetime
from typing import Any

from moto.core.responses import ActionResult, EmptyResult
from moto.iam.aws_managed_policies import aws_managed_policies_data
from moto.iam.models import AWSManagedPolicy, Role
from moto.iam.responses import IamResponse

from reconciler.sandbox import iam_rules, last_accessed
from reconciler.sandbox.faults import refused
from reconciler.sandbox.simulator import simulated, simulated_documents
from reconciler.sandbox.state import World

_ROLE_FIELDS = {"Path": "path", "RoleName": "name", "RoleId": "id", "Arn": "arn"}
_CATALOGUE: dict[str, Any] = {}


class IamLayer:
    """Answers in moto's place; each method is named for the operation it answers."""

    def __init__(self, world: World, originals: dict[str, Any]) -> None:
        self._world = world
        self._originals = originals

    def list_instance_profiles(self, request: IamResponse) -> ActionResult:
        prefix = request._get_param("PathPrefix") or "/"
        backend = request.backend
        found = [p for p in backend.get_instance_profiles() if p.path.startswith(prefix)]
        shapes = [_profile(p) for p in sorted(found, key=lambda p: p.name)]
        return self._page(request, "InstanceProfiles", shapes)

    def list_instance_profiles_for_role(self, request: IamResponse) -> ActionResult:
        role = request.backend.get_role(request._get_param("RoleName"))
        found = request.backend.get_instance_profiles_for_role(role.name)
        return self._page(request, "InstanceProfiles", [_profile(p) for p in found])

    def get_instance_profile(self, request: IamResponse) -> ActionResult:
        profile = request.backend.get_instance_profile(request._get_param("InstanceProfileName"))
        return ActionResult({"InstanceProfile": {**_profile(profile), "Tags": profile.tags}})

    def list_instance_profile_tags(self, request: IamResponse) -> ActionResult:
        profile = request.backend.get_instance_profile(request._get_param("InstanceProfileName"))
        tags = sorted(profile.tags, key=lambda tag: tag["Key"])
        return self._page(request, "Tags", tags)

    def get_account_authorization_details(self, request: IamResponse) -> ActionResult:
        """One cursor over all kinds, as AWS has it: a page may hold some of each."""
        wanted = request._get_param("Filter", [])
        details = request.backend.get_account_authorization_details(wanted)
        flat: list[tuple[str, Any]] = [
            ("RoleDetailList", _role_detail(role)) for role in details["roles"]
        ]
        policies = sorted(details["managed_policies"], key=lambda p: p.arn)
        flat += [
            ("Policies", _policy_detail(p, _bounded(request.backend, p.arn))) for p in policies
        ]
        flat += [("UserDetailList", _user_detail(user)) for user in details["users"]]
        flat += [("GroupDetailList", group) for group in details["groups"]]
        page, more = self._cut(request, flat)
        result: dict[str, Any] = {"IsTruncated": more is not None, "Marker": more}
        for key, item in page:
            result.setdefault(key, []).append(item)
        return ActionResult(result)

    def create_instance_profile(self, request: IamResponse) -> ActionResult:
        name = request._get_param("InstanceProfileName")
        _refuse_clash(name, [p.name for p in request.backend.get_instance_profiles()])
        answer = self._originals["create_instance_profile"](request)
        profile = answer.result["InstanceProfile"]
        del request.backend.instance_profiles[name]
        profile.id = self._world.unique_id("AIPA")
        profile.create_date = self._world.moment()
        request.backend.instance_profiles[name] = profile
        self._world.note_role(profile.id, None)
        return ActionResult({"InstanceProfile": {**_profile(profile), "Tags": profile.tags}})

    def add_role_to_instance_profile(self, request: IamResponse) -> ActionResult:
        answer = self._originals["add_role_to_instance_profile"](request)
        profile = request.backend.get_instance_profile(request._get_param("InstanceProfileName"))
        self._world.note_role(profile.id, profile.roles[0])
        return answer

    def remove_role_from_instance_profile(self, request: IamResponse) -> ActionResult:
        profile = request.backend.get_instance_profile(request._get_param("InstanceProfileName"))
        name = request._get_param("RoleName")
        if name not in [role.name for role in profile.roles]:
            raise refused("iam", "NoSuchEntity", f"Cannot find role {name} in {profile.name}.", 404)
        answer = self._originals["remove_role_from_instance_profile"](request)
        self._world.note_role(profile.id, None)
        return answer

    def create_role(self, request: IamResponse) -> ActionResult:
        _refuse_clash(request._get_param("RoleName"), [r.name for r in request.backend.get_roles()])
        _refuse_unknown_principals(request, request._get_param("AssumeRolePolicyDocument"))
        boundary = request._get_param("PermissionsBoundary")
        if boundary:
            _supply(request, boundary)
            request.backend.get_policy(boundary)
        self._originals["create_role"](request)
        role = request.backend.get_role(request._get_param("RoleName"))
        trust = role.assume_role_policy_document
        # AWS's answer to this one says neither description nor session.
        return ActionResult({"Role": {**_role(role), "AssumeRolePolicyDocument": trust}})

    def update_role(self, request: IamResponse) -> ActionResult:
        """Omitted values stay as they are."""
        role = request.backend.get_role(request._get_param("RoleName"))
        request.params.setdefault("Description", role.description)
        request.params.setdefault("MaxSessionDuration", role.max_session_duration)
        return self._originals["update_role"](request)

    def list_role_policies(self, request: IamResponse) -> ActionResult:
        names = request.backend.list_role_policies(request._get_param("RoleName"))
        return self._page(request, "PolicyNames", sorted(names))

    def tag_instance_profile(self, request: IamResponse) -> ActionResult:
        profile = request.backend.get_instance_profile(request._get_param("InstanceProfileName"))
        given = {tag["Key"] for tag in request._get_param("Tags", [])}
        iam_rules.most_tags(given | {tag["Key"] for tag in profile.tags})
        return self._originals["tag_instance_profile"](request)

    def delete_role(self, request: IamResponse) -> ActionResult:
        """Trust policies that name it show its unique id from then on, also if it is created
        again."""
        role = request.backend.get_role(request._get_param("RoleName"))
        answer = self._originals["delete_role"](request)
        for other in request.backend.get_roles():
            named = other.assume_role_policy_document.replace(f'"{role.arn}"', f'"{role.id}"')
            other.assume_role_policy_document = named
        return answer

    def get_role(self, request: IamResponse) -> ActionResult:
        """With when its credentials were last used, which AWS notes for instances too."""
        role = request.backend.get_role(request._get_param("RoleName"))
        used = self._world.sessions.last_used(role.id)
        if used is not None:
            # As moto keeps its dates.
            role.last_used = datetime.fromtimestamp(used.at, tz=UTC).replace(tzinfo=None)
            role.last_used_region = used.key[1]
        return self._originals["get_role"](request)

    def update_assume_role_policy(self, request: IamResponse) -> ActionResult:
        _refuse_unknown_principals(request, request._get_param("PolicyDocument"))
        return self._originals["update_assume_role_policy"](request)

    def tag_role(self, request: IamResponse) -> ActionResult:
        """Role tag keys are one regardless of case; the case given last stays."""
        role = request.backend.get_role(request._get_param("RoleName"))
        given = {tag["Key"].casefold() for tag in request._get_param("Tags", [])}
        stays = [tag for tag in role.tags if tag["Key"].casefold() not in given]
        iam_rules.most_tags(given | {tag["Key"].casefold() for tag in stays})
        role.tags = stays
        return self._originals["tag_role"](request)

    def untag_role(self, request: IamResponse) -> ActionResult:
        role = request.backend.get_role(request._get_param("RoleName"))
        given = {key.casefold() for key in request._get_param("TagKeys", [])}
        role.tags = [tag for tag in role.tags if tag["Key"].casefold() not in given]
        return EmptyResult()

    def create_policy(self, request: IamResponse) -> ActionResult:
        local = [p for p in request.backend.managed_policies.values() if ":aws:policy" not in p.arn]
        _refuse_clash(request._get_param("PolicyName"), [p.name for p in local])
        # moto takes keys that differ in case for one.
        tags = request.params.pop("Tags", [])
        answer = self._originals["create_policy"](request)
        policy = answer.result["Policy"]
        policy.tags = {tag["Key"]: tag for tag in tags}
        return answer

    def tag_policy(self, request: IamResponse) -> ActionResult:
        policy = request.backend.get_policy(request._get_param("PolicyArn"))
        given = {tag["Key"]: tag for tag in request._get_param("Tags", [])}
        iam_rules.most_tags({*policy.tags, *given})
        policy.tags.update(given)
        return EmptyResult()

    def untag_policy(self, request: IamResponse) -> ActionResult:
        policy = request.backend.get_policy(request._get_param("PolicyArn"))
        for key in request._get_param("TagKeys", []):
            policy.tags.pop(key, None)
        return EmptyResult()

    def delete_policy(self, request: IamResponse) -> ActionResult:
        arn = request._get_param("PolicyArn")
        policy = request.backend.get_policy(arn)
        backend = request.backend
        holders = (*backend.get_roles(), *backend.users.values(), *backend.groups.values())
        is_attached = any(arn in holder.managed_policies for holder in holders)
        if is_attached or _bounded(request.backend, arn):
            raise refused(
                "iam", "DeleteConflict", "Cannot delete a policy attached to entities.", 409
            )
        if len(policy.versions) > 1:
            raise refused("iam", "DeleteConflict", "This policy has more than one version.", 409)
        return self._originals["delete_policy"](request)

    def get_policy(self, request: IamResponse) -> ActionResult:
        arn = request._get_param("PolicyArn")
        _supply(request, arn)
        answer: ActionResult = self._originals["get_policy"](request)
        policy = answer.result["Policy"]
        policy.permissions_boundary_usage_count = _bounded(request.backend, arn)
        return answer

    def attach_role_policy(self, request: IamResponse) -> ActionResult:
        arn, name = request._get_param("PolicyArn"), request._get_param("RoleName")
        _supply(request, arn)
        if arn in request.backend.get_role(name).managed_policies:
            return EmptyResult()
        return self._originals["attach_role_policy"](request)

    def put_role_permissions_boundary(self, request: IamResponse) -> ActionResult:
        arn = request._get_param("PermissionsBoundary")
        _supply(request, arn)
        request.backend.get_policy(arn)
        return self._originals["put_role_permissions_boundary"](request)

    def delete_role_permissions_boundary(self, request: IamResponse) -> ActionResult:
        role = request.backend.get_role(request._get_param("RoleName"))
        if not role.permissions_boundary_arn:
            raise refused("iam", "NoSuchEntity", f"{role.name} has no permissions boundary.", 404)
        return self._originals["delete_role_permissions_boundary"](request)

    def simulate_principal_policy(self, request: IamResponse) -> ActionResult:
        denied = self._world.chaos.denied
        return ActionResult(simulated(request.backend, denied, request.params))

    def simulate_custom_policy(self, request: IamResponse) -> ActionResult:
        return ActionResult(simulated_documents(request.params))

    def generate_service_last_accessed_details(self, request: IamResponse) -> ActionResult:
        level = request._get_param("Granularity") or "SERVICE_LEVEL"
        account, arn = request.current_account, str(request._get_param("Arn"))
        job = last_accessed.begin(self._world, request.backend, account, arn, level)
        return ActionResult({"JobId": job})

    def get_service_last_accessed_details(self, request: IamResponse) -> ActionResult:
        job, account = str(request._get_param("JobId")), request.current_account
        answer, services = last_accessed.report(self._world, request.backend, account, job)
        page, more = self._cut(request, services)
        return ActionResult(
            {
                **answer,
                "ServicesLastAccessed": page,
                "IsTruncated": more is not None,
                "Marker": more,
            }
        )

    def create_user(self, request: IamResponse) -> ActionResult:
        boundary = request._get_param("PermissionsBoundary")
        if boundary:
            _supply(request, boundary)
            request.backend.get_policy(boundary)
        answer: ActionResult = self._originals["create_user"](request)
        user = answer.result["User"]
        user.permissions_boundary_arn = boundary
        user.id = self._world.unique_id("AIDA")
        return answer

    def create_group(self, request: IamResponse) -> ActionResult:
        answer: ActionResult = self._originals["create_group"](request)
        answer.result["Group"].id = self._world.unique_id("AGPA")
        return answer

    def put_user_permissions_boundary(self, request: IamResponse) -> ActionResult:
        arn = request._get_param("PermissionsBoundary")
        _supply(request, arn)
        request.backend.get_policy(arn)
        user = request.backend.get_user(request._get_param("UserName"))
        user.permissions_boundary_arn = arn
        return EmptyResult()

    def delete_user_permissions_boundary(self, request: IamResponse) -> ActionResult:
        user = request.backend.get_user(request._get_param("UserName"))
        user.permissions_boundary_arn = None
        return EmptyResult()

    def _page(self, request: IamResponse, key: str, items: list[Any]) -> ActionResult:
        page, more = self._cut(request, items)
        return ActionResult({key: page, "IsTruncated": more is not None, "Marker": more})

    def _cut(self, request: IamResponse, items: list[Any]) -> tuple[list[Any], str | None]:
        size = self._world.page(int(request._get_param("MaxItems") or 100))
        marker = str(request._get_param("Marker") or "0")
        if not re.fullmatch("[0-9]{1,9}", marker):
            raise refused("iam", "ValidationError", "Invalid Marker.")
        start = int(marker)
        end = start + size
        return items[start:end], str(end) if end < len(items) else None


def _supply(request: IamResponse, arn: str) -> None:
    provide(request.backend, request.current_account, arn)


def provide(backend: Any, account: str, arn: str) -> None:
    """AWS's own policies are there when they are asked for, not 1,600 at the start."""
    if ":iam::aws:policy/" not in arn or arn in backend.managed_policies:
        return
    if not _CATALOGUE:
        _CATALOGUE.update(json.loads(aws_managed_policies_data))
    name = arn.rpartition("/")[2]
    data = _CATALOGUE.get(name)
    if data is not None and arn.endswith(f":policy{data['Path']}{name}"):
        made = AWSManagedPolicy.from_data(name, account, backend.region_name, data)
        backend.managed_policies[arn] = made
        backend.aws_managed_policies.append(made)


def _profile(profile: Any) -> dict[str, Any]:
    """Without tags, and with only those members of the role that AWS shows."""
    return {
        "Path": profile.path,
        "InstanceProfileName": profile.name,
        "InstanceProfileId": profile.id,
        "Arn": profile.arn,
        "CreateDate": profile.create_date,
        "Roles": [_role(role) for role in profile.roles],
    }


def _role(role: Any) -> dict[str, Any]:
    shape = {key: getattr(role, name) for key, name in _ROLE_FIELDS.items()}
    return {**shape, "CreateDate": role.create_date}


def _bounded(backend: Any, arn: str) -> int:
    """How many roles and users have the policy as their boundary; moto's users have none."""
    entities = (*backend.get_roles(), *backend.users.values())
    return sum(getattr(e, "permissions_boundary_arn", None) == arn for e in entities)


class _RoleDetail(Role):  # type: ignore[misc]
    """A role, whose profiles are told without tags and with part of a role, as in AWS's lists."""

    @property
    def instance_profile_list(self) -> list[Any]:
        return self.shown  # type: ignore[no-any-return]


def _role_detail(role: Role) -> Any:
    made = copy.copy(role)
    made.__class__ = _RoleDetail
    # Of the role itself: moto looks for the profiles that have this very object.
    made.shown = [_profile(one) for one in role.instance_profile_list]
    return made


_RoleDetail.__name__ = Role.__name__  # moto finds members of an answer by it


def _policy_detail(policy: Any, bounded: int) -> dict[str, Any]:
    """moto leaves out name and id; AWS leaves out tags."""
    return {
        "PolicyName": policy.name,
        "PolicyId": policy.id,
        "Arn": policy.arn,
        "Path": policy.path,
        "DefaultVersionId": policy.default_version_id,
        "AttachmentCount": policy.attachment_count,
        "PermissionsBoundaryUsageCount": bounded,
        "IsAttachable": True,
        "Description": policy.description or None,
        "CreateDate": policy.create_date,
        "UpdateDate": policy.update_date,
        "PolicyVersionList": policy.versions,
    }


def _user_detail(user: Any) -> dict[str, Any]:
    """moto has no boundary of a user, and no name where nothing else is asked for."""
    boundary = getattr(user, "permissions_boundary_arn", None)
    return {
        "Path": user.path,
        "UserName": user.name,
        "UserId": user.id,
        "Arn": user.arn,
        "CreateDate": user.create_date,
        "UserPolicyList": user.user_policy_list,
        "GroupList": user.group_list,
        "AttachedManagedPolicies": user.attached_managed_policies,
        "Tags": user.tags or [],
        **(
            {
                "PermissionsBoundary": {
                    "PermissionsBoundaryType": "Policy",
                    "PermissionsBoundaryArn": boundary,
                }
            }
            if boundary
            else {}
        ),
    }


def _refuse_clash(name: str, names: list[str]) -> None:
    if name.casefold() in {other.casefold() for other in names}:
        raise refused("iam", "EntityAlreadyExists", f"{name} already exists.", 409)


def _refuse_unknown_principals(request: IamResponse, document: str) -> None:
    """AWS refuses a trust policy that names a role which is not there."""
    try:
        statements = json.loads(document)["Statement"]
    except (ValueError, KeyError, TypeError) as error:
        message = "This policy contains invalid Json"
        raise refused("iam", "MalformedPolicyDocument", message) from error
    statements = statements if isinstance(statements, list) else [statements]
    if not all(isinstance(statement, dict) for statement in statements):
        raise refused("iam", "MalformedPolicyDocument", "Syntax errors in policy.")
    known = {role.arn for role in request.backend.get_roles()}
    start = f":iam::{request.current_account}:role/"
    for statement in statements:
        principal = statement.get("Principal")
        named = principal.get("AWS", []) if isinstance(principal, dict) else []
        for arn in [named] if isinstance(named, str) else named:
            if start in arn and arn not in known:
                raise refused(
                    "iam", "MalformedPolicyDocument", f'Invalid principal in policy: "AWS":"{arn}"'
                )
