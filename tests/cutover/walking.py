"""Small worlds, and every way in which a cut-over may go in them: a death after any call, a human who
acts in between."""

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
    BatchDone,
    Decision,
    Done,
    GiveUp,
    GiveUpInstance,
    List,
    Pause,
)
from reconciler.cutover.run_state import RunState
from reconciler.cutover.simulate import simulate
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

PREFIX = "reconciler:"
HERE = "us-east-1"
ARN = "arn:aws:iam::123456789012:instance-profile/web"
OLD, NEW = "AROAOLD", "AROANEW"
NAMES = {OLD: "old", NEW: "new"}
LAG = 50.0
SHADOW_ARN = f"{ARN}.reconciler-hop"
SHADOW_MARKS = {"owner": "me/web.reconciler-hop", "temporary-of": "web"}


@dataclass(frozen=True)
class World:
    """AWS, and what it serves each instance: the role that EC2 saw when the profile was taken on.

    ``history`` holds what was inside the profile from when on.
    """

    profile: LiveProfile
    instances: dict[InstanceKey, LiveInstance]
    served: dict[InstanceKey, str | None]
    history: tuple[tuple[float, str | None], ...]
    idle: frozenset[InstanceKey] = frozenset()
    """Those that somebody had stopped."""
    freed: frozenset[InstanceKey] = frozenset()
    """Those whose profile, or whose note, somebody took away."""
    temporary: LiveProfile | None = None
    shadow_history: tuple[tuple[float, str | None], ...] = ()
    now: float = 1000.0
    made: int = 0

    def key(self) -> object:
        """The state but for the time, so that equal ones are walked once."""
        rows = tuple(
            (
                str(k),
                i.state,
                tuple((r.profile_id, r.state) for r in i.rows),
                self.served[k],
                _holds(i),
            )
            for k, i in sorted(self.instances.items())
        )
        marks = {k: v for k, v in self.profile.marks.items() if k != "role-id"}
        mark = self.profile.mark
        plain = replace(mark, epoch=0, run="") if isinstance(mark, Pending) else mark
        fresh = self.now - self.history[-1][0] < LAG
        temporary = self.temporary and (
            self.temporary.role_id,
            dict(self.temporary.marks) == SHADOW_MARKS,
        )
        young = bool(self.shadow_history) and self.now - self.shadow_history[-1][0] < LAG
        noted = tuple(sorted(marks.items()))
        away = (self.idle, self.freed)
        return (self.profile.role_id, plain, noted, rows, fresh, temporary, young, away)

    def seen_by_ec2(self, arn: str = "") -> str | None:
        """The role that EC2 sees in the profile, or in its shadow."""
        history = self.shadow_history if arn == SHADOW_ARN else self.history
        return [None, *(role for at, role in history if at <= self.now - LAG)][-1]


def _holds(instance: LiveInstance) -> tuple[str, bool]:
    role, _, association = instance.marks.get("holds", "").partition("/")
    return role, instance.row is not None and association == instance.row.id


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


def temporary(role: str | None) -> LiveProfile:
    return LiveProfile(
        resource=InstanceProfile("web.reconciler-hop", NAMES.get(role or "")),
        id="AIPASHADOW",
        arn=SHADOW_ARN,
        marks=SHADOW_MARKS,
        role_id=role,
    )


def id_of(name: str) -> str:
    return f"i-{ord(name):08x}"


def instance(name: str, state: str, row: str | None) -> LiveInstance:
    arn = SHADOW_ARN if row == "AIPASHADOW" else ARN
    rows = () if row is None else (AssociationRow(f"assoc-{name}", arn, row, "associated"),)
    return LiveInstance(InstanceKey(HERE, id_of(name)), state, 0.0, rows)


def cutover(
    most: str = "1", on_failure: str = "rollback", strategy: str = "reassociate"
) -> CutOver:
    limits = RollOut(most, 0, 60, on_failure, strategy)
    return CutOver("web", RoleRef("old", OLD), RoleRef("new", NEW), limits, (HERE,), PREFIX)


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
) -> Iterator[tuple[World, RunState]]:
    """EC2 denies one of the calls; those before it took effect, and those after it are made."""
    if isinstance(decision, Ask) and decision.refusal == "DryRunOperation":
        answered = run_states.answered(run_state, decision, look(world, plan))
        for call in decision.calls:
            key = run_states.instances_of(call, look(world, plan))[0]
            yield world, run_states.refused(answered, key, "denied")
    if not isinstance(decision, Act) or decision.is_hint:
        return
    for number, denied in enumerate(decision.calls):
        if denied.operation not in OF_ONE_INSTANCE:
            continue
        after, remembered = world, run_state
        for other, call in enumerate(decision.calls):
            before = look(after, plan)
            if other == number:
                key = run_states.instances_of(call, before)[0]
                remembered = run_states.lost(remembered, key, "denied")
                continue
            after = happened(after, call, plan)
            remembered = run_states.after_own_call(remembered, call, before, after.now)
        yield after, remembered


OF_ONE_INSTANCE = (
    "AssociateIamInstanceProfile",
    "DisassociateIamInstanceProfile",
    "ReplaceIamInstanceProfileAssociation",
    "StopInstances",
    "StartInstances",
)


def look(world: World, plan: CutOver | None = None) -> Observation:
    wanted = plan.after.id if plan is not None and plan.after is not None else NEW
    return Observation(
        world.now, world.profile, wanted, world.instances, world.now, temporary=world.temporary
    )


def happened(world: World, call: ApiCall, plan: CutOver) -> World:
    """AWS after the call."""
    before = world
    observed = simulate(plan, look(world, plan), call)
    world = replace(
        world,
        profile=observed.profile,
        instances=dict(observed.instances),
        now=world.now + 1,
        temporary=observed.temporary,
    )
    match call.operation:
        case "CreateInstanceProfile":
            made = replace(
                temporary(None), marks=observed.temporary.marks if observed.temporary else {}
            )
            return replace(world, temporary=made, shadow_history=((world.now, None),))
        case "DeleteInstanceProfile":
            assert before.temporary is not None
            assert before.temporary.role_id is None
            assert not any(i.names(SHADOW_ARN) for i in world.instances.values())
            return world
        case "AddRoleToInstanceProfile" | "RemoveRoleFromInstanceProfile" if (
            run_states.is_temporary(call, look(before))
        ):
            role = world.temporary.role_id if world.temporary else None
            return replace(world, shadow_history=(*world.shadow_history, (world.now, role)))
        case "ReplaceIamInstanceProfileAssociation":
            return _replaced(before, world, call)
        case "AddRoleToInstanceProfile" | "RemoveRoleFromInstanceProfile":
            # A profile that we leave without a role says which one it is to have.
            assert isinstance(before.profile.mark, Pending)
            return replace(world, history=(*world.history, (world.now, world.profile.role_id)))
        case "DisassociateIamInstanceProfile":
            gone = [k for k, i in world.instances.items() if not i.rows]
            return replace(world, served={**world.served, **dict.fromkeys(gone)})
        case "AssociateIamInstanceProfile":
            key = InstanceKey(HERE, call.params["InstanceId"])
            row = AssociationRow(f"new-{world.made}", ARN, "AIPAWEB", "associated")
            given = replace(world.instances[key], rows=(row,))
            served = world.seen_by_ec2() if given.is_running else None
            return replace(
                world,
                instances={**world.instances, key: given},
                served={**world.served, key: served},
                made=world.made + 1,
            )
        case "StopInstances":
            key = InstanceKey(HERE, call.params["InstanceIds"][0])
            return replace(world, served={**world.served, key: None})
        case "StartInstances":
            key = InstanceKey(HERE, call.params["InstanceIds"][0])
            started = replace(world.instances[key], launched_at=world.now)
            return replace(
                world,
                instances={**world.instances, key: started},
                served={**world.served, key: world.seen_by_ec2()},
            )
        case _:
            return world


def _replaced(before: World, world: World, call: ApiCall) -> World:
    """AWS replaces the association of a running instance; with an empty profile it would serve
    nothing from then on, which must never come to pass."""
    key = run_states.instances_of(call, look(before))[0]
    assert before.instances[key].is_running
    arn = call.params["IamInstanceProfile"]["Arn"]
    served = world.seen_by_ec2(arn)
    assert served is not None, f"{key} would be without credentials"
    profile_id = "AIPASHADOW" if arn == SHADOW_ARN else "AIPAWEB"
    row = AssociationRow(f"new-{world.made}", arn, profile_id, "associated")
    given = replace(world.instances[key], rows=(row,))
    return replace(
        world,
        instances={**world.instances, key: given},
        served={**world.served, key: served},
        made=world.made + 1,
    )


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
        case Pause(seconds):
            yield replace(world, now=world.now + seconds), run_state, True
        case List():
            yield world, replace(run_state, changed_at=0.0), True
        case BatchDone():
            yield world, run_states.ended_batch(run_state, world.now), True
        case GiveUpInstance(key, reason):
            yield world, run_states.lost(run_state, key, reason), True


@dataclass
class Walk:
    """Every run from a world, with up to ``crashes`` deaths and ``humans`` acts of somebody else in
    it. What ends with a human in it must be ended by the next run, which is walked as well."""

    plan: CutOver
    crashes: int
    humans: int = 0
    refusals: int = 0
    """How many calls EC2 may refuse, anywhere; a roll-back that follows is walked as well."""
    observed: set[object] = field(default_factory=set)
    ended: list[tuple[World, Decision]] = field(default_factory=list)

    def walk(self, start: World) -> None:
        run_state = run_states.initial_state(look(start), "run0")
        whole = (self.crashes, self.humans, self.refusals)
        stack = [(start, run_state, self.plan, whole)]
        while stack:
            world, run_state, plan, (left, humans, refusals) = stack.pop()
            rest = (left, humans, refusals)
            name = (
                world.key(),
                _memory_key(run_state, world),
                plan.settle_as,
                plan.untouched,
                rest,
            )
            if name in self.observed:
                continue
            self.observed.add(name)
            assert len(self.observed) < 400_000
            decision = decide(plan, look(world, plan), run_state)
            if isinstance(decision, GiveUp) and decision.roll_back:
                back = plan.reversed(NEW, run_state.untouched)
                begun = run_states.initial_state(look(world, back), run_state.run)
                stack.append((world, begun, back, rest))
                continue
            if isinstance(decision, Done | GiveUp):
                self.ended.append((world, decision))
                continue
            if humans:
                fewer = (left, humans - 1, refusals)
                stack += [(acted, run_state, plan, fewer) for acted in by_hand(world)]
            if refusals:
                fewer = (left, humans, refusals - 1)
                for after, remembered in refused(world, run_state, decision, plan):
                    has_way_back(after)
                    stack.append((after, remembered, plan, fewer))
            for after, remembered, is_whole in step(world, run_state, decision, plan):
                has_way_back(after)
                if is_whole:
                    stack.append((after, remembered, plan, rest))
                if left:
                    run = f"run{self.crashes - left + 1}"
                    again = planned(after, self.plan)
                    begun = run_states.initial_state(look(after, again), run)
                    stack.append((after, begun, again, (left - 1, humans, refusals)))


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
        launched = LiveInstance(name, "running", world.now, (row,))
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


def _memory_key(run_state: RunState, world: World) -> object:
    swapped, mark = run_state.swapped_at, world.profile.mark
    return (
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
