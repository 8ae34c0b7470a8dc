"""What stops the next apply as a whole, the flags that lift it, and what follows from them. A
guard or a conflict stops everything, also what it is not about: who asks about one address must
hear of it there."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, replace

from reconciler.diagnostics import Location
from reconciler.model.address import PROFILE, Address
from reconciler.model.launch_sources import LaunchSources
from reconciler.model.live import LiveProfile
from reconciler.plan.blast_radius import more_in_words
from reconciler.plan.changes import Adopt, Change, Conflict, Guard
from reconciler.plan.plan import TargetPlan
from reconciler.planner.blast_radius import concerned, with_blast_radius
from reconciler.planner.context import PlanContext
from reconciler.planner.options import COUNTS, Options, allowance
from reconciler.planner.planner import plan_context, plan_target
from reconciler.spec.desired import DesiredState

_ALLOW = "--allow "
_MOST_ROUNDS = 6
"""What is allowed may bring further guards, which are allowed in turn."""


@dataclass(frozen=True, slots=True)
class Stop:
    """``key`` is that of the guard, ``None`` for a conflict; ``lift`` is the flag to give, or what
    to do where no flag helps. ``brings`` is what an adoption brings with it; ``is_later`` is
    whether it stops the apply only once the others are lifted."""

    target: str
    key: str | None
    reason: str
    lift: str
    addresses: tuple[Address, ...]
    source: Location | None = None
    brings: str = ""
    is_later: bool = False

    @property
    def is_liftable(self) -> bool:
        return self.lift.startswith("--")


@dataclass(frozen=True, slots=True)
class Allowed:
    """A target's plan with everything allowed that a flag allows: ``plan`` is what an apply does
    with ``flags``; ``stops`` are all that they lift, and those that none lifts."""

    plan: TargetPlan
    stops: tuple[Stop, ...] = ()
    flags: tuple[str, ...] = ()


def allowed(plan: TargetPlan, context: PlanContext, desired: DesiredState) -> Allowed:
    """Plans again, of what was read already, with the flags that the plan asks for."""
    options, found = context.options, plan
    stopping: dict[object, Conflict | Guard] = {}
    first: set[object] = set()
    for number in range(_MOST_ROUNDS):
        for one in _stopping(found):
            stopping[_key(one)] = one
        if not number:
            first.update(stopping)
        lifted = _lifted(options, _stopping(found))
        if lifted == options:
            break
        options = lifted
        later = plan_context(desired, context.live, options)
        found = _with_consumers(plan_target(later), plan, later)
    stops = tuple(
        _stop(one, plan, found, is_later=key not in first) for key, one in stopping.items()
    )
    return Allowed(found, stops, tuple(_flags(context.options, options)))


def _with_consumers(found: TargetPlan, before: TargetPlan, context: PlanContext) -> TargetPlan:
    """What starts new instances was read for ``before`` alone."""
    reached = with_blast_radius(
        found, concerned(found.changes, context), context, LaunchSources(), Location("")
    ).blast_radius
    known = {address: before.blast_radius.get(address, new) for address, new in reached.items()}
    return replace(found, blast_radius=known)


def reaches_more(plan: TargetPlan) -> bool:
    """Whether ``allowed`` needs the instances of all regions: a plan looks there for consumers of
    our profiles, and not for those of one that it would have to adopt first."""
    return any(conflict.address.kind == PROFILE for conflict in plan.conflicts)


def _stopping(plan: TargetPlan) -> list[Conflict | Guard]:
    return [*plan.conflicts, *plan.guards]


def _key(one: Conflict | Guard) -> object:
    """Two rounds count differently."""
    if isinstance(one, Guard):
        return one.key, () if one.key in COUNTS else one.addresses
    return one.address


def _lifted(options: Options, stopping: Iterable[Conflict | Guard]) -> Options:
    pairs = set(options.allow)
    adopt, take_over = options.adopt, options.take_over
    for one in stopping:
        if isinstance(one, Conflict):
            adopt, take_over = True, take_over or "--take-over" in one.lift
        elif one.lift.startswith(_ALLOW):
            pair = allowance(one.lift.removeprefix(_ALLOW))
            if pair[0] in COUNTS:
                pairs = {known for known in pairs if known[0] != pair[0]}
            pairs.add(pair)
    return replace(options, adopt=adopt, take_over=take_over, allow=frozenset(pairs))


def _flags(before: Options, after: Options) -> Iterator[str]:
    if after.adopt and not before.adopt:
        yield "--adopt"
    if after.take_over and not before.take_over:
        yield "--take-over"
    for key, value in sorted(after.allow - before.allow):
        yield "--allow"
        yield f"{key}={value}"


def joined(flags: Iterable[tuple[str, ...]]) -> tuple[str, ...]:
    """Each flag once, with its value."""
    found: dict[tuple[str, ...], None] = {}
    for given in flags:
        words = iter(given)
        for word in words:
            found[(word, next(words)) if word == "--allow" else (word,)] = None
    return tuple(word for one in found for word in one)


def _stop(one: Conflict | Guard, plan: TargetPlan, after: TargetPlan, *, is_later: bool) -> Stop:
    if isinstance(one, Guard):
        reason, addresses = one.reason, one.addresses
        return Stop(plan.target, one.key, reason, one.lift, addresses, is_later=is_later)
    change = next((c for c in after.changes if c.address == one.address), None)
    brings = _brings(change, one.owner, after) if change is not None else ""
    reason = f"{one.address} {one.reason}"
    return Stop(plan.target, None, reason, one.lift, (one.address,), one.source, brings, is_later)


def _brings(change: Change, owner: str | None, plan: TargetPlan) -> str:
    """What comes of it that a person should know before."""
    if change.address.is_instance and not isinstance(change, Adopt):
        before = (change.before or {}).get("instance_profile")
        after = (change.after or {}).get("instance_profile")
        if before != after and after is not None:
            return (
                f"moves {change.name} from instance-profile/{before} to instance-profile/{after}, "
                f"and tags that association as made by the owner {plan.owner}; "
                f"instance-profile/{before} stays as it is"
            )
        return f"takes over its association, which then belongs to the owner {plan.owner}"
    told = (
        f"takes over {change.address}: by a tag it belongs to the owner {plan.owner} from then on"
    )
    if owner is not None:
        told += f", and no longer to {owner!r}"
    changed = [d.path for d in change.differences]
    more = f" and {rest} more" if (rest := len(changed) - _FEW) > 0 else ""
    told += ", and is kept as the specs have it"
    if changed:
        told += f", so this changes: {', '.join(changed[:_FEW])}{more}"
    live = plan.based_on.get(change.address)
    if isinstance(live, LiveProfile) and live.resource.role is not None and change.consumers:
        count = len(change.consumers)
        noun, them = ("instance is", "it") if count == 1 else ("instances are", "them")
        told += f"; its {count} running {noun} "
        told += (
            "cut over"
            if "strategy" in change.intent
            else f"taken to have role/{live.resource.role}, which nobody has recorded "
            f"(--refresh-adopted cuts {them} over)"
        )
        radius = plan.blast_radius.get(change.address)
        told = ", ".join((told, *more_in_words(radius.apart if radius is not None else ())))
    return told


_FEW = 4


def stops_of(plans: Iterable[TargetPlan], told: Collection[Guard | Conflict] = ()) -> list[Stop]:
    """Of all targets: one apply is of all of them. Without those that are ``told`` already."""
    return [
        _stop(one, plan, plan, is_later=False)
        for plan in plans
        for one in _stopping(plan)
        if one not in told
    ]
