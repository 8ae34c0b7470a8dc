"""Which instances should have which profile, and what it takes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

from reconciler.diagnostics import Diagnostic, Location
from reconciler.kinds import association as kind
from reconciler.model import ownership
from reconciler.model.address import (
    ANY_INSTANCE,
    PROFILE,
    Address,
    instance_address,
    profile_address,
)
from reconciler.model.live import SELECTABLE, LiveInstance
from reconciler.model.ownership import InstanceKey
from reconciler.model.resources import Association, InstanceProfile
from reconciler.plan.calls import Wait
from reconciler.plan.changes import Conflict, Create, Difference, Guard, Kept, Unmet, Unread, Update
from reconciler.plan.graph import Label, PendingStep, exists, ready
from reconciler.planner.context import PendingWork, PlanContext, PlanFragment, merged, profile_named
from reconciler.planner.ownership_checks import (
    desired_state_of,
    is_left_out,
    is_ours,
    not_made_here,
    unread,
)
from reconciler.planner.places import place_of_instance
from reconciler.spec.desired import DesiredAssociation


@dataclass(frozen=True, slots=True)
class Claim:
    """One instance that an association of the specs is about."""

    instance: LiveInstance
    association: DesiredAssociation
    is_selected: bool
    rival: DesiredAssociation | None = None
    """Another association that claims the instance as well."""

    @property
    def wanted(self) -> Association:
        key = self.instance.key
        return Association(key.instance, key.region, self.association.profile)


def plan_associations(context: PlanContext) -> PlanFragment:
    claims = context.once(_claims)
    parts = [_claim(claim, context) for claim in claims]
    moving = moved(merged(parts))
    told = merged([_absent(context), _empty(context), PlanFragment(kept=tuple(_managed(context)))])
    return merged(
        [
            told,
            *parts,
            _noted([c for c in claims if c.instance.key in moving], context),
            _fresh(claims, context),
        ]
    )


def _managed(context: PlanContext) -> Iterator[Kept]:
    """Instances that the specs mean and that an AWS service manages: they are not touched."""
    for claim in context.once(_meant):
        address, operator = claim.wanted.address, claim.instance.operator
        is_right = _is_there(claim, context)
        if operator is not None and not is_right and context.options.includes(address):
            wanted = f"instance-profile/{claim.association.profile}"
            yield Kept(
                address, f"is not associated with {wanted}: {operator} manages it", "warning"
            )


def claimed(context: PlanContext) -> frozenset[InstanceKey]:
    return frozenset(claim.instance.key for claim in context.once(_claims))


def claim_of(key: InstanceKey, context: PlanContext) -> Claim | None:
    """What the specs want of the instance, also where it is not ours to touch, or not planned."""
    return next((claim for claim in context.once(_meant) if claim.instance.key == key), None)


@dataclass(frozen=True, slots=True)
class Elsewhere:
    """An association of the specs that means an instance by its tags or by its id, and is for
    other regions than that of the instance."""

    association: str
    is_selected: bool
    regions: tuple[str, ...]


def elsewhere(instance: LiveInstance, context: PlanContext) -> Iterator[Elsewhere]:
    """Why the specs say nothing of an instance of which they could be thought to say something."""
    region = instance.key.region
    for association in context.desired.associations:
        regions = association.regions or context.options.regions
        if region in regions or not association.is_chosen:
            continue
        here = association.in_region(region)
        if here.select is None:
            is_meant = instance.key.instance in here.instances
        else:
            is_meant = all(instance.tags.get(key) in values for key, values in here.select.items())
        if is_meant:
            yield Elsewhere(here.name, here.select is not None, tuple(sorted(regions)))


def wanted_profile(instance: LiveInstance, context: PlanContext) -> str | None:
    """The profile that the specs give it, or that it has where they say nothing."""
    claim = claim_of(instance.key, context)
    if claim is not None:
        return claim.association.profile
    return instance.row.profile_name if instance.row is not None else None


def moved(planned: PlanFragment) -> frozenset[InstanceKey]:
    """Instances that get another profile in this plan; a blocked one does not."""
    return frozenset(
        InstanceKey(change.region or "", change.address.name)
        for change in planned.changes
        if isinstance(change, Update) and "instance_profile" in (change.after or {})
    )


def moves(context: PlanContext) -> Iterator[InstanceKey]:
    """Instances that are to leave their profile for another."""
    for claim in context.once(_claims):
        if claim.instance.row is not None and not _is_there(claim, context):
            yield claim.instance.key


def rules(context: PlanContext) -> tuple[dict[str, object], ...]:
    """What decides which instances are meant, wherever that is left to their tags."""
    options = context.options
    if not options.may_include("association"):
        return ()
    part = {"only": list(options.only), "exclude": list(options.exclude)}
    narrowed = {flag: patterns for flag, patterns in part.items() if patterns}
    return tuple(
        {
            **narrowed,
            "association": a.name,
            "instance_profile": a.profile,
            "select": {key: list(values) for key, values in sorted((a.select or {}).items())},
            "regions": list(a.regions or options.regions),
        }
        for a in context.desired.associations
        if a.select is not None and a.is_chosen
    )


def _claims(context: PlanContext) -> tuple[Claim, ...]:
    planned = [c for c in context.once(_meant) if c.instance.untouchable is None]
    chosen = [c for c in planned if context.options.includes(c.wanted.address)]
    return tuple(sorted(chosen, key=lambda c: c.instance.key))


def _meant(context: PlanContext) -> list[Claim]:
    """One claim for each instance, also where it is not ours to touch."""
    found: dict[InstanceKey, Claim] = {}
    for association in context.desired.associations:
        for claim in _claims_of(association, context):
            key = claim.instance.key
            first = found.setdefault(key, claim)
            if first.association.name != association.name and first.rival is None:
                found[key] = replace(first, rival=association)
    return [c for c in found.values() if c.association.is_chosen]


def _claims_of(association: DesiredAssociation, context: PlanContext) -> Iterator[Claim]:
    for region in association.regions or context.options.regions:
        here = association.in_region(region)
        here = replace(here, profile=profile_named(here.profile, context.desired, context.live))
        for instance in _matching(here, region, context):
            yield Claim(instance, here, here.select is not None)


def _matching(
    association: DesiredAssociation, region: str, context: PlanContext
) -> Iterator[LiveInstance]:
    live = context.live
    found: Iterable[LiveInstance]
    if association.select is None:
        keys = sorted({InstanceKey(region, name) for name in association.instances})
        found = (live.instances[key] for key in keys if key in live.instances)
    elif association.select:
        first, *more = association.select.items()
        found = (
            i
            for i in live.tagged(region, *first)
            if all(i.tags.get(name) in values for name, values in more)
        )
    else:
        found = live.in_region(region)
    yield from (i for i in found if i.state in SELECTABLE)


def _absent(context: PlanContext) -> PlanFragment:
    """Instances that are listed by id and exist in none of the regions of their association. One
    that was terminated is no consumer any more, so nothing waits for it."""
    seen = _by_id(context)
    return merged(
        _absence(name, seen.get(name), regions, association.place.at("instances", number), context)
        for association, regions in _listing(context)
        for number, name in enumerate(association.instances)
        if context.options.includes(instance_address(name))
    )


def _empty(context: PlanContext) -> PlanFragment:
    """Selectors that no instance matches, where all of their regions were read."""
    if not context.options.includes(ANY_INSTANCE):
        return PlanFragment()
    return PlanFragment(
        diagnostics=tuple(
            Diagnostic(
                "warning",
                "selects-nothing",
                f"association {association.name!r} selects no instance in {', '.join(regions)}",
                association.place.at("select"),
            )
            for association, regions in _read_regions(context)
            if association.select is not None
            and next(_claims_of(association, context), None) is None
        )
    )


def not_found(context: PlanContext) -> tuple[InstanceKey, ...]:
    """Instances that are listed by id and were in none of the answers: terminated, or never there.
    Each in every region of its association."""
    seen = _by_id(context)
    return tuple(
        sorted(
            InstanceKey(region, name)
            for association, regions in _listing(context)
            for name in association.instances
            if name not in seen and context.options.includes(instance_address(name))
            for region in regions
        )
    )


def _listing(context: PlanContext) -> Iterator[tuple[DesiredAssociation, tuple[str, ...]]]:
    """Associations that list their instances, with their regions, where all of those were read."""
    return (pair for pair in _read_regions(context) if pair[0].select is None)


def _read_regions(context: PlanContext) -> Iterator[tuple[DesiredAssociation, tuple[str, ...]]]:
    """The chosen associations, with their regions, where all of those were read."""
    for association in context.desired.associations:
        regions = association.regions or context.options.regions
        is_read = not context.live.unread_regions.keys() & set(regions)
        if association.is_chosen and is_read:
            yield association, regions


def _by_id(context: PlanContext) -> dict[str, LiveInstance]:
    """Instances by their ids, which are unique in AWS."""
    return {key.instance: live for key, live in context.live.instances.items()}


def _absence(
    instance: str,
    live: LiveInstance | None,
    regions: tuple[str, ...],
    place: Location,
    context: PlanContext,
) -> PlanFragment:
    """The part of the plan about an instance of the specs that is not there, if so. One in another
    region is reported with that region, as far as it was read."""
    address = instance_address(instance)
    if live is None or live.key.region not in regions:
        message = f"instance {instance} does not exist in {', '.join(regions)}"
        if live is not None and not live.is_gone:
            message += f": it is in {live.key.region}"
        return PlanFragment(
            unmet=(Unmet(address, Diagnostic("error", "no-such-instance", message, place)),)
        )
    if not live.is_gone:
        return PlanFragment()
    message = f"instance {instance} was terminated"
    found = Diagnostic("warning", "instance-ended", message, place, "remove it from instances")
    if context.options.for_drift:
        return PlanFragment(unmet=(Unmet(address, found, region=live.key.region),))
    return PlanFragment(diagnostics=(found,))


def _claimed_twice(claim: Claim, rival: DesiredAssociation) -> Unmet:
    key, association = claim.instance.key, claim.association
    message = f"{key.instance} is claimed by {association.name!r} and by {rival.name!r}"
    related = ((f"claimed by {association.name!r}", association.place.here),)
    place = rival.place.here
    found = Diagnostic("error", "claimed-twice", message, place, related=related)
    return Unmet(claim.wanted.address, found, region=key.region, status="unknown")


def _claim(claim: Claim, context: PlanContext) -> PlanFragment:
    if claim.rival is not None:
        return PlanFragment(unmet=(_claimed_twice(claim, claim.rival),))
    name = claim.association.profile
    wanted = context.desired.profile(name)
    live = context.live.profile(name)
    if reason := _unread(claim, context):
        return PlanFragment(kept=(Kept(claim.wanted.address, reason, "blocked"),))
    if _on_unread(claim, context):
        return PlanFragment()
    if live is None and wanted is None:
        message = f"instance profile {name!r} exists neither in the specs nor in AWS"
        place = claim.association.place.at("instance_profile")
        found = Diagnostic("error", "no-such-profile", message, place)
        return PlanFragment(unmet=(Unmet(profile_address(name), found),))
    if wanted is not None and is_left_out(wanted, context):
        place = claim.association.place.at("instance_profile")
        return PlanFragment(diagnostics=(not_made_here(wanted, "no-such-profile", place, context),))
    address = claim.wanted.address
    if live is None and wanted is not None and wanted.resource.address in context.blocked:
        reason = f"{wanted.resource.address} is not created"
        return PlanFragment(kept=(Kept(address, reason, "blocked"),))
    if live is not None and wanted is not None and not is_ours(live, context):
        reason = f"its profile instance-profile/{live.resource.name} is not managed"
        return PlanFragment(kept=(Kept(address, reason, "blocked"),))
    if conflict := _conflict(claim, context):
        return PlanFragment(conflicts=(conflict,))
    row = claim.instance.row
    if row is None:
        # One in flight gets its profile back from that profile's cut-over.
        is_flying = live is not None and wanted is not None and claim.instance.key in live.in_flight
        return PlanFragment() if is_flying else _associated(claim, context)
    if _is_there(claim, context):
        if live is None or row.profile_id != live.id:
            # Stale associations of our own profiles are replaced by their cut-over; those of other
            # profiles here.
            if wanted is not None:
                return _renamed(claim, context, is_told=True)
            return _moved(claim, context)
        is_told = live.resource.address in context.replaced
        return _renamed(claim, context, is_told=is_told)
    return _moved(claim, context)


def _unread(claim: Claim, context: PlanContext) -> str | None:
    wanted = context.desired.profile(claim.association.profile)
    address = profile_address(claim.association.profile)
    is_unread = address in context.live.unread or (wanted is not None and unread(wanted, context))
    return f"its profile {address} cannot be read" if is_unread else None


def unread_before(context: PlanContext) -> Iterator[Unread]:
    """Instances on a profile of which it cannot be read whose it is: they stay there."""
    for claim in context.once(_claims):
        if (address := _on_unread(claim, context)) and not _unread(claim, context):
            reason = f"it is on {address}: {context.live.unread[address]}"
            yield Unread(claim.wanted.address, reason)


def _on_unread(claim: Claim, context: PlanContext) -> Address | None:
    """The address of the profile that it would be moved from, where that could not be read."""
    row = claim.instance.row
    if row is None or _is_there(claim, context):
        return None
    address = profile_address(row.profile_name)
    return address if address in context.live.unread else None


def _conflict(claim: Claim, context: PlanContext) -> Conflict | None:
    """Conflicts: instances that belong to another owner, or to none, and that may not be taken.

    Anyone who may tag instances decides what a ``select`` finds, so what it finds needs ``--adopt``
    like any other resource; an id in a spec is an explicit decision.
    """
    held, options = _held(claim, context), context.options
    if held is None:
        return None
    reason, owner = held
    needed = {}
    if claim.is_selected:
        needed["--adopt"] = options.adopt
    if owner is not None:
        needed["--take-over"] = options.take_over
    if all(needed.values()):
        return None
    place = claim.association.place.here
    return Conflict(claim.wanted.address, reason, " ".join(needed), place, owner)


def _held(claim: Claim, context: PlanContext) -> tuple[str, str | None] | None:
    """Why the instance is not ours, and its owner; the owner is ``None`` if there is none."""
    instance, row, mine = claim.instance, claim.instance.row, context.options.owner
    if row is None:
        return None
    mark = ownership.decode_association(instance.marks.get(ownership.ASSOCIATION))
    known = (instance.key.instance, row.profile_id)
    if mark is not None and (mark.instance, mark.profile_id) == known:
        is_ours = mark.owner == mine
        return None if is_ours else (f"belongs to the owner {mark.owner!r}", mark.owner)
    live = None if _is_there(claim, context) else context.live.profile(row.profile_name)
    if live is None or live.owner == mine:
        return None
    where, owner = f"is on {live.resource.address}", live.claimed_by
    if owner in (None, mine):
        return f"{where}, which is not managed", None
    return f"{where}, which belongs to the owner {owner!r}", owner


def profiles_to_look_at(context: PlanContext) -> tuple[str, ...]:
    """Names of profiles that claimed instances are on, and of which it was not read whose they
    are: not even which of them exist, where only what the specs name was read."""
    is_whole = context.live.not_whole is None
    names = set()
    for claim in context.once(_claims):
        row = claim.instance.row
        if row is None or _is_there(claim, context):
            continue
        live = context.live.profile(row.profile_name)
        if (live is None and not is_whole) or (live is not None and not live.tags_known):
            names.add(row.profile_name)
    return tuple(sorted(names))


def _intent(claim: Claim) -> dict[str, object]:
    return {"select": claim.association.name} if claim.is_selected else {}


def _associated(claim: Claim, context: PlanContext) -> PlanFragment:
    wanted = claim.wanted
    change = Create(
        address=wanted.address,
        region=wanted.region,
        after=wanted.attributes(),
        source=claim.association.place.here,
        places=place_of_instance(claim.association, wanted.instance),
        intent=_intent(claim),
    )
    pending = tuple(kind.associate(claim.instance, wanted, context))
    return PlanFragment(changes=(change,), pending=pending)


def _moved(claim: Claim, context: PlanContext) -> PlanFragment:
    wanted, row = claim.wanted, claim.instance.row
    before = row.profile_name if row else None
    change = Update(
        address=wanted.address,
        region=wanted.region,
        before={"instance_profile": before},
        after=wanted.attributes(),
        differences=(Difference("instance_profile", before, wanted.profile),),
        consumers=(wanted.instance,) if claim.instance.is_running else (),
        source=claim.association.place.here,
        places=place_of_instance(claim.association, wanted.instance),
        intent=_intent(claim),
    )
    pending = tuple(kind.move(claim.instance, wanted, context))
    return PlanFragment(changes=(change,), pending=pending, guards=tuple(_emptied(claim, context)))


def _emptied(claim: Claim, context: PlanContext) -> Iterator[Guard]:
    """A running instance that would be moved to a profile without a role."""
    name, address = claim.association.profile, claim.wanted.address
    live, wanted = context.live.profile(name), context.desired.profile(name)
    after = (
        desired_state_of(wanted, live, context)
        if wanted and live
        else wanted.resource
        if wanted
        else None
    )
    held = after if isinstance(after, InstanceProfile) else live.resource if live else None
    has_role = held is not None and held.role is not None
    if (
        claim.instance.is_running
        and not has_role
        and not context.options.allows("consumers", address)
    ):
        reason = (
            f"{claim.wanted.instance} would be moved to {profile_address(name)}, which is empty"
        )
        yield Guard("consumers", reason, f"--allow consumers={address}", (address,))


def _renamed(claim: Claim, context: PlanContext, *, is_told: bool) -> PlanFragment:
    """Our tag names a deleted profile of the same name, or it is another owner's that is taken
    over. If the association is also replaced, another change reports it already."""
    wanted, owner = claim.wanted, kind.owner_before(claim.instance, context)
    pending = tuple(kind.tagged_anew(claim.instance, wanted, context))
    if is_told or not pending:
        return PlanFragment(pending=pending)
    change = Update(
        address=wanted.address,
        region=wanted.region,
        before={},
        after={},
        reason=f"taken over from {owner!r}"
        if owner is not None
        else "its tag names a profile that no longer exists",
        source=claim.association.place.here,
        places=place_of_instance(claim.association, wanted.instance),
        intent=_intent(claim),
    )
    return PlanFragment(changes=(change,), pending=pending)


def _moving(claims: Iterable[Claim], context: PlanContext) -> dict[str, list[InstanceKey]]:
    """Stopped instances on their way to another profile, by the name of that profile."""
    found: dict[str, list[InstanceKey]] = {}
    for claim in claims:
        name = claim.association.profile
        live = context.live.profile(name)
        is_stopped = claim.instance.row is not None and claim.instance.state == "stopped"
        if is_stopped and not _is_there(claim, context):
            found.setdefault(live.resource.name if live else name, []).append(claim.instance.key)
    return found


def _noted(claims: Iterable[Claim], context: PlanContext) -> PlanFragment:
    """In-flight marks on our own profiles, for the instances that move. Other profiles get no mark;
    there the specs say where the instance belongs."""
    pending: list[PendingWork] = []
    for name, keys in sorted(_moving(claims, context).items()):
        live = context.live.profile(name)
        wanted = context.desired.profile(name)
        if wanted is not None and (live is None or is_ours(live, context)):
            pending.extend(kind.noted(live, name, tuple(keys), context))
    return PlanFragment(pending=tuple(pending))


def _fresh(claims: tuple[Claim, ...], context: PlanContext) -> PlanFragment:
    """A profile that is new and about to be used: EC2 may see it before it sees the role inside."""
    used = {c.association.profile for c in claims if not _is_there(c, context) and not c.rival}
    pending: list[PendingWork] = []
    for name in sorted(used):
        wanted = context.desired.profile(name)
        live = context.live.profile(name)
        seconds = context.options.settings.propagation
        is_young = live is not None and context.options.now - live.created_at < seconds
        if wanted is None or wanted.resource.role is None or not (live is None or is_young):
            continue
        address = wanted.resource.address
        if is_left_out(wanted, context) or address in context.blocked:
            continue
        wait = Wait("propagated", seconds, profile=name)
        requires, later = frozenset({exists(address)}), frozenset({Label("filled", address)})
        pending.append(PendingStep(address, wait, requires, later, frozenset({ready(address)})))
    return PlanFragment(pending=tuple(pending))


def _is_there(claim: Claim, context: PlanContext) -> bool:
    """Whether the instance has the profile already, or the one of its name that was before."""
    return claim.instance.names(context.arns.of(PROFILE, "/", claim.association.profile))
