"""All parts together: one plan for one target."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Any, Literal

from reconciler.diagnostics import Diagnostic, in_order
from reconciler.errors import CycleError
from reconciler.kinds.references import trusted_roles
from reconciler.model.address import (
    ANY_INSTANCE,
    EVERYTHING,
    PROFILE,
    Address,
)
from reconciler.model.live import LiveEntity, LiveState
from reconciler.plan.changes import (
    Change,
    CutOverInstance,
    Delete,
    Guard,
    Kept,
    Restore,
    Unmet,
    Unread,
)
from reconciler.plan.cut_over import CutOver
from reconciler.plan.graph import OrderedStep, cyclic, topological_order
from reconciler.plan.plan import TargetPlan, Users, Work
from reconciler.planner import guards
from reconciler.planner.associations import moved, plan_associations, rules, unread_before
from reconciler.planner.context import (
    PendingWork,
    PlanContext,
    PlanFragment,
    merged,
    resolved,
    without_temporary_profiles,
)
from reconciler.planner.cutovers import (
    empties,
    filled_by_cutover,
    plan_cutovers,
    profiles_to_cut_over,
)
from reconciler.planner.entities import plan_entities
from reconciler.planner.forget import plan_forgotten
from reconciler.planner.in_use import InUse
from reconciler.planner.notes import (
    malformed_marks,
    managed_consumers,
    others_count,
    unknown_consumers,
    unmanaged,
    unseen_consumers,
)
from reconciler.planner.options import Options
from reconciler.planner.ownership_checks import unread
from reconciler.planner.references import blocked_by, references_left_out, unmet_references
from reconciler.planner.removals import (
    hidden,
    is_made,
    made_elsewhere,
    plan_removals,
    removes_anything,
)
from reconciler.planner.replacements import replaced
from reconciler.planner.revocations import plan_rest, plan_revocations, with_revocations
from reconciler.planner.rotations import plan_rotations
from reconciler.planner.topology import links, plan_releases
from reconciler.planner.widening import with_widenings
from reconciler.spec.desired import DesiredState, ordered

_FEW_NAMED = 3
_KIND_ORDER = {"association": 0, "instance-profile": 1, "role": 2, "policy": 3}


def plan_context(desired: DesiredState, read: LiveState, options: Options) -> PlanContext:
    """Everything that the planner decides from, for one state of the account. Each line needs the
    one before."""
    live = without_temporary_profiles(read, options.owner)
    context = PlanContext(
        identity=live.identity,
        owner=options.owner,
        prefix=options.prefix,
        live=live,
        desired=resolved(desired, live),
        quota=options.settings.quotas.managed_policies_per_role,
        refresh_adopted=options.refresh_adopted,
        options=options,
        in_use=InUse.of(live, options.now),
    )
    if not options.rotate:
        # What the specs want besides is for an apply: a rotation takes things as they are.
        unmet = unmet_references(context)
        context = replace(context, unmet=unmet, blocked=blocked_by(unmet, context))
        context = replace(context, replaced=replaced(context))
        context = replace(context, cyclic=_trust_cycles(context))
    cut_over = frozenset(profiles_to_cut_over(context))
    return replace(context, cut_over=cut_over, filled_by_cutover=filled_by_cutover(context))


def _trust_cycles(context: PlanContext) -> frozenset[Address]:
    """Roles to be made whose trusts name each other, or themselves."""
    wanted = ordered(context.desired.roles)
    made = [r for r in wanted if context.role_that_stays(r.resource.name) is None]
    edges = {
        r.resource.address: tuple(trusted_roles(r.resource.trust_policy.value, context))
        for r in made
    }
    return cyclic(edges)


def names_instances(desired: DesiredState, options: Options) -> bool:
    """Whether the plan has to do with instances whatever AWS has: the specs have a profile or an
    association, or unmanaged resources are asked for."""
    is_asked = options.unmanaged or bool(options.forget)
    return bool(desired.profiles or desired.associations or is_asked)


def needs_instances(context: PlanContext) -> bool:
    """Whether the plan has to do with instances at all: the specs do, the owner has a profile, or
    something goes that instances may be using. A set of roles and policies alone makes no call to
    EC2."""
    live, options = context.live, context.options
    profiles = (*live.profiles.values(), *live.shadows.values())
    is_owned = any(profile.owner == options.owner for profile in profiles)
    return is_owned or names_instances(context.desired, options) or removes_anything(context)


Reach = Literal["planned", "consumers", "everywhere"]


def reach(context: PlanContext) -> Reach:
    """The regions whose instances must be known. If something is removed, or unmanaged resources
    are asked for: every enabled one, whatever ``consumer_regions`` says."""
    if context.options.unmanaged:
        return "everywhere"
    if removes_anything(context) or empties(context):
        return "everywhere"
    return "consumers" if profiles_to_cut_over(context) else "planned"


def plan_target(context: PlanContext) -> TargetPlan:
    live, options = context.live, context.options
    if options.forget:
        return _forgetting(context)
    cutovers = plan_cutovers(context)
    if options.rotate:
        parts: tuple[PlanFragment, ...] = plan_rotations(context), plan_revocations(context)
    else:
        parts = _reconciling(context)
    whole = merged([_joined(parts[0], cutovers), replace(cutovers, changes=()), *parts[1:]])
    # The unmet references name those that need them directly.
    direct = {one.needed_by for one in context.unmet}
    blocked = [
        Kept(address, reason, "blocked")
        for address, reason in sorted(context.blocked.items())
        if address not in direct
    ]
    instances = [c for c in cutovers.changes if isinstance(c, CutOverInstance | Restore)]
    changes = _in_order((*whole.changes, *instances))
    if not options.for_drift:
        changes = with_widenings(changes, context)
    releases = plan_releases(changes, context)
    existing = _existing(context)
    strangers = tuple(others_count(context)) if options.unmanaged else ()
    passed = tuple(k for k in strangers if k.status == "ignored")
    left_out = tuple(references_left_out(context))
    unmet = tuple(dict.fromkeys((*context.unmet, *whole.unmet)))
    work, circles = _work((*whole.pending, *releases), _there(context, left_out, unmet), context)
    checked = guards.check(changes, existing, guards.our_own(context.live), options)
    found = (*whole.guards, *checked, *circles, *_blind(changes, context))
    return TargetPlan(
        target=options.target,
        identity=live.identity,
        owner=options.owner,
        prefix=options.prefix,
        regions=options.regions,
        changes=changes,
        work=work,
        preview=dict(whole.preview),
        begins=dict(whole.begins),
        kept=_sorted(
            (
                *whole.kept,
                *blocked,
                *malformed_marks(context),
                *made_elsewhere(context),
                *managed_consumers(context, {c.address for c in changes}),
                *unseen_consumers(context),
                *(k for k in strangers if k not in passed),
            )
        ),
        ignored=_sorted((*whole.ignored, *hidden(context), *passed)),
        conflicts=tuple(sorted(whole.conflicts, key=lambda c: c.address)),
        guards=tuple(sorted(found, key=lambda g: (g.key, g.addresses))),
        rules=rules(context),
        settings=_settings(context, cutovers),
        diagnostics=in_order(
            (*whole.diagnostics, *(d for _, d in left_out), *_unread(context, cutovers))
        ),
        managed=existing,
        unread=tuple(_not_read(context)),
        unmet=unmet,
        destroys=options.destroy,
        most_cutovers=options.settings.max_cutovers,
        tag_index=live.tag_index,
        prunes=options.deletes_what_is_left and live.not_whole is None,
        not_whole=live.not_whole,
        unmanaged=unmanaged(context) if options.unmanaged else (),
        links=links(context, changes),
        based_on=_based_on(context, changes, whole.pending),
        users=_users(context, changes, dict(whole.begins)),
    )


def _reconciling(context: PlanContext) -> tuple[PlanFragment, ...]:
    associations = plan_associations(context)
    removals = plan_removals(context, moved(associations))
    entities = plan_entities(context)
    going = {c.address for c in removals.changes if isinstance(c, Delete)}
    entities = with_revocations(entities, plan_rest(context, {*going, *context.replaced}))
    return entities, associations, removals


def _work(
    pending: Sequence[PendingWork], there: Collection[Address], context: PlanContext
) -> tuple[tuple[OrderedStep[Work], ...], tuple[Guard, ...]]:
    """The steps in their order. Replacements can wait for each other (a policy for its role, which
    waits for its instances, which wait for the policy): then nothing is done, and a guard says what
    to split."""
    try:
        return topological_order(pending, there), ()
    except CycleError as error:
        if not context.replaced:
            raise
        addresses = tuple(sorted({pending[place].address for place in error.places}))
        reason = f"{error} wait for each other: a path cannot change together with the others"
        return (), (Guard("replace", reason, "Change one path at a time", addresses),)


def _blind(changes: Iterable[Change], context: PlanContext) -> Iterator[Guard]:
    """A guard that no flag lifts: who is to be cut over is looked for in every enabled region, and
    which those are is not known. What would go is kept by itself, since somebody may use it."""
    why = context.live.unlisted
    if why is None or context.options.for_drift:
        return
    cut_over = {*profiles_to_cut_over(context)}
    touched = {change.address for change in changes} & cut_over
    if addresses := tuple(sorted(touched)):
        named = ", ".join(str(address) for address in addresses[:_FEW_NAMED])
        more = f" and {rest} more" if (rest := len(addresses) - _FEW_NAMED) > 0 else ""
        reason = (
            f"the account's regions cannot be listed ({why}): instances elsewhere may use "
            f"{named}{more}"
        )
        is_narrowed = reach(context) == "consumers"
        way_out = ", or set consumer_regions" if is_narrowed else ""
        yield Guard("regions", reason, f"Allow ec2:DescribeRegions{way_out}", addresses)


def _forgetting(context: PlanContext) -> TargetPlan:
    found = plan_forgotten(context)
    changes = _in_order(found.changes)
    return TargetPlan(
        target=context.options.target,
        identity=context.live.identity,
        owner=context.options.owner,
        prefix=context.options.prefix,
        regions=context.options.regions,
        changes=changes,
        work=topological_order(found.pending, _there(context, (), ())),
        kept=_sorted(found.kept),
        guards=found.guards,
        settings={"tag_prefix": context.options.prefix},
        managed=_existing(context),
        based_on=_based_on(context, changes, found.pending),
    )


def _settings(context: PlanContext, cutovers: PlanFragment) -> dict[str, Any]:
    """Those that a person approves with the plan. Any profile of the plan may come to need a
    cut-over before it is applied."""
    options, settings = context.options, context.options.settings
    known: dict[str, Any] = {"tag_prefix": options.prefix}
    included = any(options.includes(p.resource.address) for p in context.desired.profiles.values())
    associated = bool(context.desired.associations) and options.may_include("association")
    if not (cutovers.pending or included or associated):
        return known
    regions = options.consumer_regions
    known["propagation"] = settings.propagation
    known["consumer_regions"] = "all" if regions is None else list(regions)
    return known


def _sorted(kept: Iterable[Kept]) -> tuple[Kept, ...]:
    return tuple(sorted(kept, key=lambda k: (k.address, k.reason)))


def _not_read(context: PlanContext) -> Iterator[Unread]:
    """What the specs want and could not be compared with AWS."""
    for entity in context.desired.entities():
        if context.options.includes(entity.resource.address) and (why := unread(entity, context)):
            yield Unread(entity.resource.address, why)
    yield from unread_before(context)
    for region, why in sorted(context.live.unread_regions.items()):
        if region in context.options.own_regions:
            yield Unread(ANY_INSTANCE, why, region)
    if context.live.unlisted is not None:
        yield Unread(ANY_INSTANCE, context.live.unlisted)
    yield from unknown_consumers(context)
    if context.options.unmanaged and context.live.not_whole is not None:
        yield Unread(EVERYTHING, context.live.not_whole)


def _based_on(
    context: PlanContext, changes: tuple[Change, ...], pending: tuple[PendingWork, ...]
) -> dict[Address, LiveEntity]:
    """A mark on an unchanged profile is a write like any other."""
    by_address = {entity.resource.address: entity for entity in context.live.entities()}
    written = {*(c.address for c in changes), *(d.address for d in pending)}
    touched = written & by_address.keys()
    return {address: by_address[address] for address in sorted(touched)}


def _users(
    context: PlanContext, changes: tuple[Change, ...], begins: Iterable[CutOver]
) -> dict[Address, Users]:
    """Users of profiles that are deleted, emptied or created again, or whose role is created
    again."""
    live = context.live
    regions = tuple(sorted({*live.regions, *live.unread_regions}))
    found: dict[Address, Users] = {}

    def note(address: Address, *, comes_back: bool) -> None:
        if (profile := live.profile(address.name)) is not None:
            keys = frozenset(i.key for i in context.in_use.consumers(profile) if i.is_running)
            found[address] = Users(keys, regions, frozenset(live.unread_regions), comes_back)

    for cutover in begins:
        if cutover.half == "first":
            note(cutover.address, comes_back=True)
    for change in changes:
        had_role = (change.before or {}).get("role") is not None
        is_emptied = had_role and (change.after or {}).get("role", "") is None
        if change.kind == PROFILE and (isinstance(change, Delete) or is_emptied):
            note(change.address, comes_back=False)
    return found


def _joined(entities: PlanFragment, cutovers: PlanFragment) -> PlanFragment:
    """One change for each profile: what the entity's part found, with what its cut-over adds."""
    added = {c.address: c for c in cutovers.changes if not isinstance(c, CutOverInstance | Restore)}
    changes: list[Change] = []
    for change in entities.changes:
        other = added.pop(change.address, None)
        changes.append(change if other is None else _join(change, other))
    return replace(entities, changes=(*changes, *added.values()))


def _join(change: Change, other: Change) -> Change:
    return replace(
        change,
        differences=(*change.differences, *other.differences),
        reason=change.reason or other.reason,
        consumers=other.consumers,
        intent=other.intent,
        is_under_way=other.is_under_way,
        was_interrupted=other.was_interrupted,
    )


def _in_order(changes: tuple[Change, ...]) -> tuple[Change, ...]:
    """Deletions first, then by kind as they are made; instances of a cut-over in its order."""

    def rank(change: Change) -> tuple[int, int, Address, str]:
        kind = _KIND_ORDER[change.kind]
        if isinstance(change, Delete):
            return 0, kind, change.address, change.region or ""
        if isinstance(change, CutOverInstance | Restore):
            return 2, 0, EVERYTHING, ""
        return 1, -kind, change.address, change.region or ""

    return tuple(sorted(changes, key=rank))


def _existing(context: PlanContext) -> int:
    """Resources of the owner: what guards take their shares of."""
    live = context.live
    owned = sum(entity.owner == context.options.owner for entity in live.entities())
    return owned + sum(is_made(instance, context) for instance in live.instances.values())


def _there(
    context: PlanContext,
    left_out: Iterable[tuple[Address, Diagnostic]],
    unmet: Iterable[Unmet],
) -> frozenset[Address]:
    """Requirements that no step has to provide: they exist in AWS, could not be read, or are
    reported as missing by a diagnostic, which prevents the apply, or by a drift, which makes no
    step."""
    found = {entity.resource.address for entity in context.live.entities()}
    found |= {*context.live.unread, *(address for address, _ in left_out)}
    if context.options.for_drift:
        found |= {one.address for one in unmet}
    return frozenset(found)


def _unread(context: PlanContext, cutovers: PlanFragment) -> Iterator[Diagnostic]:
    """A region that cannot be read may hide consumers, so a cut-over cannot end there. Regions of
    the set are in ``unread``; an account that allows few regions denies all others alike."""
    entities = (*ordered(context.desired.profiles), *context.desired.entities())
    if not cutovers.pending or not entities:
        return
    place = entities[0].place.here
    found: dict[str, list[str]] = {}
    for region, reason in sorted(context.live.unread_regions.items()):
        if region not in context.options.regions:
            found.setdefault(reason, []).append(region)
    for reason, regions in found.items():
        what = f"{', '.join(regions)} cannot be read ({reason})"
        whose = "its" if len(regions) == 1 else "their"
        message = f"{what}, so {whose} instances cannot be cut over"
        help_ = "grant permission, or name the regions to search in consumer_regions"
        yield Diagnostic("warning", "unread-region", message, place, help_)
