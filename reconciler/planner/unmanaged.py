"""What is in no spec and nobody's: made by hand, or left behind."""

from __future__ import annotations

from collections.abc import Iterator

from reconciler.model.address import EVERYTHING
from reconciler.model.live import LiveEntity, LiveProfile, LiveRole
from reconciler.plan.changes import Kept, Unmanaged
from reconciler.planner.fragment import View


def unmanaged(view: View) -> tuple[Unmanaged, ...]:
    """Roles and profiles, sorted; neither what AWS or CloudFormation manages, nor what is another
    set's."""
    found = [
        Unmanaged(entity.resource.address, _orphan(entity, view))
        for entity in _nobodys(view)
        if view.options.hidden(entity.resource.address) is None
    ]
    return tuple(sorted(found, key=lambda u: u.address))


def others(view: View) -> Iterator[Kept]:
    """How many there are that are somebody's, and those that a rule hides."""
    mine = view.options.owner
    others = [e for e in _all(view) if e.claimed_by not in (None, mine) and not _is_named(e, view)]
    if others:
        yield Kept(EVERYTHING, f"{len(others)} roles and profiles have another owner", "warning")
    for entity in _nobodys(view):
        if reason := view.options.hidden(entity.resource.address):
            yield Kept(entity.resource.address, f"is not managed ({reason})", "ignored")


def _nobodys(view: View) -> Iterator[LiveEntity]:
    mine = view.options.owner
    for entity in _all(view):
        is_free = entity.owner != mine and entity.claimed_by in (None, mine)
        is_chosen = view.options.includes(entity.resource.address)
        if is_free and is_chosen and not entity.protected and not _is_named(entity, view):
            yield entity


def _all(view: View) -> Iterator[LiveRole | LiveProfile]:
    yield from view.live.roles.values()
    yield from view.live.profiles.values()


def _is_named(entity: LiveEntity, view: View) -> bool:
    name = entity.resource.name
    if isinstance(entity, LiveRole):
        return view.desired.role(name) is not None
    return view.desired.profile(name) is not None


def _orphan(entity: LiveEntity, view: View) -> str | None:
    if not isinstance(entity, LiveProfile):
        return None
    if entity.resource.role is None:
        return "orphan: it holds no role"
    if view.live.unread_regions or view.live.consumers(entity.arn):
        return None
    return f"orphan: no instance uses it in {', '.join(view.live.regions)}"
