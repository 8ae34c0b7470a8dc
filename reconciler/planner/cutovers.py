"""Which profiles need a cut-over, and what it looks like on today's state."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

from reconciler.address import ANY_INSTANCE, Address
from reconciler.changes import Guard, Kept
from reconciler.cutover.rehearsal import rehearse
from reconciler.diagnostics import Diagnostic
from reconciler.graph import Draft
from reconciler.ownership import Failed, Waiting
from reconciler.planner.cutover_changes import instance_changes, note_change, own_change
from reconciler.planner.in_use import counted
from reconciler.planner.part import Part, View, together
from reconciler.planner.phases import Phase, phases
from reconciler.planner.replacements import REPLACED
from reconciler.planner.standing import is_ours

SERVED_SECONDS = 7 * 3600
"""When AWS has served the new role by itself: at the latest an hour or so after the swap, and
processes have let go of older credentials six hours later."""


def plan_cutovers(view: View) -> Part:
    parts = [_phase(phase, view) for phase in phases(view)]
    notes = (*_waiting(view), *(_narrowed(view) if any(p.drafts for p in parts) else ()))
    return together([*parts, Part(kept=notes)])


def _waiting(view: View) -> Iterator[Kept]:
    """Strategy ``wait``: nothing is to be done, and yet not every instance has the role."""
    for name, live in sorted(view.live.profiles.items()):
        mark, address = live.mark, live.resource.address
        if not isinstance(mark, Waiting) or name not in view.desired.profiles:
            continue
        until = mark.epoch + SERVED_SECONDS
        if is_ours(live, view) and view.options.includes(address) and until > view.options.now:
            hour = datetime.fromtimestamp(until, tz=UTC).strftime("%Y-%m-%d %H:%M UTC")
            reason = f"its instances may be served the role before until {hour} (strategy wait)"
            yield Kept(address, reason, "waiting")


def _narrowed(view: View) -> tuple[Kept, ...]:
    """Who narrows where consumers are looked for should see it where it matters."""
    chosen = view.options.consumer_regions
    if chosen is None:
        return ()
    where = ", ".join(chosen)
    reason = f"instances are cut over in {where} alone, as consumer_regions of the settings say"
    return (Kept(ANY_INSTANCE, reason, "warning"),)


def profiles_to_cut_over(view: View) -> tuple[Address, ...]:
    """Profiles whose consumers must be looked for in every region."""
    return tuple(phase.live.resource.address for phase in phases(view))


def empties(view: View) -> bool:
    """Whether some profile is to be without a role, though nothing is made again."""
    return any(p.cutover.after is None and p.cutover.half is None for p in phases(view))


def filled(view: View) -> frozenset[Address]:
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
    changes = (*own, *instance_changes(phase, view, printed))
    if not changes and cutover.half is None:
        # All that is left of an earlier run is its note; without a change nobody would clear it.
        changes = (note_change(phase),)
    group = REPLACED if cutover.half else None
    draft = Draft(address, cutover, phase.needs, phase.after, phase.gives, group=group)
    return Part(
        changes=changes,
        drafts=(draft,),
        guards=tuple(_emptied(phase, view)),
        printed=((cutover, printed),),
        begins=((cutover, phase.seen),),
    )


def _emptied(phase: Phase, view: View) -> Iterator[Guard]:
    """Without a role in their profile, instances are served no credentials once those that they
    have expire. Where some may be that nobody saw, the answer is the same."""
    address, was = phase.live.resource.address, phase.cutover.before
    if phase.cutover.half or phase.cutover.after or was is None:
        return
    if view.options.allows("consumers", address):
        return
    for use in view.in_use.uses(phase.live):
        if use.kind == "unknown":
            reason = use.reason
        elif running := tuple(i for i in use.instances if i.is_running):
            reason = f"{counted(running)} would be left without role/{was.name}"
        else:
            continue
        yield Guard("consumers", f"{address}: {reason}", f"--allow consumers={address}", (address,))
        return


def _not_restarted(phase: Phase) -> Iterator[Diagnostic]:
    """Running consumers that a restart would not bring back."""
    if phase.cutover.limits.strategy != "restart" or phase.wish.place is None:
        return
    place = phase.wish.place.at("cutover", "strategy")
    for instance in phase.seen.consumers():
        if instance.is_running and instance.unstoppable and instance.untouchable is None:
            message = f"{instance.key.instance} is not restarted: {instance.unstoppable}"
            hint = "strategy: reassociate"
            yield Diagnostic("error", "restart-refused", message, place, hint)
