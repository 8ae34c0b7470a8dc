"""The pure function of the cut-over, walked through every state of small worlds: a crash after any
call, calls that take effect though the run dies, a human who acts in between."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass, field, replace

import pytest

from reconciler.cutover import memory as remembering
from reconciler.cutover.decide import decide
from reconciler.cutover.value import (
    Act,
    Ask,
    CutOver,
    Decision,
    Done,
    EndBatch,
    GiveUp,
    List,
    Lose,
    Memory,
    Pause,
    RoleRef,
    Seen,
)
from reconciler.live import AssociationRow, LiveInstance, LiveProfile
from reconciler.model import InstanceProfile, Limits
from reconciler.ownership import (
    Failed,
    Flight,
    InstanceKey,
    Pending,
    RoleMark,
    Settled,
    encode_in_flight,
    encode_role_mark,
    with_prefix,
)
from reconciler.requests import ApiCall

PREFIX = "reconciler:"
ARN = "arn:aws:iam::123456789012:instance-profile/web"
OLD, NEW = "AROAOLD", "AROANEW"
NAMES = {OLD: "old", NEW: "new"}
LAG = 50.0


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
    """Those that somebody had stopped before we came."""
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
        return (self.profile.role_id, plain, tuple(sorted(marks.items())), rows, fresh)

    def seen_by_ec2(self) -> str | None:
        return [role for at, role in self.history if at <= self.now - LAG][-1]


def _holds(instance: LiveInstance) -> tuple[str, bool]:
    role, _, association = instance.marks.get("holds", "").partition("/")
    return role, instance.row is not None and association == instance.row.id


def profile(role: str | None, mark: RoleMark, flying: tuple[InstanceKey, ...] = ()) -> LiveProfile:
    flights = [Flight(key) for key in flying]
    marks = {"owner": "me", "role-id": encode_role_mark(mark), **encode_in_flight(flights)}
    return LiveProfile(
        resource=InstanceProfile("web", NAMES.get(role or "")),
        id="AIPAWEB",
        arn=ARN,
        marks=marks,
        role_id=role,
    )


def instance(name: str, state: str, row: str | None) -> LiveInstance:
    rows = () if row is None else (AssociationRow(f"assoc-{name}", ARN, row, "associated"),)
    return LiveInstance(InstanceKey("here", name), state, 0.0, rows)


def cutover(
    most: str = "1", on_failure: str = "rollback", strategy: str = "reassociate"
) -> CutOver:
    limits = Limits(most, 0, 60, on_failure, strategy)
    return CutOver("web", RoleRef("old", OLD), RoleRef("new", NEW), limits, ("here",), PREFIX)


def look(world: World) -> Seen:
    return Seen(world.now, world.profile, NEW, world.instances, world.now)


def happened(world: World, call: ApiCall, plan: CutOver) -> World:
    """AWS after the call."""
    seen = remembering.after_call(plan, look(world), call)
    world = replace(world, profile=seen.profile, instances=dict(seen.instances), now=world.now + 1)
    match call.operation:
        case "AddRoleToInstanceProfile" | "RemoveRoleFromInstanceProfile":
            return replace(world, history=(*world.history, (world.now, world.profile.role_id)))
        case "DisassociateIamInstanceProfile":
            gone = [k for k, i in world.instances.items() if not i.rows]
            return replace(world, served={**world.served, **dict.fromkeys(gone)})
        case "AssociateIamInstanceProfile":
            key = InstanceKey("here", call.params["InstanceId"])
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
            key = InstanceKey("here", call.params["InstanceIds"][0])
            return replace(world, served={**world.served, key: None})
        case "StartInstances":
            key = InstanceKey("here", call.params["InstanceIds"][0])
            started = replace(world.instances[key], launched_at=world.now)
            return replace(
                world,
                instances={**world.instances, key: started},
                served={**world.served, key: world.seen_by_ec2()},
            )
        case _:
            return world


def step(
    world: World, memory: Memory, decision: Decision, plan: CutOver
) -> Iterator[tuple[World, Memory, bool]]:
    """Where a decision leads: for each call that it is made of, the world after it, and whether
    the decision is carried out whole (else the run died there)."""
    match decision:
        case Ask():
            yield world, replace(memory, asked=True), True
        case Act(calls):
            for number, call in enumerate(calls, start=1):
                before = look(world)
                world = happened(world, call, plan)
                memory = remembering.remember(memory, call, before, world.now)
                yield world, memory, number == len(calls)
        case Pause(seconds):
            yield replace(world, now=world.now + seconds), memory, True
        case List():
            yield world, replace(memory, changed_at=0.0), True
        case EndBatch():
            yield world, remembering.ended_batch(memory, world.now), True
        case Lose(key, reason):
            yield world, remembering.lost(memory, key, reason), True


@dataclass
class Walk:
    """Every run from a world, with up to ``crashes`` deaths in it."""

    plan: CutOver
    crashes: int
    seen: set[object] = field(default_factory=set)
    ended: list[tuple[World, Decision]] = field(default_factory=list)

    def walk(self, start: World) -> None:
        stack = [(start, remembering.beginning(look(start), "run0"), self.crashes)]
        while stack:
            world, memory, left = stack.pop()
            name = (world.key(), _memory_key(memory, world), left)
            if name in self.seen:
                continue
            self.seen.add(name)
            assert len(self.seen) < 60_000
            decision = decide(self.plan, look(world), memory)
            if isinstance(decision, Done | GiveUp):
                self.ended.append((world, decision))
                continue
            for after, remembered, is_whole in step(world, memory, decision, self.plan):
                has_way_back(after)
                if is_whole:
                    stack.append((after, remembered, left))
                if left:
                    run = f"run{self.crashes - left + 1}"
                    stack.append((after, remembering.beginning(look(after), run), left - 1))


def _memory_key(memory: Memory, world: World) -> object:
    swapped, mark = memory.swapped_at, world.profile.mark
    return (
        isinstance(mark, Pending) and mark.run == memory.run,
        memory.asked,
        memory.released,
        memory.resumed,
        swapped is not None and world.now - swapped >= 60,
        swapped is None,
        tuple(sorted(memory.away)),
        tuple(sorted(k for k, v in memory.taken.items() if _row(world, k) == v)),
        tuple(sorted((k, v >= (swapped or 0) + 60) for k, v in memory.back.items())),
        tuple(sorted(k for k, v in memory.refreshed.items() if _row(world, k) == v)),
        tuple(sorted(memory.failed)),
        memory.batches > 0,
        memory.changed_at > 0,
    )


def _row(world: World, key: InstanceKey) -> str | None:
    row = world.instances[key].row
    return row.id if row else None


def has_way_back(world: World) -> None:
    """No instance is without a profile unless the profile says that it must get it back, and no
    profile without a role unless it says which."""
    flying = world.profile.in_flight
    for key, one in world.instances.items():
        assert one.rows or key in flying, key
        assert one.state != "stopped" or key in world.idle | world.profile.to_start, key
    if world.profile.role_id is None:
        assert isinstance(world.profile.mark, Pending)


def took_up(world: World) -> None:
    assert world.profile.role_id == NEW
    assert world.profile.mark == Settled(NEW)
    assert not world.profile.in_flight
    for key, one in world.instances.items():
        assert one.row is not None
        assert one.row.profile_id == "AIPAWEB"
        assert one.state == "stopped" if key in world.idle else world.served[key] == NEW, key


MARKS: tuple[RoleMark, ...] = (
    Settled(OLD),
    Settled(NEW),
    Pending(OLD, NEW, 900, "dead"),
    Pending(NEW, OLD, 900, "dead"),
    Failed(OLD),
)
STATES = (("running", "AIPAWEB"), ("running", None), ("stopped", "AIPAWEB"), ("running", "AIPAOLD"))


def worlds() -> Iterator[World]:
    """Two consumers in every state, the profile with either role or none, every mark."""
    for role, mark, one, two in itertools.product((OLD, NEW, None), MARKS, STATES, STATES):
        if role is None and not isinstance(mark, Pending):
            continue  # nobody of ours leaves a profile so; by hand it is the next test
        if role == NEW and mark == Settled(NEW) and (one[1], two[1]) == ("AIPAWEB", "AIPAWEB"):
            continue  # nothing to do
        instances = {}
        for name, (state, row) in (("a", one), ("b", two)):
            made = instance(name, state, row)
            instances[made.key] = made
        flying = tuple(k for k, i in instances.items() if not i.rows)
        held = NEW if mark == Settled(NEW) else OLD
        served = {
            k: (held if i.rows and i.state == "running" else None) for k, i in instances.items()
        }
        idle = frozenset(k for k, i in instances.items() if i.state == "stopped")
        history = ((0.0, role or OLD), (0.1, role))
        yield World(profile(role, mark, flying), instances, served, history, idle)


ALL = list(worlds())


@pytest.mark.parametrize("part", range(8))
def test_from_every_state_it_ends_well(part: int) -> None:
    """With one death anywhere."""
    for world in ALL[part::8]:
        walk = Walk(cutover(), crashes=1)
        walk.walk(world)
        assert walk.ended
        for ended, decision in walk.ended:
            assert decision == Done()
            took_up(ended)


@pytest.mark.parametrize("part", range(4))
def test_restarted_from_every_state_it_ends_well(part: int) -> None:
    """Strategy ``restart``: nobody stays stopped who was not, with one death anywhere."""
    for world in ALL[part::4]:
        walk = Walk(cutover(strategy="restart"), crashes=1)
        walk.walk(world)
        assert walk.ended
        for ended, decision in walk.ended:
            assert decision == Done()
            took_up(ended)


def test_one_that_must_not_be_stopped_is_not() -> None:
    one = replace(instance("a", "running", "AIPAWEB"), unstoppable="it is a spot instance")
    world = World(
        profile(NEW, Pending(OLD, NEW, 900, "dead")),
        {one.key: one},
        {one.key: OLD},
        ((0.0, OLD), (0.1, NEW)),
    )
    walk = Walk(cutover(strategy="restart"), crashes=0)
    walk.walk(world)
    (ended, decision) = walk.ended[0]
    assert isinstance(decision, GiveUp)
    assert "is not restarted: it is a spot instance" in decision.reason
    assert ended.instances[one.key].state == "running"


def test_with_two_deaths_and_half_the_fleet_at_a_time() -> None:
    for world in ALL[:: max(1, len(ALL) // 12)]:
        walk = Walk(cutover("50%"), crashes=2)
        walk.walk(world)
        for ended, decision in walk.ended:
            assert decision == Done()
            took_up(ended)


def test_a_profile_emptied_by_hand() -> None:
    one = instance("a", "running", "AIPAWEB")
    world = World(
        profile(None, Settled(OLD)), {one.key: one}, {one.key: OLD}, ((0.0, OLD), (0.1, None))
    )
    walk = Walk(cutover(), crashes=0)
    walk.walk(world)
    assert [d for _, d in walk.ended] == [Done()]
    took_up(walk.ended[0][0])


def test_nothing_to_do_is_done_at_once() -> None:
    one = instance("a", "running", "AIPAWEB")
    world = World(profile(NEW, Settled(NEW)), {one.key: one}, {one.key: NEW}, ((0.0, NEW),))
    assert decide(cutover(), look(world), Memory("run")) == Done()


def test_a_role_that_is_not_there() -> None:
    one = instance("a", "running", "AIPAWEB")
    world = World(profile(OLD, Settled(OLD)), {one.key: one}, {one.key: OLD}, ((0.0, OLD),))
    seen = replace(look(world), after_id=None)
    assert isinstance(decide(cutover(), seen, Memory("run")), GiveUp)


def test_a_region_that_cannot_be_read_keeps_it_open() -> None:
    world = World(profile(NEW, Pending(OLD, NEW, 900, "dead")), {}, {}, ((0.0, NEW),))
    seen = replace(look(world), unread={"there": "AccessDenied"}, now=2000.0)
    decision = decide(cutover(), seen, Memory("run", swapped_at=900.0))
    assert isinstance(decision, GiveUp)
    assert "there" in decision.reason


def test_a_stranger_s_note_saves_no_refresh() -> None:
    """``holds`` on an instance counts only for a run that goes on with another's swap."""
    one = instance("a", "running", "AIPAWEB")
    forged = replace(one, marks={"holds": f"{NEW}/assoc-a"})
    world = World(profile(OLD, Settled(OLD)), {one.key: forged}, {one.key: OLD}, ((0.0, OLD),))
    walk = Walk(cutover(), crashes=1)
    walk.walk(world)
    for ended, _ in walk.ended:
        took_up(ended)


def test_asked_to_stop_while_one_is_in_flight() -> None:
    one = instance("a", "running", None)
    world = World(
        profile(NEW, Pending(OLD, NEW, 900, "run"), (one.key,)),
        {one.key: one},
        {one.key: None},
        ((0.0, NEW),),
    )
    memory = replace(Memory("run", swapped_at=900.0), stopping=True)
    decision = decide(cutover(), look(world), memory)
    assert isinstance(decision, Act)
    assert [c.operation for c in decision.calls] == ["AssociateIamInstanceProfile"]


def test_marks_carry_the_prefix() -> None:
    assert with_prefix({"role-id": "x"}, PREFIX) == {"reconciler:role-id": "x"}


def test_a_listing_that_is_old_starts_no_second_batch() -> None:
    """EC2 shows the association that this run took off a moment ago."""
    ones = [instance(name, "running", "AIPAWEB") for name in ("a", "b")]
    flying = (ones[0].key,)
    world = World(
        profile(NEW, Pending(OLD, NEW, 900, "run"), flying),
        {one.key: one for one in ones},
        {one.key: OLD for one in ones},
        ((0.0, NEW),),
    )
    taken = {ones[0].key: "assoc-a"}
    away = {ones[0].key: 999.0}
    memory = Memory("run", swapped_at=900.0, away=away, taken=taken)
    decision = decide(cutover(), look(world), memory)
    assert isinstance(decision, Pause)
    assert decision.watch == flying
    late = replace(world, now=2000.0)
    assert isinstance(decide(cutover(), look(late), memory), Lose)


@pytest.mark.parametrize("state", ["pending", "stopping"])
def test_an_instance_in_transition_is_waited_for(state: str) -> None:
    one = instance("a", state, "AIPAWEB")
    world = World(
        profile(NEW, Pending(OLD, NEW, 900, "run")), {one.key: one}, {one.key: OLD}, ((0.0, NEW),)
    )
    decision = decide(cutover(), look(world), Memory("run", swapped_at=900.0))
    if state == "pending":
        assert isinstance(decision, Pause)
    else:
        # On its way to stop, it takes the role up when it starts.
        assert isinstance(decision, Act)
        assert "every consumer" in decision.why


def test_one_that_is_gone_is_no_consumer() -> None:
    one = instance("a", "terminated", "AIPAWEB")
    world = World(
        profile(NEW, Pending(OLD, NEW, 900, "run")), {one.key: one}, {one.key: None}, ((0.0, NEW),)
    )
    decision = decide(cutover(), look(world), Memory("run", swapped_at=900.0))
    assert isinstance(decision, Act)
    assert [c.operation for c in decision.calls] == ["TagInstanceProfile"]
