"""The resources of a chain: each as the specs have it and as AWS has it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from reconciler.diagnostics import Location
from reconciler.explain import marks
from reconciler.explain.explanation import (
    Hold,
    PolicyKind,
    PolicyOfRole,
    PolicyPart,
    Presence,
    ProfilePart,
    RolePart,
)
from reconciler.model.address import (
    POLICY,
    PROFILE,
    Address,
    name_key,
    name_of,
    policy_address,
    profile_address,
    role_address,
    same_name,
)
from reconciler.model.live import LiveEntity, LivePolicy, LiveProfile, LiveRole
from reconciler.model.policy_document import PolicyDocument
from reconciler.model.resources import Role
from reconciler.model.trust import trusts_ec2
from reconciler.plan.changes import differences
from reconciler.planner.context import PlanContext
from reconciler.planner.ownership_checks import desired_state_of, unowned
from reconciler.planner.places import places_of
from reconciler.spec.desired import Desired, DesiredRole


@dataclass(frozen=True, slots=True)
class Documents:
    """Documents of policies that the account does not have itself, by ARN, and why some could not
    be read."""

    found: Mapping[str, Any] = field(default_factory=dict)
    unread: Mapping[str, str] = field(default_factory=dict)


def live_of(address: Address, context: PlanContext) -> LiveEntity | None:
    """A temporary profile too."""
    found = context.live.entity(address)
    if found is None and address.kind == PROFILE:
        temporary = context.live.shadows.values()
        return next((p for p in temporary if p.resource.address == address), None)
    return found


def desired_of(address: Address, context: PlanContext) -> Desired | None:
    match address.kind:
        case "policy":
            return context.desired.policy(address.name)
        case "role":
            return context.desired.role(address.name)
        case "instance-profile":
            return context.desired.profile(address.name)
        case _:
            return None


def is_known(address: Address, context: PlanContext) -> bool:
    """Whether AWS or the specs have it, or it could not be read whether they do."""
    found = live_of(address, context), desired_of(address, context)
    return any(one is not None for one in found) or address in context.live.unread


def _common(address: Address, context: PlanContext) -> dict[str, Any]:
    live, entity = live_of(address, context), desired_of(address, context)
    named = live.resource.address if live else entity.resource.address if entity else address
    presence: Presence = "there"
    if live is None:
        presence = "unknown" if address in context.live.unread else "missing"
    found: dict[str, Any] = {
        "address": named,
        "in_aws": presence,
        "source": entity.place.here if entity is not None else None,
        "ownership": _ownership(address, live, entity, context),
        "arn": live.arn if live is not None else None,
        "places": places_of(entity) if entity is not None else {},
        "unread": context.live.unread.get(address),
    }
    if live is not None:
        found["marks"] = marks.of_entity(live, context)
        if entity is not None and live.protected is None:
            after = desired_state_of(entity, live, context)
            found["differences"] = differences(live.resource, after)
    return found


def _ownership(
    address: Address, live: LiveEntity | None, entity: Desired | None, context: PlanContext
) -> str:
    owner = context.options.owner
    where = "only named in the specs" if _is_named(address, context) else "in no spec"
    if live is None:
        return "defined in the specs" if entity is not None else where
    if live.protected is not None:
        return live.protected
    if live.owner == owner:
        return f"managed by the owner {owner}" + ("" if entity is not None else f", {where}")
    if live.claimed_by not in (None, owner):
        return f"managed by the owner {live.claimed_by!r}"
    if not live.tags_known:
        return f"{where}; its tags were not read"
    said = unowned(live, context.options)
    return said if entity is not None else f"{said}, {where}"


def _is_named(address: Address, context: PlanContext) -> bool:
    """Whether the specs use it without defining it: the role of a profile of theirs, the policy of
    a role, the profile of an association."""
    desired = context.desired
    match address.kind:
        case "role":
            names = {profile.resource.role for profile in desired.profiles.values()}
        case "policy":
            policies = (
                policy for role in desired.roles.values() for policy in role.resource.policies
            )
            names = {arn.rpartition("/")[2] for arn in policies}
        case "instance-profile":
            names = {association.profile for association in desired.associations}
        case _:
            return False
    return any(same_name(name, address.name) for name in names)


def profile_part(name: str, context: PlanContext, why: str = "") -> ProfilePart:
    address = profile_address(name)
    live, entity = live_of(address, context), context.desired.profile(name)
    return ProfilePart(
        **_common(address, context),
        why=why,
        role=live.resource.role if isinstance(live, LiveProfile) else None,
        wanted_role=entity.resource.role if entity is not None else None,
    )


def role_part(name: str, context: PlanContext, documents: Documents, why: str = "") -> RolePart:
    address = role_address(name)
    live, entity = context.live.role(name), context.desired.role(name)
    holders = {p.resource.address for p in context.in_use.profiles_of(live)} if live else set()
    holders |= {
        profile.resource.address
        for profile in context.desired.profiles.values()
        if same_name(profile.resource.role, name)
    }
    return RolePart(
        **_common(address, context),
        why=why,
        policies=tuple(_policies(live, entity, context, documents)),
        profiles=tuple(sorted(holders)),
        trusts_ec2=trusts_ec2(live.resource.trust_policy.value) if live is not None else None,
    )


def _policies(
    live: LiveRole | None,
    entity: DesiredRole | None,
    context: PlanContext,
    documents: Documents,
) -> Iterator[PolicyOfRole]:
    before = live.resource if live is not None else None
    after = entity.resource if entity is not None else None
    if live is not None and entity is not None and live.protected is None:
        settled = desired_state_of(entity, live, context)
        after = settled if isinstance(settled, Role) else after
    places = places_of(entity) if entity is not None else {}
    has_specs = entity is not None
    sides = [r for r in (before, after) if r is not None]
    arns = sorted({arn for r in sides for arn in r.managed_policies}, key=name_of)
    for arn in arns:
        attached = [r.managed_policies if r else () for r in (before, after)]
        held = _held(arn, *attached, has_specs=has_specs)
        yield _managed(arn, held, places, context, documents)
    names = sorted({name_key(n): n for r in sides for n, _ in r.inline_policies}.items())
    for key, name in names:
        found = [
            {name_key(n): d for n, d in r.inline_policies} if r else {} for r in (before, after)
        ]
        document = found[0].get(key) or found[1].get(key)
        yield PolicyOfRole(
            "inline",
            name,
            _held(key, *(part.keys() for part in found), has_specs=has_specs),
            source=places.get(f"inline_policies.{key}"),
            document=document.value if document is not None else None,
            differs=all(key in part for part in found) and found[0][key] != found[1][key],
        )
    boundaries = dict.fromkeys(r.permissions_boundary for r in sides if r.permissions_boundary)
    for arn in boundaries:
        bounds = [{r.permissions_boundary} if r else set() for r in (before, after)]
        held = _held(arn, *bounds, has_specs=has_specs)
        made = _managed(arn, held, places, context, documents)
        source = places.get("permissions_boundary") or made.source
        yield replace(made, kind="boundary", held=held, source=source)


def _inline(role: Role | None) -> dict[str, PolicyDocument]:
    return {name_key(n): d for n, d in role.inline_policies} if role is not None else {}


def _held(
    key: str | None, aws: Iterable[str | None], specs: Iterable[str | None], *, has_specs: bool
) -> Hold:
    """What the specs do not define is as AWS has it."""
    if key in set(aws):
        return "both" if key in set(specs) or not has_specs else "aws"
    return "specs"


def _managed(
    arn: str,
    held: Hold,
    places: Mapping[str, Location],
    context: PlanContext,
    documents: Documents,
) -> PolicyOfRole:
    name, arns = name_of(arn), context.live.identity.arns
    is_local = arns.has(arn, POLICY)
    entity = context.desired.policy(name) if is_local else None
    live = context.live.policy(name) if is_local else None
    kind: PolicyKind = "aws-managed" if arns.is_aws_managed(arn) else "managed"
    source = places.get(f"managed_policies.{name_key(name)}")
    if live is not None:
        document = live.resource.document.value
    elif entity is not None:
        document = entity.resource.document.value
    else:
        document = documents.found.get(arn)
    unread = documents.unread.get(arn) or context.live.unread.get(policy_address(name))
    place = entity.place.here if entity is not None else source
    differs = False
    if live is not None and entity is not None and live.protected is None:
        differs = bool(differences(live.resource, desired_state_of(entity, live, context)))
    address = policy_address(name) if is_local else None
    return PolicyOfRole(kind, name, held, arn, place, document, unread, differs, address)


def policy_part(address: Address, context: PlanContext, documents: Documents) -> PolicyPart | None:
    """One of the account, of the specs, or one of AWS's that a role has; ``None`` for none."""
    name = address.name
    live, entity = context.live.policy(name), context.desired.policy(name)
    if live is None and entity is None and address not in context.live.unread:
        return _of_aws(name, context, documents)
    arns = {live.arn} if isinstance(live, LivePolicy) else set[str]()
    if entity is not None:
        made = entity.resource
        arns.add(context.arns.of(POLICY, made.path, made.name))
    roles = _having(arns, context)
    others = 0
    if live is not None:
        having = [r for r in context.live.roles.values() if live.arn in r.resource.policies]
        attached = sum(live.arn in r.resource.managed_policies for r in having)
        bounds = sum(live.arn == r.resource.permissions_boundary for r in having)
        others = max(0, live.attachments - attached) + max(0, live.boundaries - bounds)
    shown = live.resource if live else entity.resource if entity else None
    return PolicyPart(
        **_common(address, context),
        roles=roles,
        boundary_of=_bounded(arns, context),
        others=others,
        document=shown.document.value if shown is not None else None,
    )


def _of_aws(name: str, context: PlanContext, documents: Documents) -> PolicyPart | None:
    arns = set(aws_policies_named(name, context))
    if not arns:
        return None
    arn = min(arns)
    return PolicyPart(
        policy_address(name_of(arn)),
        "missing" if arn in context.live.absent else "there",
        None,
        "AWS manages it",
        arn,
        unread=documents.unread.get(arn),
        roles=_having({arn}, context),
        boundary_of=_bounded({arn}, context),
        document=documents.found.get(arn),
    )


def aws_policies_named(name: str, context: PlanContext) -> Iterator[str]:
    """ARNs of AWS-managed policies of that name that a role of the account or the specs has."""
    for role in _every_role(context):
        for arn in role.policies:
            is_aws = context.live.identity.arns.is_aws_managed(arn)
            if is_aws and same_name(name_of(arn), name):
                yield arn


def _having(arns: set[str], context: PlanContext) -> tuple[Address, ...]:
    return tuple(sorted({role.address for role in _every_role(context) if arns & role.policies}))


def _bounded(arns: set[str], context: PlanContext) -> tuple[Address, ...]:
    """Those that have it as their boundary, and not attached."""
    every = _every_role(context)
    attached = {role.address for role in every if arns & {*role.managed_policies}}
    found = {role.address for role in every if role.permissions_boundary in arns}
    return tuple(sorted(found - attached))


def _every_role(context: PlanContext) -> list[Role]:
    """As AWS has them, and as the specs do."""
    live = [role.resource for role in context.live.roles.values()]
    return [*live, *(role.resource for role in context.desired.roles.values())]


def roles_around(part: ProfilePart) -> tuple[str, ...]:
    """The role inside and the one that the specs want, each once."""
    names = (part.role, part.wanted_role)
    return tuple({name_key(n): n for n in names if n is not None}.values())
