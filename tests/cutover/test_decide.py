"""What the pure function of the cut-over decides, situation by situation; ``test_walk`` walks it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from reconciler.cutover.calls import Calls
from reconciler.cutover.decide import decide
from reconciler.cutover.decisions import Act, Ask, Done, GiveUp, GiveUpInstance, List, Pause
from reconciler.cutover.fleet import CLOCKS_APART
from reconciler.cutover.run_state import RunState
from reconciler.model.live import UNKNOWN
from reconciler.model.ownership import Partial, Pending, RoleMark, Settled, with_prefix
from reconciler.plan.cut_over import RoleRef
from tests.cutover.walking import (
    Walk,
    cutover,
    instance,
    look,
    profile,
    took_up,
)
from tests.cutover.world import HERE, NEW, OLD, PREFIX, World, temporary


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
    assert "cannot be restarted: it is a spot instance" in decision.reason
    assert ended.instances[one.key].state == "running"


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
    assert decide(cutover(), look(world), RunState("run")) == Done()


def test_a_role_that_is_not_there() -> None:
    one = instance("a", "running", "AIPAWEB")
    world = World(profile(OLD, Settled(OLD)), {one.key: one}, {one.key: OLD}, ((0.0, OLD),))
    observed = replace(look(world), after_id=None)
    assert isinstance(decide(cutover(), observed, RunState("run")), GiveUp)


def test_a_region_that_cannot_be_read_keeps_it_open() -> None:
    world = World(profile(NEW, Pending(OLD, NEW, 900, "dead")), {}, {}, ((0.0, NEW),))
    observed = replace(look(world), unread={"there": "AccessDenied"}, now=2000.0)
    decision = decide(cutover(), observed, RunState("run", swapped_at=900.0))
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


def test_a_stranger_s_note_saves_no_refresh_after_a_swap_by_hand() -> None:
    """No run of ours has begun this one, so nobody can have noted anything of it."""
    one = instance("a", "running", "AIPAWEB")
    forged = replace(one, marks={"holds": f"{NEW}/assoc-a"})
    world = World(profile(NEW, Settled(OLD)), {one.key: forged}, {one.key: OLD}, ((0.0, NEW),))
    walk = Walk(cutover(), crashes=0)
    walk.walk(world)
    took_up(walk.ended[0][0])


def test_asked_to_stop_while_one_is_in_flight() -> None:
    one = instance("a", "running", None)
    world = World(
        profile(NEW, Pending(OLD, NEW, 900, "run"), (one.key,)),
        {one.key: one},
        {one.key: None},
        ((0.0, NEW),),
    )
    run_state = replace(RunState("run", swapped_at=900.0), stopping=True)
    decision = decide(cutover(), look(world), run_state)
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
    run_state = RunState("run", swapped_at=900.0, away=away, taken=taken)
    decision = decide(cutover(), look(world), run_state)
    assert isinstance(decision, Pause)
    assert decision.watch == flying
    late = replace(world, now=2000.0)
    assert isinstance(decide(cutover(), look(late), run_state), GiveUpInstance)


@pytest.mark.parametrize("state", ["pending", "stopping"])
def test_an_instance_in_transition_is_waited_for(state: str) -> None:
    one = instance("a", state, "AIPAWEB")
    world = World(
        profile(NEW, Pending(OLD, NEW, 900, "run")), {one.key: one}, {one.key: OLD}, ((0.0, NEW),)
    )
    decision = decide(cutover(), look(world), RunState("run", swapped_at=900.0))
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
    decision = decide(cutover(), look(world), RunState("run", swapped_at=900.0))
    assert isinstance(decision, Act)
    assert [c.operation for c in decision.calls] == ["TagInstanceProfile"]


@pytest.mark.parametrize("state", ["running", UNKNOWN])
@pytest.mark.parametrize("strategy", ["reassociate", "hop", "restart"])
def test_one_that_is_not_ours_to_touch_keeps_it_open(strategy: str, state: str) -> None:
    """From the swap to the end, with a death after any call; nothing is done to it."""
    own, theirs = instance("a", "running", "AIPAWEB"), instance("b", state, "AIPAWEB")
    if state == "running":
        theirs = replace(theirs, operator="ecs.amazonaws.com")
    world = World(
        profile(OLD, Settled(OLD)),
        {own.key: own, theirs.key: theirs},
        {own.key: OLD, theirs.key: OLD},
        ((0.0, OLD),),
    )
    walk = Walk(cutover("100%", strategy=strategy), crashes=1)
    walk.walk(world)
    for ended, decision in walk.ended:
        assert isinstance(decision, GiveUp)
        assert not decision.roll_back
        assert f"{theirs.key.instance} ({HERE})" in decision.reason
        assert isinstance(ended.profile.mark, Pending)
        assert ended.instances[theirs.key] == theirs
        if (strategy, state) != ("hop", UNKNOWN):
            assert ended.served[own.key] == NEW


def test_strategy_wait_waits_for_nobody() -> None:
    theirs = replace(instance("b", "running", "AIPAWEB"), operator="ecs.amazonaws.com")
    world = World(
        profile(OLD, Settled(OLD)), {theirs.key: theirs}, {theirs.key: OLD}, ((0.0, OLD),)
    )
    walk = Walk(cutover(strategy="wait"), crashes=0)
    walk.walk(world)
    assert [decision for _, decision in walk.ended] == [Done()]


def test_a_stale_one_of_a_service_s_is_named() -> None:
    theirs = replace(instance("b", "running", "AIPAOLD"), operator="ecs.amazonaws.com")
    world = World(
        profile(NEW, Settled(NEW)), {theirs.key: theirs}, {theirs.key: NEW}, ((0.0, NEW),)
    )
    decision = decide(cutover(), look(world), RunState("run"))
    assert isinstance(decision, GiveUp)
    assert "its profile was created again" in decision.reason


THERE = "eu-west-1"


def two_running(mark: RoleMark, role: str = NEW) -> World:
    ones = [instance(name, "running", "AIPAWEB") for name in ("a", "b")]
    return World(
        profile(role, mark),
        {one.key: one for one in ones},
        {one.key: OLD for one in ones},
        ((0.0, role),),
    )


def test_the_next_batch_waits_for_the_pause() -> None:
    world = two_running(Pending(OLD, NEW, 900, "run"))
    plan = replace(cutover(), limits=replace(cutover().limits, pause_seconds=90))
    run_state = RunState("run", swapped_at=900.0, batches=1, batch_ended_at=990.0)
    decision = decide(plan, look(world), run_state)
    assert isinstance(decision, Pause)
    assert decision.seconds == 80.0
    assert isinstance(decide(plan, look(replace(world, now=1081.0)), run_state), Ask)
    # Observed before the batch ended: no more is left than the whole.
    early = decide(plan, look(replace(world, now=989.5)), run_state)
    assert isinstance(early, Pause)
    assert early.seconds == 90.0


@pytest.mark.parametrize(("late", "is_done"), [(CLOCKS_APART - 1, False), (CLOCKS_APART, True)])
def test_a_launch_is_believed_when_no_two_clocks_could_say_otherwise(
    late: float, is_done: bool
) -> None:
    world = two_running(Pending(OLD, NEW, 900, "run"))
    instances = {
        key: replace(one, launched_at=960.0 + late) for key, one in world.instances.items()
    }
    observed = look(replace(world, instances=instances, now=2000.0))
    decision = decide(cutover(), observed, RunState("run", swapped_at=900.0))
    assert isinstance(decision, Act if is_done else Ask)


def test_a_note_of_more_than_a_thousand_takes_several_calls() -> None:
    """EC2 refuses more in one call."""
    ones = [instance(chr(0x100 + number), "running", "AIPAWEB") for number in range(2001)]
    named = [
        call.params["Resources"]
        for call in Calls(cutover(), look(two_running(Settled(OLD)))).forget_holds(ones)
    ]
    assert [len(names) for names in named] == [1000, 1000, 1]
    assert len({name for names in named for name in names}) == 2001


@pytest.mark.parametrize(
    ("mark", "regions", "is_narrow", "is_done"),
    [
        (Partial(NEW, (HERE,)), (HERE,), True, True),
        (Partial(NEW, (HERE, THERE)), (HERE,), True, True),
        (Partial(NEW, (THERE,)), (HERE,), True, False),
        (Partial(NEW, (HERE,)), (HERE,), False, True),
        (Partial(NEW, (THERE,)), (HERE, THERE), False, False),
        (Partial(NEW, ()), (HERE,), True, False),
        (
            Partial(NEW, ()),
            tuple(f"xx-{chr(97 + n % 26)}{chr(97 + n // 26)}{'x' * 6}-1" for n in range(30)),
            True,
            True,
        ),
    ],
)
def test_what_a_narrowed_cut_over_covered(
    mark: Partial, regions: tuple[str, ...], is_narrow: bool, is_done: bool
) -> None:
    """Instances of regions that were looked at need nothing; where they cover all that is asked
    for, nothing at all is to be done."""
    world = two_running(mark)
    plan = replace(cutover(), regions=regions, is_narrow=is_narrow)
    decision = decide(plan, look(replace(world, now=2000.0)), RunState("run", swapped_at=900.0))
    assert isinstance(decision, Ask) is not is_done


def one_running(role: str | None, mark: RoleMark, row: str | None = "AIPAWEB") -> World:
    one = instance("a", "running", row)
    flying = () if row else (one.key,)
    return World(profile(role, mark, flying), {one.key: one}, {one.key: OLD}, ((0.0, role),))


def test_the_role_is_asked_for_while_the_old_one_is_in() -> None:
    """So that a refusal takes nothing from anybody."""
    decision = decide(cutover(), look(one_running(OLD, Settled(OLD))), RunState("run"))
    assert isinstance(decision, Ask)
    assert [c.operation for c in decision.calls] == ["AddRoleToInstanceProfile"]


def test_an_old_listing_ends_nothing() -> None:
    """Who was launched since it was made may hold the old role."""
    world = one_running(NEW, Pending(OLD, NEW, 900, "run"))
    key = next(iter(world.instances))
    run_state = RunState(
        "run", swapped_at=900.0, refreshed={key: "assoc-a"}, batches=1, changed_at=1001.0
    )
    assert decide(cutover(), look(world), run_state) == List()


def test_a_hop_swaps_the_role_after_a_new_listing() -> None:
    """And not where a region does not answer: its instances may use the profile."""
    world = one_running(OLD, Pending(OLD, NEW, 900, "run"), "AIPASHADOW")
    world = replace(world, temporary=temporary(NEW), shadow_history=((0.0, NEW),))
    run_state = RunState("run", asked=True, filled_at=900.0, batches=1, changed_at=1001.0)
    plan = cutover(strategy="hop")
    assert decide(plan, look(world), run_state) == List()
    unread = replace(look(world), unread={"there": "AccessDenied"})
    decision = decide(plan, unread, replace(run_state, changed_at=0.0))
    assert isinstance(decision, GiveUp)
    assert "there cannot be read" in decision.reason


def test_a_temporary_profile_that_is_not_ours_stays() -> None:
    """Whoever made a profile of that name: it is neither used nor deleted."""
    plan = cutover(strategy="hop")
    theirs = replace(
        temporary(None), marks={"temporary-of": "web", "owner": "x/web.reconciler-hop"}
    )
    world = replace(one_running(OLD, Pending(OLD, NEW, 900, "run")), temporary=theirs)
    allowed = RunState("run", asked=True, allowed=frozenset(world.instances))
    decision = decide(plan, look(world), allowed)
    assert isinstance(decision, GiveUp)
    assert "is not our temporary profile" in decision.reason
    done = replace(one_running(NEW, Settled(NEW)), temporary=theirs)
    assert decide(plan, look(done), RunState("run")) == Done()


def test_in_a_hurry_a_profile_is_given_back_before_the_old_association_is_gone() -> None:
    world = one_running(NEW, Pending(OLD, NEW, 900, "run"))
    (one,) = world.instances.values()
    world = replace(world, profile=profile(NEW, Pending(OLD, NEW, 900, "run"), (one.key,)))
    run_state = RunState(
        "run", swapped_at=900.0, away={one.key: 999.0}, taken={one.key: "assoc-a"}, stopping=True
    )
    assert isinstance(decide(cutover(), look(world), run_state), Pause)
    decision = decide(cutover(), look(world), replace(run_state, hurrying=True))
    assert isinstance(decision, Act)
    assert [c.operation for c in decision.calls] == ["AssociateIamInstanceProfile"]


@pytest.mark.parametrize(("epoch", "is_over"), [(1001, True), (899, False)])
def test_the_younger_of_two_runs_wins(epoch: int, is_over: bool) -> None:
    """Another commit began a cut-over to a third role; this one noted its own at 900."""
    world = one_running(OLD, Pending(OLD, "AROATHIRD", epoch, "other"))
    run_state = RunState("run", began_at=890.0, marked_at=900, began_with=Settled(OLD))
    decision = decide(cutover(), look(world), run_state)
    assert (
        isinstance(decision, GiveUp) and "the other run takes precedence" in decision.reason
    ) is is_over


def test_a_role_that_is_changed_again_and_again_is_given_up() -> None:
    world = one_running(OLD, Pending(OLD, NEW, 900, "run"))
    assert not isinstance(decide(cutover(), look(world), RunState("run", swaps=2)), GiveUp)
    decision = decide(cutover(), look(world), RunState("run", swaps=3))
    assert isinstance(decision, GiveUp)
    assert "swapped again 3 times" in decision.reason


@pytest.mark.parametrize("is_narrow", [False, True])
def test_a_roll_back_records_what_it_knows_of_all_regions(is_narrow: bool) -> None:
    """Instances in regions that were left out may have taken up the role that failed."""
    plan = replace(cutover(), roll_back_to=RoleRef("old", OLD), is_narrow=is_narrow)
    back = plan.reversed(NEW, frozenset())
    world = two_running(Pending(NEW, OLD, 900, "run"), OLD)
    observed = replace(look(world, back), instances={}, now=2000.0)
    decision = decide(back, observed, RunState("run", swapped_at=900.0))
    assert isinstance(decision, Act)
    keys = [tag["Key"] for tag in decision.calls[0].params["Tags"]]
    assert (f"{PREFIX}swapped" in keys) is not is_narrow
