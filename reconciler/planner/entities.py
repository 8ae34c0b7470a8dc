"""Policies, roles and profiles: created, adopted, updated, replaced, or not ours to touch."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace as with_fields

from reconciler.diagnostics import Diagnostic
from reconciler.kinds import instance_profile, role
from reconciler.kinds.registry import kind_of
from reconciler.model.address import same_name
from reconciler.model.live import LiveEntity, LiveInstance, LivePolicy, LiveProfile, LiveRole
from reconciler.model.policy_document import dangling_principals
from reconciler.model.resources import InstanceProfile, Policy, Role
from reconciler.model.revocation import REVOKED
from reconciler.plan.changes import (
    Adopt,
    Change,
    Conflict,
    Create,
    Difference,
    Guard,
    Kept,
    Unmet,
    Update,
    changed_attributes,
    differences,
)
from reconciler.planner import revocations
from reconciler.planner.context import PendingWork, PlanContext, PlanFragment, merged
from reconciler.planner.ownership_checks import (
    desired_state_of,
    gives_up,
    is_ours,
    is_to_refresh,
    set_aside,
    unowned,
)
from reconciler.planner.places import places_of
from reconciler.planner.replacements import REPLACED, is_without, plan_replacement
from reconciler.spec.desired import Desired


def plan_entities(context: PlanContext) -> PlanFragment:
    chosen = [e for e in context.desired.entities() if context.options.includes(e.resource.address)]
    return merged(_entity(entity, context) for entity in chosen if not set_aside(entity, context))


def _entity(entity: Desired, context: PlanContext) -> PlanFragment:
    live = context.live.entity(entity.resource.address)
    if live is None:
        after, source = entity.resource, entity.place.here
        change = Create(
            address=after.address,
            after=after.attributes(),
            source=source,
            places=places_of(entity),
        )
        pending = tuple(kind_of(after.address).create(after, context))
        return PlanFragment(changes=(change,), pending=pending)
    if live.protected is not None:
        message = f"{entity.resource.address} cannot be managed: {live.protected}"
        found = Diagnostic("error", "protected-resource", message, entity.place.here)
        return PlanFragment(unmet=(Unmet(entity.resource.address, found, status="unknown"),))
    if not is_ours(live, context):
        address, place, other = entity.resource.address, entity.place.here, live.claimed_by
        if other in (None, context.options.owner):
            conflict = Conflict(address, unowned(live, context.options), "--adopt", place)
        else:
            why = f"belongs to the owner {other!r}"
            conflict = Conflict(address, why, "--adopt --take-over", place, other)
        return PlanFragment(conflicts=(conflict,))
    return _changed(entity, live, context)


def _changed(entity: Desired, live: LiveEntity, context: PlanContext) -> PlanFragment:
    after = desired_state_of(entity, live, context)
    before = live.resource
    notes = PlanFragment(
        kept=tuple(_warnings(entity, live, context)), ignored=_ignored(entity, live, context)
    )
    found = differences(before, after)
    is_adopted = live.owner != context.options.owner
    if before.path != after.path:
        return merged([notes, plan_replacement(entity, live, after, found, context)])
    refreshing: tuple[PendingWork, ...] = ()
    if isinstance(live, LiveProfile) and is_to_refresh(live, context):
        refreshing = tuple(instance_profile.refresh(live, context))
    if not found and not is_adopted:
        return merged([notes, PlanFragment(pending=refreshing)])
    changes = (_change(entity, live, after, found, is_adopted, context),)
    kind = kind_of(after.address)
    adopting = tuple(kind.adopt(live, context)) if is_adopted else ()
    pending = (*adopting, *refreshing, *kind.update(live, after, context))
    if isinstance(before, Role) and isinstance(after, Role) and is_without(before, after, context):
        pending = tuple(with_fields(pending, group=REPLACED) for pending in pending)
    guards = tuple(_guards(live, after, context, is_adopted))
    return merged([notes, PlanFragment(changes=changes, pending=pending, guards=guards)])


def _change(
    entity: Desired,
    live: LiveEntity,
    after: Policy | Role | InstanceProfile,
    found: tuple[Difference, ...],
    is_adopted: bool,
    context: PlanContext,
) -> Change:
    made = Adopt if is_adopted else Update
    touched = {difference.path.partition(".")[0] for difference in found}
    running: list[LiveInstance] = []
    if is_adopted and isinstance(live, LiveProfile) and not context.options.refresh_adopted:
        # They are assumed to have the role in it, since nothing else can be known.
        running = [i for i in context.live.consumers(live.arn) if i.is_running]
    return made(
        address=live.resource.address,
        before=changed_attributes(found, live.resource),
        after=changed_attributes(found, after),
        differences=found,
        source=entity.place.here,
        places=places_of(entity),
        reason=_reason(live, context, is_adopted),
        consumers=tuple(i.key.instance for i in running),
        unchanged={k: v for k, v in after.attributes().items() if k not in touched},
    )


def _reason(live: LiveEntity, context: PlanContext, is_adopted: bool) -> str | None:
    if is_adopted:
        other = live.claimed_by
        is_nobodys = other in (None, context.options.owner)
        return unowned(live, context.options) if is_nobodys else f"taken over from {other!r}"
    if isinstance(live, LiveRole) and dangling_principals(live.resource.trust_policy.value):
        return "its trust policy names a role or user that no longer exists"
    return None


def _warnings(entity: Desired, live: LiveEntity, context: PlanContext) -> Iterator[Kept]:
    wanted = entity.resource
    if (
        isinstance(wanted, Policy)
        and isinstance(live, LivePolicy)
        and "description" not in entity.leave
        and wanted.description != live.resource.description
    ):
        reason = "its description cannot be changed in AWS"
        yield Kept(wanted.address, reason, "warning")
    if isinstance(live, LiveRole):
        yield from revocations.kept(live, context)


def _ignored(entity: Desired, live: LiveEntity, context: PlanContext) -> tuple[Kept, ...]:
    rules = context.options.ignored(entity.resource.address)
    if not rules:
        return ()
    bare = with_fields(
        context.options, settings=context.options.settings.model_copy(update={"ignore": []})
    )
    without = desired_state_of(entity, live, with_fields(context, options=bare))
    passed = differences(desired_state_of(entity, live, context), without)
    told = []
    for difference in passed:
        rule = context.options.rule_for(entity.resource.address, difference.path)
        until = f" until {rule.expires}" if rule and rule.expires else ""
        why = f" ({rule.reason})" if rule else ""
        reason = f"{difference.path} differs, which is ignored{until}{why}"
        told.append(Kept(live.resource.address, reason, "ignored"))
    return tuple(told)


def _guards(
    live: LiveEntity,
    after: Policy | Role | InstanceProfile,
    context: PlanContext,
    is_adopted: bool,
) -> Iterator[Guard]:
    address = live.resource.address
    before = live.resource
    if not isinstance(before, Role) or not isinstance(after, Role):
        return
    lost = {*before.managed_policies} - {*after.managed_policies}
    names = {n for n, _ in before.inline_policies} - {n for n, _ in after.inline_policies}
    if is_adopted and (lost or names) and not context.options.allows("strip", address):
        taken = ", ".join(sorted(arn.rpartition("/")[2] for arn in lost) + sorted(names))
        reason = f"adopting {address} would remove {taken}"
        yield Guard("strip", reason, f"--allow strip={address}", (address,))
    kept = next((one for name, one in after.inline_policies if same_name(name, REVOKED)), None)
    stays = isinstance(live, LiveRole) and not revocations.goes(live, context)
    if kept is not None and stays and before.inline_policies != after.inline_policies:
        yield from revocations.without_room(after, kept, address)
    removed = before.permissions_boundary is not None and after.permissions_boundary is None
    if isinstance(live, LiveRole) and role.shuts_out_ec2(before, after):
        yield from _unusable(live, context)
    if removed and not context.options.allows("boundary", address):
        reason = f"{address} would lose its permissions boundary"
        yield Guard("boundary", reason, f"--allow boundary={address}", (address,))


def _unusable(live: LiveRole, context: PlanContext) -> Iterator[Guard]:
    """A guard: profiles that keep a role which EC2 may no longer assume, or whose instances may
    still have it although it was swapped out. It does not matter whether an instance is known: one
    could be launched tomorrow."""
    address = live.resource.address
    if context.options.allows("consumers", address):
        return
    held = [p.resource.address for p in context.in_use.profiles_of(live)]
    staying = [str(a) for a in held if not gives_up(a, live, (), context)]
    if staying:
        users = ", ".join(staying)
        reason = f"{address} would no longer trust ec2.amazonaws.com, and is used by {users}"
        yield Guard("consumers", reason, f"--allow consumers={address}", (address,))
