"""What a run knows about its own calls in one cut-over; lost with the process."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import TypeVar

from reconciler.cutover.decisions import Ask, GiveUp
from reconciler.model import ownership
from reconciler.model.evidence import Judgement
from reconciler.model.live import LiveInstance
from reconciler.model.ownership import (
    HOLDS,
    Failed,
    InstanceKey,
    Partial,
    Pending,
    RoleMark,
    Settled,
    Swapped,
    Waiting,
    holds_mark,
)
from reconciler.plan.calls import ApiCall
from reconciler.plan.cut_over import AssociationSeen, CutOver, Observation

_V = TypeVar("_V")


def initial_state(cutover: CutOver, observed: Observation, run: str) -> RunState:
    """What a run knows at its start. Progress marks of an earlier run count only if no swap
    followed them."""
    mark, profile = observed.profile.mark, observed.profile
    is_swapped = profile.role_id is not None and profile.role_id == observed.after_id
    is_gone_on = isinstance(mark, Pending) and mark.after == observed.target
    temporary = observed.temporary
    is_filled = temporary is not None and temporary.role_id == observed.after_id
    run_state = RunState(
        run=run,
        began_at=observed.now,
        began_with=mark,
        changed_at=observed.now,
        resumed=_is_resumed(observed),
        swapped_at=observed.now if is_swapped else None,
        filled_at=observed.now if is_filled else None,
        untouched=_before_the_swap(observed, mark)
        if isinstance(mark, Pending) and is_gone_on
        else None,
    )
    if not _had_a_canary(observed, run_state):
        return run_state
    on_trial = not _had_a_second_batch(cutover, observed)
    return replace(run_state, batches=1, on_trial=on_trial)


def _is_resumed(observed: Observation) -> bool:
    mark, profile = observed.profile.mark, observed.profile
    is_swapped = profile.role_id is not None and profile.role_id == observed.after_id
    is_gone_on = isinstance(mark, Pending) and mark.after == observed.target
    return is_swapped and (is_gone_on or bool(observed.covered))


def _had_a_second_batch(cutover: CutOver, observed: Observation) -> bool:
    """Whether an earlier run began a batch after the canary, and so had seen the end of its bake
    time. The profile records the instances of the last batch that began: the canary is among them
    until then. During a hop nothing is in flight, but more instances than a canary has have moved.

    Anyone who may tag instances can forge the note of one: the worst result is that a run that
    follows one that died lets its canary stand no longer. The instance is reported as skipped."""
    swapped = observed.profile.swapped
    if swapped is not None and swapped.role_id == observed.target:
        return True
    if noted := _noted(observed):
        return any(i.key not in observed.profile.in_flight for i in noted)
    moved = [i for i in observed.on_temporary_profile() if i.is_running]
    running = [i for i in observed.consumers() if i.is_running and i.untouchable is None]
    return len(moved) > cutover.limits.at_once(len(running) + len(moved), is_first=True)


def associations_seen(observed: Observation) -> frozenset[AssociationSeen]:
    return frozenset(
        AssociationSeen(i.key, i.row.id, i.launched_at)
        for i in observed.consumers()
        if i.row is not None
    )


def _before_the_swap(observed: Observation, mark: Pending) -> frozenset[AssociationSeen]:
    """Instances that an earlier run has not touched. AWS does not say how old an association is;
    but an instance that the earlier run disassociated is recorded, on the profile until the next
    batch and on the instance from then on."""
    untouched = set()
    for standing in associations_seen(observed):
        held = observed.instances[standing.key].marks.get(HOLDS)
        is_noted = held == holds_mark(mark.after, standing.association)
        is_young = standing.launched_at >= mark.epoch
        if not (is_noted or is_young or standing.key in observed.profile.in_flight):
            untouched.add(standing)
    return frozenset(untouched)


def _had_a_canary(observed: Observation, run_state: RunState) -> bool:
    """Whether an earlier run cut an instance over, so that a failure now is a later one. Anyone who
    may tag instances can forge that; the worst result is that a failure stops the cut-over and does
    not roll it back."""
    if (
        not isinstance(observed.profile.mark, Pending)
        or observed.profile.mark.after != observed.target
    ):
        return False
    swapped = observed.profile.swapped
    is_told = swapped is not None and swapped.role_id == observed.target
    if run_state.resumed and (is_told or _noted(observed)):
        return True
    is_filled = observed.temporary is not None and observed.temporary.role_id == observed.after_id
    return is_filled and any(
        i.is_running and i.row is not None and i.row.state == "associated"
        for i in observed.on_temporary_profile()
    )


def noted_as_done(observed: Observation) -> tuple[LiveInstance, ...]:
    """Consumers that a resumed run skips, because an earlier run recorded that they have the role.
    Anyone who may tag instances can forge that, so they are reported."""
    return _noted(observed) if _is_resumed(observed) else ()


def _noted(observed: Observation) -> tuple[LiveInstance, ...]:
    known = [i for i in observed.noted() if i.is_running and i.row is not None]
    return tuple(
        i for i in known if i.row and i.marks.get(HOLDS) == holds_mark(observed.target, i.row.id)
    )


def after_own_call(
    run_state: RunState, call: ApiCall, observed: Observation, ended_at: float
) -> RunState:
    """The state after ``call`` has taken effect; ``observed`` is what was seen before it.

    A throttled call may take minutes, so the cautious one of two times counts: for a swap the end
    of the call, for an association its beginning.
    """
    now = observed.now
    match call.operation:
        case "AddRoleToInstanceProfile" if is_temporary(call, observed):
            return replace(run_state, filled_at=ended_at)
        case "AddRoleToInstanceProfile":
            return replace(
                _snapshot(run_state, observed),
                swapped_at=ended_at,
                resumed=False,
                changed_at=ended_at,
                refreshed={},
                allowed=frozenset(),
                swaps=run_state.swaps + 1,
            )
        case "RemoveRoleFromInstanceProfile" if not is_temporary(call, observed):
            return replace(_snapshot(run_state, observed), changed_at=ended_at)
        case "TagInstanceProfile":
            return _marked(run_state, call, observed)
        case "TagRole":
            return replace(run_state, released=True, let_go=False)
        case "DisassociateIamInstanceProfile":
            key = disassociated(call, observed)
            away, back = _with(run_state.away, key, now), _without(run_state.back, key)
            taken = _with(run_state.taken, key, call.params["AssociationId"])
            return replace(
                run_state, away=away, back=back, taken=taken, changed_at=ended_at, let_go=True
            )
        case "ReplaceIamInstanceProfileAssociation":
            return _moved(run_state, call, observed, ended_at)
        case "AssociateIamInstanceProfile" | "StartInstances":
            key = instances_of(call, observed)[0]
            back = _with(run_state.back, key, now)
            given = _with(run_state.given_at, key, now)
            return replace(run_state, back=back, given_at=given, changed_at=ended_at)
        case "StopInstances":
            key = instances_of(call, observed)[0]
            away, back = _with(run_state.away, key, now), _without(run_state.back, key)
            launched = observed.instances[key].launched_at if key in observed.instances else 0.0
            stopped = _with(run_state.stopped, key, launched)
            return replace(
                run_state, away=away, back=back, stopped=stopped, changed_at=ended_at, let_go=True
            )
        case "CreateTags":
            key = InstanceKey(call.region or "", call.params["Resources"][0])
            association = call.params["Tags"][0]["Value"].removeprefix(f"{observed.target}/")
            return replace(
                run_state, refreshed=_with(run_state.refreshed, key, association), cleared=False
            )
        case "DeleteTags":
            return replace(run_state, cleared=True, refreshed=_kept(run_state, call, observed))
        case _:
            return run_state


def _marked(run_state: RunState, call: ApiCall, observed: Observation) -> RunState:
    marks = [ownership.decode_role_mark(tag["Value"]) for tag in call.params["Tags"]]
    epochs = [mark.epoch for mark in marks if isinstance(mark, Pending)]
    if epochs:
        return replace(run_state, marked_at=epochs[0])
    reached = _checkpoint(call, observed)
    return run_state if reached is None else replace(run_state, checkpoint=reached)


def _checkpoint(call: ApiCall, observed: Observation) -> int | None:
    """The checkpoint that the call records, if the profile does not have it yet."""
    values = [t["Value"] for t in call.params["Tags"] if t["Key"].endswith(ownership.SWAPPED)]
    made = ownership.decode_swapped(next(iter(values), None))
    noted = observed.profile.swapped
    if made is None or made.checkpoint == ownership.ALL:
        return None
    is_known = noted is not None and noted.role_id == made.role_id
    known = noted.checkpoint if noted is not None and is_known else None
    return None if made.checkpoint == known else made.checkpoint


def _moved(run_state: RunState, call: ApiCall, observed: Observation, ended_at: float) -> RunState:
    """Leave one profile and join the other in one call."""
    key = disassociated(call, observed)
    return replace(
        run_state,
        away=_with(run_state.away, key, observed.now),
        back=_with(run_state.back, key, observed.now),
        given_at=_with(run_state.given_at, key, observed.now),
        taken=_with(run_state.taken, key, call.params["AssociationId"]),
        changed_at=ended_at,
        let_go=True,
    )


def _snapshot(run_state: RunState, observed: Observation) -> RunState:
    return (
        run_state
        if run_state.untouched is not None
        else replace(run_state, untouched=associations_seen(observed))
    )


def _kept(run_state: RunState, call: ApiCall, observed: Observation) -> Mapping[InstanceKey, str]:
    """Instances whose progress marks are removed, if this run believed the marks: from then on it
    knows by itself that those instances need nothing."""
    believed = dict(run_state.refreshed)
    for key in instances_of(call, observed):
        instance = observed.instances.get(key)
        if run_state.resumed and instance is not None and instance.row is not None:
            association = instance.row.id
            if instance.marks.get(HOLDS) == holds_mark(observed.target, association):
                believed[key] = association
    return MappingProxyType(believed)


def ended_batch(run_state: RunState, now: float) -> RunState:
    batches = run_state.batches if run_state.failed else run_state.batches + 1
    return replace(
        run_state,
        away={},
        back={},
        stopped={},
        batches=batches,
        batch_ended_at=now,
        batch=frozenset(run_state.away),
        on_trial=True,
        command_answer=None,
        evidence=MappingProxyType({}),
        evidence_at=None,
        is_verified=False,
    )


def passed_batch(run_state: RunState) -> RunState:
    return replace(run_state, on_trial=False)


def found_evidence(
    run_state: RunState, found: Mapping[InstanceKey, Judgement], now: float
) -> RunState:
    known = MappingProxyType({**run_state.evidence, **found})
    return replace(run_state, evidence=known, evidence_at=now)


def verified(run_state: RunState) -> RunState:
    return replace(run_state, is_verified=True)


def answered_command(run_state: RunState, failure: str) -> RunState:
    """The command of the run has ended; ``failure`` is empty if it found nothing wrong."""
    return replace(run_state, command_answer=failure)


def lost(run_state: RunState, key: InstanceKey, reason: str) -> RunState:
    return replace(run_state, failed=_with(run_state.failed, key, reason))


def not_given(
    cutover: CutOver, observed: Observation, run_state: RunState, key: InstanceKey, reason: str
) -> RunState:
    """AWS refused a call about one instance. During a roll-back that does not yet say anything
    about the role that is to be restored."""
    is_there = observed.profile.role_id == observed.after_id and observed.now >= role_visible_at(
        cutover, observed, run_state
    )
    if cutover.settle_as is None or is_there:
        return lost(run_state, key, reason)
    return replace(run_state, postponed=_with(run_state.postponed, key, reason))


def answered(run_state: RunState, ask: Ask, observed: Observation) -> RunState:
    """``ask`` got the expected answer, or the endpoint does not support the question."""
    if ask.refusal == "LimitExceeded":
        return replace(run_state, asked=True)
    keys = {key for call in ask.calls for key in instances_of(call, observed)}
    return replace(run_state, allowed=run_state.allowed | keys)


def refused(run_state: RunState, key: InstanceKey, reason: str) -> RunState:
    """AWS would not restore the instance, so it is left as it is."""
    return replace(lost(run_state, key, reason), refused=_with(run_state.refused, key, reason))


def _with(
    values: Mapping[InstanceKey, _V], key: InstanceKey, value: _V
) -> Mapping[InstanceKey, _V]:
    return MappingProxyType({**values, key: value})


def _without(values: Mapping[InstanceKey, _V], key: InstanceKey) -> Mapping[InstanceKey, _V]:
    return MappingProxyType({k: v for k, v in values.items() if k != key})


def instances_of(call: ApiCall, observed: Observation) -> list[InstanceKey]:
    """The instances that a call is about; none for a call to IAM."""
    region = call.region or ""
    if call.service != "ec2":
        return []
    if "InstanceId" in call.params:
        return [InstanceKey(region, call.params["InstanceId"])]
    if named := call.params.get("Resources") or call.params.get("InstanceIds"):
        return [InstanceKey(region, name) for name in named]
    association = call.params.get("AssociationId")
    known = observed.instances.values()
    return [i.key for i in known if any(r.id == association for r in i.rows)]


def is_temporary(call: ApiCall, observed: Observation) -> bool:
    """Whether a call to IAM is about the temporary profile, not the profile itself."""
    return bool(call.params.get("InstanceProfileName") != observed.profile.resource.name)


def disassociated(call: ApiCall, observed: Observation) -> InstanceKey:
    found = [key for key in instances_of(call, observed) if key.region == call.region]
    return found[0] if found else InstanceKey(call.region or "", "")


def _frozen() -> Mapping[InstanceKey, float]:
    return MappingProxyType({})


def _reasons() -> Mapping[InstanceKey, str]:
    return MappingProxyType({})


@dataclass(frozen=True, slots=True)
class RunState:
    """What this run has done itself. Lost with the process, so it is needed only to save work,
    never for safety. Times are seconds of the epoch."""

    run: str
    began_at: float = 0.0
    asked: bool = False
    allowed: frozenset[InstanceKey] = frozenset()
    """Instances for which EC2 allowed the restoring call since the role in the profile last
    changed."""
    refused: Mapping[InstanceKey, str] = field(default_factory=_reasons)
    """Instances that AWS would not restore; they are among ``failed`` too."""
    released: bool = False
    let_go: bool = True
    """Whether an instance has lost the previous role since that was last recorded. True at the
    start, since an earlier run may have died before it recorded it."""
    swaps: int = 0
    began_with: RoleMark | None = None
    """The mark on the profile when this run began."""
    marked_at: int | None = None
    """When this run last wrote its mark to the profile."""
    untouched: frozenset[AssociationSeen] | None = None
    """Consumers from before the swap, without those that an earlier run, or a later launch, may
    have given the new role."""
    cleared: bool = False
    """Progress marks were removed from instances, or the attempt failed: they are hints, and may
    stay."""
    resumed: bool = False
    """The swap was made by an earlier run, whose ``holds`` marks this run may believe."""
    swapped_at: float | None = None
    filled_at: float | None = None
    """When the temporary profile got the new role, or was first seen with it."""
    away: Mapping[InstanceKey, float] = field(default_factory=_frozen)
    taken: Mapping[InstanceKey, str] = field(default_factory=_reasons)
    """Association ids that this run removed: a listing that still shows them is outdated."""
    stopped: Mapping[InstanceKey, float] = field(default_factory=_frozen)
    """Instances that this run stopped, each with its launch time."""
    back: Mapping[InstanceKey, float] = field(default_factory=_frozen)
    refreshed: Mapping[InstanceKey, str] = field(default_factory=_reasons)
    """Association ids that were made after EC2 saw the new role."""
    failed: Mapping[InstanceKey, str] = field(default_factory=_reasons)
    postponed: Mapping[InstanceKey, str] = field(default_factory=_reasons)
    """In a roll-back: instances whose association was refused while EC2 saw the failed role. The
    call is retried once EC2 sees the restored role."""
    batches: int = 0
    """Successful batches, including the canary of an earlier run."""
    batch_ended_at: float | None = None
    batch: frozenset[InstanceKey] = frozenset()
    """The instances of the last batch that ended in this run."""
    on_trial: bool = False
    """The last batch has ended, and it is not known that it stood its time and that nothing that is
    watched spoke against it: of this run, or of an earlier one that ended before that."""
    given_at: Mapping[InstanceKey, float] = field(default_factory=_frozen)
    """When this run gave each instance its profile, in whichever batch."""
    has_command: bool = False
    """Whether a command is run after each batch."""
    command_answer: str | None = None
    """What it found wrong with the last batch, empty for nothing; ``None`` before it has run."""
    evidence: Mapping[InstanceKey, Judgement] = field(
        default_factory=lambda: MappingProxyType[InstanceKey, Judgement]({})
    )
    """What is known of the role that instances of the last batch are served."""
    evidence_at: float | None = None
    """When that was last asked."""
    is_verified: bool = False
    """Whether all has been asked about the last batch."""
    checkpoint: int | None = None
    """The checkpoint that this run has recorded: it ends there."""
    changed_at: float = 0.0
    closed: GiveUp | None = None
    """Why no further batch may start: the time limit, or credentials that would expire."""
    stopping: bool = False
    """The run was asked to stop: only unfinished work is restored."""
    hurrying: bool = False
    """The process is about to be killed: profiles are restored without waiting for anything."""


def role_visible_at(cutover: CutOver, observed: Observation, run_state: RunState) -> float:
    """When EC2 sees the new role, in seconds of the epoch. A resumed run cannot know when the swap
    was, so it waits in full from its first observation.

    Source: docs.aws.amazon.com/IAM/latest/UserGuide/troubleshoot_general.html
    """
    since = run_state.swapped_at if run_state.swapped_at is not None else observed.now
    return since + cutover.limits.propagation_seconds


def temporary_visible_at(cutover: CutOver, observed: Observation, run_state: RunState) -> float:
    """When EC2 sees the role in the temporary profile, in seconds of the epoch."""
    since = run_state.filled_at if run_state.filled_at is not None else observed.now
    return since + cutover.limits.propagation_seconds


def final_mark(cutover: CutOver, observed: Observation, run_state: RunState) -> RoleMark:
    if cutover.settle_as is not None:
        return cutover.settle_as
    mark = observed.profile.mark
    if mark == Settled(observed.target):
        return mark
    if observed.after_id is None:
        # Nobody can take their credentials from them: as with the strategy ``wait``.
        if isinstance(mark, Waiting) and mark.role_id == observed.target:
            return mark
        if any(i.is_running for i in observed.consumers()):
            return Waiting(observed.target, int(run_state.swapped_at or observed.now))
        return Settled(observed.target)
    if cutover.limits.strategy != "wait" and cutover.is_narrow:
        return Partial.of(observed.target, {*cutover.regions, *observed.covered})
    if cutover.limits.strategy != "wait":
        return Settled(observed.target)
    if isinstance(mark, Waiting) and mark.role_id == observed.target:
        return mark
    return Waiting(observed.target, int(run_state.swapped_at or observed.now))


def left_with(cutover: CutOver, observed: Observation) -> Swapped | None:
    """What a roll-back records of the role that it went back to: without it nobody could tell later
    whether consumers have it, or whether somebody has changed the role in the profile since.
    ``None`` unless every consumer is known to have it."""
    noted = observed.profile.swapped
    if not isinstance(cutover.settle_as, Failed) or cutover.is_narrow or observed.unread:
        return None
    if any(i.untouchable for i in observed.consumers()):
        return None
    if noted is not None and noted.role_id == observed.target:
        return noted
    return Swapped(observed.target, int(observed.now))


def is_covered(cutover: CutOver, observed: Observation) -> bool:
    """Whether the regions in the profile's mark cover all that are wanted. If they did not fit into
    the tag, any list that does not fit either counts as the same."""
    mark = observed.profile.mark
    if not isinstance(mark, Partial) or mark.role_id != observed.target or not cutover.is_narrow:
        return False
    return Partial.of(observed.target, {*cutover.regions, *mark.regions}) == mark
