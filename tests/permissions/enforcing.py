"""A sandbox that allows what a policy allows, and nothing else.

moto has an evaluator (``moto.iam.access_control``), but it cannot tell whether a policy is enough:
it takes every request to IAM to be about ``*``, passes over the conditions of identity policies,
and asks neither for ``iam:PassRole`` nor about the tags in a request. So what AWS checks of each
request is written down here: the ARN of what is changed as it is in the account, the keys of the
request, and what is asked for beside the action of the call. It is a second reading of the service
authorization reference, and takes nothing from the table of the program."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Any

from moto.ec2.models import ec2_backends
from moto.iam.models import iam_backends

from reconciler.sandbox.faults import refused
from reconciler.sandbox.state import Logged, World
from tests.rig import OURS

Context = dict[str, tuple[str, ...]]
_ON_ROLE = ("Role", "RolePolicy", "RolePolicies", "RoleTags", "RolePermissionsBoundary")
_ON_NOTHING = (
    "GetAccountAuthorizationDetails",
    "GetAccountSummary",
    "ListAccountAliases",
    "ListInstanceProfiles",
    "ListPolicies",
    "ListRoles",
)


@dataclass(frozen=True, slots=True)
class Check:
    """One question that AWS asks of a policy."""

    action: str
    resource: str
    context: Context = field(default_factory=dict)


@dataclass
class Enforcer:
    """Put into ``World.before``. ``denied`` is what was refused; ``used`` are the statements that
    allowed something, and ``seen`` the calls."""

    world: World
    statements: Sequence[Mapping[str, Any]]
    denied: list[Check] = field(default_factory=list)
    used: set[str] = field(default_factory=set)
    seen: set[str] = field(default_factory=set)
    account: str | None = None
    """Whose calls are checked; ``None`` for those in all accounts."""

    def __call__(self, logged: Logged) -> None:
        if OURS not in logged.user_agent or self.account not in (None, logged.account):
            return
        self.seen.add(logged.name)
        if logged.name == "sts:GetCallerIdentity":  # needs no permission
            return
        for check in checks(self.world, logged):
            allowing = [one for one in self.statements if allows(one, check)]
            self.used |= {one["Sid"] for one in allowing[:1] if len(allowing) == 1}
            if not allowing:
                self.denied.append(check)
                code = "UnauthorizedOperation" if logged.service == "ec2" else "AccessDenied"
                message = f"not authorized to perform {check.action} on {check.resource}"
                raise refused(logged.service, code, message, 403)


def allows(statement: Mapping[str, Any], check: Check) -> bool:
    if check.action not in statement["Action"]:
        return False
    resources = statement["Resource"]
    patterns = [resources] if isinstance(resources, str) else resources
    if not any(_like(check.resource, pattern) for pattern in patterns):
        return False
    return all(
        _holds(operator, check.context.get(key.casefold(), ()), values)
        for operator, keys in statement.get("Condition", {}).items()
        for key, values in keys.items()
    )


def _holds(operator: str, given: tuple[str, ...], wanted: Iterable[str]) -> bool:
    if operator == "ForAllValues:StringLike":
        return all(any(_like(value, pattern) for pattern in wanted) for value in given)
    compare = {"StringEquals": str.__eq__, "StringLike": _like, "ArnLike": _arn_like}[operator]
    # An absent key fulfils none of these.
    return any(compare(value, pattern) for value in given for pattern in wanted)


def _like(value: str, pattern: str) -> bool:
    return fnmatchcase(value, pattern.replace("[", "[[]"))


def _arn_like(value: str, pattern: str) -> bool:
    """Each of the six parts by itself, so that a wildcard does not reach over a colon."""
    given, wanted = value.split(":", 5), pattern.split(":", 5)
    return len(given) == len(wanted) and all(map(_like, given, wanted))


def checks(world: World, logged: Logged) -> Iterator[Check]:
    service, action = logged.service, logged.name
    if service == "iam":
        yield from _iam(logged, action)
    elif service == "ec2":
        yield from _ec2(world, logged, action)
    elif service == "sts":
        yield Check(action, logged.params["RoleArn"])
    else:
        yield Check(action, "*", {"aws:requestedregion": (logged.region,)})


def _iam(logged: Logged, action: str) -> Iterator[Check]:
    params, backend = logged.params, iam_backends[logged.account]["aws"]
    if logged.operation in _ON_NOTHING:
        yield Check(action, "*")
        return
    tags = {tag["Key"]: tag["Value"] for tag in params.get("Tags", ())}
    context: Context = {"aws:tagkeys": tuple(params.get("TagKeys", tuple(tags)))}
    context["iam:policyarn"] = (str(params.get("PolicyArn", "")),)
    context["iam:permissionsboundary"] = (str(params.get("PermissionsBoundary", "")),)
    arn, existing = _subject(logged, backend)
    live = existing or {}
    context |= {f"aws:resourcetag/{k}".casefold(): (v,) for k, v in live.items()}
    yield Check(action, arn, context)
    if logged.operation.startswith("Create") and tags:
        kind = logged.operation.removeprefix("Create")
        yield Check(f"iam:Tag{kind}", arn, context)
    if logged.operation == "AddRoleToInstanceProfile":
        yield _passing(logged, backend, params["RoleName"])


def _subject(logged: Logged, backend: Any) -> tuple[str, dict[str, str] | None]:
    """The ARN of what a call is about, as it is in the account, and its tags if it exists."""
    params, account = logged.params, logged.account
    if "PolicySourceArn" in params:
        return params["PolicySourceArn"], None
    start = f"arn:aws:iam::{account}"
    path = params.get("Path") or "/"
    if "PolicyArn" in params and "RoleName" not in params:
        policy = backend.managed_policies.get(params["PolicyArn"])
        return params["PolicyArn"], _tags(policy)
    if "PolicyName" in params and "RoleName" not in params:
        return f"{start}:policy{path}{params['PolicyName']}", None
    if "InstanceProfileName" in params:
        name = params["InstanceProfileName"]
        profiles = backend.instance_profiles.values()
        profile = next((p for p in profiles if p.name == name), None)
        if profile is not None and logged.operation != "CreateInstanceProfile":
            return profile.arn, _tags(profile)
        return f"{start}:instance-profile{path}{name}", None
    name = params["RoleName"]
    role = next((r for r in backend.roles.values() if r.name == name), None)
    if role is not None and logged.operation != "CreateRole":
        return role.arn, _tags(role)
    return f"{start}:role{path}{name}", None


def _tags(live: Any) -> dict[str, str]:
    found = getattr(live, "tags", None) or {}
    if isinstance(found, dict):
        return {
            (v["Key"] if isinstance(v, dict) else k): (v["Value"] if isinstance(v, dict) else v)
            for k, v in found.items()
        }
    return {tag["Key"]: tag["Value"] for tag in found}


def _passing(logged: Logged, backend: Any, name: str) -> Check:
    role = next((r for r in backend.roles.values() if r.name == name), None)
    arn = role.arn if role else f"arn:aws:iam::{logged.account}:role/{name}"
    region = logged.region if logged.service == "ec2" else "*"
    context: Context = {
        "iam:passedtoservice": ("ec2.amazonaws.com",),
        "iam:associatedresourcearn": (f"arn:aws:ec2:{region}:{logged.account}:instance/*",),
    }
    return Check("iam:PassRole", arn, context)


def _ec2(world: World, logged: Logged, action: str) -> Iterator[Check]:
    params, region = logged.params, logged.region
    context: Context = {"aws:requestedregion": (region,)}
    if logged.operation.startswith("Describe"):
        yield Check(action, "*", context)
        return
    backend = iam_backends[logged.account]["aws"]
    if logged.operation in ("CreateTags", "DeleteTags"):
        keys = [tag["Key"] for tag in params.get("Tags") or params.get("Tag") or ()]
        context["aws:tagkeys"] = tuple(keys)
    given = (params.get("IamInstanceProfile") or {}).get("Arn")
    if given:
        context["ec2:newinstanceprofile"] = (given,)
    for instance in sorted(world.instances_of(logged)):
        row = world.staying(logged.account, region, instance)
        own = {**context, **({"ec2:instanceprofile": (row.profile_arn,)} if row else {})}
        arn = f"arn:aws:ec2:{region}:{logged.account}:instance/{instance}"
        assert ec2_backends[logged.account][region]
        yield Check(action, arn, own)
    if given:
        profile = next((p for p in backend.instance_profiles.values() if p.arn == given), None)
        for role in profile.roles if profile else ():
            yield _passing(logged, backend, role.name)
