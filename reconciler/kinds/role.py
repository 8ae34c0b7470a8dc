"""IAM roles: trust, permissions, boundary, session, tags.

Source: docs.aws.amazon.com/IAM/latest/APIReference/API_CreateRole.html and the pages of the calls
below.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace as with_fields

from reconciler.kinds.context import KindContext, Step, iam, step, tag_calls
from reconciler.kinds.references import trusted_roles
from reconciler.kinds.unmanaged_attributes import keep_live
from reconciler.model.address import (
    Address,
    name_key,
    name_of,
    policy_address,
    same_name,
    same_resource,
)
from reconciler.model.live import LiveRole
from reconciler.model.policy_document import PolicyDocument
from reconciler.model.resources import Role, no_tags
from reconciler.model.revocation import REVOKED, is_revoked
from reconciler.model.trust import trusts_ec2
from reconciler.plan.calls import ApiCall
from reconciler.plan.graph import Label, exists, free, gone, ready
from reconciler.spec.check.aws_limits import INLINE_POLICIES_SIZE
from reconciler.spec.desired import DesiredRole

NOBODY = PolicyDocument.of(
    {
        "Version": "2012-10-17",
        "Statement": [{"Effect": "Deny", "Principal": {"AWS": "*"}, "Action": "sts:AssumeRole"}],
    }
)
"""The trust of a role whose own trust names a role that cannot exist before it."""


def desired_state_of(desired: DesiredRole, live: LiveRole, leave: frozenset[str]) -> Role:
    """Names are spelled as they are live: a difference in case alone is none."""
    spelled = {name_key(name): name for name, _ in live.resource.inline_policies}
    inline = tuple(
        (spelled.get(name_key(name), name), document)
        for name, document in desired.resource.inline_policies
    )
    inline = (*inline, *revoking(desired, live))
    wanted = with_fields(desired.resource, name=live.resource.name, inline_policies=inline)
    result: Role = keep_live(wanted, live.resource, leave)
    return result


def revoking(desired: DesiredRole, live: LiveRole) -> tuple[tuple[str, PolicyDocument], ...]:
    """The policy that revokes sessions, where the role has one that the specs do not name."""
    if is_revoked(desired.resource):
        return ()
    return tuple(pair for pair in live.resource.inline_policies if same_name(pair[0], REVOKED))


def create(after: Role, context: KindContext) -> Iterator[Step]:
    address = after.address
    is_cyclic = address in context.cyclic
    trust = NOBODY if is_cyclic else after.trust_policy
    named = trusted_roles(trust.value, context)
    boundary = after.permissions_boundary
    call = iam(
        "CreateRole",
        RoleName=after.name,
        Path=after.path,
        AssumeRolePolicyDocument=trust.text,
        Description=after.description or None,
        MaxSessionDuration=after.max_session_seconds,
        PermissionsBoundary=boundary,
        Tags=context.owned(after.name, after.tags),
    )
    requires = {exists(a) for a in named} | _policy_requirements(boundary, context)
    yield step(address, call, requires=requires, after={gone(address)}, provides={exists(address)})
    if is_cyclic:
        yield _trust(after.name, after, address, context)
    yield from _attach(after, after.managed_policies, context)
    yield from _put(after, after.inline_policies)


def adopt(live: LiveRole, context: KindContext) -> Iterator[Step]:
    name, address = live.resource.name, live.resource.address
    call = iam("TagRole", RoleName=name, Tags=context.owned(name, no_tags()))
    yield step(address, call, provides={Label("adopted", address)})


def forget(live: LiveRole, context: KindContext) -> Iterator[Step]:
    keys = context.our_keys(live.marks)
    yield step(live.resource.address, iam("UntagRole", RoleName=live.resource.name, TagKeys=keys))


def update(live: LiveRole, after: Role, context: KindContext) -> Iterator[Step]:
    before, address = live.resource, live.resource.address
    settings = ("description", "max_session_seconds")
    if any(getattr(before, name) != getattr(after, name) for name in settings):
        yield step(address, _settings(after), provides={ready(address)})
    if before.trust_policy != after.trust_policy:
        trust = _trust(before.name, after, address, context)
        # Instances that still have it get no credentials once EC2 may not take it.
        later = frozenset({free(address)})
        yield with_fields(trust, after=later) if shuts_out_ec2(before, after) else trust
    yield from _boundary(before, after, context)
    yield from _managed(before, after, context)
    yield from _inline(before, after)
    target = {"RoleName": before.name}
    for call in tag_calls("Role", target, before.tags, after.tags, name_key):
        yield step(address, call)


def shuts_out_ec2(before: Role, after: Role) -> bool:
    """Whether EC2 can serve instances the role now, and cannot afterwards."""
    return trusts_ec2(before.trust_policy.value) and not trusts_ec2(after.trust_policy.value)


def delete(live: LiveRole, _context: KindContext) -> Iterator[Step]:
    """Permissions first, and those only once no profile holds the role."""
    before, address = live.resource, live.resource.address
    name, after, bare = before.name, {free(address)}, Label("bare", address)
    for arn in before.managed_policies:
        call = iam("DetachRolePolicy", RoleName=name, PolicyArn=arn)
        yield step(address, call, after=after, provides={bare, _freed(arn)})
    for policy, _ in before.inline_policies:
        call = iam("DeleteRolePolicy", RoleName=name, PolicyName=policy)
        yield step(address, call, after=after, provides={bare})
    provides = {gone(address)}
    if before.permissions_boundary:
        provides.add(_freed(before.permissions_boundary))
    yield step(address, iam("DeleteRole", RoleName=name), after={*after, bare}, provides=provides)


def replace(live: LiveRole, after: Role, context: KindContext) -> Iterator[Step]:
    """Once every profile has removed it; it is added again when it exists again."""
    yield from delete(live, context)
    yield from create(after, context)


def _settings(after: Role) -> ApiCall:
    # An omitted value is kept by AWS, but the docs do not promise that: both are always sent.
    return iam(
        "UpdateRole",
        RoleName=after.name,
        Description=after.description,
        MaxSessionDuration=after.max_session_seconds,
    )


def _trust(name: str, after: Role, address: Address, context: KindContext) -> Step:
    call = iam("UpdateAssumeRolePolicy", RoleName=name, PolicyDocument=after.trust_policy.text)
    named = {exists(a) for a in trusted_roles(after.trust_policy.value, context)}
    return step(address, call, requires=named | {exists(address)}, provides={ready(address)})


def _policy_requirements(arn: str | None, context: KindContext) -> set[Label]:
    address = context.arns.address(arn) if arn else None
    return {exists(address)} if address else set()


def _freed(arn: str) -> Label:
    return free(policy_address(name_of(arn)))


def _attach(role: Role, arns: tuple[str, ...], context: KindContext) -> Iterator[Step]:
    address = role.address
    for arn in arns:
        call = iam("AttachRolePolicy", RoleName=role.name, PolicyArn=arn)
        requires = {exists(address), *_policy_requirements(arn, context)}
        provides = {ready(address), Label("attached", address)}
        yield step(
            address, call, requires=requires, after={Label("room", address)}, provides=provides
        )


def _managed(before: Role, after: Role, context: KindContext) -> Iterator[Step]:
    """New permissions before old ones go, unless the quota leaves no room for both; and old ones
    not before the cut-overs that take the role out of profiles have ended well."""
    added = tuple(sorted({*after.managed_policies} - {*before.managed_policies}))
    stale = sorted({*before.managed_policies} - {*after.managed_policies})
    address = before.address
    fits = len(before.managed_policies) + len(added) <= context.quota
    yield from _attach(before, added, context)
    for arn in stale:
        call = iam("DetachRolePolicy", RoleName=before.name, PolicyArn=arn)
        # A policy that is created again can only be attached after its deletion.
        waits = fits and context.arns.address(arn) not in context.replaced
        later = _later(address) if waits else set()
        provides = {_freed(arn)} if fits else {_freed(arn), Label("room", address)}
        yield step(address, call, after=later, provides=provides)


def _later(address: Address) -> set[Label]:
    """Labels of the steps that precede the removal of permissions."""
    return {Label("attached", address), Label("put", address), free(address)}


def _put(role: Role, documents: tuple[tuple[str, PolicyDocument], ...]) -> Iterator[Step]:
    address = role.address
    for name, document in documents:
        call = iam(
            "PutRolePolicy", RoleName=role.name, PolicyName=name, PolicyDocument=document.text
        )
        room, provides = Label("inline room", address), {ready(address), Label("put", address)}
        yield step(address, call, requires={exists(address)}, after={room}, provides=provides)


def _inline(before: Role, after: Role) -> Iterator[Step]:
    there, wanted = dict(before.inline_policies), dict(after.inline_policies)
    address = before.address
    changed = tuple(pair for pair in after.inline_policies if there.get(pair[0]) != pair[1])
    stale = sorted(there.keys() - wanted.keys())
    both = sum(document.size for document in {**there, **wanted}.values())
    fits = both <= INLINE_POLICIES_SIZE
    yield from _put(before, changed)
    for name in stale:
        call = iam("DeleteRolePolicy", RoleName=before.name, PolicyName=name)
        later = _later(address) if fits else set()
        provides = set() if fits else {Label("inline room", address)}
        yield step(address, call, after=later, provides=provides)


def _boundary(before: Role, after: Role, context: KindContext) -> Iterator[Step]:
    was, arn, address = before.permissions_boundary, after.permissions_boundary, before.address
    if arn == was:
        return
    provides = {ready(address)}
    if was and (arn is None or not same_resource(was, arn)):
        # Nothing frees a policy that is deleted and created again at another path: the role would
        # be without a boundary for a time, so a guard stops the plan.
        provides.add(_freed(was))
    if arn is None:
        call = iam("DeleteRolePermissionsBoundary", RoleName=before.name)
        yield step(address, call, provides=provides)
    else:
        call = iam("PutRolePermissionsBoundary", RoleName=before.name, PermissionsBoundary=arn)
        yield step(address, call, requires=_policy_requirements(arn, context), provides=provides)
