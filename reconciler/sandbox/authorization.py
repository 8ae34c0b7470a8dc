"""A sandbox that allows its callers what policy documents allow, and nothing else.

moto has an evaluator (``moto.iam.access_control``), but it takes every request to IAM to be about
``*``, passes over the conditions of identity policies, and asks neither for ``iam:PassRole`` nor
about the tags in a request. So what AWS checks of each request is written down here: the ARN of
what is changed as it is in the account, the keys of the request, and what is asked for beside the
action of the call. It is a reading of the service authorization reference of its own, and takes
nothing from the table that the program prints policies from.

Source: docs.aws.amazon.com/service-authorization/latest/reference
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from moto.core.exceptions import ServiceException
from moto.ec2.models import ec2_backends
from moto.iam.models import iam_backends

from reconciler.model.policy_decision import Decision, PolicyQuestion, decide, why_not
from reconciler.sandbox.faults import refused
from reconciler.sandbox.state import Logged, World

_ON_NOTHING = (
    "GetAccountAuthorizationDetails",
    "GetAccountSummary",
    "GetServiceLastAccessedDetails",
    "ListAccountAliases",
    "ListInstanceProfiles",
    "ListPolicies",
    "ListRoles",
    "SimulateCustomPolicy",
)
_BOUND = (
    "AttachRolePolicy",
    "DeleteRolePermissionsBoundary",
    "DeleteRolePolicy",
    "DetachRolePolicy",
    "PutRolePolicy",
)
"""Of these, ``iam:PermissionsBoundary`` is the boundary that the role has."""
_QUERY = ("autoscaling", "iam", "sns", "sts")
_IAM_REGION = "us-east-1"
KNOWN_KEYS = frozenset(
    {
        "aws:currenttime",
        "aws:epochtime",
        "aws:principalaccount",
        "aws:requestedregion",
        "aws:resourceaccount",
        "aws:securetransport",
        "aws:tagkeys",
        "aws:viaawsservice",
        "ec2:instanceid",
        "ec2:instanceprofile",
        "ec2:newinstanceprofile",
        "ec2:region",
        "iam:associatedresourcearn",
        "iam:passedtoservice",
        "iam:permissionsboundary",
        "iam:policyarn",
    }
)
"""Condition keys of requests that are known here. All others are taken to be absent."""
_KNOWN_STARTS = ("aws:requesttag/", "aws:resourcetag/", "ec2:resourcetag/", "iam:resourcetag/")


def is_known(key: str) -> bool:
    """Whether a sandbox knows what a request has for a condition key."""
    folded = key.casefold()
    return folded in KNOWN_KEYS or folded.startswith(_KNOWN_STARTS)


@dataclass(frozen=True, slots=True)
class PolicyAnswer:
    """What the policies answer to one question about a request; ``why`` is empty if it is allowed.
    Of a request each question is asked until one is denied, unless nothing is refused."""

    logged: Logged
    asked: PolicyQuestion
    decision: Decision
    why: str = ""


@dataclass
class Authorizer:
    """Put into ``World.before``. ``who`` is the ARN of the caller, for what AWS says of a refusal.
    ``only`` is a part of the user agents whose requests are checked, and ``account`` the account in
    which they are, ``None`` for all. With ``refuses`` off, all is answered and nothing refused."""

    world: World
    documents: Sequence[Mapping[str, Any]]
    who: str
    only: str = ""
    account: str | None = None
    refuses: bool = True
    told: Callable[[PolicyAnswer], None] | None = None
    answers: list[PolicyAnswer] = field(default_factory=list)

    @property
    def denied(self) -> list[PolicyQuestion]:
        return [one.asked for one in self.answers if not one.decision.is_allowed]

    def __call__(self, logged: Logged) -> None:
        if self.only not in logged.user_agent or self.account not in (None, logged.account):
            return
        for asked in questions(self.world, logged):
            decision = decide(self.documents, asked)
            answer = PolicyAnswer(logged, asked, decision, self._why(asked, decision))
            self.answers.append(answer)
            if self.told is not None:
                self.told(answer)
            if self.refuses and not decision.is_allowed:
                raise _refusal(logged, asked, decision, self.who)

    def _why(self, asked: PolicyQuestion, decision: Decision) -> str:
        if decision.outcome == "explicitDeny":
            sid = decision.by[0].get("Sid")
            return f"the statement {sid} denies it" if sid else "a statement denies it"
        return "" if decision.is_allowed else why_not(self.documents, asked)


def _refusal(
    logged: Logged, asked: PolicyQuestion, decision: Decision, who: str
) -> ServiceException:
    """In AWS's words; EC2's encoded message is left out.
    Source: docs.aws.amazon.com/IAM/latest/UserGuide/troubleshoot_access-denied.html"""
    on = "" if asked.resource == "*" else f" on resource: {asked.resource}"
    because = (
        " with an explicit deny in an identity-based policy"
        if decision.outcome == "explicitDeny"
        else f" because no identity-based policy allows the {asked.action} action"
    )
    message = f"User: {who} is not authorized to perform: {asked.action}{on}{because}"
    if logged.service == "ec2":
        message = f"You are not authorized to perform this operation. {message}"
        return refused("ec2", "UnauthorizedOperation", message, 403)
    if logged.service in _QUERY:
        return refused(logged.service, "AccessDenied", message, 403)
    return refused(logged.service, "AccessDeniedException", message, 400)


def questions(world: World, logged: Logged) -> Iterator[PolicyQuestion]:
    """What AWS asks the policies of the caller for a request, in order."""
    now = datetime.fromtimestamp(logged.at, tz=UTC)
    context = {
        "aws:currenttime": (now.strftime("%Y-%m-%dT%H:%M:%SZ"),),
        "aws:epochtime": (str(int(logged.at)),),
        "aws:principalaccount": (logged.account,),
        "aws:requestedregion": (_IAM_REGION if logged.service == "iam" else logged.region,),
        "aws:securetransport": ("true",),
        "aws:viaawsservice": ("false",),
    }
    for asked in _questions(world, logged):
        given = {key: values for key, values in asked.context.items() if any(values)}
        yield PolicyQuestion(asked.action, asked.resource, {**context, **given})


def _questions(world: World, logged: Logged) -> Iterator[PolicyQuestion]:
    if logged.name == "sts:GetCallerIdentity":  # needs no permission
        return
    if logged.service == "iam":
        yield from _iam(logged)
    elif logged.service == "ec2":
        yield from _ec2(world, logged)
    elif logged.name == "sts:AssumeRole":
        yield PolicyQuestion(logged.name, logged.params["RoleArn"])
    elif logged.name == "ssm:SendCommand":
        # The document and each of the instances. Source:
        # docs.aws.amazon.com/systems-manager/latest/userguide/run-command-setting-up.html
        document = logged.params.get("DocumentName")
        yield PolicyQuestion(logged.name, f"arn:aws:ssm:{logged.region}::document/{document}")
        start = f"arn:aws:ec2:{logged.region}:{logged.account}:instance"
        for name in logged.params.get("InstanceIds") or ():
            yield PolicyQuestion(logged.name, f"{start}/{name}")
    else:
        yield PolicyQuestion(logged.name, "*")


_Found = dict[str, tuple[str, ...]]


def _iam(logged: Logged) -> Iterator[PolicyQuestion]:
    params, backend = logged.params, iam_backends[logged.account]["aws"]
    if logged.operation in _ON_NOTHING:
        yield PolicyQuestion(logged.name, "*")
        return
    arn, existing = _subject(logged, backend)
    tags = {tag["Key"]: tag["Value"] for tag in params.get("Tags", ())}
    boundary = str(params.get("PermissionsBoundary", ""))
    if logged.operation in _BOUND:
        boundary = getattr(existing, "permissions_boundary_arn", None) or ""
    context: _Found = {
        "aws:tagkeys": tuple(params.get("TagKeys", tuple(tags))),
        "aws:resourceaccount": (arn.split(":")[4],),
        "iam:policyarn": (str(params.get("PolicyArn", "")),),
        "iam:permissionsboundary": (boundary,),
        **_tagged("aws:RequestTag", tags),
    }
    for start in ("aws:ResourceTag", "iam:ResourceTag"):
        context |= _tagged(start, _tags(existing))
    yield PolicyQuestion(logged.name, arn, context)
    if logged.operation.startswith("Create") and tags:
        kind = logged.operation.removeprefix("Create")
        yield PolicyQuestion(f"iam:Tag{kind}", arn, context)
    if logged.operation == "AddRoleToInstanceProfile":
        yield _passing(logged, backend, params["RoleName"])


def _tagged(start: str, tags: Mapping[str, str]) -> _Found:
    return {f"{start}/{key}".casefold(): (value,) for key, value in tags.items()}


def _subject(logged: Logged, backend: Any) -> tuple[str, Any]:
    """The ARN of what a call is about, as it is in the account, and what is there."""
    params, account = logged.params, logged.account
    for name in ("PolicySourceArn", "Arn"):
        if name in params:
            return params[name], None
    start = f"arn:aws:iam::{account}"
    path = params.get("Path") or "/"
    if "PolicyArn" in params and "RoleName" not in params:
        return params["PolicyArn"], backend.managed_policies.get(params["PolicyArn"])
    if "PolicyName" in params and "RoleName" not in params:
        return f"{start}:policy{path}{params['PolicyName']}", None
    kind, all_of_kind = "role", backend.roles
    if "InstanceProfileName" in params:
        kind, all_of_kind = "instance-profile", backend.instance_profiles
    name = params["InstanceProfileName" if kind != "role" else "RoleName"]
    found = _by_name(all_of_kind.values(), name)
    if found is None or logged.operation in ("CreateRole", "CreateInstanceProfile"):
        return f"{start}:{kind}{path}{name}", None
    return found.arn, found


def _by_name(all_of_kind: Iterable[Any], name: str) -> Any:
    """Names ignore case; the ARN has the name as it was created."""
    return next((one for one in all_of_kind if one.name.casefold() == name.casefold()), None)


def _tags(live: Any) -> dict[str, str]:
    found = getattr(live, "tags", None) or {}
    if isinstance(found, dict):
        return {
            (v["Key"] if isinstance(v, dict) else k): (v["Value"] if isinstance(v, dict) else v)
            for k, v in found.items()
        }
    return {tag["Key"]: tag["Value"] for tag in found}


def _passing(logged: Logged, backend: Any, name: str) -> PolicyQuestion:
    """In the ARN of the instance AWS has no id, and for a profile no region.
    Source: docs.aws.amazon.com/IAM/latest/APIReference/API_AddRoleToInstanceProfile.html"""
    role = _by_name(backend.roles.values(), name)
    arn = role.arn if role else f"arn:aws:iam::{logged.account}:role/{name}"
    region = logged.region if logged.service == "ec2" else "*"
    context: _Found = {
        "iam:passedtoservice": ("ec2.amazonaws.com",),
        "iam:associatedresourcearn": (f"arn:aws:ec2:{region}:{logged.account}:instance/*",),
    }
    return PolicyQuestion("iam:PassRole", arn, context)


def _ec2(world: World, logged: Logged) -> Iterator[PolicyQuestion]:
    params, region, account = logged.params, logged.region, logged.account
    context: _Found = {"ec2:region": (region,), "aws:resourceaccount": (account,)}
    if logged.operation.startswith("Describe"):
        yield PolicyQuestion(logged.name, "*", context)
        return
    if logged.operation in ("CreateTags", "DeleteTags"):
        tags = params.get("Tags") or params.get("Tag") or ()
        context["aws:tagkeys"] = tuple(tag["Key"] for tag in tags)
        context |= _tagged("aws:RequestTag", {t["Key"]: t.get("Value") or "" for t in tags})
    given = params.get("IamInstanceProfile") or {}
    profiles = iam_backends[account]["aws"].instance_profiles.values()
    profile = next((one for one in profiles if given.get("Arn") == one.arn), None)
    if given.get("Name"):
        profile = _by_name(profiles, given["Name"])
    if profile is not None:
        context["ec2:newinstanceprofile"] = (profile.arn,)
    for name in sorted(world.instances_of(logged)):
        row = world.staying(account, region, name)
        own: _Found = {"ec2:instanceid": (name,), **context}
        if row is not None:
            own["ec2:instanceprofile"] = (row.profile_arn,)
        live = ec2_backends[account][region].tags.get(name, {})
        for start in ("aws:ResourceTag", "ec2:ResourceTag"):
            own |= _tagged(start, live)
        yield PolicyQuestion(logged.name, f"arn:aws:ec2:{region}:{account}:instance/{name}", own)
    for role in profile.roles if profile is not None else ():
        yield _passing(logged, iam_backends[account]["aws"], role.name)
