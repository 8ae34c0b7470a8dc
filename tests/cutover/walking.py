"""Every way in which a cut-over may go in a small world: a death after any call, a call that AWS
refuses, a human who acts in between.

The world moves by the rules of ``world``; the decisions and what a run remembers are the product's.
Every call is checked as it is made: it does no harm (``does_no_harm``), and the product's own model
of AWS says of it what the world does (``is_simulated``).
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any

from reconciler.cutover import run_state as run_states
from reconciler.cutover.decide import decide
from reconciler.cutover.decisions import (
    Act,
    Ask,
    AskEvidence,
    AskGates,
    BatchDone,
    BatchPassed,
    Decision,
    Done,
    GiveUp,
    GiveUpInstance,
    List,
    Pause,
    RunCheck,
    Verified,
)
from reconciler.cutover.run_state import RunState
from reconciler.cutover.simulate import simulate
from reconciler.model.checks import Checks
from reconciler.model.evidence import Expectation, How, Judgement, Status
from reconciler.model.live import AssociationRow, LiveInstance, LiveProfile
from reconciler.model.ownership import (
    Failed,
    Flight,
    InstanceKey,
    Pending,
    RoleMark,
    Settled,
    encode_in_flight,
    encode_role_mark,
)
from reconciler.model.resources import InstanceProfile, RollOut
from reconciler.plan.calls import ApiCall
from reconciler.plan.cut_over import CutOver, Observation, RoleRef
from reconciler.plan.gates import AlarmState, GateAnswers
from tests.cutover import world as aws
from tests.cutover.world import ARN, HERE, NAMES, NEW, OLD, PREFIX, SHADOW_ARN, World, temporary


def profile(role: str | None, mark: RoleMark, flying: tuple[InstanceKey, ...] = ()) -> LiveProfile:
    flights = [Flight(key) for key in flying]
    marks = {"owner": "me/web", "role-id": encode_role_mark(mark), **encode_in_flight(flights)}
    return LiveProfile(
        resource=InstanceProfile("web", NAMES.get(role or "")),
        id="AIPAWEB",
        arn=ARN,
        marks=marks,
        role_id=role,
    )


def id_of(name: str) -> str:
    return f"i-{ord(name):08x}"


def instance(name: str, state: str, row: str | None) -> LiveInstance:
    arn = SHADOW_ARN if row == "AIPASHADOW" else ARN
    rows = () if row is None else (AssociationRow(f"assoc-{name}", arn, row, "associated"),)
    return LiveInstance(InstanceKey(HERE, id_of(name)), state, 0.0, rows)


def cutover(
    most: str = "1",
    on_failure: str = "rollback",
    strategy: str = "reassociate",
    pause: int = 0,
    **more: Any,
) -> CutOver:
    limits = RollOut(most, pause, 60, on_failure, strategy, **more)
    plan = CutOver("web", RoleRef("old", OLD), RoleRef("new", NEW), limits, (HERE,), PREFIX)
    return replace(plan, home_regions=(HERE,))


ALARM = Checks(alarms=("errors",))


def told(world: World, *, alarm: bool) -> World:
    """AWS answers about what is watched; it takes a second. Once the alarm rings, it goes on."""
    rings = alarm or world.alarm
    state = AlarmState(HERE, "errors", "ALARM" if rings else "OK")
    answers = GateAnswers(world.now, world.now + 1, (state,))
    return replace(world, now=world.now + 1, gates=answers, alarm=rings)


def judged(world: World, one: Expectation) -> Judgement:
    """The metadata service answers, and says what the instance is served. It may be late: so it is
    asked with the time at which this run gave the role, or began."""
    assert one.renewed_after is not None
    assert World.now <= one.renewed_after <= world.now
    served = world.served[one.key]
    if served == one.role_id:
        return Judgement("proved", "metadata", "")
    return Judgement("contradicted", "other-role", f"it is served {served}")


def doubted(
    run_state: RunState, asked: AskEvidence, status: Status, now: float
) -> Iterator[RunState]:
    """The answers of a source that knows nothing of one of them, or says something else."""
    proved = {one.key: Judgement("proved", "metadata", "") for one in asked.expected}
    other: How = "other-role" if status == "contradicted" else "denied"
    for one in asked.expected:
        found = {**proved, one.key: Judgement(status, other, "so it says")}
        yield run_states.found_evidence(run_state, found, now)


def planned(world: World, plan: CutOver) -> CutOver:
    """What a plan that is made on this world has to go back to: ``planner/phases`` says it."""
    mark = world.profile.mark
    match mark:
        case Pending(before, after) if after == NEW:
            held = before
        case Settled(role) if NEW not in (role, world.profile.role_id):
            held = role
        case Failed(role) if world.profile.role_id != role:
            held = world.profile.role_id or ""
        case _:
            held = ""
    back = RoleRef(NAMES[held], held) if held in NAMES and held != NEW else None
    return replace(plan, roll_back_to=back)


def refused(
    world: World, run_state: RunState, decision: Decision, plan: CutOver
) -> Iterator[tuple[World, RunState | None]]:
    """AWS denies one of the calls; those before it took effect. What follows is what the runner
    makes of it: the calls after it are made where it was about one instance, or a hint; any other
    refusal ends the run (``None``), after the calls that undo what was done."""
    if isinstance(decision, Ask) and decision.refusal == "DryRunOperation":
        answered = run_states.answered(run_state, decision, look(world, plan))
        for call in decision.calls:
            key = run_states.instances_of(call, look(world, plan))[0]
            yield world, run_states.refused(answered, key, "denied")
    if not isinstance(decision, Act):
        return
    for number, denied in enumerate(decision.calls):
        if decision.is_hint or denied.operation in OF_ONE_INSTANCE:
            yield _all_but(number, world, run_state, decision, plan)
        elif decision.undo:
            after = world
            for call in decision.calls[:number]:
                after = happened(after, call, plan)
            for call in decision.undo if after.profile.role_id is None else ():
                after = happened(after, call, plan)
            yield after, None


def _all_but(
    denied: int, world: World, run_state: RunState, decision: Act, plan: CutOver
) -> tuple[World, RunState]:
    for number, call in enumerate(decision.calls):
        before = look(world, plan)
        if number != denied:
            world = happened(world, call, plan)
            run_state = run_states.after_own_call(run_state, call, before, world.now)
        elif decision.is_hint:
            run_state = run_states.after_own_call(run_state, call, before, world.now)
        else:
            key = run_states.instances_of(call, before)[0]
            run_state = run_states.not_given(plan, before, run_state, key, "denied")
    return world, run_state


OF_ONE_INSTANCE = (
    "AssociateIamInstanceProfile",
    "DisassociateIamInstanceProfile",
    "ReplaceIamInstanceProfileAssociation",
    "StopInstances",
    "StartInstances",
)
TAKES = frozenset(
    {
        "DisassociateIamInstanceProfile",
        "ReplaceIamInstanceProfileAssociation",
        "StopInstances",
    }
)
GIVES = frozenset(
    {
        "AssociateIamInstanceProfile",
        "ReplaceIamInstanceProfileAssociation",
        "StartInstances",
    }
)


def look(world: World, plan: CutOver | None = None) -> Observation:
    wanted = plan.after.id if plan is not None and plan.after is not None else NEW
    return Observation(
        world.now,
        world.profile,
        wanted,
        world.instances,
        world.now,
        temporary=world.temporary,
        gates=world.gates,
    )


def happened(world: World, call: ApiCall, plan: CutOver) -> World:
    """AWS after the call, which must be one that a cut-over may make."""
    after = aws.happened(world, call)
    does_no_harm(world, call, after)
    is_simulated(plan, world, call, after)
    return after


def does_no_harm(before: World, call: ApiCall, after: World) -> None:
    """What must not come to pass, whatever AWS allows."""
    for key, one in after.instances.items():
        if one is not before.instances[key] and call.operation in OF_ONE_INSTANCE:
            assert one.untouchable is None, f"{key} is not ours to touch"
    match call.operation:
        case "AddRoleToInstanceProfile" | "RemoveRoleFromInstanceProfile":
            if after.profile is not before.profile:
                # A profile that we leave without a role says which one it is to have.
                assert isinstance(before.profile.mark, Pending)
        case "DeleteInstanceProfile":
            users = [k for k, i in before.instances.items() if i.names(SHADOW_ARN)]
            assert not users, f"{users} are on the profile that is deleted"
        case "ReplaceIamInstanceProfileAssociation":
            moved = [k for k, i in after.instances.items() if i is not before.instances[k]]
            bare = [k for k in moved if after.served[k] is None]
            assert not bare, f"{bare} would be without credentials"
        case "StopInstances":
            stopped = [i for k, i in after.instances.items() if i is not before.instances[k]]
            assert not any(i.unstoppable for i in stopped)


def is_simulated(plan: CutOver, before: World, call: ApiCall, after: World) -> None:
    """``simulate`` foresees what the call does to the world. Ids that AWS invents and its times of
    launch are known only once they are read."""
    foreseen, now = simulate(plan, look(before, plan), call), look(after, plan)
    assert foreseen.profile == now.profile, call
    made, seen = foreseen.temporary, now.temporary
    if made is not None and before.temporary is None and seen is not None:
        made = replace(made, id=seen.id)
    assert made == seen, call
    assert foreseen.instances.keys() == now.instances.keys(), call
    for key, instance in now.instances.items():
        other = foreseen.instances[key]
        if other is instance:
            continue
        known = before.instances[key].rows
        rows = tuple(
            replace(row, id=real.id) if real not in known else row
            for row, real in zip(other.rows, instance.rows, strict=True)
        )
        assert replace(other, rows=rows, launched_at=instance.launched_at) == instance, call


def step(
    world: World, run_state: RunState, decision: Decision, plan: CutOver
) -> Iterator[tuple[World, RunState, bool]]:
    """Where a decision leads: for each call that it is made of, the world after it, and whether
    the decision is carried out whole (else the run died there)."""
    match decision:
        case Ask():
            yield world, run_states.answered(run_state, decision, look(world, plan)), True
        case Act(calls):
            for number, call in enumerate(calls, start=1):
                before = look(world, plan)
                world = happened(world, call, plan)
                run_state = run_states.after_own_call(run_state, call, before, world.now)
                yield world, run_state, number == len(calls)
        case Pause(seconds, at_most=at_most):
            # Some of it in one go: the pieces in between are all alike.
            piece = seconds if at_most is None else min(seconds, max(at_most, seconds / 2))
            yield replace(world, now=world.now + piece), run_state, True
        case List():
            yield world, replace(run_state, changed_at=0.0), True
        case AskGates():
            yield told(world, alarm=False), run_state, True
        case AskEvidence(expected):
            found = {one.key: judged(world, one) for one in expected}
            yield world, run_states.found_evidence(run_state, found, world.now), True
        case Verified():
            yield world, run_states.verified(run_state), True
        case RunCheck():
            yield world, run_states.answered_command(run_state, ""), True
        case BatchPassed():
            yield world, run_states.passed_batch(run_state), True
        case BatchDone():
            yield world, run_states.ended_batch(run_state, world.now), True
        case GiveUpInstance(key, reason):
            yield world, run_states.lost(run_state, key, reason), True


@dataclass(frozen=True)
class Trail:
    """What has happened on the way, as somebody outside sees it; a run that dies takes it along, but
    for ``refused``."""

    taken: frozenset[InstanceKey] = frozenset()
    """Whose profile, or whose running, this run has taken."""
    returned_at: float | None = None
    """When one of those last got it back."""
    first_at: float | None = None
    """When the first instance was served the new role, in whichever run."""
    refused: tuple[bool, int] | None = None
    """When AWS refused a call about an instance: whether anything had been changed by then, and how
    many instances were served the new role."""

    def with_refusal(self, world: World, decision: Decision) -> Trail:
        if isinstance(decision, Act) and decision.is_hint:
            return self
        brought = sum(role == NEW for role in world.served.values())
        return replace(self, refused=(isinstance(world.profile.mark, Pending), brought))

    def baked(self, plan: CutOver, decision: Decision, before: World, after: World) -> Trail:
        """Nobody else is taken anything before the first has held the new role for long enough."""
        bake = plan.limits.bake_seconds
        if not bake or plan.settle_as is not None:
            return self
        calls = decision.calls if isinstance(decision, Act) else ()
        taken = {k for c in calls if c.operation in TAKES for k in _instances(c, before)}
        if self.first_at is not None and any(before.served[k] != NEW for k in taken):
            assert before.now - self.first_at >= bake, f"{before.now - self.first_at} s"
        is_new = any(role == NEW for role in after.served.values())
        is_first = self.first_at is None and is_new
        return replace(self, first_at=before.now) if is_first else self

    def after(self, decision: Decision, world: World, pause: float) -> Trail:
        """The trail once ``decision`` is carried out, at ``world.now``. Two batches are ``pause``
        seconds apart. It is kept only where there is one: it would make worlds differ that are
        equal."""
        if not isinstance(decision, Act) or not pause:
            return self
        named = {key for call in decision.calls for key in _instances(call, world)}
        is_taking = any(call.operation in TAKES for call in decision.calls)
        is_giving = any(call.operation in GIVES for call in decision.calls)
        if is_taking:
            rested = world.now - (self.returned_at or 0.0)
            assert rested >= pause, f"{decision.why}: {rested} s after the batch before"
        taken = self.taken | named if is_taking else self.taken
        at = world.now if is_giving and named & taken else self.returned_at
        return replace(self, taken=taken, returned_at=at)

    def key(self, world: World, pause: float, bake: float) -> object:
        at, first = self.returned_at, self.first_at
        stood = None if first is None else min((world.now - first) // 10, bake // 10)
        return self.refused, self.taken, at is not None and world.now - at >= pause, stood


def _instances(call: ApiCall, world: World) -> list[InstanceKey]:
    return run_states.instances_of(call, look(world)) if call.operation in OF_ONE_INSTANCE else []


@dataclass
class Walk:
    """Every run from a world, with up to ``crashes`` deaths and ``humans`` acts of somebody else in
    it. What ends with a human in it must be ended by the next run, which is walked as well."""

    plan: CutOver
    crashes: int
    humans: int = 0
    alarms: int = 0
    """How often the alarm may go off, anywhere; it goes on. And how often evidence may be ..."""
    evidence: Status = "contradicted"
    """... this."""
    refusals: int = 0
    """How many calls AWS may refuse, anywhere; a roll-back that follows is walked as well."""
    observed: dict[object, int] = field(default_factory=dict)
    """Where a run has been, and in which walk: those that share it go on from there but once."""
    joins: bool = False
    """Whether it came to where a walk before it has been, which had its endings from there on."""
    endings: list[tuple[World, Decision, Trail]] = field(default_factory=list)
    operations: set[str] = field(default_factory=set)
    """Of the calls that were met."""

    @property
    def ended(self) -> list[tuple[World, Decision]]:
        return [(world, decision) for world, decision, _ in self.endings]

    def walk(self, start: World) -> None:
        pause = float(self.plan.limits.pause_seconds)
        run_state = run_states.initial_state(self.plan, look(start), "run0")
        whole = (self.crashes, self.humans, self.refusals, self.alarms)
        number = len(self.observed)
        stack = [(start, run_state, self.plan, whole, Trail())]
        while stack:
            world, run_state, plan, rest, trail = stack.pop()
            left, humans, refusals, alarms = rest
            name = (
                world.key(),
                _memory_key(run_state, world, pause),
                _gates_key(run_state, world, plan),
                (plan.settle_as, plan.roll_back_to, plan.untouched),
                rest,
                trail.key(world, pause, plan.limits.bake_seconds),
            )
            if name in self.observed:
                self.joins = self.joins or self.observed[name] < number
                continue
            self.observed[name] = number
            assert len(self.observed) < 400_000
            decision = decide(plan, look(world, plan), run_state)
            if isinstance(decision, GiveUp) and decision.roll_back:
                back = plan.reversed(NEW, run_state.untouched)
                begun = run_states.initial_state(back, look(world, back), run_state.run)
                stack.append((world, begun, back, rest, replace(trail, taken=frozenset())))
                continue
            if isinstance(decision, Done | GiveUp):
                self.endings.append((world, decision, trail))
                continue
            if isinstance(decision, Act):
                self.operations.update(call.operation for call in decision.calls)
            if humans:
                fewer = (left, humans - 1, refusals, alarms)
                stack += [(acted, run_state, plan, fewer, trail) for acted in by_hand(world)]
            if refusals:
                fewer = (left, humans, refusals - 1, alarms)
                for after, remembered in self._refused(world, run_state, decision, plan, trail):
                    stack.append(
                        (after, remembered, plan, fewer, trail.with_refusal(world, decision))
                    )
            fewer = (left, humans, refusals, alarms - 1)
            bad = self._bad_answers(world, run_state, decision, trail) if alarms else ()
            stack += [(after, memory, plan, fewer, rung) for after, memory, rung in bad]
            for after, remembered, is_whole in step(world, run_state, decision, plan):
                has_way_back(after)
                stood = trail.baked(plan, decision, world, after)
                if is_whole:
                    now = replace(world, now=after.now)
                    stack.append((after, remembered, plan, rest, stood.after(decision, now, pause)))
                if left:
                    run = f"run{self.crashes - left + 1}"
                    again = planned(after, self.plan)
                    begun = run_states.initial_state(again, look(after, again), run)
                    fresh = Trail(first_at=stood.first_at, refused=trail.refused)
                    fewer = (left - 1, humans, refusals, alarms)
                    stack.append((replace(after, gates=None), begun, again, fewer, fresh))

    def _bad_answers(
        self, world: World, run_state: RunState, decision: Decision, trail: Trail
    ) -> Iterator[tuple[World, RunState, Trail]]:
        match decision:
            case AskGates():
                brought = sum(role == NEW for role in world.served.values())
                rung = replace(trail, refused=(isinstance(world.profile.mark, Pending), brought))
                yield told(world, alarm=True), run_state, rung
            case AskEvidence():
                for doubts in doubted(run_state, decision, self.evidence, world.now):
                    yield world, doubts, trail

    def _refused(
        self, world: World, run_state: RunState, decision: Decision, plan: CutOver, trail: Trail
    ) -> Iterator[tuple[World, RunState]]:
        """Those that go on; the others are at their end."""
        for after, remembered in refused(world, run_state, decision, plan):
            has_way_back(after)
            if remembered is None:
                self.endings.append((after, GiveUp("denied"), trail))
            else:
                yield after, remembered


def by_hand(world: World) -> Iterator[World]:
    """What somebody may do at the console, once."""
    yield from _profile_by_hand(world)
    for key, one in world.instances.items():
        if one.rows:
            bare = replace(one, rows=())
            yield _touched(world, bare, None, freed=world.freed | {key})
        elif world.profile.role_id is not None:
            row = AssociationRow(f"hand-{world.made}", ARN, "AIPAWEB", "associated")
            given = _touched(
                world, replace(one, rows=(row,)), world.seen_by_ec2() if one.is_running else None
            )
            yield replace(given, made=world.made + 1)
        if one.state == "running":
            yield _touched(world, replace(one, state="stopped"), None, idle=world.idle | {key})
            yield _touched(world, replace(one, state="terminated", rows=()), None)
    name = InstanceKey(HERE, id_of("z"))
    if name not in world.instances and world.seen_by_ec2() is not None:
        row = AssociationRow("launched", ARN, "AIPAWEB", "associated")
        launched = LiveInstance(name, "running", world.now + world.skew, (row,))
        yield _touched(world, launched, world.seen_by_ec2())


def _touched(world: World, one: LiveInstance, served: str | None, **more: Any) -> World:
    instances, now = {**world.instances, one.key: one}, {**world.served, one.key: served}
    return replace(world, instances=instances, served=now, **more)


def _profile_by_hand(world: World) -> Iterator[World]:
    held = world.profile
    for role in (OLD, NEW, None):
        if role != held.role_id:
            resource = replace(held.resource, role=NAMES.get(role or ""))
            changed = replace(held, resource=resource, role_id=role)
            history = (*world.history, (world.now, role))
            yield replace(world, profile=changed, history=history)
    bare = {k for k, i in world.instances.items() if not i.rows or i.state == "stopped"}
    for name in ("role-id", "in-flight"):
        if name in held.marks:
            marks = {k: v for k, v in held.marks.items() if k != name}
            lost = (bare & held.in_flight) if name == "in-flight" else frozenset()
            changed = replace(held, marks=marks)
            yield replace(world, profile=changed, freed=world.freed | lost)


def _memory_key(run_state: RunState, world: World, pause: float) -> object:
    swapped, mark, ended = run_state.swapped_at, world.profile.mark, run_state.batch_ended_at
    return (
        tuple(sorted(run_state.postponed)),
        tuple(
            i.launched_at >= swapped + 360 for i in world.instances.values() if swapped is not None
        ),
        bool(pause) and ended is not None and world.now - ended < pause,
        isinstance(mark, Pending) and mark.run == run_state.run,
        run_state.untouched,
        tuple(sorted(run_state.refused)),
        run_state.batches > 0,
        run_state.asked,
        run_state.released,
        run_state.let_go,
        tuple(sorted(run_state.allowed)),
        run_state.swaps,
        run_state.resumed,
        swapped is not None and world.now - swapped >= 60,
        swapped is None,
        tuple(sorted(run_state.away)),
        tuple(sorted(k for k, v in run_state.taken.items() if _row(world, k) == v)),
        tuple(sorted((k, v >= (swapped or 0) + 60) for k, v in run_state.back.items())),
        tuple(sorted(k for k, v in run_state.refreshed.items() if _row(world, k) == v)),
        tuple(sorted(run_state.failed)),
        run_state.changed_at > 0,
        run_state.filled_at is not None and world.now - run_state.filled_at >= 60,
        run_state.filled_at is None,
        world.now - run_state.began_at >= 60,
    )


def _gates_key(run_state: RunState, world: World, plan: CutOver) -> object:
    """How old the answers are, and how long the batch has stood; nothing where nothing is watched,
    so that equal worlds are walked once."""
    limits = plan.limits
    if not (limits.bake_seconds or limits.checks or limits.checkpoints or limits.verify):
        return None
    gates, ended = world.gates, run_state.batch_ended_at or run_state.began_at
    age = None if gates is None else (gates.asked_at - ended, world.now - gates.answered_at)
    stood = world.now - ended if run_state.on_trial else None
    found = tuple(sorted((key, one.status) for key, one in run_state.evidence.items()))
    proved = (run_state.is_verified, found, tuple(run_state.batch))
    told = proved if limits.verify else None
    return age, stood, run_state.on_trial, min(run_state.batches, 2), run_state.checkpoint, told


def _row(world: World, key: InstanceKey) -> str | None:
    row = world.instances[key].row
    return row.id if row else None


def has_way_back(world: World) -> None:
    """No instance is without a profile unless the profile says that it must get it back."""
    flying = world.profile.in_flight
    for key, one in world.instances.items():
        if one.is_gone or key in world.freed:
            continue
        assert one.rows or key in flying, key
        assert one.state != "stopped" or key in world.idle | world.profile.to_start, key


def took_up(world: World) -> None:
    assert world.profile.role_id == NEW
    assert world.profile.mark == Settled(NEW)
    assert not world.profile.in_flight
    assert world.temporary is None
    for key, one in world.instances.items():
        if one.is_gone or (key in world.freed and one.row is None):
            continue
        assert one.row is not None
        assert one.row.profile_id == "AIPAWEB"
        # One that somebody stopped while it was noted to be started is started.
        is_idle = one.state == "stopped" and key in world.idle | world.freed
        assert is_idle or world.served[key] == NEW, key


MARKS: tuple[RoleMark, ...] = (
    Settled(OLD),
    Settled(NEW),
    Pending(OLD, NEW, 900, "dead"),
    Pending(NEW, OLD, 900, "dead"),
    Failed(OLD),
)
STATES = (("running", "AIPAWEB"), ("running", None), ("stopped", "AIPAWEB"), ("running", "AIPAOLD"))
ON_SHADOW = (("running", "AIPASHADOW"), ("stopped", "AIPASHADOW"))


def worlds(consumers: int) -> Iterator[World]:
    """So many consumers in every state, the profile with either role or none, every mark."""
    combined = itertools.combinations_with_replacement(STATES, consumers)
    for role, mark, states in itertools.product((OLD, NEW, None), MARKS, list(combined)):
        if role is None and not isinstance(mark, Pending):
            continue  # nobody of ours leaves a profile so; by hand it is a test of its own
        if role == NEW and mark == Settled(NEW) and {row for _, row in states} == {"AIPAWEB"}:
            continue  # nothing to do
        yield world_of(role, mark, states)


def worlds_with_shadow(consumers: int) -> Iterator[World]:
    """A hop that died anywhere: the shadow with either role or none, some of them on it."""
    combined = itertools.combinations_with_replacement((*STATES, *ON_SHADOW), consumers)
    pending = [mark for mark in MARKS if isinstance(mark, Pending)]
    for role, mark, inside, states in itertools.product(
        (OLD, NEW, None), pending, (OLD, NEW, None), list(combined)
    ):
        is_used = any(row == "AIPASHADOW" for _, row in states)
        if not (inside is None and is_used):
            yield replace(
                world_of(role, mark, states, inside),
                temporary=temporary(inside),
                shadow_history=((0.0, inside),),
            )


def world_of(
    role: str | None,
    mark: RoleMark,
    states: tuple[tuple[str, str | None], ...],
    on_temporary_profile: str | None = None,
) -> World:
    instances = {}
    for name, (state, row) in zip("abc", states, strict=False):
        made = instance(name, state, row)
        instances[made.key] = made
    flying = tuple(k for k, i in instances.items() if not i.rows)
    held = NEW if mark == Settled(NEW) else OLD
    served = {
        k: (on_temporary_profile if i.names(SHADOW_ARN) else held)
        if i.rows and i.state == "running"
        else None
        for k, i in instances.items()
    }
    idle = frozenset(k for k, i in instances.items() if i.state == "stopped")
    history = ((0.0, role or OLD), (0.1, role))
    return World(profile(role, mark, flying), instances, served, history, idle)
