"""What is in no spec and nobody's: made by hand, or left behind."""

from __future__ import annotations

from collections.abc import Iterator

from reconciler.model.address import EVERYTHING
from reconciler.model.live import LiveEntity, LiveProfile, LiveRole
from reconciler.plan.changes import Kept, Unmanaged
from reconciler.planner.fragment import PlanContext


def unmanaged(context: PlanContext) -> tuple[Unmanaged, ...]:
    """Roles and profiles, sorted; neither what AWS or CloudFormation manages, nor what is another
    set's."""
    found = [
        Unmanaged(entity.resource.address, _orphan(entity, context))
        for entity in _nobodys(context)
        if context.options.hidden(entity.resource.address) is None
    ]
    return tuple(sorted(found, key=lambda u: u.address))


def others(context: PlanContext) -> Iterator[Kept]:
    """How many there are that are somebody's, and those that a rule hides."""
    mine = context.options.owner
    others = [
        e for e in _all(context) if e.claimed_by not in (None, mine) and not _is_named(e, context)
    ]
    if others:
        yield Kept(EVERYTHING, f"{len(others)} roles and profiles have another owner", "warning")
    for entity in _nobodys(context):
        if reason := context.options.hidden(entity.resource.address):
            yield Kept(entity.resource.address, f"is not managed ({reason})", "ignored")


def _nobodys(context: PlanContext) -> Iterator[LiveEntity]:
    mine = context.options.owner
    for entity in _all(context):
        is_free = entity.owner != mine and entity.claimed_by in (None, mine)
        is_chosen = context.options.includes(entity.resource.address)
        if is_free and is_chosen and not entity.protected and not _is_named(entity, context):
            yield entity


def _all(context: PlanContext) -> Iterator[LiveRole | LiveProfile]:
    yield from context.live.roles.values()
    yield from context.live.profiles.values()


def _is_named(entity: LiveEntity, context: PlanContext) -> bool:
    name = entity.resource.name
    if isinstance(entity, LiveRole):
        return context.desired.role(name) is not None
    return context.desired.profile(name) is not None


def _orphan(entity: LiveEntity, context: PlanContext) -> str | None:
    if not isinstance(entity, LiveProfile):
        return None
    if entity.resource.role is None:
        return "orphan: it holds no role"
    if context.live.unread_regions or context.live.consumers(entity.arn):
        return None
    return f"orphan: no instance uses it in {', '.join(context.live.regions)}"
