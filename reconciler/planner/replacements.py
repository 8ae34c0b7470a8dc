"""A path cannot change: the resource is deleted and created again, with a new id. While it is gone,
its users are without it. Users in the set are part of the plan; while something outside of the set
uses it, it cannot be replaced."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace as with_fields

from reconciler.kinds.registry import kind_of
from reconciler.model.address import Address, name_key, same_resource
from reconciler.model.live import LiveEntity, LivePolicy, LiveProfile, LiveRole
from reconciler.model.policy_document import principals
from reconciler.model.resources import InstanceProfile, Policy, Role
from reconciler.plan.changes import Difference, Guard, Replace, changed_attributes
from reconciler.planner.context import PlanContext, PlanFragment
from reconciler.planner.ownership_checks import desired_state_of, is_ours, set_aside
from reconciler.planner.places import places_of
from reconciler.spec.desired import Desired, DesiredRole

REPLACED = "replaced"
"""The group of all steps that delete something, make it again and bring over what uses it: between
them things are missing, so an interrupt does not stop there."""


def replaced(context: PlanContext) -> frozenset[Address]:
    """Addresses of resources whose path changes."""
    return frozenset(_replaced(context))


def _replaced(context: PlanContext) -> Iterator[Address]:
    for entity in context.desired.entities():
        address = entity.resource.address
        live = context.live.entity(address)
        if live is None or not context.options.includes(address) or set_aside(entity, context):
            continue
        if (
            is_ours(live, context)
            and desired_state_of(entity, live, context).path != live.resource.path
        ):
            yield live.resource.address


def plan_replacement(
    entity: Desired,
    live: LiveEntity,
    after: Policy | Role | InstanceProfile,
    found: tuple[Difference, ...],
    context: PlanContext,
) -> PlanFragment:
    change = Replace(
        address=live.resource.address,
        before=changed_attributes(found, live.resource),
        after=changed_attributes(found, after),
        differences=found,
        source=entity.place.at("path"),
        places=places_of(entity),
        reason=_breaks(live, context),
        consumers=tuple(_running(live, context)),
    )
    steps = kind_of(after.address).replace(live, after, context)
    pending = tuple(with_fields(step, group=REPLACED) for step in steps)
    return PlanFragment(changes=(change,), pending=pending, guards=tuple(_guards(live, context)))


def is_without(role: Role, after: Role, context: PlanContext) -> bool:
    """Whether the role is without a policy while the policy is created again."""
    arns = role.policies | after.policies
    return any(context.arns.address(arn) in context.replaced for arn in arns)


def _guards(live: LiveEntity, context: PlanContext) -> Iterator[Guard]:
    address = live.resource.address
    if users := tuple(_users(live, context)):
        named = ", ".join(users)
        reason = f"{address} cannot be deleted and created again: {named}"
        way_out = "Stop using it there, or keep its path"
        yield Guard("replace", reason, way_out, (address,))
        return
    if not context.options.allows("replace", address):
        reason = f"{address} would be deleted and created again: {_breaks(live, context)}"
        yield Guard("replace", reason, f"--allow replace={address}", (address,))
    if live.owner != context.options.owner and not context.options.allows("strip", address):
        reason = f"adopting {address} would delete it and create it again"
        yield Guard("strip", reason, f"--allow strip={address}", (address,))


def _breaks(live: LiveEntity, context: PlanContext) -> str:
    count = sum(1 for _ in _running(live, context))
    noun = "running instance" if count == 1 else "running instances"
    match live:
        case LiveRole():
            without = f"{count} {noun} without valid credentials until cut over, and "
            broken = "trust policies and resource policies that name its id break"
            return f"the path cannot change; {without if count else ''}{broken}"
        case LiveProfile():
            taken = f"{count} {noun} associated again, and " if count else ""
            return f"the path cannot change; {taken}launches that name its ARN fail"
        case LivePolicy():
            roles = len(context.in_use.roles_with(live))
            noun = "role" if roles == 1 else "roles"
            taken = (
                f"{roles} {noun} without it until it is attached again"
                if roles
                else "it has a new ARN"
            )
            return f"the path cannot change; {taken}"


def _running(live: LiveEntity, context: PlanContext) -> Iterator[str]:
    """Running instances that are served its credentials, or by it."""
    held: tuple[LiveProfile, ...] = ()
    match live:
        case LiveProfile():
            held = (live,)
        case LiveRole():
            known = context.in_use.profiles_of(live)
            held = tuple(profile for profile in known if profile.role_id == live.id)
        case LivePolicy():
            pass
    for profile in sorted(held, key=lambda p: p.resource.name):
        yield from (i.key.instance for i in context.live.consumers(profile.arn) if i.is_running)


def _users(live: LiveEntity, context: PlanContext) -> Iterator[str]:
    """What uses it and is not part of this plan, in words."""
    if context.live.not_whole is not None:
        yield f"its users are not known ({context.live.not_whole})"
        return
    match live:
        case LivePolicy():
            yield from _users_of_policy(live, context)
        case LiveRole():
            yield from _users_of_role(live, context)
            for profile in context.in_use.profiles_of(live):
                yield from _beyond_reach(profile, context)
        case LiveProfile():
            yield from _beyond_reach(live, context)


def _beyond_reach(profile: LiveProfile, context: PlanContext) -> Iterator[str]:
    """Consumers that would lose their credentials, for we could not bring them over."""
    yield from (use.reason for use in context.in_use.uses(profile) if use.kind == "unknown")
    for instance in context.in_use.untouchable(profile):
        yield f"{instance.key.instance} uses {profile.resource.address}: {instance.untouchable}"


def _users_of_policy(policy: LivePolicy, context: PlanContext) -> Iterator[str]:
    for role in context.in_use.roles_with(policy):
        address, name = role.resource.address, name_key(role.resource.name)
        if policy.arn == role.resource.permissions_boundary and _keeps(name, role, context):
            yield f"{address} has it as its boundary, and would be without one for a time"
        elif policy.arn in role.resource.managed_policies and not _lets_go(name, role, context):
            yield f"{address} outside this plan has it attached"
    yield from (use.reason for use in context.in_use.uses(policy) if use.by is None)


def _lets_go(name: str, role: LiveRole, context: PlanContext) -> bool:
    """Whether this plan takes the role's policies off that the specs do not list by this ARN."""
    wanted = context.desired.roles.get(name)
    if wanted is None or not context.options.includes(wanted.resource.address):
        return False
    return is_ours(role, context) and "managed_policies" not in wanted.leave


def _keeps(name: str, role: LiveRole, context: PlanContext) -> bool:
    """Whether the role still has its boundary, by whatever ARN, after this plan."""
    wanted = context.desired.roles.get(name)
    if wanted is None or not context.options.includes(wanted.resource.address):
        return True
    if not is_ours(role, context):
        return True
    before, after = role.resource, desired_state_of(wanted, role, context)
    if not isinstance(after, Role) or after.permissions_boundary is None:
        return False
    kept = before.permissions_boundary
    return kept is not None and same_resource(kept, after.permissions_boundary)


def _users_of_role(role: LiveRole, context: PlanContext) -> Iterator[str]:
    for profile in context.in_use.profiles_of(role):
        wanted = context.desired.profile(profile.resource.name)
        is_planned = wanted is not None and context.options.includes(wanted.resource.address)
        if not is_planned or not is_ours(profile, context):
            yield f"{profile.resource.address} outside this plan holds it"
    for other in context.once(_trusting).get(role.arn, ()):
        desired = context.desired.role(other.resource.name)
        if other.id == role.id:
            continue
        if desired is None or not _is_rewritten(desired, other, context):
            yield f"{other.resource.address} trusts it by its current ARN"


def _trusting(context: PlanContext) -> dict[str, list[LiveRole]]:
    """Roles by the principals that they trust."""
    found: dict[str, list[LiveRole]] = {}
    for _, role in sorted(context.live.roles.items()):
        for principal in principals(role.resource.trust_policy.value):
            found.setdefault(principal, []).append(role)
    return found


def _is_rewritten(desired: DesiredRole, live: LiveRole, context: PlanContext) -> bool:
    """Whether this plan writes the trust policy again, so that it names the new role."""
    address = live.resource.address
    if not context.options.includes(address) or not is_ours(live, context):
        return False
    after = desired_state_of(desired, live, context)
    is_rewritten = isinstance(after, Role) and after.trust_policy != live.resource.trust_policy
    return is_rewritten or address in context.replaced
