"""Whom the changes of a plan reach: running consumers of the profiles around each, and whether what
started them starts new ones with another profile than the specs give them.

For that a plan needs more than it decides from. ``concerned`` says whether it does, so that a plan
without such a change reads nothing more.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

from reconciler.diagnostics import Diagnostic, Location, in_order
from reconciler.model.address import EVERYTHING, PROFILE, Address, same_name
from reconciler.model.consumers import grouped
from reconciler.model.launch_sources import LaunchSources
from reconciler.model.live import LiveInstance, LiveState
from reconciler.model.ownership import InstanceKey
from reconciler.plan.blast_radius import Apart, ApartKind, BlastRadius, OtherLaunch
from reconciler.plan.changes import Change, Create, Delete, Kept, Replace, Update
from reconciler.plan.plan import TargetPlan
from reconciler.planner.associations import claim_of, wanted_profile
from reconciler.planner.context import PlanContext
from reconciler.planner.launches import Launch, in_words, of_consumers, role_after

_OF_PROFILES = frozenset({"role", "role_id", "served_role", "consumer_regions", "strategy"})
_OF_ROLES = ("trust_policy", "permissions_boundary", "managed_policies.", "inline_policies.")


@dataclass(frozen=True, slots=True)
class Concern:
    """One change, and the profiles whose consumers it reaches; of an instance the instance
    itself."""

    change: Change
    profiles: frozenset[str] = frozenset()
    instance: InstanceKey | None = None

    @property
    def is_for_all_regions(self) -> bool:
        """Whether its consumers may be where a plan does not look otherwise: what a role may do
        changes everywhere at once."""
        return bool(self.profiles) and self.change.kind != PROFILE


def concerned(changes: Iterable[Change], context: PlanContext) -> tuple[Concern, ...]:
    """The changes that reach running instances."""
    return tuple(found for change in changes if (found := _concern(change, context)) is not None)


def _concern(change: Change, context: PlanContext) -> Concern | None:
    is_gone = isinstance(change, Delete | Replace)
    paths = [difference.path for difference in change.differences]
    match change.kind:
        case "association":
            is_given = isinstance(change, Create | Update)
            if not is_given or "instance_profile" not in (change.after or {}):
                return None
            key = InstanceKey(change.region or "", change.name)
            return Concern(change, instance=key)
        case "instance-profile" if is_gone or _OF_PROFILES & {*paths}:
            live = context.live.profile(change.name)
            names = {live.resource.name} if live is not None else set[str]()
        case "role" if is_gone or any(path.startswith(_OF_ROLES) for path in paths):
            names = _through([change.name], context)
        case "policy" if is_gone or "document" in paths:
            names = _through(roles_with(change.name, context), context)
        case _:
            return None
    if isinstance(change, Create) or not names:
        return None
    return Concern(change, frozenset(names))


def _through(roles: Iterable[str], context: PlanContext) -> set[str]:
    found = (context.live.role(name) for name in roles)
    return {
        profile.resource.name
        for role in found
        if role is not None
        for profile in context.in_use.profiles_of(role)
    }


def roles_with(policy: str, context: PlanContext) -> Iterator[str]:
    live = context.live.policy(policy)
    for role in context.live.roles.values():
        if live is not None and live.arn in role.resource.policies:
            yield role.resource.name


def reached(concern: Concern, context: PlanContext) -> tuple[LiveInstance, ...]:
    """Its running consumers, as far as they were read."""
    live = context.live
    if concern.instance is not None:
        found = [live.instances[concern.instance]] if concern.instance in live.instances else []
    else:
        profiles = (live.profile(name) for name in sorted(concern.profiles))
        found = [i for p in profiles if p is not None for i in context.in_use.consumers(p)]
    running = {i.key: i for i in found if i.is_running}
    return tuple(running[key] for key in sorted(running))


def apart(users: Iterable[LiveInstance], context: PlanContext) -> tuple[Apart, ...]:
    """Running consumers that no cut-over refreshes, or not before something else is done, by the
    reason."""
    found: dict[tuple[ApartKind, str], list[str]] = {}
    chosen = context.options.consumer_regions
    for instance in users:
        key: tuple[ApartKind, str] | None = None
        if instance.untouchable is not None:
            key = "untouchable", instance.untouchable
        elif instance.key in context.live.on_temporary_profile:
            key = "temporary-profile", ""
        elif instance.row is None:
            key = "in-flight", ""
        elif chosen is not None and instance.key.region not in chosen:
            key = "other-region", ""
        if key is not None:
            found.setdefault(key, []).append(instance.key.instance)
    return tuple(Apart(kind, tuple(ids), reason) for (kind, reason), ids in sorted(found.items()))


def with_blast_radius(
    plan: TargetPlan,
    concerns: Iterable[Concern],
    context: PlanContext,
    launches: LaunchSources,
    place: Location,
) -> TargetPlan:
    """The plan with whom it reaches, and a warning for each source that starts new instances with
    something else; ``place`` is that of warnings about what the specs do not name. The context has
    the instances that were read for it."""
    found: dict[Address, BlastRadius] = {}
    warnings: dict[str, Diagnostic] = {}
    for concern in concerns:
        change, users = concern.change, reached(concern, context)
        others = tuple(_others(users, plan, context, launches))
        # An instance that gets another profile is a change of its own.
        told = () if concern.instance is not None else grouped(users)
        if told or others:
            regions = tuple(sorted(context.live.regions))
            rest = [i for i in users if i.key.instance not in change.consumers]
            left = apart(rest, context) if "strategy" in change.intent else ()
            found[change.address] = BlastRadius(told, regions, others, left)
        for other in others:
            wanted = other.wanted
            named = "no instance profile" if wanted is None else f"instance-profile/{wanted}"
            hint = f"let its launch template name {named}"
            if (rule := other.association) is not None:
                hint += f"; until then association {rule!r} moves new ones at each apply"
            where = change.source or place
            warning = Diagnostic("warning", "new-instances-differ", other.told, where, hint)
            warnings.setdefault(other.told, warning)
    return replace(
        plan,
        blast_radius=found,
        diagnostics=in_order((*plan.diagnostics, *warnings.values())),
        kept=(*plan.kept, *_not_known(launches)),
    )


def _others(
    users: Iterable[LiveInstance], plan: TargetPlan, context: PlanContext, launches: LaunchSources
) -> Iterator[OtherLaunch]:
    for launch, members in of_consumers(users, launches):
        if not launch.is_known:
            continue
        wanted = {member.key: wanted_profile(member, context) for member in members}
        other = [m for m in members if not same_name(wanted[m.key], launch.profile)]
        if other:
            first = other[0]
            alike = [m for m in other if same_name(wanted[m.key], wanted[first.key])]
            yield _other(launch, first, wanted[first.key], len(alike), plan, context)


def _other(
    launch: Launch,
    member: LiveInstance,
    wanted: str | None,
    count: int,
    plan: TargetPlan,
    context: PlanContext,
) -> OtherLaunch:
    claim = claim_of(member.key, context)
    selecting = claim.association.name if claim is not None and claim.is_selected else None
    return OtherLaunch(
        launch.region,
        launch.kind,
        launch.name,
        launch.title,
        launch.by,
        launch.profile,
        _role(launch.profile, plan, context.live),
        wanted,
        _role(wanted, plan, context.live),
        count,
        selecting,
    )


def _role(profile: str | None, plan: TargetPlan, live: LiveState) -> str | None:
    return role_after(profile, plan.changes, live) if profile is not None else None


def _not_known(launches: LaunchSources) -> Iterator[Kept]:
    """What was denied, once for all regions."""
    if not launches.unread:
        return
    calls = sorted({in_words(refused) for refused in launches.unread})
    where = ", ".join(sorted({refused.region for refused in launches.unread}))
    reason = f"what new instances get in {where} is not known: {', '.join(calls)} refused"
    yield Kept(EVERYTHING, reason, "warning")
