"""From an address to everything that is said of it. Pure: what is read is in ``reading.py``."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, replace

from reconciler.explain import marks
from reconciler.explain.explanation import (
    DONE,
    AssociationPart,
    Explanation,
    NewInstances,
    Next,
    NotRead,
    PolicyPart,
    ProfilePart,
    Relation,
    RolePart,
)
from reconciler.explain.parts import (
    Documents,
    is_known,
    live_of,
    policy_part,
    profile_part,
    role_part,
    roles_around,
)
from reconciler.explain.stops import Allowed, Stop
from reconciler.model.address import (
    ANY_INSTANCE,
    PROFILE,
    ROLE,
    Address,
    instance_address,
    name_key,
    profile_address,
    role_address,
    same_name,
)
from reconciler.model.consumers import grouped
from reconciler.model.launch_sources import LaunchSources, origin_of
from reconciler.model.live import LiveInstance, LiveProfile
from reconciler.plan.changes import Change, CutOverInstance, Kept, Restore, Unread
from reconciler.plan.plan import TargetPlan
from reconciler.planner.associations import claim_of, elsewhere, wanted_profile
from reconciler.planner.blast_radius import apart
from reconciler.planner.context import PlanContext
from reconciler.planner.launches import (
    Launch,
    naming,
    of_consumers,
    of_instance,
    role_after,
    role_in,
)
from reconciler.planner.served import Served, served


@dataclass(frozen=True, slots=True)
class Known:
    """What an explanation is made from: the plan of the target, a context of everything that was
    read, and what is told besides."""

    plan: TargetPlan
    context: PlanContext
    launches: LaunchSources
    documents: Documents
    searched: tuple[str, ...] = ()
    not_read: tuple[NotRead, ...] = ()
    allowed: Allowed | None = None
    """What an apply does with everything allowed; ``None`` where that is the plan."""

    @property
    def coming(self) -> TargetPlan:
        """The plan that counts for what comes after."""
        return self.allowed.plan if self.allowed is not None else self.plan


def explain_instance(instance: LiveInstance, known: Known) -> Explanation:
    """The instance is one of the context's live state."""
    context = known.context
    seen = context.live.on_temporary_profile.get(instance.key, instance)
    association = _association(seen, context)
    whose = served(instance, context)
    profiles = tuple(_profiles_of(seen, association, context))
    names = [name for part in profiles for name in roles_around(part)]
    names += [whose.role] if whose.role else [*whose.candidates]
    made = Explanation(
        plan=known.plan,
        address=instance_address(instance.key.instance),
        instance=seen,
        origin=origin_of(seen),
        served=whose,
        association=association,
        profiles=profiles,
        roles=tuple(_roles(names, known)),
        not_read=known.not_read,
    )
    told = _news_of_instance(seen, profiles, known)
    following = _next(made, known)
    following = replace(following, untouched=_untouched(seen, whose, following, known))
    return replace(made, next=following, new_instances=tuple(told))


def _untouched(instance: LiveInstance, whose: Served, following: Next, known: Known) -> str | None:
    row, own = instance.row, instance_address(instance.key.instance)
    if row is None or any(change.address == own for change in following.then):
        return None
    profile = profile_address(row.profile_name)
    is_cut_over = any(c.address == profile and "strategy" in c.intent for c in following.then)
    if not is_cut_over:
        return None
    if instance.untouchable is not None:
        return instance.untouchable
    if not instance.is_running:
        return f"it is {instance.state}"
    kinds = {one.kind for one in apart((instance,), known.context)}
    if "other-region" in kinds:
        return "consumer_regions leaves its region out"
    return DONE if whose.how == "progress-tag" else None


def explain_address(address: Address, known: Known) -> Explanation | None:
    """A role, a policy or a profile; ``None`` where neither AWS nor the specs have it."""
    context = known.context
    policies: tuple[PolicyPart, ...] = ()
    if address.kind not in (PROFILE, ROLE):
        part = policy_part(address, context, known.documents)
        if part is None:
            return None
        policies = (part,)
    elif not is_known(address, context):
        return None
    roles, profiles = _around(address, policies, known)
    consumers = _consumers((part.address.name for part in profiles), context)
    own = policies or ((roles if address.kind == ROLE else profiles)[:1])
    made = Explanation(
        plan=known.plan,
        address=own[0].address,
        profiles=profiles,
        roles=roles,
        policies=policies,
        consumers=grouped(consumers),
        apart=apart(consumers, context),
        searched=known.searched,
        not_read=known.not_read,
    )
    told = _news_of_consumers(consumers, profiles, known)
    return replace(made, next=_next(made, known, consumers), new_instances=tuple(told))


def _association(instance: LiveInstance, context: PlanContext) -> AssociationPart:
    claim = claim_of(instance.key, context)
    found = marks.of_instance(instance, context)
    if claim is None:
        others = tuple(elsewhere(instance, context))
        return AssociationPart(instance.row, marks=found, elsewhere=others)
    wanted = claim.association
    return AssociationPart(
        instance.row,
        wanted.name,
        wanted.profile,
        wanted.place.here,
        claim.is_selected,
        claim.rival.name if claim.rival is not None else None,
        found,
    )


def _profiles_of(
    instance: LiveInstance, association: AssociationPart, context: PlanContext
) -> Iterator[ProfilePart]:
    """The one that it has and the one that the specs give it; on the way the one it is to get
    back."""
    row, wanted = instance.row, association.wanted
    names: dict[str, tuple[str, str]] = {}
    if row is not None:
        names[name_key(row.profile_name)] = (row.profile_name, "")
        found = live_of(profile_address(row.profile_name), context)
        home = found.temporary_of if isinstance(found, LiveProfile) else None
        if home is not None:
            names.setdefault(name_key(home), (home, "where it moves back to"))
    if wanted is not None:
        why = (
            "wanted for this instance"
            if row is None or not same_name(row.profile_name, wanted)
            else ""
        )
        names.setdefault(name_key(wanted), (wanted, why))
    for profile in context.live.profiles.values():
        if instance.key in profile.in_flight:
            name = profile.resource.name
            names.setdefault(name_key(name), (name, "which a run must give back"))
    for name, why in names.values():
        yield profile_part(name, context, why)


def _roles(names: Iterable[str], known: Known) -> Iterator[RolePart]:
    """Each once. A candidate for what is served may be the id of a role that is gone: of that there
    is nothing to tell."""
    for name in {name_key(n): n for n in names}.values():
        if is_known(role_address(name), known.context):
            yield role_part(name, known.context, known.documents)


def _around(
    address: Address, policies: tuple[PolicyPart, ...], known: Known
) -> tuple[tuple[RolePart, ...], tuple[ProfilePart, ...]]:
    """The roles and the profiles above or below: of a policy all that have it, of a role its
    profiles, of a profile its roles."""
    context, documents = known.context, known.documents
    if address.kind == PROFILE:
        profile = profile_part(address.name, context)
        found: tuple[ProfilePart, ...] = (profile,)
        if isinstance(live := live_of(address, context), LiveProfile) and live.temporary_of:
            found = (
                profile,
                profile_part(live.temporary_of, context, "for which the other one stands in"),
            )
        names = dict.fromkeys(name for part in found for name in roles_around(part))
        return (*_roles(names, known), *_held(address, {*map(name_key, names)}, known)), found
    if address.kind == ROLE:
        roles: tuple[RolePart, ...] = (role_part(address.name, context, documents),)
    else:
        roles = tuple(
            role_part(a.name, context, documents) for part in policies for a in part.roles
        )
    holders = sorted({holder for role in roles for holder in role.profiles})
    return roles, tuple(profile_part(holder.name, context) for holder in holders)


def _held(address: Address, told: Collection[str], known: Known) -> Iterator[RolePart]:
    """Other roles that instances of the profile may hold: a cut-over has not reached them all."""
    context = known.context
    live = live_of(address, context)
    if not isinstance(live, LiveProfile):
        return
    for role_id in context.in_use.roles_held(live):
        role = context.live.role_with(role_id)
        if role is not None and name_key(role.resource.name) not in told:
            why = "which its instances may still hold"
            yield role_part(role.resource.name, context, known.documents, why)


def _consumers(profiles: Iterable[str], context: PlanContext) -> tuple[LiveInstance, ...]:
    """Running ones, those in flight too."""
    found: dict[object, LiveInstance] = {}
    for name in profiles:
        live = live_of(profile_address(name), context)
        if isinstance(live, LiveProfile):
            moved = context.live.on_temporary_profile.values()
            users = [*context.in_use.consumers(live), *(i for i in moved if i.names(live.arn))]
            found.update((i.key, i) for i in users if i.is_running)
    return tuple(sorted(found.values(), key=lambda i: i.key))


def _next(made: Explanation, known: Known, consumers: Collection[LiveInstance] = ()) -> Next:
    """The plan, as far as it is about the chain."""
    plan, addresses = known.plan, made.addresses()
    users = {instance_address(i.key.instance) for i in consumers}
    profiles = {name_key(part.address.name) for part in made.profiles}

    def is_about(change: Change) -> bool:
        """Also an instance that comes to the chain, or leaves it. Cut-overs of instances are told
        with their profile; one by one where it is what was asked about."""
        if change.address in addresses:
            return True
        if made.instance is not None or not change.address.is_instance:
            return False
        if isinstance(change, CutOverInstance | Restore):
            return made.address.kind == PROFILE and change.address in users
        comes_to = (change.after or {}).get("instance_profile")
        return change.address in users or (comes_to is not None and name_key(comes_to) in profiles)

    def is_of_chain(unread: Unread) -> bool:
        """Consumers of a profile may be in any region, and their changes are told for it."""
        if unread.address == ANY_INSTANCE and unread.region is None:
            return bool(made.profiles)
        if unread.address in addresses or unread.region is None:
            return unread.address in addresses
        if made.instance is not None:
            return unread.region == made.instance.key.region
        return made.address.kind == PROFILE

    stops = known.allowed.stops if known.allowed is not None else ()

    def nearness(stop: Stop) -> tuple[bool, bool]:
        about = {*stop.addresses}
        return made.address not in about, not (addresses | users) & about

    return Next(
        changes=tuple(c for c in plan.changes if is_about(c)),
        conflicts=tuple(c for c in plan.conflicts if c.address in addresses | users),
        guards=tuple(g for g in plan.guards if (addresses | users) & set(g.addresses)),
        kept=_kept(plan, addresses),
        unread=tuple(u for u in plan.unread if is_of_chain(u)),
        unmet=tuple(u for u in plan.unmet if {u.address, u.needed_by} & addresses),
        stops=tuple(sorted(stops, key=nearness)),
        flags=known.allowed.flags if known.allowed is not None else (),
        then=tuple(c for c in known.coming.changes if is_about(c)),
        reached=known.coming.blast_radius,
        then_kept=_kept(known.coming, addresses),
    )


def _kept(plan: TargetPlan, addresses: Collection[Address]) -> tuple[Kept, ...]:
    return tuple(k for k in (*plan.kept, *plan.ignored) if k.address in addresses)


def _new(
    launch: Launch,
    relation: Relation,
    members: Collection[LiveInstance],
    known: Known,
) -> NewInstances:
    context, plan = known.context, known.coming
    wanted = [wanted_profile(instance, context) for instance in members]
    other = [name for name in wanted if not same_name(name, launch.profile)]
    chosen = other[0] if other else wanted[0] if wanted else None
    name = launch.profile
    is_there = name is not None and (
        context.live.profile(name) is not None or profile_address(name) in context.live.unread
    )
    return NewInstances(
        launch,
        relation,
        role_in(name, context.live) if name is not None else None,
        role_after(name, plan.changes, context.live) if name is not None else None,
        chosen,
        differs=launch.is_known and bool(other),
        is_missing=name is not None and not is_there and context.live.not_whole is None,
        instances=len(members),
    )


def _news_of_instance(
    instance: LiveInstance, profiles: Iterable[ProfilePart], known: Known
) -> Iterator[NewInstances]:
    own = of_instance(instance, known.launches)
    for launch in own:
        yield _new(launch, "started-it", (instance,), known)
    names = [part.address.name for part in profiles]
    origin, region = origin_of(instance), instance.key.region
    others = [n for n in naming(names, known.launches) if n not in own and n.region == region]
    group = origin.name if origin is not None and origin.kind == "auto-scaling-group" else None
    by_group = [n for n in others if group is not None and n.source and n.source.group == group]
    for launch in by_group:
        yield _new(launch, "by-its-group", (), known)
    for launch in others:
        if launch not in by_group:
            yield _new(launch, "names-the-profile", (), known)


def _news_of_consumers(
    consumers: Iterable[LiveInstance], profiles: Iterable[ProfilePart], known: Known
) -> Iterator[NewInstances]:
    told: list[Launch] = []
    for launch, members in of_consumers(consumers, known.launches):
        told.append(launch)
        yield _new(launch, "started-consumers", members, known)
    for launch in naming([part.address.name for part in profiles], known.launches):
        if launch not in told:
            yield _new(launch, "names-the-profile", (), known)
