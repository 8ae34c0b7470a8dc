"""Tags of ours with something in them that is no mark: told, and nothing else follows from them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from reconciler.model import ownership
from reconciler.model.address import Address, instance_address
from reconciler.model.live import LiveEntity
from reconciler.model.ownership import MalformedMark
from reconciler.plan.changes import Kept
from reconciler.planner.fragment import PlanContext

LONGEST = 80


def malformed_marks(context: PlanContext) -> Iterator[Kept]:
    """Of everything that was read and is included, but for what is another owner's."""
    mine = context.options.owner
    named = {entity.resource.address for entity in context.desired.entities()}
    for entity in context.live.entities():
        address = entity.resource.address
        if entity.claimed_by not in (None, mine) or entity.protected is not None:
            continue
        yield from _told(address, entity.malformed_marks, context)
        if address not in named:
            yield from _first_form(entity, context)
    for key, instance in sorted(context.live.instances.items()):
        yield from _told(instance_address(key.instance), instance.malformed_marks, context)


def _told(address: Address, found: Iterable[MalformedMark], context: PlanContext) -> Iterator[Kept]:
    if not context.options.includes(address):
        return
    for stray in found:
        short = stray.value if len(stray.value) <= LONGEST else f"{stray.value[: LONGEST - 1]}…"
        reason = (
            f"its tag {stray.key} has {short!r}, which is no mark of ours and counts for nothing"
        )
        yield Kept(address, reason, "warning")


def _first_form(entity: LiveEntity, context: PlanContext) -> Iterator[Kept]:
    """Once a thing of ours, perhaps, and in no spec: nothing else would tell of it."""
    address = entity.resource.address
    if entity.owner != entity.claimed_by and context.options.includes(address):
        key = context.options.prefix + ownership.OWNER
        reason = (
            f"carries the old form of our tag ({key}) and is in no spec: it is not ours to prune"
        )
        yield Kept(address, reason, "warning")
