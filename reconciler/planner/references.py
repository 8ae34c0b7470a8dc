"""What the specs name and neither the set nor AWS has, or that cannot serve: each with what needs
it. A plan leaves alone what needs it, and plans the rest; a drift reports it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from reconciler.diagnostics import Diagnostic, Location, Near
from reconciler.kinds.references import policy_arn, trusted_roles
from reconciler.model.address import POLICY, ROLE, Address, name_of, policy_address, role_address
from reconciler.model.policy_document import named_principals
from reconciler.model.trust import trusts_ec2
from reconciler.plan.changes import Unmet
from reconciler.planner.context import PlanContext
from reconciler.planner.ownership_checks import is_left_out, not_made_here
from reconciler.spec.check import aws_managed_policies
from reconciler.spec.check.checks import policies_of
from reconciler.spec.desired import DesiredProfile, DesiredRole, ordered


def unmet_references(context: PlanContext) -> tuple[Unmet, ...]:
    """Of the included roles and profiles. Those of associations are found with their instances."""
    includes = context.options.includes
    roles = [r for r in ordered(context.desired.roles) if includes(r.resource.address)]
    profiles = [p for p in ordered(context.desired.profiles) if includes(p.resource.address)]
    return (
        *(found for role in roles for found in _of_role(role, context)),
        *(found for profile in profiles for found in _of_profile(profile, context)),
    )


def blocked_by(unmet: tuple[Unmet, ...], context: PlanContext) -> Mapping[Address, str]:
    """The resources of the specs that a plan leaves alone, each with the reason: what has an unmet
    reference, and what needs something that is for this reason not created. None in a drift, which
    compares everything."""
    if context.options.for_drift:
        return {}
    blocked: dict[Address, str] = {}
    for one in unmet:
        if one.needed_by is not None:
            blocked.setdefault(one.needed_by, one.found.message)
    _block_trusting_roles(blocked, context)
    for profile in context.desired.profiles.values():
        address, held = profile.resource.address, profile.resource.role
        role = None if held is None else role_address(held)
        if role in blocked and context.live.role(held) is None:
            blocked.setdefault(address, f"{role} is not created")
    return blocked


def _block_trusting_roles(blocked: dict[Address, str], context: PlanContext) -> None:
    """Adds the roles whose trust names a role that is not created, and those that name them."""
    if not blocked:
        return
    trusting: dict[Address, list[Address]] = {}
    for role in context.desired.roles.values():
        for trusted in trusted_roles(role.resource.trust_policy.value, context):
            trusting.setdefault(trusted, []).append(role.resource.address)
    waiting = list(blocked)
    while waiting:
        trusted = waiting.pop()
        if context.live.entity(trusted) is not None:
            continue
        for address in trusting.get(trusted, ()):
            if address not in blocked:
                blocked[address] = f"{trusted} is not created"
                waiting.append(address)


def references_left_out(context: PlanContext) -> Iterator[tuple[Address, Diagnostic]]:
    """What the included roles and profiles refer to, and this plan for a part of the set excludes,
    although AWS does not have it."""
    includes = context.options.includes
    for profile in ordered(context.desired.profiles):
        wanted = context.desired.role(profile.resource.role) if profile.resource.role else None
        if wanted is None or not includes(profile.resource.address):
            continue
        if is_left_out(wanted, context):
            place = profile.place.at("role")
            yield (
                wanted.resource.address,
                not_made_here(wanted, "no-such-role", place, context),
            )
    for role in ordered(context.desired.roles):
        if not includes(role.resource.address):
            continue
        for address in trusted_roles(role.resource.trust_policy.value, context):
            trusted = context.desired.role(address.name)
            if trusted is not None and is_left_out(trusted, context):
                place = role.place.at("trust_policy")
                yield address, not_made_here(trusted, "no-such-role", place, context)
        for arn, place in _policies(role, context):
            policy = context.desired.policy(name_of(arn))
            if policy is None or not context.arns.has(arn, POLICY):
                continue
            if is_left_out(policy, context):
                address = policy_address(name_of(arn))
                yield address, not_made_here(policy, "no-such-policy", place, context)


def _of_profile(profile: DesiredProfile, context: PlanContext) -> Iterator[Unmet]:
    name, needed_by = profile.resource.role, profile.resource.address
    if name is None or context.desired.role(name) is not None:
        return
    address, live, place = role_address(name), context.live.role(name), profile.place.at("role")
    if address in context.live.unread:
        return
    if live is None:
        yield Unmet(address, _no_role(name, place, context), needed_by)
    elif not trusts_ec2(live.resource.trust_policy.value):
        message = f"role/{name} does not trust ec2.amazonaws.com: no instance can use it"
        found = Diagnostic("error", "ec2-trust", message, place)
        yield Unmet(address, found, needed_by, status="modified")


def _of_role(role: DesiredRole, context: PlanContext) -> Iterator[Unmet]:
    for arn, place in _policies(role, context):
        name, missing = name_of(arn), policy_address(name_of(arn))
        own = (policy.resource.name for policy in context.desired.policies.values())
        if arn in context.live.absent:
            near = Near(name, (*own, *aws_managed_policies.paths()))
            message = f"AWS has no policy {arn}"
        elif (
            context.arns.has(arn, POLICY)
            and context.desired.policy(name) is None
            and context.live.policy(name) is None
            and missing not in context.live.unread
        ):
            there = (policy.resource.name for policy in context.live.policies.values())
            near = Near(name, (*own, *there))
            message = f"policy {arn} exists neither in the specs nor in AWS"
        else:
            continue
        found = Diagnostic("error", "no-such-policy", message, place, near=near)
        yield Unmet(missing, found, role.resource.address)
    yield from _trusted(role, context)


def _trusted(role: DesiredRole, context: PlanContext) -> Iterator[Unmet]:
    """Roles of this account that the trust policy names: AWS refuses one that is not there, and
    compares the whole ARN."""
    for arn, path in named_principals(role.resource.trust_policy.value):
        name, address = name_of(arn), role_address(name_of(arn))
        if not context.arns.has(arn, ROLE) or address in context.live.unread:
            continue
        place = role.place.value("trust_policy", *path)
        # As it is, and as the specs want it.
        live, wanted = context.live.role(name), context.desired.role(name)
        known = [live.arn] if live is not None else []
        if wanted is not None and not (live is not None and "path" in wanted.leave):
            known.append(context.arns.of(ROLE, wanted.resource.path, wanted.resource.name))
        if not known:
            yield Unmet(address, _no_role(name, place, context), role.resource.address)
        elif arn not in known:
            message = f"role {name!r} is {known[-1]}, not {arn}"
            found = Diagnostic("error", "no-such-role", message, place, "correct its path")
            yield Unmet(address, found, role.resource.address)


def _no_role(name: str, place: Location, context: PlanContext) -> Diagnostic:
    wanted = (role.resource.name for role in context.desired.roles.values())
    live = (role.resource.name for role in context.live.roles.values())
    message = f"role {name!r} exists neither in the specs nor in AWS"
    near = Near(name, (*wanted, *live))
    return Diagnostic("error", "no-such-role", message, place, near=near)


def _policies(role: DesiredRole, context: PlanContext) -> Iterator[tuple[str, Location]]:
    """ARNs of the policies that it names, each with its place."""
    for reference, at in policies_of(role):
        yield policy_arn(reference, context.desired, context.live), role.place.value(*at)
