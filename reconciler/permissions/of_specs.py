"""What an apply of specs may need, whatever AWS has of them already."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from itertools import chain

from reconciler.model.ownership import temporary_name
from reconciler.model.trust import trusts_ec2
from reconciler.permissions.reading import reading, verifying, watching
from reconciler.permissions.scope import PermissionScope
from reconciler.permissions.statements import Conditions, Statement, statement
from reconciler.plan.authorization import BOUNDARY, NEW_PROFILE, OLD_PROFILE, POLICY_ARN, WRITES
from reconciler.spec.check import aws_managed_policies
from reconciler.spec.desired import Desired, DesiredProfile, DesiredState

HOP, RESTART = "hop", "restart"


def applying(
    desired: DesiredState, scope: PermissionScope, *, prunes: bool, revokes: bool = False
) -> Iterator[Statement]:
    """Reads, and every change that the specs can lead to. ``prunes`` adds the deletion of what has
    the owner's tag and is not in the specs, ``revokes`` what ends the rotation of another run:
    whoever may write an inline policy of a role may give it any permission."""
    yield from reading(scope, "apply")
    yield from _roles(desired, scope, revokes=revokes)
    yield from _policies(desired, scope)
    profiles = tuple(desired.profiles.values())
    yield from _profiles(profiles, scope)
    yield from _gated(profiles, scope)
    yield from _passing(desired, scope)
    yield from _instances(desired, scope, prunes=prunes)
    # What has the owner's tag and is not in the specs: nobody knows its name. That instances let go
    # of a role is noted on it in any case, and what revoked its sessions is taken away in time.
    owned = {**(_DELETES if prunes else {"role": ("TagRole", "DeleteRolePolicy")})}
    owned["role"] += ("PutRolePolicy",) * revokes
    yield from _owned(owned, scope)


def _gated(profiles: tuple[DesiredProfile, ...], scope: PermissionScope) -> Iterator[Statement]:
    """What holds roll-outs up."""
    yield from watching(
        alarms=any(p.limits.checks.alarms for p in profiles),
        target_groups=any(p.limits.checks.target_groups for p in profiles),
        denied=any(p.limits.checks.denied for p in profiles),
    )
    yield from verifying(scope, {one for p in profiles for one in p.limits.verify.sources})


def actions_of(*calls: str, on: str) -> tuple[str, ...]:
    """What the calls need on a kind of resource, but for passing a role, which has conditions of
    its own."""
    needs = chain.from_iterable(WRITES[call] for call in calls)
    return tuple(n.action for n in needs if n.on == on and n.action != "iam:PassRole")


def _roles(desired: DesiredState, scope: PermissionScope, *, revokes: bool) -> Iterator[Statement]:
    roles = tuple(desired.roles.values())
    names = [role.resource.name for role in roles]
    on = scope.named("role", names)
    calls = ["CreateRole", "UpdateRole", "UpdateAssumeRolePolicy", "DetachRolePolicy"]
    calls += ["DeleteRolePolicy", "TagRole", "UntagRole"]
    if revokes or any(role.resource.inline_policies for role in roles):
        calls.append("PutRolePolicy")
    # An omitted boundary is left as it is.
    given = [role for role in roles if "permissions_boundary" not in role.leave]
    if any(role.resource.permissions_boundary is None for role in given):
        calls.append("DeleteRolePermissionsBoundary")
    yield from statement("Roles", _iam(calls, "role"), on)
    yield from _replaced("ReplaceRoles", "DeleteRole", "role", roles, scope)
    if attached := {arn for role in roles for arn in role.resource.managed_policies}:
        having = [r.resource.name for r in roles if r.resource.managed_policies]
        arns = {POLICY_ARN: _arns_of(attached, desired, scope)}
        on = scope.named("role", having)
        yield from statement("AttachPolicies", ["iam:AttachRolePolicy"], on, {"ArnLike": arns})
    boundaries = {r.resource.name: r.resource.permissions_boundary for r in roles}
    if bounded := {name: arn for name, arn in boundaries.items() if arn}:
        arns = {BOUNDARY: _arns_of(bounded.values(), desired, scope)}
        on = scope.named("role", bounded)
        action = "iam:PutRolePermissionsBoundary"
        yield from statement("SetBoundaries", [action], on, {"ArnLike": arns})


def _arns_of(
    references: Iterable[str], desired: DesiredState, scope: PermissionScope
) -> tuple[str, ...]:
    """A name that is no policy of the set is one of AWS's."""
    return scope.policies(
        name
        if name.startswith("arn:") or desired.policy(name) is not None
        else aws_managed_policies.arn_of(name, scope.arns)
        for name in references
    )


def _policies(desired: DesiredState, scope: PermissionScope) -> Iterator[Statement]:
    policies = tuple(desired.policies.values())
    calls = ["CreatePolicy", "CreatePolicyVersion", "DeletePolicyVersion", "TagPolicy"]
    on = scope.named("policy", [p.resource.name for p in policies])
    yield from statement("Policies", _iam([*calls, "UntagPolicy"], "policy"), on)
    yield from _replaced("ReplacePolicies", "DeletePolicy", "policy", policies, scope)


def _profiles(profiles: tuple[DesiredProfile, ...], scope: PermissionScope) -> Iterator[Statement]:
    kind = "instance-profile"
    names = [p.resource.name for p in profiles]
    calls = ["CreateInstanceProfile", "TagInstanceProfile", "UntagInstanceProfile"]
    calls.append("RemoveRoleFromInstanceProfile")
    if any(p.resource.role for p in profiles):
        calls.append("AddRoleToInstanceProfile")
    yield from statement("InstanceProfiles", _iam(calls, kind), scope.named(kind, names))
    yield from _replaced("ReplaceInstanceProfiles", "DeleteInstanceProfile", kind, profiles, scope)
    yield from _temporary_ones(profiles, scope)


def rotating(desired: DesiredState, scope: PermissionScope) -> Iterator[Statement]:
    """Reads, fresh sessions for the consumers of the specs' profiles, and the policy that denies
    the older ones, of roles that left the specs as well: their sessions may be as old."""
    yield from reading(scope, "apply")
    profiles, kind = tuple(desired.profiles.values()), "instance-profile"
    yield from _owned({"role": ("PutRolePolicy", "DeleteRolePolicy")}, scope)
    calls = ["TagInstanceProfile", "UntagInstanceProfile"]
    on = scope.named(kind, [p.resource.name for p in profiles])
    yield from statement("InstanceProfiles", _iam(calls, kind), on)
    yield from _temporary_ones(profiles, scope)
    yield from _gated(profiles, scope)
    yield from _passing(desired, scope)
    # Those of the specs' associations as well, but none gets another profile.
    yield from _instances(replace(desired, associations=()), scope, prunes=False)


def _temporary_ones(
    profiles: tuple[DesiredProfile, ...], scope: PermissionScope
) -> Iterator[Statement]:
    calls = ["CreateInstanceProfile", "TagInstanceProfile", "AddRoleToInstanceProfile"]
    calls += ["UntagInstanceProfile", "RemoveRoleFromInstanceProfile", "DeleteInstanceProfile"]
    on = scope.named("instance-profile", _temporary(profiles))
    yield from statement("TemporaryInstanceProfiles", _iam(calls, "instance-profile"), on)


def _temporary(profiles: Iterable[DesiredProfile]) -> list[str]:
    """Names of the profiles that stand in for others during a hop."""
    return [temporary_name(p.resource.name) for p in profiles if p.limits.strategy == HOP]


def _replaced(
    sid: str, call: str, kind: str, entities: Iterable[Desired], scope: PermissionScope
) -> Iterator[Statement]:
    """Another path takes a deletion; without one in the specs, AWS's is kept."""
    names = [e.resource.name for e in entities if "path" not in e.leave]
    yield from statement(sid, _iam([call], kind), scope.named(kind, names))


def _passing(desired: DesiredState, scope: PermissionScope) -> Iterator[Statement]:
    """Of the roles in profiles; of the others of the set that a profile may have now, and which a
    roll-back puts back, those that EC2 may take."""
    named = {p.resource.role for p in desired.profiles.values() if p.resource.role is not None}
    roles = [role.resource for role in desired.roles.values()]
    if desired.profiles:
        named |= {role.name for role in roles if trusts_ec2(role.trust_policy.value)}
    on = scope.named("role", named)
    yield from statement("PassRolesToEc2", ["iam:PassRole"], on, scope.passing())


def _instances(
    desired: DesiredState, scope: PermissionScope, *, prunes: bool
) -> Iterator[Statement]:
    """Which instances there are is known only from AWS, and changes: all of the regions."""
    on, kind, profiles = scope.instances(), "instance-profile", tuple(desired.profiles.values())
    names = {p.resource.name for p in profiles}
    names |= {a.profile.replace("${region}", "*") for a in desired.associations}
    given = scope.named(kind, {*names, *_temporary(profiles)})
    calls = ["AssociateIamInstanceProfile"] if given else []
    if desired.associations or any(p.limits.strategy == HOP for p in profiles):
        calls.append("ReplaceIamInstanceProfileAssociation")
    # Who gets another profile may have any before.
    limits = {"ArnLike": {NEW_PROFILE: given}}
    yield from statement("GiveInstancesProfiles", _ec2(calls), on, limits)
    if given or prunes:
        calls = ["DisassociateIamInstanceProfile"]
        yield from statement("TakeProfilesFromInstances", _ec2(calls), on)
        calls = ["CreateTags", "DeleteTags"] if given else ["DeleteTags"]
        yield from statement("MarkInstances", _ec2(calls), on, scope.our_tags())
    restarted = [p.resource.name for p in profiles if p.limits.strategy == RESTART]
    calls = ["StopInstances", "StartInstances"] if restarted else []
    limits = {"ArnLike": {OLD_PROFILE: scope.named(kind, restarted)}}
    yield from statement("RestartInstances", _ec2(calls), on, limits)


def destroying(scope: PermissionScope) -> Iterator[Statement]:
    """Reads, and the deletion of all that has the owner's tag, whatever the specs name."""
    yield from reading(scope, "apply")
    yield from _owned(_DELETES, scope)
    calls = ["DisassociateIamInstanceProfile"]
    yield from statement("TakeProfilesFromInstances", _ec2(calls), scope.instances())
    yield from statement("MarkInstances", _ec2(["DeleteTags"]), scope.instances(), scope.our_tags())


def forgetting(scope: PermissionScope) -> Iterator[Statement]:
    """Reads, and the removal of our tags from what has the owner's."""
    yield from reading(scope, "apply")
    yield from _owned(_FORGETS, scope, scope.our_tags())
    yield from statement("MarkInstances", _ec2(["DeleteTags"]), scope.instances(), scope.our_tags())


_DELETES: Mapping[str, tuple[str, ...]] = {
    "role": ("TagRole", "DetachRolePolicy", "DeleteRolePolicy", "DeleteRole"),
    # A mark before the role is taken out, as in every cut-over.
    "instance-profile": (
        "TagInstanceProfile",
        "RemoveRoleFromInstanceProfile",
        "DeleteInstanceProfile",
    ),
    "policy": ("DeletePolicyVersion", "DeletePolicy"),
}
_FORGETS: Mapping[str, tuple[str, ...]] = {
    "role": ("UntagRole",),
    "instance-profile": ("UntagInstanceProfile",),
    "policy": ("UntagPolicy",),
}
_OWNED = {
    "role": "OwnedRoles",
    "instance-profile": "OwnedInstanceProfiles",
    "policy": "OwnedPolicies",
}


def _owned(
    calls: Mapping[str, tuple[str, ...]], scope: PermissionScope, more: Conditions | None = None
) -> Iterator[Statement]:
    """Of what has the owner's tag, by kind."""
    limits = {**scope.owned(), **(more or {})}
    for kind, operations in calls.items():
        yield from statement(_OWNED[kind], _iam(operations, kind), scope.every(kind), limits)


def _iam(operations: Iterable[str], on: str) -> tuple[str, ...]:
    return actions_of(*(f"iam:{name}" for name in operations), on=on)


def _ec2(operations: Iterable[str]) -> tuple[str, ...]:
    return actions_of(*(f"ec2:{name}" for name in operations), on="instance")
