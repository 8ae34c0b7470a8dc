"""Batches: which instances lose the profile, which get it back, and when a batch is over."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from reconciler.cutover import gates
from reconciler.cutover.calls import Calls
from reconciler.cutover.decisions import (
    Act,
    Ask,
    BatchDone,
    Decision,
    GiveUp,
    GiveUpInstance,
    Pause,
    when_read,
)
from reconciler.cutover.fleet import Fleet
from reconciler.model.live import LiveInstance
from reconciler.model.ownership import InstanceKey
from reconciler.plan.calls import ASSOCIATION_SECONDS, POLL_SECONDS

NOTE_LET_GO = "record when the role was released"
DENIED_TRUST = (
    "the association stays in 'associating'; its role may not trust ec2.amazonaws.com, or the "
    "profile may be empty"
)


def restore(fleet: Fleet) -> Decision | None:
    """Instances in flight without a profile get it back before anything else."""
    calls = Calls(fleet.cutover, fleet.observed)
    without_association = fleet.without_association()
    if ready := [i for i in without_association if not i.in_transition]:
        return Act(tuple(calls.associate(i.key) for i in ready), "associate the profile again")
    if stopped_by_us := fleet.stopped_by_us():
        return Act(tuple(calls.start(i.key) for i in stopped_by_us), "start the instance again")
    if waiting := (*fleet.disassociating(), *without_association):
        late = "the profile was not disassociated in time"
        wait = _until(fleet, waiting, "the disassociation to complete", late)
        if fleet.run_state.hurrying and isinstance(wait, Pause):
            # AWS refuses until the association is gone, and takes the first call after that.
            again = tuple(calls.associate(i.key) for i in waiting)
            return Act(again, "associate the profile again, without waiting")
        return wait
    if waiting := fleet.stopping():
        return _until(fleet, waiting, "the instance to stop", "did not stop in time")
    return None


def _until(fleet: Fleet, waiting: Sequence[LiveInstance], why: str, late: str) -> Decision:
    since = max(fleet.run_state.away.get(i.key, fleet.observed.now) for i in waiting)
    if fleet.observed.now - since > ASSOCIATION_SECONDS:
        return GiveUpInstance(waiting[0].key, late)
    return poll(why, waiting)


def settle(fleet: Fleet) -> Decision | None:
    """Wait until new associations are in effect, and record the instances that have the role."""
    calls = Calls(fleet.cutover, fleet.observed)
    if taken := fleet.to_note():
        return Act(calls.note_holds(taken), "record which instances have the role", is_hint=True)
    for instance in fleet.associating():
        since = fleet.run_state.back.get(instance.key, fleet.observed.now)
        if fleet.observed.now - since > ASSOCIATION_SECONDS:
            return GiveUpInstance(instance.key, DENIED_TRUST)
    for instance in fleet.starting():
        if fleet.observed.now - fleet.run_state.back[instance.key] > ASSOCIATION_SECONDS:
            return GiveUpInstance(instance.key, "did not start in time")
    if starting := fleet.starting():
        return poll("the instance to start", starting)
    if taking := fleet.associating():
        return poll("the association to complete", taking)
    return BatchDone() if fleet.batch_is_over() else None


def after_failure(fleet: Fleet) -> Decision | None:
    if failed := fleet.run_state.failed:
        return GiveUp(_told(failed), roll_back=fleet.can_roll_back)
    return None


def _told(failed: Mapping[InstanceKey, str]) -> str:
    key, reason = sorted(failed.items())[0]
    return f"{key.instance} in {key.region}: {reason}"


def look_first(fleet: Fleet) -> Decision | None:
    """Before anything is changed: every region was read that could be when it was planned, and
    everything that is watched is looked at, if instances are to be refreshed at all."""
    observed = fleet.observed
    if _is_filled(fleet) and (lost := sorted(observed.unread.keys() - fleet.cutover.not_read)):
        told = f"{lost[0]} cannot be read ({observed.unread[lost[0]]}), and could be when this was"
        return GiveUp(f"{told} planned; nothing was changed", advice=when_read(observed))
    is_first = fleet.cutover.half == "first"
    batch = () if is_first or not _is_filled(fleet) else _first_batch(fleet)
    return gates.before(fleet, batch) if batch else None


def ask_first(fleet: Fleet) -> Decision | None:
    """Before anything is changed: ask EC2 whether it would restore the instances of the first
    batch. A roll-back asks for each instance on its own, since the working role must be in the
    profile whatever happens to single instances."""
    if fleet.run_state.refused:
        told = _told(fleet.run_state.refused)
        return GiveUp(f"{told}; this was checked beforehand, so nothing was changed")
    return ask(fleet, _first_batch(fleet)) if _is_filled(fleet) else None


def _is_filled(fleet: Fleet) -> bool:
    """Whether there is a role that an instance could lose, and that is not to be put back."""
    return fleet.observed.profile.role_id is not None and fleet.cutover.settle_as is None


def _first_batch(fleet: Fleet) -> tuple[LiveInstance, ...]:
    if fleet.cutover.half == "first":
        # What it takes the role from is refreshed by the second of the two.
        users = [i for i in fleet.observed.consumers() if i.row is not None]
        return fleet.running_among(users)
    if fleet.cutover.hops:
        return fleet.running_among(fleet.to_leave())
    return fleet.batch(fleet.to_refresh())


def ask(fleet: Fleet, batch: Sequence[LiveInstance]) -> Decision | None:
    """Ask EC2 with ``DryRun`` whether it would associate the profile again, or start the instance.
    An instance that loses nothing is not asked about.

    Source: docs.aws.amazon.com/AWSEC2/latest/APIReference/API_AssociateIamInstanceProfile.html
    """
    unasked = [
        i
        for i in batch
        if i.key not in fleet.run_state.allowed and not fleet.is_on_temporary_profile(i)
    ]
    flights = [(i, fleet.flight(i)) for i in unasked]
    calls = Calls(fleet.cutover, fleet.observed)
    # An instance that cannot be stopped keeps its profile.
    lost = [(i, f) for i, f in flights if not f.is_stop or i.unstoppable is None]
    if not lost:
        return None
    named = tuple(calls.ask(i, flight) for i, flight in lost)
    return Ask(named, "DryRunOperation", "check with DryRun that the instance can be restored")


def next_batch(fleet: Fleet) -> Decision | None:
    to_refresh = fleet.to_refresh()
    if not to_refresh:
        return None
    if decision := rest(fleet):
        return decision
    return take(fleet, to_refresh)


def rest(fleet: Fleet) -> Decision | None:
    """The reason why the next batch does not start now: a checkpoint, a pause, a closed run, or
    something that is watched."""
    if decision := gates.checkpoint(fleet):
        return decision
    ended = fleet.run_state.batch_ended_at
    since = fleet.run_state.began_at if ended is None else ended
    pause = fleet.cutover.limits.pause_seconds
    left = ended + pause - fleet.observed.now if ended is not None and pause else 0.0
    if left > 0:
        # The batch may have ended after what is observed: then all of the pause is left, not more.
        left = min(left, pause)
        told = "the pause between batches"
        return gates.watched(fleet, since) or gates.wait(fleet, left, told, pause)
    return fleet.run_state.closed or gates.watched(fleet, since, is_over=True)


def take(fleet: Fleet, to_refresh: Sequence[LiveInstance]) -> Decision:
    """Disassociate or stop the next batch. What it loses is recorded on the profile first."""
    batch = fleet.batch(to_refresh)
    if not batch:
        return poll("instances to finish starting or stopping", to_refresh)
    calls, home = Calls(fleet.cutover, fleet.observed), fleet.observed.profile
    if on_temporary_profile := [i for i in batch if fleet.is_on_temporary_profile(i)]:
        return Act(
            tuple(calls.move(i, home) for i in on_temporary_profile),
            "move back from the temporary profile",
        )
    flights = {fleet.flight(instance): instance for instance in batch}
    for flight, instance in flights.items():
        if flight.is_stop and instance.unstoppable:
            return GiveUpInstance(instance.key, f"cannot be restarted: {instance.unstoppable}")
    if decision := ask(fleet, batch):
        return decision
    if not fleet.observed.profile.flights >= flights.keys():
        noted = {flight.key: flight for flight in (*fleet.unfinished(), *flights)}.values()
        is_stop = all(flight.is_stop for flight in flights)
        what = "be stopped" if is_stop else "lose the profile"
        # Where instances cannot be tagged, the profile records that earlier batches are done.
        since = fleet.swapped_at() if fleet.unnoted() else None
        return Act(
            (calls.mark_in_flight(noted, since),), f"record the instances that are about to {what}"
        )
    if bound := [i for flight, i in flights.items() if not flight.is_stop]:
        return Act(tuple(calls.disassociate(i) for i in bound), "disassociate the profile")
    return Act(tuple(calls.stop(flight.key) for flight in flights), "stop the instance")


def poll(why: str, instances: Sequence[LiveInstance]) -> Pause:
    return Pause(POLL_SECONDS, why, tuple(i.key for i in instances), is_poll=True)
