"""Which profiles need a cut-over, and what it looks like on today's state."""

from __future__ import annotations

from collections.abc import Iterator

from reconciler.changes import Guard
from reconciler.cutover.rehearsal import rehearse
from reconciler.diagnostics import Diagnostic
from reconciler.graph import Draft
from reconciler.ownership import Failed
from reconciler.planner.cutover_changes import instance_changes, own_change
from reconciler.planner.part import Part, View, together
from reconciler.planner.phases import Phase, phases
from reconciler.planner.replacements import REPLACED


def plan_cutovers(view: View) -> Part:
    return together(_phase(phase, view) for phase in phases(view))


def profiles_to_cut_over(view: View) -> tuple[str, ...]:
    """Names of profiles whose consumers must be looked for in every region."""
    return tuple(phase.live.resource.name for phase in phases(view))


def filled(view: View) -> frozenset[str]:
    """Addresses of profiles to be made that are made empty, for their cut-over to fill."""
    return frozenset(p.live.resource.address for p in phases(view) if p.is_made and p.is_second)


def _phase(phase: Phase, view: View) -> Part:
    address, mark = phase.live.resource.address, phase.live.mark
    is_failed = isinstance(mark, Failed) and mark.role_id == phase.seen.after_id
    if is_failed and not view.options.allows("retry", address):
        reason = f"{address}: the last cut-over to this role failed and was rolled back"
        return Part(guards=(Guard("retry", reason, f"--allow retry={address}", (address,)),))
    if problems := tuple(_not_restarted(phase)):
        return Part(diagnostics=problems)
    cutover = phase.cutover
    printed = tuple(rehearse(cutover, phase.seen))
    own = () if cutover.half == "first" else own_change(phase, view)
    changes = (*own, *instance_changes(cutover, phase.seen, printed))
    group = REPLACED if cutover.half else None
    draft = Draft(address, cutover, phase.needs, phase.gives, group=group)
    return Part(changes=changes, drafts=(draft,), printed=((cutover, printed),))


def _not_restarted(phase: Phase) -> Iterator[Diagnostic]:
    """Running consumers that a restart would not bring back."""
    if phase.cutover.limits.strategy != "restart":
        return
    place = phase.entity.place.at("cutover", "strategy")
    for instance in phase.seen.consumers():
        if instance.is_running and instance.unstoppable:
            message = f"{instance.key.instance} is not restarted: {instance.unstoppable}"
            hint = "strategy: reassociate"
            yield Diagnostic("error", "restart-refused", message, place, hint)
