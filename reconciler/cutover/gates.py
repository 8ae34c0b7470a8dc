"""What holds a roll-out up: the time that its first batch stands, what is watched meanwhile, the
command of the run, and the shares of the fleet after which a person decides.

What is watched must be readable and well before anything is changed. Afterwards an answer that
says otherwise fails the batch; one that cannot be had ends the run, since it says nothing about the
role.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from math import floor

from reconciler.cutover.calls import Calls
from reconciler.cutover.decisions import (
    GO_ON,
    Act,
    AskGates,
    BatchPassed,
    Decision,
    GiveUp,
    Pause,
    RunCheck,
)
from reconciler.cutover.fleet import Fleet
from reconciler.cutover.proof import proof
from reconciler.model import ownership
from reconciler.model.checks import alarm_of, group_name
from reconciler.model.live import LiveInstance
from reconciler.model.ownership import NO_ROLE, InstanceKey, Pending
from reconciler.plan.cut_over import CutOver
from reconciler.plan.gates import AlarmState, DeniedCall, GateAnswers, WatchedSession

LOOK_SECONDS = 30.0
"""How old an answer may be, and how often it is asked again during a wait."""
MOST_SESSIONS = 20
"""Of how many instances denied calls are looked for: CloudTrail answers two calls a second."""
LATE_SECONDS = 900.0
"""How late CloudTrail may have an event: about 5 minutes, up to 15. Source:
docs.aws.amazon.com/awscloudtrail/latest/userguide/how-cloudtrail-works.html"""
MOST_NAMED = 3
BAKE = "the bake time of the first batch"
FIND_OUT = "find the cause, then apply again"
CORRECT = "correct cutover.checks in the specs, then apply again"
UNHEALTHY = "unhealthy"


def before(fleet: Fleet, batch: Sequence[LiveInstance]) -> Decision | None:
    """Before the ``batch``, and all else, is touched: everything that is watched can be read, and
    is well."""
    limits, now = fleet.cutover.limits, fleet.observed.now
    if not limits.checks:
        return None
    tried = {i.key.region: i.key for i in batch} if limits.checks.denied else {}
    # Nothing is compared yet: it shows that CloudTrail may be asked.
    if decision := _asked(
        fleet,
        fleet.run_state.began_at,
        [WatchedSession(key, now, now, now) for key in tried.values()],
    ):
        return decision
    gates = _answers(fleet)
    consumers = frozenset(i.key for i in fleet.observed.consumers())
    why = unreadable(fleet.cutover, gates) or _first(unwell(gates, consumers))
    if why is None:
        return None
    reason, advice = why
    return GiveUp(f"{reason}; this was checked beforehand, so nothing was changed", advice=advice)


def trial(fleet: Fleet) -> Decision | None:
    """Between the end of a batch and the next: the first batch stands for its time, everything that
    is watched is asked, and the command is run."""
    run_state, now = fleet.run_state, fleet.observed.now
    if not run_state.batches or run_state.failed or not fleet.is_gated:
        return None
    ended = run_state.began_at if run_state.batch_ended_at is None else run_state.batch_ended_at
    if decision := proof(fleet, ended):
        # Looked for while the batch stands, since both take their time.
        is_wait = isinstance(decision, Pause)
        return (is_wait and (watched(fleet, ended) or run_state.closed)) or decision
    if not run_state.on_trial:
        return None
    bake = fleet.cutover.limits.bake_seconds if run_state.batches == 1 else 0
    left = ended + bake - now
    if left > 0 and bake:
        # The batch may have ended after what is observed: then all of the time is left, not more.
        left = min(left, bake)
        return watched(fleet, ended) or run_state.closed or wait(fleet, left, BAKE, bake)
    if decision := watched(fleet, ended + bake, is_over=True):
        return decision
    if run_state.has_command and run_state.command_answer is None:
        # Of a run that died, what has the role is what its first batch was.
        return RunCheck(tuple(sorted(run_state.batch or fleet.refreshed())), run_state.batches)
    if why := run_state.command_answer:
        return GiveUp(why, roll_back=fleet.can_roll_back, advice=FIND_OUT)
    return BatchPassed()


def wait(fleet: Fleet, left: float, why: str, whole: float) -> Pause:
    """A wait in which everything that is watched is asked now and then."""
    at_most = LOOK_SECONDS if fleet.cutover.limits.checks and fleet.is_gated else None
    return Pause(left, why, whole=whole, at_most=at_most)


def watched(fleet: Fleet, since: float, *, is_over: bool = False) -> Decision | None:
    """``None`` if all is well, as of ``since`` or later; ``is_over`` at the end of a wait."""
    if not fleet.cutover.limits.checks or not fleet.is_gated:
        return None
    if decision := _asked(fleet, since):
        return decision
    gates = _answers(fleet)
    refreshed = frozenset(fleet.refreshed())
    is_settling = fleet.cutover.limits.strategy == "restart" and not is_over
    troubles = unwell(gates, frozenset() if is_settling else refreshed)
    found = _first(troubles) or _first(_denied(fleet, gates))
    if found is None:
        # Only now: what speaks against the batch does so whatever else cannot be read.
        if unread := unreadable(fleet.cutover, gates):
            reason, advice = unread
            return GiveUp(f"{reason}; no further batch begins", advice=advice)
        return None
    reason, advice = found
    if fleet.run_state.batches == 0:
        # No instance has the role yet, so it says nothing about the role.
        return GiveUp(f"{reason}; no instance was cut over", advice=advice)
    return GiveUp(reason, roll_back=fleet.can_roll_back, advice=advice)


def checkpoint(fleet: Fleet) -> Decision | None:
    """The end of the run at a share of the fleet. The profile records it, so that the next run goes
    on: not on what instances say, which not every run may tag."""
    cutover, observed, run_state = fleet.cutover, fleet.observed, fleet.run_state
    if not cutover.limits.checkpoints or not fleet.is_unsettled or cutover.settle_as is not None:
        return None
    done, whole = fleet.share()
    calls = Calls(cutover, observed)
    if run_state.checkpoint is not None:
        if names := ownership.in_flight_names(observed.profile.marks):
            return Act((calls.forget_in_flight(names),), "record that no instance is in flight")
        role = cutover.after.name if cutover.after else "none"
        told = f"{done} of {whole} running instances have role/{role}"
        reason = f"the checkpoint of {run_state.checkpoint}% is reached: {told}"
        return GiveUp(reason, is_stop=True, is_checkpoint=True, advice=GO_ON)
    reached = max((c for c in cutover.limits.checkpoints if done * 100 >= c * whole), default=0)
    swapped = observed.profile.swapped
    is_same = swapped is not None and swapped.role_id == observed.target
    passed = (swapped.checkpoint or 0) if swapped is not None and is_same else 0
    if not whole or reached <= passed:
        return None
    call = calls.mark_swapped(fleet.swapped_at(), reached)
    return Act((call,), f"record that the checkpoint of {reached}% is reached")


def _answers(fleet: Fleet) -> GateAnswers:
    return fleet.observed.gates or GateAnswers(0.0, 0.0)


def _asked(
    fleet: Fleet, since: float, of: Sequence[WatchedSession] | None = None
) -> AskGates | None:
    """A question, unless there is an answer from ``since`` or later that is not too old."""
    gates, now = fleet.observed.gates, fleet.observed.now
    if gates and gates.asked_at >= since and now - gates.answered_at < LOOK_SECONDS:
        return None
    return AskGates(tuple(sessions(fleet) if of is None else of))


def sessions(fleet: Fleet) -> Iterator[WatchedSession]:
    """The instances whose denied calls count: those that got the role last."""
    limit, run_state, now = fleet.cutover.limits.checks.denied, fleet.run_state, fleet.observed.now
    if limit is None or fleet.cutover.settle_as is not None:
        return
    window = limit.window_seconds
    given = sorted(run_state.given_at.items(), key=lambda one: (-one[1], one[0]))
    recent = [(k, at) for k, at in given if now <= at + window + LATE_SECONDS]
    for key, at in recent[:MOST_SESSIONS]:
        yield WatchedSession(key, at - window, at, at + window)
    mark = fleet.observed.profile.mark
    if not run_state.on_trial or not isinstance(mark, Pending):
        return
    # The canary of a run that died: it got the role at some time after the mark was written.
    of_earlier = [key for key in sorted(fleet.refreshed()) if key not in run_state.given_at]
    for key in of_earlier[: MOST_SESSIONS - len(recent[:MOST_SESSIONS])]:
        began = float(mark.epoch)
        yield WatchedSession(key, began - window, began, run_state.began_at + window)


_Why = tuple[str, str]
"""A reason, and what to do about it."""


def _first(found: Iterable[str]) -> _Why | None:
    told = list(found)
    if not told:
        return None
    more = len(told) - MOST_NAMED
    also = f"; and {more} more" if more > 0 else ""
    return "; ".join(told[:MOST_NAMED]) + also, FIND_OUT


def unreadable(cutover: CutOver, gates: GateAnswers) -> _Why | None:
    """Why the answers do not say whether all is well, and what to do about it."""
    for unread in gates.unread:
        return f"{unread.what} cannot be read: {unread.reason}", unread.advice or FIND_OUT
    there = {(state.region, state.name) for state in gates.alarms}
    for text in cutover.limits.checks.alarms:
        alarm = alarm_of(text)
        regions = cutover.home_regions if alarm.region is None else (alarm.region,)
        if not any((region, alarm.name) in there for region in regions):
            return f"the alarm {text} does not exist in {', '.join(regions)}", CORRECT
    for state in gates.targets:
        if not state.target.startswith("i-"):
            told = f"targets of {group_name(state.group)} are registered as {state.target}"
            return f"{told}, and only instances can be checked", CORRECT
    return None


def unwell(gates: GateAnswers, of: frozenset[InstanceKey]) -> Iterator[str]:
    """Alarms that ring, and those of the instances that are unhealthy."""
    for alarm in gates.alarms:
        if alarm.state == "ALARM":
            why = f": {alarm.reason}" if alarm.reason else ""
            yield f"the alarm {alarm.name} ({alarm.region}) is in ALARM{why}"
    for state in gates.targets:
        if state.state == UNHEALTHY and InstanceKey(state.region, state.target) in of:
            why = f": {state.reason}" if state.reason else ""
            group = group_name(state.group)
            yield f"{state.target} ({state.region}) is unhealthy in target group {group}{why}"


def _denied(fleet: Fleet, gates: GateAnswers) -> Iterator[str]:
    """Instances to which calls are denied that were not denied before they got the role."""
    limit = fleet.cutover.limits.checks.denied
    if limit is None:
        return
    for session in gates.sessions:
        calls = [call for call in gates.denied if call.key == session.key]
        # CloudTrail tells times to the second, by its own clock: whatever its time, a call of the
        # session that was given says nothing of before. Nor does one of the session before say
        # anything of the new one: processes may use its credentials for hours.
        fresh = [call for call in calls if _is_of(call, session, fleet)]
        was = {c.what for c in calls if c not in fresh and session.before <= c.at}
        began = floor(session.began_at)
        new = Counter(
            call.what
            for call in fresh
            if began <= call.at <= session.until and call.what not in was
        )
        if new.total() > limit.most:
            yield f"{session.key.instance} ({session.key.region}) is denied {_counted(new)}"


def _is_of(call: DeniedCall, session: WatchedSession, fleet: Fleet) -> bool:
    """Whether the call was made with credentials that the instance was given in this cut-over. They
    are of the role that it is to have; where that is the role that it had, of a session that was
    issued since."""
    mark, target = fleet.observed.profile.mark, fleet.observed.after_id
    if call.role_id != target:
        return False
    if not isinstance(mark, Pending) or mark.before not in (NO_ROLE, target):
        return True
    issued_at = call.at if call.issued_at is None else call.issued_at
    return issued_at >= floor(session.began_at)


def _counted(calls: Mapping[tuple[str, str], int]) -> str:
    """``s3:PutObject on arn:... (3 times), and 2 more actions``, those that were denied most
    first."""
    ordered = sorted(calls.items(), key=lambda one: (-one[1], one[0]))
    told = [
        f"{action} on {resource} ({'once' if count == 1 else f'{count} times'})"
        for (action, resource), count in ordered[:MOST_NAMED]
    ]
    more = len(ordered) - MOST_NAMED
    return ", ".join(told) + (f", and {more} more" if more > 0 else "")


def all_well(cutover: CutOver, now: float) -> GateAnswers:
    """Answers by which everything goes on, for the preview of a plan."""
    alarms = [alarm_of(text) for text in cutover.limits.checks.alarms]
    states = tuple(
        AlarmState(region, alarm.name, "OK")
        for alarm in alarms
        for region in (cutover.home_regions if alarm.region is None else (alarm.region,))
    )
    return GateAnswers(now, now, states)
