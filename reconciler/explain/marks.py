"""What our tags say, in words: on a role, a policy, a profile, an instance."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from reconciler.explain.explanation import MarkInWords
from reconciler.model import ownership
from reconciler.model.hours import hour_of
from reconciler.model.live import LiveEntity, LiveInstance, LiveProfile, LiveRole
from reconciler.model.ownership import (
    CREDENTIALS_SECONDS,
    NO_ROLE,
    Failed,
    Partial,
    Pending,
    Settled,
    Waiting,
    in_flight_names,
)
from reconciler.planner.context import PlanContext
from reconciler.planner.served import role_name


def of_entity(live: LiveEntity, context: PlanContext) -> tuple[MarkInWords, ...]:
    """In the order of their keys; those that are invalid last."""
    found: dict[str, str] = {}
    if live.owner_tag is not None:
        found[ownership.OWNER] = _owner(live, context)
    if isinstance(live, LiveRole):
        found |= _of_role(live, context)
    if isinstance(live, LiveProfile):
        found |= _of_profile(live, context)
    return (*_told(found, live.marks, context), *_invalid(live))


def of_instance(instance: LiveInstance, context: PlanContext) -> tuple[MarkInWords, ...]:
    found: dict[str, str] = {}
    mark = ownership.decode_association(instance.marks.get(ownership.ASSOCIATION))
    if mark is not None:
        found[ownership.ASSOCIATION] = _association(instance, mark, context)
    if (held := instance.marks.get(ownership.HOLDS)) is not None:
        role_id, _, row = held.partition("/")
        says = f"a run gave it {_role(role_id, context)} with the association {row}"
        is_so = instance.row is not None and instance.row.id == row
        found[ownership.HOLDS] = says if is_so else f"{says}, which it no longer has"
    return (*_told(found, instance.marks, context), *_invalid(instance))


def _told(
    found: Mapping[str, str], marks: Mapping[str, str], context: PlanContext
) -> Iterator[MarkInWords]:
    for name, meaning in sorted(found.items()):
        yield MarkInWords(context.prefix + name, marks.get(name, ""), meaning)


def _invalid(live: LiveEntity | LiveInstance) -> Iterator[MarkInWords]:
    for stray in live.malformed_marks:
        yield MarkInWords(stray.key, stray.value, "not a valid mark: it is ignored")


def _owner(live: LiveEntity, context: PlanContext) -> str:
    tag = live.owner_tag
    if live.owner == context.options.owner:
        return "managed by this owner"
    if live.owner is not None:
        return f"managed by the owner {live.owner!r}"
    named = tag.name if tag is not None else None
    if named is None:
        return "the old form of our tag, which gives no ownership"
    return f"copied from {named!r}: it gives no ownership"


def _of_role(live: LiveRole, context: PlanContext) -> dict[str, str]:
    at = ownership.decode_released(live.marks.get(ownership.RELEASED))
    if at is None:
        return {}
    until = at + CREDENTIALS_SECONDS
    says = f"it was last taken from running instances, or from their profile, at {hour_of(at)}"
    if until > context.options.now:
        says += f"; its credentials may be in use until {hour_of(until)}"
    return {ownership.RELEASED: says}


def _of_profile(live: LiveProfile, context: PlanContext) -> dict[str, str]:
    found: dict[str, str] = {}
    if live.mark is not None:
        found[ownership.ROLE_ID] = _role_mark(live, context) + _since(live, context)
    if (swapped := live.swapped) is not None:
        role, at = _role(swapped.role_id, context), hour_of(swapped.epoch)
        if live.left_with is not None:
            found[ownership.SWAPPED] = f"every running instance was left with {role} at {at}"
        else:
            share = swapped.checkpoint
            more = "" if share is None else f"; the checkpoint of {share}% is reached"
            found[ownership.SWAPPED] = f"EC2 has seen {role} in it since {at}{more}"
    if live.temporary_of is not None:
        says = f"a temporary profile, for a cut-over of instance-profile/{live.temporary_of}"
        found[ownership.TEMPORARY_OF] = says
    flights = sorted(live.flights)
    for name in in_flight_names(live.marks):
        named = set(live.marks[name].split())
        here = [flight for flight in flights if str(flight) in named]
        taken = ", ".join(str(f.key) for f in here if not f.is_stop)
        stopped = ", ".join(str(f.key) for f in here if f.is_stop)
        told = [f"a run has taken it from {taken}, and must give it back"] if taken else []
        told += (
            [f"a run has stopped {stopped}, and must start again what it stopped"]
            if stopped
            else []
        )
        found[name] = "; ".join(told)
    return found


def _since(live: LiveProfile, context: PlanContext) -> str:
    """What has happened since the mark was written, and makes it prove nothing of today: the role
    was swapped by another hand. A cut-over in progress has both roles in its mark."""
    mark, inside = live.mark, live.role_id or NO_ROLE
    if isinstance(mark, Failed):
        recorded = live.left_with
    elif isinstance(mark, Settled | Partial | Waiting):
        recorded = mark.role_id
    else:
        recorded = None
    if recorded in (None, inside):
        return ""
    return (
        f". That was so when it was written: {_role(inside, context)} was put in since, outside of "
        "reconciler, so it does not say what instances have now"
        if inside != NO_ROLE
        else ". That was so when it was written: the role was taken out since, outside of "
        "reconciler, so it does not say what instances have now"
    )


def _role_mark(live: LiveProfile, context: PlanContext) -> str:
    match live.mark:
        case Settled(role_id) if role_id == NO_ROLE:
            return "every running instance is known to have no role from it"
        case Settled(role_id):
            return f"every running instance has taken up {_role(role_id, context)}"
        case Partial(role_id, regions):
            where = f"in {', '.join(regions)}" if regions else "in some regions"
            return f"every running instance {where} has taken up {_role(role_id, context)}"
        case Pending(before, after, epoch, run):
            return (
                f"run {run} began at {hour_of(epoch)} to cut its instances over from "
                f"{_role(before, context)} to {_role(after, context)}, and has not ended it"
            )
        case Waiting(role_id, epoch):
            until = hour_of(epoch + CREDENTIALS_SECONDS)
            if role_id == NO_ROLE:
                return f"emptied at {hour_of(epoch)}; credentials may be valid until {until}"
            return (
                f"AWS was left to serve {_role(role_id, context)} from {hour_of(epoch)} on, "
                f"everywhere by {until} (strategy wait)"
            )
        case Failed(role_id):
            return (
                f"the cut-over to {_role(role_id, context)} failed and was rolled back; it is not "
                "tried again without --allow retry"
            )
        case None:
            return ""


def _association(
    instance: LiveInstance, mark: ownership.AssociationMark, context: PlanContext
) -> str:
    if mark.instance != instance.key.instance:
        return f"copied from {mark.instance}: it says nothing of this instance"
    whose = "this owner" if mark.owner == context.options.owner else f"the owner {mark.owner!r}"
    profiles = context.live.profiles.values()
    named = next((p.resource.name for p in profiles if p.id == mark.profile_id), None)
    if named is None:
        return f"associated by {whose} with a profile that is gone"
    says = f"associated with instance-profile/{named} by {whose}"
    row = instance.row
    if row is not None and row.profile_id == mark.profile_id:
        return says
    if any(instance.key in p.in_flight for p in profiles):
        return f"{says}; a run has taken that from it since, and must give it back"
    shadows = context.live.shadows.values()
    if row is not None and any(s.id == row.profile_id for s in shadows):
        return f"{says}; it is on a temporary profile now, for a cut-over"
    now = "none" if row is None else f"instance-profile/{row.profile_name}"
    return f"{says}; it has {now} now"


def _role(role_id: str, context: PlanContext) -> str:
    if role_id == NO_ROLE:
        return "no role"
    name = role_name(role_id, context)
    return f"a role that is gone ({role_id})" if name == role_id else f"role/{name}"
