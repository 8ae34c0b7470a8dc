"""The sessions that a rotation leaves behind: the policy of a role that denies everything to those
issued before a time (``model/revocation.py``), from the moment that it is owed until no session is
left that it could deny.

With ``--revoke`` it is owed before the first instance is touched, so that any later run knows, and
denies once every consumer has a fresh session. Others' statements in it stay as they are.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from reconciler.cutover.fleet import CLOCKS_APART
from reconciler.kinds.context import iam, step
from reconciler.model.address import PROFILE, Address, name_key, same_name
from reconciler.model.hours import hour_of
from reconciler.model.live import LiveInstance, LiveProfile, LiveRole
from reconciler.model.ownership import Partial, Pending, Settled
from reconciler.model.policy_document import PolicyDocument, minified
from reconciler.model.resources import Role
from reconciler.model.revocation import (
    REVOKED,
    Revocation,
    document,
    is_in_the_way,
    is_revoked,
    moment,
    revocation_of,
)
from reconciler.plan.calls import BEGAN, Joined
from reconciler.plan.changes import Change, Difference, Guard, Kept, Update
from reconciler.plan.graph import Label, ready
from reconciler.planner.context import PendingWork, PlanContext, PlanFragment, merged
from reconciler.planner.in_use import counted
from reconciler.planner.ownership_checks import is_ours, set_aside
from reconciler.planner.rotations import (
    RotatedProfile,
    is_under_way,
    left_alone,
    rotated_profiles,
    rotated_roles,
)
from reconciler.spec.check.aws_limits import INLINE_POLICIES_SIZE

REVOKES = "revokes"
"""In the intent of a change that is about this policy alone."""


@dataclass(frozen=True, slots=True)
class Revoking:
    """The policy of one role, as it is: ``name`` as AWS spells it, ``value`` is ``None`` where
    there is none. ``now`` is what the role's owners wrote, the present one or one before;
    ``owner`` is who will write."""

    role: LiveRole
    owner: str
    name: str
    value: Any
    now: Revocation

    @property
    def address(self) -> Address:
        return self.role.resource.address


def owed(address: Address) -> Label:
    """It is recorded that sessions of the role are to be revoked."""
    return Label("owed", address)


def revoking(role: LiveRole, owner: str) -> Revoking:
    for name, found in role.resource.inline_policies:
        if same_name(name, REVOKED):
            return Revoking(role, owner, name, found.value, revocation_of(found))
    return Revoking(role, owner, REVOKED, None, Revocation())


def told(role: LiveRole, context: PlanContext) -> str:
    """What the policy of the role means, where it has one and it stays."""
    found = revoking(role, context.options.owner)
    if not found.now.is_ours:
        return f"its sessions were revoked; the inline policy {found.name} is left in place"
    what, since, until = _what(found), moment(found.now.latest), found.now.until
    if until <= context.options.now:
        return f"no session from before {since} is left: apply removes {what}"
    if found.now.owed is not None:
        return f"its sessions from before {since} will be revoked when its rotation has ended"
    hour = hour_of(until)
    return f"its sessions from before {since} are revoked; apply removes {what} after {hour}"


def left_by_forget(role: LiveRole, context: PlanContext) -> Iterator[Kept | Guard]:
    """Without its owner's tag, nobody takes the statement away, or does what is owed."""
    found = revoking(role, context.options.owner)
    if not found.now.is_ours:
        return
    address, since = found.address, moment(found.now.latest)
    is_over = found.now.until <= context.options.now
    if found.now.owed is not None and not is_over:
        reason = f"{address}: its sessions from before {since} are still to be revoked"
        lift = f"Apply first, so that it ends; or take {_what(found)} away, so that it is not done"
        yield Guard("unfinished", reason, lift, (address,))
        return
    denies = "denies nobody any longer" if is_over else f"denies its sessions from before {since}"
    told = f"{_what(found)} {denies}, and stays until somebody deletes it"
    yield Kept(address, told, "revoked")


def _what(found: Revoking) -> str:
    policy = f"the inline policy {found.name}"
    return policy if not found.now.others else f"our statement in {policy}"


def plan_revocations(context: PlanContext) -> PlanFragment:
    """Of a rotation."""
    mode = context.options.rotation
    if mode in ("fresh", "rest"):
        roles = [r for r in rotated_roles(context) if r.owner == context.options.owner]
        return merged(_rest(role, context) for role in roles)
    return merged(
        _revoked(role, context, is_first=mode == "revoke-first") for role in rotated_roles(context)
    )


def plan_rest(context: PlanContext, going: Collection[Address]) -> PlanFragment:
    """Of every other plan: what a rotation owes, and what has done its work, neither of which is
    drift. ``going`` are deleted, or created again."""
    roles = [
        role
        for _, role in sorted(context.live.roles.items())
        if _is_ours(role, context)
        and role.protected is None
        and role.resource.address not in going
        and context.options.includes(role.resource.address)
    ]
    due = () if context.options.for_drift else roles
    found = merged(_rest(role, context) for role in due)
    return replace(found, kept=tuple(_left(roles, {c.address for c in found.changes}, context)))


def _left(
    roles: Iterable[LiveRole], changed: Collection[Address], context: PlanContext
) -> Iterator[Kept]:
    """What is denied, or will be, to sessions of roles that left the specs."""
    for role in roles:
        address = role.resource.address
        if context.desired.role(address.name) is None and address not in changed:
            yield from kept(role, context)


def _is_ours(role: LiveRole, context: PlanContext) -> bool:
    """Already, or by this plan, which adopts it. What is owed on it comes with it."""
    if role.owner == context.options.owner:
        return True
    wanted = context.desired.role(role.resource.name)
    return wanted is not None and is_ours(role, context) and not set_aside(wanted, context)


def _rest(role: LiveRole, context: PlanContext) -> PlanFragment:
    found = revoking(role, context.options.owner)
    if not found.now.is_ours or _is_in_specs(role, context):
        return PlanFragment()
    adopted = {Label("adopted", found.address)}
    if found.now.until <= context.options.now:
        reason = "no session is left that it could deny: the longest lasts twelve hours"
        return _changed(found, None, reason, adopted)
    # With ``--only`` those that it names are read alone, and the instances of another profile with
    # the role may not have been given a session yet.
    are_all_read = (
        not context.options.only
        and context.live.not_whole is None
        and not any(address.kind == PROFILE for address in context.live.unread)
    )
    if found.now.owed is None or not are_all_read:
        return PlanFragment()
    # A temporary profile goes with the cut-over of the one that it stands in for.
    temporary = {profile.id for profile in context.live.shadows.values()}
    users = [p for p in context.in_use.profiles_of(role) if p.id not in temporary]
    if not all(_is_served(profile, context) for profile in users):
        return PlanFragment()
    since = moment(found.now.latest)
    what = f"those issued before {since} are revoked"
    to_come = {p.resource.address for p in users} & context.cut_over
    reason = f"every consumer has a fresh session: {what}"
    if to_come:
        reason = f"once all consumers have fresh sessions, {what}"
    requires = {ready(profile.resource.address) for profile in users}
    return _changed(found, (since, None), reason, requires | adopted)


def _is_served(profile: LiveProfile, context: PlanContext) -> bool:
    """Whether its consumers have fresh sessions, or will have by this plan. With the strategy
    ``wait`` nobody knows when they have. Of another owner's profile it is known only that its
    rotation has begun: before, a guard has asked."""
    if profile.owner != context.options.owner and profile.resource.address not in context.cut_over:
        return profile.tags_known and not is_under_way(profile) and not profile.flights
    if profile.resource.address in context.cut_over:
        wanted = context.desired.profile(profile.resource.name)
        return wanted is None or wanted.limits.strategy != "wait"
    is_hopping = name_key(profile.resource.name) in context.live.shadows
    is_settled = isinstance(profile.mark, Settled | Partial) and not is_hopping
    return is_settled and not is_under_way(profile) and not profile.flights


def _revoked(role: LiveRole, context: PlanContext, *, is_first: bool) -> PlanFragment:
    guards = tuple(_guards(role, context))
    if any(guard.key == "rotate" for guard in guards):
        return PlanFragment(guards=guards)
    found = revoking(role, context.options.owner)
    rotated = [one for one in _rotated(context) if one.live.role_id == role.id]
    marked = {Label("adopted", one.live.resource.address) for one in rotated}
    before = found.now
    denied = "processes that hold on to one are denied everything until they are restarted"
    since, is_noted = _since(found, rotated)
    which = "until now" if since == str(BEGAN) else f"before {since}"
    reason = f"its sessions issued {which} are revoked: {denied}"
    if is_first or not rotated:
        change = _changed(found, (since, None), reason, marked, {owed(role.resource.address)})
        return merged([change, PlanFragment(guards=guards)])
    kept = None if before.since is None else moment(before.since)
    noted = () if is_noted else (_put(found, (kept, since), marked, {owed(found.address)}),)
    served = {ready(one.live.resource.address) for one in rotated} | {owed(found.address)}
    which = "the older ones" if since == str(BEGAN) else f"those issued before {since}"
    reason = f"once all consumers have fresh sessions, {which} are revoked: {denied}"
    change = _changed(found, (since, None), reason, served)
    return PlanFragment(changes=change.changes, pending=(*noted, *change.pending), guards=guards)


def _rotated(context: PlanContext) -> list[RotatedProfile]:
    return [one for one in rotated_profiles(context) if one.obstacle is None]


def _since(found: Revoking, rotated: Iterable[RotatedProfile]) -> tuple[str, bool]:
    """Before which time sessions are revoked, and whether a run has recorded that already. If a run
    began the rotation: as it began, since instances that it has done hold sessions from then on."""
    begun = [one.live.mark for one in rotated if one.is_resumed]
    if begun and found.now.owed is not None:
        return moment(max(found.now.owed, found.now.since or 0.0)), True
    epochs = [mark.epoch for mark in begun if isinstance(mark, Pending)]
    if not epochs:
        return str(BEGAN), False
    # By our clock, which may be ahead of AWS's: a fresh session must not be denied.
    return moment(max(float(min(epochs)) - CLOCKS_APART, found.now.since or 0.0)), False


def _changed(
    found: Revoking,
    times: tuple[str | None, str | None] | None,
    reason: str,
    requires: Collection[Label],
    provides: Collection[Label] = (),
) -> PlanFragment:
    """The change, and its step. Without ``times`` our statements go."""
    is_gone = times is None and not found.now.others
    times = times or (None, None)
    after = None if is_gone else _document(found, times)
    pending = _put(found, times, requires, provides)
    if is_gone:
        call = iam("DeleteRolePolicy", RoleName=found.role.resource.name, PolicyName=found.name)
        # What the specs want may have no room beside it.
        room = {*provides, Label("inline room", found.address)}
        pending = step(found.address, call, requires=requires, provides=room)
    before = {} if found.value is None else {found.name: found.value}
    change = Update(
        address=found.address,
        before={"inline_policies": before},
        after={"inline_policies": {} if is_gone else {found.name: after}},
        differences=(Difference(f"inline_policies.{found.name}", found.value, after),),
        reason=reason,
        intent={REVOKES: times[0]},
    )
    return PlanFragment(changes=(change,), pending=(pending,))


def _put(
    found: Revoking,
    times: tuple[str | None, str | None],
    requires: Collection[Label],
    provides: Collection[Label] = (),
) -> PendingWork:
    text, at = minified(_document(found, times)), str(BEGAN)
    parts: list[Any] = []
    for piece in text.split(at):
        parts += [piece, BEGAN]
    written = text if len(parts) == 2 else Joined(tuple(parts[:-1]))
    call = iam(
        "PutRolePolicy",
        RoleName=found.role.resource.name,
        PolicyName=found.name,
        PolicyDocument=written,
    )
    return step(found.address, call, requires=requires, provides=provides)


def _document(found: Revoking, times: tuple[str | None, str | None]) -> Any:
    since, to_come = times
    around = None
    if found.now.others and isinstance(found.value, Mapping):
        around = {key: value for key, value in found.value.items() if key != "Statement"}
    return document(found.owner, since, to_come, found.now.others, around)


def _guards(role: LiveRole, context: PlanContext) -> Iterator[Guard]:
    address, options = role.resource.address, context.options
    if role.owner != options.owner or role.protected is not None:
        why = role.protected or "it is not managed here"
        reason = f"{address}: its sessions cannot be revoked, since {why}"
        yield Guard("rotate", reason, "Rotate without --revoke, or adopt the role", (address,))
    if _is_in_specs(role, context):
        reason = f"{address}: the specs have the inline policy {REVOKED} themselves"
        yield Guard("rotate", reason, "Change the time there, or remove it and apply", (address,))
    if is_in_the_way(revoking(role, options.owner).now.others, options.owner):
        reason = f"{address}: somebody changed our statement in the inline policy {REVOKED}"
        yield Guard("rotate", reason, "Remove it, or give it another Sid", (address,))
    yield from without_room(role.resource, _largest(role, context), address)
    if options.allows("consumers", address):
        return
    for profile in left_alone(role, context):
        running = [i for i in context.in_use.consumers(profile) if i.is_running]
        if running:
            told = f"{counted(running)} of {profile.resource.address} would be denied everything"
            reason = f"{address}: {told}, for they get no fresh session"
            yield Guard("consumers", reason, f"--allow consumers={address}", (address,))
    rotated = [one for one in _rotated(context) if one.live.role_id == role.id]
    if rotated and options.rotation == "revoke-first":
        # Otherwise the cut-over does not end without them, and what is owed waits for that.
        for told in _without_fresh(rotated, context):
            reason = f"{address}: {told}, for they get no fresh session"
            yield Guard("consumers", reason, f"--allow consumers={address}", (address,))
    if rotated and options.consumer_regions is not None:
        where = ", ".join(options.consumer_regions)
        reason = f"{address}: instances outside of {where} would be denied everything"
        lift = f"--allow consumers={address}"
        yield Guard("consumers", f"{reason}, for they get no fresh session", lift, (address,))


def _largest(role: LiveRole, context: PlanContext) -> PolicyDocument:
    """What a rotation may write at most: both statements, until the second takes the place of the
    first."""
    found, now = revoking(role, context.options.owner), moment(context.options.now)
    is_first = context.options.rotation == "revoke-first"
    since = None if found.now.since is None and not is_first else now
    return PolicyDocument.of(_document(found, (since, None if is_first else now)))


def without_room(role: Role, policy: PolicyDocument, address: Address) -> Iterator[Guard]:
    """AWS would refuse the policy, after instances have been touched."""
    others = (one for name, one in role.inline_policies if not same_name(name, REVOKED))
    size = sum(one.size for one in (*others, policy))
    if size > INLINE_POLICIES_SIZE:
        told = f"with {REVOKED}, its inline policies would have {size:,} characters"
        reason = f"{address}: {told}, more than the {INLINE_POLICIES_SIZE:,} that AWS takes"
        yield Guard("rotate", reason, "Make one of them smaller, or remove one", (address,))


def _without_fresh(rotated: Iterable[RotatedProfile], context: PlanContext) -> Iterator[str]:
    """Consumers that a cut-over cannot touch, or that nobody sees."""
    for one in rotated:
        address = one.live.resource.address
        by_reason: dict[str, list[LiveInstance]] = {}
        for instance in context.in_use.consumers(one.live):
            if instance.is_running and (why := instance.untouchable) is not None:
                by_reason.setdefault(why, []).append(instance)
        for why, found in sorted(by_reason.items()):
            yield f"{counted(found)} of {address} would be denied everything ({why})"
    for region in sorted(context.live.unread_regions):
        yield f"{region} cannot be read: instances there would be denied everything"
    if context.live.unlisted is not None:
        yield "regions cannot be listed: instances elsewhere would be denied everything"


def _is_in_specs(role: LiveRole, context: PlanContext) -> bool:
    wanted = context.desired.role(role.resource.name)
    return wanted is not None and is_revoked(wanted.resource)


def goes(role: LiveRole, context: PlanContext) -> bool:
    """Whether this plan deletes the policy, since no session is left that it could deny."""
    found = revoking(role, context.options.owner)
    is_over = found.now.is_ours and found.now.until <= context.options.now
    return is_over and not context.options.for_drift and not found.now.others


def kept(role: LiveRole, context: PlanContext) -> Iterator[Kept]:
    found = revoking(role, context.options.owner)
    is_there = found.value is not None and not goes(role, context)
    if is_there and not _is_in_specs(role, context):
        yield Kept(role.resource.address, told(role, context), "revoked")


def with_revocations(entities: PlanFragment, rest: PlanFragment) -> PlanFragment:
    """One change for each role: what the specs want of it, with what becomes of the policy."""
    added = {change.address: change for change in rest.changes}
    joined = [
        change if (other := added.pop(change.address, None)) is None else _joined(change, other)
        for change in entities.changes
    ]
    return merged(
        [replace(entities, changes=(*joined, *added.values())), replace(rest, changes=())]
    )


def _joined(change: Change, other: Change) -> Change:
    return replace(
        change,
        before={**(other.before or {}), **(change.before or {})},
        after={**(other.after or {}), **(change.after or {})},
        differences=(*change.differences, *other.differences),
        reason="; ".join(one for one in (change.reason, other.reason) if one) or None,
        intent={**change.intent, **other.intent},
    )
