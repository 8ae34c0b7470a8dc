"""``forget``: what is ours and is no longer to be managed loses our tags, and nothing else."""

from __future__ import annotations

from collections.abc import Iterator

from reconciler.kinds import association
from reconciler.kinds.registry import kind_of
from reconciler.model import ownership
from reconciler.model.address import instance_address, matches_any
from reconciler.model.live import LiveEntity, LiveProfile, LiveRole
from reconciler.model.ownership import Failed, Settled
from reconciler.plan.changes import Difference, Guard, Kept, Update
from reconciler.planner.context import PlanContext, PlanFragment, merged
from reconciler.planner.removals import is_made
from reconciler.planner.revocations import left_by_forget
from reconciler.planner.rotations import is_under_way

REASON = "no longer managed: only the tags of reconciler are removed"


def plan_forgotten(context: PlanContext) -> PlanFragment:
    """The resources of the owner, and associations that it made, whose addresses match."""
    return merged((*_entities(context), *_associations(context)))


def _entities(context: PlanContext) -> Iterator[PlanFragment]:
    for entity in context.live.entities():
        address = entity.resource.address
        is_ours = entity.owner == context.options.owner and entity.protected is None
        if not is_ours or not matches_any(address, context.options.forget):
            continue
        change = Update(
            address=address,
            before={},
            after={},
            differences=(Difference("owner", context.options.owner, None),),
            reason=REASON,
        )
        pending = tuple(kind_of(address).forget(entity, context))
        told = tuple(_unfinished(entity, context))
        guards = tuple(one for one in told if isinstance(one, Guard))
        kept = tuple(one for one in told if isinstance(one, Kept))
        yield PlanFragment(changes=(change,), pending=pending, guards=guards, kept=kept)


def _unfinished(entity: LiveEntity, context: PlanContext) -> Iterator[Guard | Kept]:
    """Without its marks nobody could resume a cut-over."""
    if isinstance(entity, LiveRole):
        yield from left_by_forget(entity, context)
    if not isinstance(entity, LiveProfile):
        return
    address = entity.resource.address
    is_whole = entity.mark is None or isinstance(entity.mark, Settled | Failed)
    is_whole = is_whole and not is_under_way(entity)
    is_hopping = context.live.shadows.keys() & {address.key[1]}
    if not is_whole or entity.flights or is_hopping:
        reason = f"a cut-over of {address} is not finished"
        yield Guard("unfinished", reason, "Apply first, so that it ends", (address,))


def _associations(context: PlanContext) -> Iterator[PlanFragment]:
    for _, instance in sorted(context.live.instances.items()):
        address = instance_address(instance.key.instance)
        is_ours = ownership.ASSOCIATION in instance.marks and is_made(instance, context)
        if not is_ours or not matches_any(address, context.options.forget):
            continue
        change = Update(
            address=address,
            region=instance.key.region,
            before={},
            after={},
            differences=(Difference("owner", context.options.owner, None),),
            reason=REASON,
        )
        pending = tuple(association.forget(instance, context))
        yield PlanFragment(changes=(change,), pending=pending)
