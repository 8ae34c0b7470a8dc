"""Which instances should have which profile, and what it takes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from reconciler import ownership
from reconciler.changes import Conflict, Create, Difference, Kept, Update
from reconciler.diagnostics import Diagnostic
from reconciler.graph import Draft, exists, ready
from reconciler.kinds import association as kind
from reconciler.live import SELECTABLE, LiveInstance
from reconciler.model import Association
from reconciler.ownership import InstanceKey
from reconciler.planner.part import Part, View, WorkDraft, together
from reconciler.planner.standing import is_ours, unread
from reconciler.requests import Wait
from reconciler.spec.desired import DesiredAssociation


@dataclass(frozen=True, slots=True)
class Claim:
    """One instance that an association of the specs is about."""

    instance: LiveInstance
    association: DesiredAssociation
    is_selected: bool

    @property
    def wanted(self) -> Association:
        key = self.instance.key
        return Association(key.instance, key.region, self.association.profile)


def plan_associations(view: View) -> Part:
    claims, problems = _claims(view)
    parts = [_claim(claim, view) for claim in claims]
    return together(
        [Part(diagnostics=problems), *parts, _noted(claims, view), _fresh(claims, view)]
    )


def claimed(view: View) -> frozenset[InstanceKey]:
    return frozenset(claim.instance.key for claim in _claims(view)[0])


def rules(view: View) -> tuple[dict[str, object], ...]:
    """What decides which instances are meant, wherever that is left to their tags."""
    options = view.options
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
        for a in view.desired.associations
        if a.select is not None and a.is_chosen
    )


def _claims(view: View) -> tuple[tuple[Claim, ...], tuple[Diagnostic, ...]]:
    found: dict[InstanceKey, Claim] = {}
    problems: list[Diagnostic] = []
    for association in view.desired.associations:
        for claim in _claims_of(association, view, problems):
            first = found.setdefault(claim.instance.key, claim)
            if first.association.name != association.name:
                problems.append(_claimed_twice(first, claim))
    planned = [c for c in found.values() if c.association.is_chosen]
    chosen = [c for c in planned if view.options.includes(c.wanted.address)]
    return tuple(sorted(chosen, key=lambda c: c.instance.key)), tuple(problems)


def _claims_of(
    association: DesiredAssociation, view: View, problems: list[Diagnostic]
) -> Iterator[Claim]:
    regions = association.regions or view.options.regions
    for region in regions:
        here = association.in_region(region)
        for instance in _matching(here, region, view):
            yield Claim(instance, here, here.select is not None)
    if association.select is None and not view.live.unread_regions.keys() & set(regions):
        problems.extend(_absent(association, regions, view))


def _matching(association: DesiredAssociation, region: str, view: View) -> Iterator[LiveInstance]:
    for key, instance in sorted(view.live.instances.items()):
        if key.region != region or instance.state not in SELECTABLE:
            continue
        if association.select is None:
            if key.instance in association.instances:
                yield instance
        elif all(instance.tags.get(name) in values for name, values in association.select.items()):
            yield instance


def _absent(
    association: DesiredAssociation, regions: tuple[str, ...], view: View
) -> Iterator[Diagnostic]:
    """Instances that are listed and live in none of the regions; what lives in another one is told
    with it, as far as that was read."""
    live = [i.key for i in view.live.instances.values() if not i.is_gone]
    here = {key.instance for key in live if key.region in regions}
    elsewhere = {key.instance: key.region for key in live if key.region not in regions}
    for number, instance in enumerate(association.instances):
        if instance in here:
            continue
        message = f"there is no instance {instance} in {', '.join(regions)}"
        if region := elsewhere.get(instance):
            message += f": it is in {region}"
        place = association.place.at("instances", number)
        yield Diagnostic("error", "no-such-instance", message, place)


def _claimed_twice(first: Claim, second: Claim) -> Diagnostic:
    instance = first.instance.key.instance
    message = (
        f"{instance} is claimed by {first.association.name!r} and by {second.association.name!r}"
    )
    related = ((f"claimed by {first.association.name!r}", first.association.place.here),)
    place = second.association.place.here
    return Diagnostic("error", "claimed-twice", message, place, related=related)


def _claim(claim: Claim, view: View) -> Part:
    name = claim.association.profile
    wanted = view.desired.profile(name)
    live = view.live.profile(name)
    if reason := _unread(claim, view):
        return Part(kept=(Kept(claim.wanted.address, reason, "blocked"),))
    if live is None and wanted is None:
        message = f"there is no instance profile {name!r}, neither in the specs nor in AWS"
        place = claim.association.place.at("instance_profile")
        return Part(diagnostics=(Diagnostic("error", "no-such-profile", message, place),))
    address = claim.wanted.address
    if live is not None and wanted is not None and not is_ours(live, view):
        reason = f"its profile instance-profile/{live.resource.name} is not managed"
        return Part(kept=(Kept(address, reason, "blocked"),))
    if conflict := _conflict(claim, view):
        return Part(conflicts=(conflict,))
    row = claim.instance.row
    if row is None:
        # One in flight gets its profile back from that profile's cut-over.
        is_flying = live is not None and wanted is not None and claim.instance.key in live.in_flight
        return Part() if is_flying else _associated(claim, view)
    if _is_there(claim, view):
        if live is None or row.profile_id != live.id:
            return _stale(claim, view)
        is_told = live.resource.address in view.context.replaced
        return _renamed(claim, view, is_told=is_told)
    return _moved(claim, view)


def _unread(claim: Claim, view: View) -> str | None:
    wanted = view.desired.profile(claim.association.profile)
    address = f"instance-profile/{claim.association.profile}"
    is_unread = address in view.live.unread or (wanted is not None and unread(wanted, view))
    return f"its profile {address} cannot be read" if is_unread else None


def _conflict(claim: Claim, view: View) -> Conflict | None:
    """Another owner's specs made the association that is there."""
    instance, row = claim.instance, claim.instance.row
    parts = (instance.marks.get(ownership.ASSOCIATION) or "").split("/")
    if row is None or len(parts) != 3 or view.options.take_over:
        return None
    owner, named, profile_id = parts
    is_true = named == instance.key.instance and profile_id == row.profile_id
    if not is_true or owner == view.options.owner:
        return None
    address, place = claim.wanted.address, claim.association.place.here
    return Conflict(address, f"belongs to the owner {owner!r}", "--take-over", place, owner)


def _intent(claim: Claim) -> dict[str, object]:
    return {"select": claim.association.name} if claim.is_selected else {}


def _associated(claim: Claim, view: View) -> Part:
    wanted = claim.wanted
    change = Create(
        address=wanted.address,
        region=wanted.region,
        after=wanted.attributes(),
        source=claim.association.place.here,
        intent=_intent(claim),
    )
    drafts = tuple(kind.associate(claim.instance, wanted, view.context))
    return Part(changes=(change,), drafts=drafts)


def _moved(claim: Claim, view: View) -> Part:
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
        intent=_intent(claim),
    )
    return Part(changes=(change,), drafts=tuple(kind.move(claim.instance, wanted, view.context)))


def _stale(claim: Claim, view: View) -> Part:
    """A profile of ours makes stale associations anew in its cut-over; of others' we do it here."""
    if view.desired.profile(claim.association.profile) is not None:
        return _renamed(claim, view, is_told=True)
    return _moved(claim, view)


def _renamed(claim: Claim, view: View, *, is_told: bool) -> Part:
    """Our tag names a profile of that name that is gone. Where the association is made anew as
    well, a change tells of that already."""
    wanted = claim.wanted
    drafts = tuple(kind.tagged_anew(claim.instance, wanted, view.context))
    if is_told or not drafts:
        return Part(drafts=drafts)
    change = Update(
        address=wanted.address,
        region=wanted.region,
        before={},
        after={},
        reason="its tag names a profile that is gone",
        source=claim.association.place.here,
        intent=_intent(claim),
    )
    return Part(changes=(change,), drafts=drafts)


def _moving(claims: tuple[Claim, ...], view: View) -> dict[str, list[InstanceKey]]:
    """Stopped instances on their way to another profile, by the name of that profile."""
    found: dict[str, list[InstanceKey]] = {}
    for claim in claims:
        name = claim.association.profile
        live = view.live.profile(name)
        is_stopped = claim.instance.row is not None and claim.instance.state == "stopped"
        if is_stopped and not _is_there(claim, view):
            found.setdefault(live.resource.name if live else name, []).append(claim.instance.key)
    return found


def _noted(claims: tuple[Claim, ...], view: View) -> Part:
    """Notes on profiles of ours; on another's we leave no mark, and the specs are the note."""
    drafts: list[WorkDraft] = []
    for name, keys in sorted(_moving(claims, view).items()):
        live = view.live.profile(name)
        wanted = view.desired.profile(name)
        if wanted is not None and (live is None or is_ours(live, view)):
            drafts.extend(kind.noted(live, name, tuple(keys), view.context))
    return Part(drafts=tuple(drafts))


def _fresh(claims: tuple[Claim, ...], view: View) -> Part:
    """A profile that is new and about to be used: EC2 may see it before it sees the role inside."""
    used = {c.association.profile for c in claims if not _is_there(c, view)}
    drafts: list[WorkDraft] = []
    for name in sorted(used):
        wanted = view.desired.profile(name)
        live = view.live.profile(name)
        seconds = view.options.settings.propagation
        is_young = live is not None and view.options.now - live.created_at < seconds
        if wanted is None or wanted.resource.role is None or not (live is None or is_young):
            continue
        address = wanted.resource.address
        wait = Wait("propagated", seconds, profile=name)
        needs = frozenset({exists(address), f"filled {address}"})
        drafts.append(Draft(address, wait, needs, frozenset({ready(address)})))
    return Part(drafts=tuple(drafts))


def _is_there(claim: Claim, view: View) -> bool:
    """Whether the instance has the profile already, or the one of its name that was before."""
    return claim.instance.names(view.context.profile_arn("/", claim.association.profile))
