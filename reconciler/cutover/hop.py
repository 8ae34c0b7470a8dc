"""Strategy ``hop``: running consumers move to a temporary profile that holds the new role, the role
in the profile is swapped while none of them uses it, and they move back.

An association is replaced in one call, so no instance is ever without credentials. The temporary
profile exists only while the profile is marked as ``pending``; any cut-over of the profile,
whatever its strategy, moves the instances on it back.

Source: docs.aws.amazon.com/AWSEC2/latest/APIReference/API_ReplaceIamInstanceProfileAssociation.html
"""

from __future__ import annotations

from collections.abc import Sequence

from reconciler.cutover import batches, gates
from reconciler.cutover.calls import Calls
from reconciler.cutover.decisions import WHEN_SEEN, Act, Decision, GiveUp, List, Pause, when_read
from reconciler.cutover.fleet import Fleet
from reconciler.cutover.run_state import temporary_visible_at
from reconciler.model.address import same_name
from reconciler.model.live import LiveInstance, LiveProfile
from reconciler.plan.cut_over import Observation


def out(fleet: Fleet) -> Decision | None:
    """Move running consumers that may have another role to the temporary profile."""
    cutover, observed, run_state = fleet.cutover, fleet.observed, fleet.run_state
    if not cutover.hops or observed.profile.role_id is None:
        return None
    to_leave = fleet.to_leave()
    moved = [i for i in observed.on_temporary_profile() if i.key in run_state.away]
    is_swapped = observed.profile.role_id == observed.after_id
    is_on_trial = run_state.on_trial and fleet.is_gated and not is_swapped
    if to_leave or moved or is_on_trial:
        if decision := _temporary(fleet):
            return decision
        left = temporary_visible_at(cutover, observed, run_state) - observed.now
        if left > 0:
            return Pause(left, f"EC2 to see role/{_wanted(fleet)} in the temporary profile")
        return (
            batches.settle(fleet)
            or gates.trial(fleet)
            or batches.after_failure(fleet)
            or _next(fleet, to_leave)
        )
    return None


def _wanted(fleet: Fleet) -> str:
    return fleet.cutover.after.name if fleet.cutover.after else ""


def _temporary(fleet: Fleet) -> Decision | None:
    """Create the temporary profile and add the new role; ``None`` once that is done."""
    observed, temporary = fleet.observed, fleet.observed.temporary
    calls = Calls(fleet.cutover, observed)
    if temporary is None:
        return Act((calls.create_temporary(),), "create the temporary profile")
    if not _is_ours(temporary, observed):
        return GiveUp(f"{temporary.resource.address} exists, and is not our temporary profile")
    if temporary.role_id == observed.after_id:
        return None
    if on_temporary_profile := observed.on_temporary_profile():
        # From an abandoned roll-out: its instances move back before its role changes.
        return (
            batches.settle(fleet)
            or batches.after_failure(fleet)
            or _home(fleet, on_temporary_profile)
        )
    if temporary.role_id is not None:
        return Act((calls.empty(temporary),), "remove the role from the temporary profile")
    return Act((calls.fill(temporary, _wanted(fleet)),), "add the role to the temporary profile")


def _is_ours(temporary: LiveProfile, observed: Observation) -> bool:
    is_named = same_name(temporary.temporary_of, observed.profile.resource.name)
    return is_named and temporary.owner is not None and temporary.owner == observed.profile.owner


def _home(fleet: Fleet, on_temporary_profile: Sequence[LiveInstance]) -> Decision:
    """An interrupted run may have swapped the role in the original profile a moment ago, and EC2
    may still see the profile without a role: wait first."""
    cutover, observed = fleet.cutover, fleet.observed
    left = fleet.run_state.began_at + cutover.limits.propagation_seconds - observed.now
    if left > 0:
        return Pause(left, f"EC2 to see the role in {cutover.address}")
    return batches.rest(fleet) or batches.take(fleet, on_temporary_profile)


def _next(fleet: Fleet, to_leave: Sequence[LiveInstance]) -> Decision | None:
    if not to_leave or fleet.observed.temporary is None:
        return None
    if decision := batches.rest(fleet):
        return decision
    batch = fleet.running_among(to_leave)
    if not batch:
        return batches.poll("instances to finish starting or stopping", to_leave)
    calls, temporary = Calls(fleet.cutover, fleet.observed), fleet.observed.temporary
    if decision := batches.ask(fleet, batch):
        return decision
    if fleet.cutover.releases and not fleet.run_state.released:
        return Act(calls.mark_released(), batches.NOTE_LET_GO)
    return Act(tuple(calls.move(i, temporary) for i in batch), "move to the temporary profile")


def wait_until_unused(fleet: Fleet) -> Decision | None:
    """The role in the profile is swapped only after a listing of every region has shown that no
    running instance uses the profile. One that could not be moved still does."""
    observed, run_state = fleet.observed, fleet.run_state
    if observed.listed_at < run_state.changed_at:
        return List()
    if observed.unread:
        region, reason = sorted(observed.unread.items())[0]
        return GiveUp(
            f"{region} cannot be read ({reason}); its instances may use the profile",
            advice=when_read(observed),
        )
    if unknown := [i for i in observed.consumers() if i.is_unknown]:
        key = unknown[0].key
        return GiveUp(
            f"{key.instance} ({key.region}) may use the profile: {unknown[0].untouchable}",
            advice=WHEN_SEEN,
        )
    stayed = [i for i in observed.consumers() if i.is_running and i.key in run_state.failed]
    return batches.after_failure(fleet) if stayed else None


def away(calls: Calls, observed: Observation) -> Decision | None:
    """Delete the temporary profile, which no instance uses any longer."""
    temporary = observed.temporary
    if temporary is None or not _is_ours(temporary, observed):
        return None
    if temporary.role_id is not None:
        return Act((calls.empty(temporary),), "remove the role from the temporary profile")
    return Act((calls.delete(temporary),), "delete the temporary profile")
