"""What is ours and in no spec any more: deleted with ``--prune``, else listed and kept."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from datetime import UTC, datetime

from reconciler import ownership
from reconciler.changes import Delete, Guard, Kept, KeptStatus
from reconciler.graph import Draft
from reconciler.kinds import association
from reconciler.kinds.kind import kind_of
from reconciler.live import LiveEntity, LiveInstance, LivePolicy, LiveProfile, LiveRole
from reconciler.plan import Work
from reconciler.planner.associations import claimed
from reconciler.planner.part import Part, View, together
from reconciler.planner.phases import left_half_way

RELEASE_SECONDS = 7 * 3600
"""Processes may hold credentials of a role for up to six hours after it was let go."""


def plan_removals(view: View) -> Part:
    """Order: associations, roles out of profiles, profiles, permissions, roles, policies."""
    left = list(_left(view))
    if view.live.not_whole is not None:
        reason = f"what left the specs is not known: {view.live.not_whole}"
        note = Part(kept=(Kept("*", reason, "warning"),))
        return together([_associations(view, delete=False), note])
    if not view.options.deletes_what_is_left:
        reason = "left the specs; use --prune"
        kept = tuple(Kept(e.resource.address, reason) for e in left)
        return together([_associations(view, delete=False), Part(kept=kept)])
    held = _held(left, view)
    gone = [e for e in left if e.resource.address not in held]
    staying = {e.resource.address for e in left} & held.keys()
    kept = tuple(Kept(address, *held[address]) for address in sorted(staying))
    parts = [_associations(view, delete=True), *(_deleted(e, view) for e in gone), Part(kept=kept)]
    return together(parts)


def _left(view: View) -> Iterator[LiveEntity]:
    return (e for e in _all_left(view) if view.options.hidden(e.resource.address) is None)


def _all_left(view: View) -> Iterator[LiveEntity]:
    """Ours by tag, unprotected, in no spec; profiles before roles before policies."""
    desired, live = view.desired, view.live
    parts: tuple[tuple[dict[str, LiveEntity], Collection[str]], ...] = (
        (dict(live.profiles), desired.profiles),
        (dict(live.roles), desired.roles),
        (dict(live.policies), desired.policies),
    )
    for there, wanted in parts:
        for name in sorted(there):
            entity = there[name]
            is_left = entity.owner == view.options.owner and entity.protected is None
            chosen = view.options.includes(entity.resource.address)
            if is_left and chosen and name not in wanted:
                yield entity


def hidden(view: View) -> Iterator[Kept]:
    """What left the specs and a rule of the settings hides."""
    addresses = [e.resource.address for e in _all_left(view)]
    addresses += [f"association/{i.key.instance}" for i in _all_made(view)]
    for address in addresses:
        if reason := view.options.hidden(address):
            yield Kept(address, f"left the specs ({reason})", "ignored")


def _held(left: list[LiveEntity], view: View) -> dict[str, tuple[str, KeptStatus]]:
    """What must stay for now, each with the reason."""
    held: dict[str, tuple[str, KeptStatus]] = {}
    for wish, live in left_half_way(view):
        address = live.resource.address
        held[address] = ("a run died in the middle of its cut-over, which is ended first", "left")
        if wish.after.role is not None:
            held[f"role/{wish.after.role}"] = (f"{address} holds it", "left")
    going = {e.resource.address for e in left} - held.keys()
    for entity in left:
        if isinstance(entity, LiveRole) and (why := _role_held(entity, going, view)):
            held[entity.resource.address] = why
    for entity in left:
        if isinstance(entity, LivePolicy) and (user := _user(entity, going - held.keys(), view)):
            held[entity.resource.address] = (f"{user} uses it", "left")
    return held


def _role_held(entity: LiveRole, going: set[str], view: View) -> tuple[str, KeptStatus] | None:
    for profile in view.live.profiles.values():
        address = profile.resource.address
        wanted = view.desired.profile(profile.resource.name)
        is_swapped = wanted is not None and wanted.resource.role != entity.resource.name
        if profile.role_id == entity.id and address not in going and not is_swapped:
            return f"{address} holds it", "left"
    epoch = entity.marks.get(ownership.RELEASED, "")
    address = entity.resource.address
    if view.options.allows("release", address):
        return None
    if _is_let_go(entity, view):
        return "it is let go by this plan; processes may hold its credentials for hours", "released"
    if not epoch.isdigit():
        return None
    until = int(epoch) + RELEASE_SECONDS
    if until <= view.options.now:
        return None
    hour = datetime.fromtimestamp(until, tz=UTC).strftime("%Y-%m-%d %H:%M UTC")
    return f"processes may hold its credentials until {hour}", "released"


def _is_let_go(entity: LiveRole, view: View) -> bool:
    """Whether running instances are served its credentials until this plan is applied."""
    holders = [p for p in view.live.profiles.values() if p.role_id == entity.id]
    return any(i.is_running for p in holders for i in view.live.consumers(p.arn))


def _user(entity: LivePolicy, going: set[str], view: View) -> str | None:
    """A role that keeps the policy attached, or as its boundary, after this plan."""
    for name, live in sorted(view.live.roles.items()):
        if live.resource.address in going:
            continue
        wanted = view.desired.roles.get(name)
        is_managed = wanted is not None and live.owner == view.options.owner
        after = wanted.resource if wanted is not None and is_managed else live.resource
        boundary = after.permissions_boundary
        if wanted is not None and is_managed and "permissions_boundary" in wanted.leave:
            boundary = live.resource.permissions_boundary
        if entity.arn in (*after.managed_policies, boundary):
            return live.resource.address
    return None


def _deleted(entity: LiveEntity, view: View) -> Part:
    address = entity.resource.address
    change = Delete(
        address=address,
        before=entity.resource.attributes(),
        reason=view.options.reason_to_delete,
        consumers=_consumers(entity, view),
    )
    guards = []
    if change.consumers and not view.options.allows("consumers", address):
        reason = f"{len(change.consumers)} running instances would be left without {address}"
        guards.append(Guard("consumers", reason, f"--allow consumers={address}", (address,)))
    drafts: tuple[Draft[Work], ...] = tuple(kind_of(address).delete(entity, view.context))
    return Part(changes=(change,), drafts=drafts, guards=tuple(guards))


def _consumers(entity: LiveEntity, view: View) -> tuple[str, ...]:
    """Running instances that use the profile and that this plan does not move to another."""
    if not isinstance(entity, LiveProfile):
        return ()
    moved = claimed(view)
    running = [i for i in view.live.consumers(entity.arn) if i.is_running]
    return tuple(i.key.instance for i in running if i.key not in moved)


def _associations(view: View, delete: bool) -> Part:
    """Associations that we made and that no spec names any more."""
    parts = []
    for instance in _all_made(view):
        address = f"association/{instance.key.instance}"
        if view.options.hidden(address) is None:
            parts.append(_disassociated(instance, view) if delete else _kept_association(address))
    return together(parts)


def _all_made(view: View) -> Iterator[LiveInstance]:
    named = claimed(view)
    if view.options.chosen is not None:
        return
    for key, instance in sorted(view.live.instances.items()):
        is_here = key not in named and key.region in view.options.regions
        chosen = view.options.includes(f"association/{key.instance}")
        if is_here and chosen and instance.untouchable is None and is_made(instance, view):
            yield instance


def is_made(instance: LiveInstance, view: View) -> bool:
    """Our tag names this instance and the profile that it has."""
    row = instance.row
    mark = instance.marks.get(ownership.ASSOCIATION)
    if row is None or instance.is_gone:
        return False
    wanted = ownership.association_mark(view.options.owner, instance.key.instance, row.profile_id)
    return mark == wanted


def _kept_association(address: str) -> Part:
    return Part(kept=(Kept(address, "left the specs; use --prune"),))


def _disassociated(instance: LiveInstance, view: View) -> Part:
    row = instance.row
    name = row.profile_name if row else ""
    change = Delete(
        address=f"association/{instance.key.instance}",
        region=instance.key.region,
        before={"instance_profile": name},
        reason=view.options.reason_to_delete,
        consumers=(instance.key.instance,) if instance.is_running else (),
    )
    return Part(changes=(change,), drafts=tuple(association.disassociate(instance, view.context)))
