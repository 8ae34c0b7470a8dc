"""Our resources that left the specs: deleted with ``--prune``, otherwise listed and kept."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass

from reconciler.kinds import association
from reconciler.kinds.registry import kind_of
from reconciler.model import ownership
from reconciler.model.address import (
    EVERYTHING,
    Address,
    instance_address,
    profile_address,
    role_address,
)
from reconciler.model.live import LiveEntity, LiveInstance, LivePolicy, LiveProfile, LiveRole
from reconciler.model.ownership import InstanceKey
from reconciler.model.resources import Role
from reconciler.plan.changes import Delete, Guard, Kept, KeptStatus
from reconciler.plan.graph import PendingStep
from reconciler.plan.plan import Work
from reconciler.planner.associations import claimed, moves
from reconciler.planner.context import PlanContext, PlanFragment, merged
from reconciler.planner.cutover_plan import interrupted_cutovers
from reconciler.planner.cutover_reasons import is_waiting_for_others
from reconciler.planner.in_use import Use, counted, is_for_ec2
from reconciler.planner.ownership_checks import desired_state_of, gives_up, is_ours, set_aside


def plan_removals(context: PlanContext, moved: Collection[InstanceKey]) -> PlanFragment:
    """Order: associations, roles out of profiles, profiles, permissions, roles, policies. ``moved``
    are instances that this plan gives another profile."""
    left = list(_left(context))
    if context.live.not_whole is not None:
        reason = f"the resources that left the specs are not known: {context.live.not_whole}"
        note = PlanFragment(kept=(Kept(EVERYTHING, reason, "warning"),))
        return merged([_associations(context, delete=False), note])
    if not context.options.deletes_what_is_left:
        more = " with the whole set" if context.options.is_partial else ""
        reason = f"left the specs; use --prune{more}"
        kept = tuple(Kept(e.resource.address, reason) for e in left)
        if context.options.prune:
            part = "nothing is pruned: that takes the whole set, and this is a part of it"
            kept = (*kept, Kept(EVERYTHING, part, "warning"))
        return merged([_associations(context, delete=False), PlanFragment(kept=kept)])
    held = _kept_back(left, context)
    gone = [e for e in left if e.resource.address not in held]
    staying = {e.resource.address for e in left} & held.keys()
    kept = tuple(Kept(a, held[a].reason, held[a].status) for a in sorted(staying))
    going = {entity.resource.address for entity in gone}
    deleted = (_deleted(entity, moved, context) for entity in gone)
    return merged(
        [_associations(context, delete=True, going=going), *deleted, PlanFragment(kept=kept)]
    )


def _left(context: PlanContext) -> Iterator[LiveEntity]:
    return (e for e in _all_left(context) if context.options.hidden(e.resource.address) is None)


def _all_left(context: PlanContext) -> Iterator[LiveEntity]:
    """Ours by tag, unprotected, in no spec; profiles before roles before policies."""
    desired, live = context.desired, context.live
    parts: tuple[tuple[dict[str, LiveEntity], Collection[str]], ...] = (
        (dict(live.profiles), desired.profiles),
        (dict(live.roles), desired.roles),
        (dict(live.policies), desired.policies),
    )
    for there, wanted in parts:
        for name in sorted(there):
            entity = there[name]
            is_left = entity.owner == context.options.owner and entity.protected is None
            chosen = context.options.includes(entity.resource.address)
            if is_left and chosen and name not in wanted:
                yield entity


def hidden(context: PlanContext) -> Iterator[Kept]:
    """What left the specs and a rule of the settings hides."""
    addresses = [e.resource.address for e in _all_left(context)]
    addresses += [instance_address(i.key.instance) for i in _all_made(context)]
    for address in addresses:
        if reason := context.options.hidden(address):
            yield Kept(address, f"left the specs ({reason})", "ignored")


@dataclass(frozen=True, slots=True)
class _ReasonToKeep:
    """Why something that left the specs stays for now."""

    reason: str
    status: KeptStatus = "left"


def _kept_back(left: list[LiveEntity], context: PlanContext) -> dict[Address, _ReasonToKeep]:
    """What must stay, with the reason; profiles before roles before policies, since what stays
    holds what it has."""
    held: dict[Address, _ReasonToKeep] = {}
    for wanted, live in interrupted_cutovers(context):
        waits = "its cut-over waits for instances that reconciler cannot refresh, and"
        of_run = "a run died during its cut-over, which"
        reason = f"{waits if is_waiting_for_others(live) else of_run} is completed first"
        held[live.resource.address] = _ReasonToKeep(reason)
        if wanted.after.role is not None:
            held[role_address(wanted.after.role)] = _ReasonToKeep(
                f"{live.resource.address} holds it"
            )
    named = _named_by_specs(context)
    going = {e.resource.address for e in left} - held.keys()
    for entity in left:
        address = entity.resource.address
        if address in going and (why := _reason_to_keep(entity, going, named, context)):
            held[address] = why
            going.discard(address)
    return held


def _reason_to_keep(
    entity: LiveEntity, going: set[Address], named: Mapping[Address, str], context: PlanContext
) -> _ReasonToKeep | None:
    address = entity.resource.address
    if address in named:
        return _ReasonToKeep(f"{named[address]} in the specs names it")
    uses = context.in_use.uses(entity)
    match entity:
        case LiveProfile() if context.options.allows("consumers", address):
            return None
        case LiveProfile():
            # Known consumers are a guard; if there may be unknown ones, it is kept.
            lift = f"--allow consumers={address} deletes it anyway"
            unknown = (use for use in uses if use.kind == "unknown")
            return next((_ReasonToKeep(f"{use.reason}; {lift}") for use in unknown), None)
        case LiveRole():
            return _role_held(entity, uses, going, context)
        case LivePolicy():
            staying = (
                u for u in uses if u.by is None or not _lets_go_of(u.by, entity, going, context)
            )
            return next((_ReasonToKeep(use.reason) for use in staying), None)


def _role_held(
    entity: LiveRole, uses: tuple[Use, ...], going: set[Address], context: PlanContext
) -> _ReasonToKeep | None:
    for use in uses:
        if use.kind == "inside" and not (use.by and gives_up(use.by, entity, going, context)):
            return _ReasonToKeep(use.reason)
    if context.options.allows("release", entity.resource.address):
        return None
    let_go = "it is released by this plan; processes may hold its credentials for hours"
    lift = f"--allow release={entity.resource.address} deletes it anyway"
    for use in uses:
        match use.kind:
            case "served" if use.by in going or use.by in context.cut_over:
                return _ReasonToKeep(let_go, "released")
            case "served":
                return _ReasonToKeep(f"{use.reason}; {lift}")
            case "released":
                return _ReasonToKeep(use.reason, "released")
            case "unknown":
                return _ReasonToKeep(f"{use.reason}; {lift}")
            case "inside" | "attached":
                pass
    return None


def _lets_go_of(
    user: Address, policy: LivePolicy, going: set[Address], context: PlanContext
) -> bool:
    """Whether the role no longer has the policy after this plan."""
    live, wanted = context.live.role(user.name), context.desired.role(user.name)
    if user in going:
        return True
    if live is None or wanted is None or not context.options.includes(user):
        return False
    if not is_ours(live, context) or set_aside(wanted, context):
        return False
    after = desired_state_of(wanted, live, context)
    return isinstance(after, Role) and policy.arn not in after.policies


def _named_by_specs(context: PlanContext) -> dict[Address, str]:
    """Resources that no spec defines but some spec refers to, each with what refers to it."""
    found: dict[Address, str] = {}
    for wanted in context.desired.associations:
        for region in wanted.regions or context.options.regions:
            name = wanted.in_region(region).profile
            found.setdefault(profile_address(name), f"the association {wanted.name!r}")
    for profile in context.desired.profiles.values():
        if profile.resource.role is not None:
            held = role_address(profile.resource.role)
            found.setdefault(held, str(profile.resource.address))
    for role in context.desired.roles.values():
        for arn in role.resource.policies:
            address = context.arns.address(arn)
            if address is not None:
                found.setdefault(address, str(role.resource.address))
    return found


def _deleted(
    entity: LiveEntity, moved: Collection[InstanceKey], context: PlanContext
) -> PlanFragment:
    address = entity.resource.address
    users: tuple[LiveInstance, ...] = ()
    if isinstance(entity, LiveProfile):
        users = tuple(i for i in context.in_use.consumers(entity) if i.key not in moved)
    change = Delete(
        address=address,
        before=entity.resource.attributes(),
        reason=context.options.reason_to_delete,
        consumers=tuple(i.key.instance for i in users if i.is_running),
    )
    guards = []
    if users and not context.options.allows("consumers", address):
        reason = f"{counted(users)} would be left without {address}"
        guards.append(Guard("consumers", reason, f"--allow consumers={address}", (address,)))
    pending: tuple[PendingStep[Work], ...] = tuple(kind_of(address).delete(entity, context))
    return PlanFragment(changes=(change,), pending=pending, guards=tuple(guards))


def _associations(
    context: PlanContext, delete: bool, going: Collection[Address] = ()
) -> PlanFragment:
    """Associations that we made and that left the specs."""
    left = [i for i in _all_made(context) if context.options.hidden(_address(i)) is None]
    if not delete:
        return PlanFragment(
            kept=tuple(Kept(_address(i), "left the specs; use --prune") for i in left)
        )
    return merged([*(_disassociated(i, context) for i in left), *_bare(left, going, context)])


def _bare(
    instances: Iterable[LiveInstance], going: Collection[Address], context: PlanContext
) -> Iterator[PlanFragment]:
    """Instances that would be left without any profile: one guard for each profile that they have.
    A profile that goes itself has its own guard, which counts them."""
    users: dict[Address, list[LiveInstance]] = {}
    for instance in instances:
        if instance.row is not None and not context.options.allows("consumers", _address(instance)):
            users.setdefault(profile_address(instance.row.profile_name), []).append(instance)
    for address, left in sorted(users.items()):
        if address not in going and not context.options.allows("consumers", address):
            reason = f"{counted(left)} would be left without {address}"
            guard = Guard("consumers", reason, f"--allow consumers={address}", (address,))
            yield PlanFragment(guards=(guard,))


def _address(instance: LiveInstance) -> Address:
    return instance_address(instance.key.instance)


def removes_anything(context: PlanContext) -> bool:
    """Whether the plan deletes a profile, deletes a role that instances may hold, moves an instance
    or removes its association: then consumers in every region must be known."""
    if context.replaced or any(moves(context)):
        return True
    if not context.options.deletes_what_is_left or context.live.not_whole is not None:
        return False
    return any(_may_be_held(e, context) for e in _left(context)) or any(_all_made(context))


def _may_be_held(entity: LiveEntity, context: PlanContext) -> bool:
    """Whether instances may have the role: also a role that EC2 can assume and that is in no
    profile now, since its profile may have been deleted."""
    if isinstance(entity, LiveRole):
        return bool(context.in_use.profiles_of(entity)) or is_for_ec2(entity)
    return isinstance(entity, LiveProfile)


def _all_made(context: PlanContext) -> Iterator[LiveInstance]:
    """In the regions of the set."""
    own = context.options.own_regions
    return (instance for instance in _made_anywhere(context) if instance.key.region in own)


def made_elsewhere(context: PlanContext) -> Iterator[Kept]:
    """In other regions, as far as those were read. Another run of the set may be for them, so they
    are not pruned."""
    own = context.options.own_regions
    for instance in _made_anywhere(context):
        region, address = instance.key.region, _address(instance)
        if region not in own and context.options.hidden(address) is None:
            reason = (
                f"is made by this owner, and kept: {region} is not among the regions of the set"
            )
            yield Kept(address, reason, "warning")


def _made_anywhere(context: PlanContext) -> Iterator[LiveInstance]:
    named = claimed(context)
    if context.options.chosen is not None:
        return
    for key, instance in sorted(context.live.instances.items()):
        chosen = key not in named and context.options.includes(_address(instance))
        if chosen and instance.untouchable is None and is_made(instance, context):
            yield instance


def is_made(instance: LiveInstance, context: PlanContext) -> bool:
    """Our tag names this instance and the profile that it has."""
    row = instance.row
    mark = instance.marks.get(ownership.ASSOCIATION)
    if row is None or instance.is_gone:
        return False
    wanted = ownership.association_mark(
        context.options.owner, instance.key.instance, row.profile_id
    )
    return mark == wanted


def _disassociated(instance: LiveInstance, context: PlanContext) -> PlanFragment:
    row = instance.row
    name = row.profile_name if row else ""
    change = Delete(
        address=_address(instance),
        region=instance.key.region,
        before={"instance_profile": name},
        reason=context.options.reason_to_delete,
        consumers=(instance.key.instance,) if instance.is_running else (),
    )
    return PlanFragment(
        changes=(change,), pending=tuple(association.disassociate(instance, context))
    )
