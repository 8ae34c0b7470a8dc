"""Whose credentials a running instance is served, as far as that can be known, and how.

EC2 does not say. It serves the role that was in the profile when the profile was associated, or
when the instance started, and goes on with it for hours after a swap; so what is known follows from
our marks, from progress tags and from launch times. What does not follow is ``unknown``.
Source: docs.aws.amazon.com/AWSEC2/latest/UserGuide/iam-roles-for-amazon-ec2.html
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from reconciler.cutover.fleet import CLOCKS_APART
from reconciler.model.address import profile_address
from reconciler.model.hours import hour_of
from reconciler.model.live import AssociationRow, LiveInstance, LiveProfile
from reconciler.model.ownership import (
    CREDENTIALS_SECONDS,
    HOLDS,
    NO_ROLE,
    Failed,
    Partial,
    Pending,
    Settled,
    Waiting,
    holds_mark,
)
from reconciler.planner.context import PlanContext

Status = Literal["known", "unknown", "none"]
How = Literal[
    "profile-mark",
    "progress-tag",
    "launch-time",
    "time-passed",
    "temporary-profile",
    "rolled-back",
    "no-mark",
    "swapped-outside",
    "cut-over-in-progress",
    "waiting-for-aws",
    "region-not-searched",
    "deleted-profile",
    "profile-not-read",
    "not-shown",
    "not-running",
    "no-association",
    "association-not-in-effect",
    "no-role",
]
"""How the answer is known, or why it is not."""


@dataclass(frozen=True, slots=True)
class Served:
    """``role`` is the name of the role whose credentials EC2 serves the instance: known only where
    ``status`` is ``known``. ``candidates`` are roles that it may be served, where that is not
    known. ``because`` continues the sentence; ``until`` is when it will be known at the latest, in
    seconds of the epoch."""

    status: Status
    how: How
    because: str
    role: str | None = None
    candidates: tuple[str, ...] = ()
    until: float | None = None


def served(instance: LiveInstance, context: PlanContext) -> Served:
    """Of an instance of the context's live state."""
    seen = context.live.on_temporary_profile.get(instance.key, instance)
    if (nothing := _nothing(seen, context)) is not None:
        return nothing
    row = seen.row
    if row is None:
        return _without_profile(seen, context)
    if row.state == "associating":
        because = f"its association with instance-profile/{row.profile_name} is not in effect yet"
        return Served("none", "association-not-in-effect", because)
    profile = context.live.profile(row.profile_name)
    if profile is None or profile.id != row.profile_id:
        return _of_another_profile(row, profile, context)
    if profile.resource.address in context.live.unread:
        why = context.live.unread[profile.resource.address]
        because = f"the marks on {profile.resource.address} cannot be read ({why})"
        return _unknown("profile-not-read", because, (profile.role_id,), context)
    if not profile.tags_known:
        because = f"the tags of {profile.resource.address} were not read"
        return _unknown("profile-not-read", because, (profile.role_id,), context)
    return _by_mark(seen, row, profile, context)


def _nothing(instance: LiveInstance, context: PlanContext) -> Served | None:
    if instance.is_unknown:
        because = "an association names it, and DescribeInstances does not show it"
        return Served("unknown", "not-shown", because)
    if instance.is_gone:
        return Served("none", "not-running", "the instance was terminated")
    if not instance.is_running:
        because = f"it is {instance.state}; {_when_it_starts(instance, context)}"
        return Served("none", "not-running", because)
    return None


def _when_it_starts(instance: LiveInstance, context: PlanContext) -> str:
    """What an instance gets that does not run, as things are now."""
    row, live = instance.row, context.live
    if row is None:
        if any(instance.key in profile.in_flight for profile in live.profiles.values()):
            return "a run has taken its profile from it, and must give it back"
        return "it has no profile, so when it starts it gets no role"
    name = f"instance-profile/{row.profile_name}"
    there = (*live.profiles.values(), *live.shadows.values())
    profile = next((one for one in there if one.id == row.profile_id), None)
    if profile is None:
        return f"when it starts it gets the role that {name} holds, if that is still there"
    if profile.resource.role is None:
        return f"when it starts it gets no role: {name} holds none"
    return f"when it starts it gets role/{profile.resource.role}, which {name} holds now"


def _without_profile(instance: LiveInstance, context: PlanContext) -> Served:
    if any(instance.key in p.in_flight for p in context.live.profiles.values()):
        because = "a run has taken its profile from it, and must give it back"
        return Served("none", "no-association", because)
    leaving = ", ".join(sorted({row.profile_name for row in instance.rows}))
    because = f"it is leaving instance-profile/{leaving}" if leaving else "it has no profile"
    return Served("none", "no-association", because)


def _of_another_profile(
    row: AssociationRow, profile: LiveProfile | None, context: PlanContext
) -> Served:
    name = f"instance-profile/{row.profile_name}"
    for temporary in context.live.shadows.values():
        if temporary.id == row.profile_id and temporary.resource.role is not None:
            because = f"it is on the temporary profile of {temporary.temporary_of}, for a cut-over"
            return Served("known", "temporary-profile", because, temporary.resource.role)
    if profile is None and profile_unread(row, context):
        return Served("unknown", "profile-not-read", f"{name} cannot be read")
    gone = "was deleted" if profile is None else "was deleted and made again"
    because = f"{name} {gone} after it got it, and which role was in it is not known"
    return _unknown("deleted-profile", because, context.in_use.roles_left(row), context)


def profile_unread(row: AssociationRow, context: PlanContext) -> bool:
    """Whether nothing is known of the profile that a row names."""
    is_unread = profile_address(row.profile_name) in context.live.unread
    return is_unread or context.live.not_whole is not None


def _by_mark(
    instance: LiveInstance, row: AssociationRow, profile: LiveProfile, context: PlanContext
) -> Served:
    address, inside, mark = profile.resource.address, profile.role_id, profile.mark
    match mark:
        case Pending():
            return _in_progress(instance, row, profile, mark, context)
        case Waiting():
            return _waiting(instance, profile, mark, context)
        case Partial(role_id, regions) if instance.key.region not in regions:
            if role_id == inside:
                if instance.marks.get(HOLDS) == holds_mark(role_id, row.id):
                    return _tagged(role_id, context)
                because = (
                    f"{address} carries our mark for other regions ({', '.join(regions)}), and "
                    f"{instance.key.region} was not searched"
                )
                return _unknown("region-not-searched", because, _held(profile, context), context)
            return _swapped_outside(profile, role_id, context)
        case Settled(role_id) | Partial(role_id, _) if role_id != inside:
            if role_id == NO_ROLE and inside is None:
                return Served("none", "no-role", f"{address} holds no role")
            return _swapped_outside(profile, role_id, context)
        case Settled(role_id) | Partial(role_id, _):
            because = (
                f"{address} carries our mark that every running instance has taken up "
                f"{_name(role_id, context)}; where reconciler adopted the profile and did not make "
                "it, that was assumed, not checked, of the instances that ran at that time"
            )
            return _known("profile-mark", because, inside, context)
        case Failed() if profile.left_with not in {None, inside}:
            return _swapped_outside(profile, profile.left_with or NO_ROLE, context)
        case Failed(role_id) if role_id != inside and instance.untouchable is None:
            failed = _name(role_id, context)
            because = f"the cut-over of {address} to {failed} failed and was rolled back"
            return _known("rolled-back", because, inside, context)
        case Failed(role_id):
            because = f"a cut-over of {address} failed, and this instance was not brought back"
            return _unknown("cut-over-in-progress", because, (role_id, inside), context)
        case None:
            return _unmarked(profile, context)


def _unmarked(profile: LiveProfile, context: PlanContext) -> Served:
    address = profile.resource.address
    if profile.role_id is None:
        because = f"{address} holds no role, and it is not known which one was in it before"
        return Served("unknown", "no-mark", because)
    because = (
        f"{address} has no mark of ours: nobody has recorded which role was in it when the "
        "instance got it"
    )
    return _unknown("no-mark", because, (profile.role_id,), context)


def _swapped_outside(profile: LiveProfile, role_id: str, context: PlanContext) -> Served:
    address, had = profile.resource.address, _name(role_id, context)
    if profile.role_id is None:
        because = f"its instances had {had}, which was taken out of {address} outside of reconciler"
    else:
        because = (
            f"its instances had {had} when last known, and "
            f"{_name(profile.role_id, context)} was put into {address} outside of reconciler"
        )
    return _unknown("swapped-outside", because, (role_id, profile.role_id), context)


def _in_progress(
    instance: LiveInstance,
    row: AssociationRow,
    profile: LiveProfile,
    mark: Pending,
    context: PlanContext,
) -> Served:
    address, swapped = profile.resource.address, profile.swapped
    before, after = _name(mark.before, context), _name(mark.after, context)
    is_swapped = profile.role_id == mark.after and mark.after != NO_ROLE
    if is_swapped and instance.marks.get(HOLDS) == holds_mark(mark.after, row.id):
        return _tagged(mark.after, context)
    if swapped is not None and is_swapped and swapped.role_id == mark.after:
        seen_at = swapped.epoch + CLOCKS_APART
    else:
        seen_at = float("inf")
    if instance.launched_at >= seen_at:
        at = hour_of(instance.launched_at)
        because = f"it was launched at {at}, after EC2 had seen the role in {address}"
        return _known("launch-time", because, mark.after, context)
    because = (
        f"the cut-over of {address} from {before} to {after} began at {hour_of(mark.epoch)} and "
        "has not ended"
    )
    return _unknown("cut-over-in-progress", because, (mark.before, mark.after), context)


def _tagged(role_id: str, context: PlanContext) -> Served:
    because = "a run tagged it when its new association was in effect, after EC2 had seen the role"
    return _known("progress-tag", because, role_id, context)


def _waiting(
    instance: LiveInstance, profile: LiveProfile, mark: Waiting, context: PlanContext
) -> Served:
    address, inside = profile.resource.address, profile.role_id
    if mark.role_id != (inside or NO_ROLE):
        return _swapped_outside(profile, mark.role_id, context)
    until = mark.epoch + CREDENTIALS_SECONDS
    is_over = context.options.now >= until
    if inside is None:
        because = f"{address} was emptied at {hour_of(mark.epoch)}"
        if is_over:
            return Served("none", "no-role", because)
        because += f"; credentials of the role that was in it may be valid until {hour_of(until)}"
        return Served("unknown", "waiting-for-aws", because, until=until)
    if is_over:
        because = (
            f"the role was put into {address} at {hour_of(mark.epoch)}, and EC2 renews "
            "credentials within seven hours"
        )
        return _known("time-passed", because, inside, context)
    spread = context.options.settings.propagation + CLOCKS_APART
    if instance.launched_at >= mark.epoch + spread:
        at = hour_of(instance.launched_at)
        because = f"it was launched at {at}, after EC2 had seen the role in {address}"
        return _known("launch-time", because, inside, context)
    because = (
        f"the role was put into {address} at {hour_of(mark.epoch)} with strategy wait: until "
        f"{hour_of(until)} EC2 may serve the role before"
    )
    held = _held(profile, context)
    return _unknown("waiting-for-aws", because, held, context, until)


def _held(profile: LiveProfile, context: PlanContext) -> tuple[str, ...]:
    return context.in_use.roles_held(profile)


def _known(how: How, because: str, role_id: str | None, context: PlanContext) -> Served:
    if role_id is None or role_id == NO_ROLE:
        return Served("none", "no-role", because)
    return Served("known", how, because, role_name(role_id, context))


def _unknown(
    how: How,
    because: str,
    ids: Iterable[str | None],
    context: PlanContext,
    until: float | None = None,
) -> Served:
    found = dict.fromkeys(i for i in ids if i and i != NO_ROLE)
    names = tuple(role_name(role_id, context) for role_id in found)
    return Served("unknown", how, because, None, names, until)


def role_name(role_id: str, context: PlanContext) -> str:
    """Of the role with this id; the id where there is none any more."""
    named = (r.resource.name for r in context.live.roles.values() if r.id == role_id)
    return next(named, role_id)


def _name(role_id: str, context: PlanContext) -> str:
    """In a sentence."""
    if role_id == NO_ROLE:
        return "no role"
    name = role_name(role_id, context)
    return f"a role that is gone ({role_id})" if name == role_id else f"role/{name}"
