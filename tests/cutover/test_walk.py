"""The pure function of the cut-over, walked through every state of small worlds: two roles, every
mark, every state of the consumers; a death after any call, and a human who acts in between.

From each it ends in *done*, or in a failure that is told; no call ever leaves an instance without a
way back, and no hop leaves one without credentials. ``make sweep`` walks three consumers.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import pytest

from reconciler.cutover.decisions import Done, GiveUp
from reconciler.model.ownership import Failed, Pending, RoleMark, Settled
from reconciler.plan.cut_over import CutOver, RoleRef
from tests.cutover.walking import (
    Walk,
    cutover,
    planned,
    took_up,
    world_of,
    worlds,
    worlds_with_shadow,
)
from tests.cutover.world import NEW, OLD, World
from tests.sampling import sampled

TWO, THREE = list(worlds(2)), list(worlds(3))
SHADOWED = list(worlds_with_shadow(2))
STRATEGIES = ("reassociate", "hop", "restart")


def ends_well(
    some: Iterable[World],
    strategy: str,
    most: str = "1",
    crashes: int = 1,
    pause: int = 0,
    observed: dict[object, int] | None = None,
) -> None:
    """``observed`` is where walks of the same kind have been."""
    observed = {} if observed is None else observed
    for world in some:
        plan = cutover(most, strategy=strategy, pause=pause)
        walk = Walk(plan, crashes, observed=observed)
        walk.walk(world)
        assert walk.ended or walk.joins
        for ended, decision in walk.ended:
            assert decision == Done()
            took_up(ended)


def ends_well_though(some: Iterable[World], strategy: str, crashes: int = 0) -> None:
    """A human acts once, anywhere. The run ends, one way or another, and the next ends well."""
    observed: dict[object, int] = {}
    followed: dict[object, int] = {}
    for world in some:
        mark = world.profile.mark
        if (
            isinstance(mark, Settled)
            and mark.role_id != world.profile.role_id
            and mark.role_id == NEW
        ):
            continue  # a human swapped the role before; who swaps it back would be the second
        walk = Walk(cutover(strategy=strategy), crashes, humans=1, observed=observed)
        walk.walk(world)
        assert all(decision.reason for _, decision in walk.ended if isinstance(decision, GiveUp))
        ends_well([ended for ended, _ in walk.ended], strategy, crashes=0, observed=followed)


@pytest.mark.parametrize("strategy", STRATEGIES)
@pytest.mark.parametrize("part", sampled([0], [1, 2, 3]))
def test_two_consumers_and_one_death(strategy: str, part: int) -> None:
    ends_well(TWO[part::4], strategy)


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_half_the_fleet_at_a_time_and_two_deaths(strategy: str) -> None:
    ends_well(TWO[:: len(TWO) // 4], strategy, "50%", crashes=2)


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_a_hop_that_died_is_gone_on_with(strategy: str) -> None:
    """Whatever the strategy is now: whoever is on the shadow comes home."""
    ends_well(SHADOWED[::11], strategy)


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_a_human_acts_in_between(strategy: str) -> None:
    ends_well_though(TWO[::15], strategy)
    ends_well_though(SHADOWED[::70], strategy)


def ends_though_refused(some: Iterable[World], strategy: str, crashes: int = 0) -> None:
    """EC2 refuses one call, anywhere. Nobody who was only asked loses anything; what is marked as
    failed is held by nobody; and when nothing is refused any more, the next run ends well."""
    observed: dict[object, int] = {}
    followed: dict[object, int] = {}
    for world in some:
        plan = planned(world, cutover(strategy=strategy))
        walk = Walk(plan, crashes, refusals=1, observed=observed)
        walk.walk(world)
        assert walk.ended or walk.joins
        for ended, _ in walk.ended:
            if ended.profile.mark == Failed(NEW):
                assert ended.profile.role_id == OLD
                assert NEW not in held(ended)
                # What the roll-back recorded is so: a later run believes it and touches nothing.
                assert ended.profile.left_with == OLD
                assert set(held(ended)) <= {OLD}
        ends_well([ended for ended, _ in walk.ended], strategy, crashes=0, observed=followed)


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_one_call_is_refused(strategy: str) -> None:
    ends_though_refused(TWO[::9], strategy)
    ends_though_refused(SHADOWED[::50], strategy)


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_a_death_and_a_refusal(strategy: str) -> None:
    """Also a resumed run that meets a refusal."""
    plain = world_of(OLD, Settled(OLD), (("running", "AIPAWEB"), ("running", "AIPAWEB")))
    ends_though_refused([plain, *TWO[::23]], strategy, crashes=1)


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_a_death_and_a_refusal_after_somebody_put_the_old_role_back(strategy: str) -> None:
    """All held the new role: no run, and no run that resumes one, may say that nobody does."""
    ends_though_refused(
        [world_of(OLD, Settled(NEW), (("running", "AIPAWEB"),) * 2)], strategy, crashes=1
    )


def running(count: int) -> World:
    """So many instances that hold the old role, and nothing is under way."""
    return world_of(OLD, Settled(OLD), (("running", "AIPAWEB"),) * count)


def held(world: World) -> dict[str | None, int]:
    """How many running instances are served each role."""
    found = [world.served[key] for key, one in world.instances.items() if one.state == "running"]
    return {role: found.count(role) for role in found}


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_a_canary_is_rolled_back_and_nobody_else_is_touched(strategy: str) -> None:
    plain = running(2)
    walk = Walk(planned(plain, cutover(strategy=strategy)), 0, refusals=1)
    walk.walk(plain)
    marks = {ended.profile.marks["role-id"].partition("/")[0] for ended, _ in walk.ended}
    assert marks >= {"failed", OLD}
    for ended, decision in walk.ended:
        if isinstance(ended.profile.mark, Failed):
            kept = [k for k, i in ended.instances.items() if i.rows == plain.instances[k].rows]
            assert kept, decision
        if ended.profile.mark == Settled(OLD):
            assert ended.instances == plain.instances
            assert isinstance(decision, GiveUp)


@pytest.mark.parametrize("on_failure", ["rollback", "stop"])
@pytest.mark.parametrize("strategy", STRATEGIES)
def test_the_canary_is_rolled_back_and_a_later_failure_stops(
    strategy: str, on_failure: str
) -> None:
    """One at a time: whoever holds the new role when a call is refused is a batch that went well."""
    plain = running(3)
    plan = cutover(strategy=strategy, on_failure=on_failure)
    walk = Walk(planned(plain, plan), 0, refusals=1)
    walk.walk(plain)
    outcomes = set()
    for ended, decision, trail in walk.endings:
        if trail.refused is None:
            continue
        has_begun, brought = trail.refused
        if not has_begun:
            outcomes.add("nothing was done")
            assert (ended.instances, ended.served) == (plain.instances, plain.served)
            assert ended.profile.mark == Settled(OLD)
        elif brought == 0 and on_failure == "rollback":
            outcomes.add("rolled back")
            assert decision == Done()
            assert ended.profile.mark == Failed(NEW)
            assert (ended.profile.role_id, held(ended)) == (OLD, {OLD: 3})
        else:
            outcomes.add("stopped" if brought else "stopped at the canary")
            assert isinstance(decision, GiveUp)
            assert isinstance(ended.profile.mark, Pending)
            assert held(ended).get(NEW, 0) == brought
    canary = "rolled back" if on_failure == "rollback" else "stopped at the canary"
    assert outcomes == {"nothing was done", canary, "stopped"}


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_between_two_batches_is_the_pause(strategy: str) -> None:
    """The walk looks that it is honoured on every way; here, that there is one, and not more."""
    pause = 90
    plan = cutover(strategy=strategy, pause=pause)
    walk = Walk(plan, 0)
    walk.walk(running(3))
    hasty = Walk(cutover(strategy=strategy), 0)
    hasty.walk(running(3))
    ((rested, _),), ((ended, _),) = walk.ended, hasty.ended
    # A hop goes out and comes home; between the two it waits for EC2 already.
    least, most = (4, 5) if strategy == "hop" else (2, 2)
    assert least * (pause - 10) < rested.now - ended.now <= most * pause
    ends_well(TWO[:: len(TWO) // 6], strategy, crashes=1, pause=pause)
    ends_well([running(3)], strategy, crashes=1, pause=pause)


@pytest.mark.parametrize("skew", [299.0, -299.0])
@pytest.mark.parametrize("strategy", STRATEGIES)
def test_a_launch_while_the_clocks_differ(strategy: str, skew: float) -> None:
    """AWS takes no request whose time is 300 s from its own, so its clock may be ahead by less. An
    instance that was launched before EC2 saw the new role holds the old one, whatever its launch
    time says."""
    ends_well_though([replace(running(1), skew=skew)], strategy)


@pytest.mark.slow
@pytest.mark.parametrize("strategy", STRATEGIES)
@pytest.mark.parametrize("part", range(8))
def test_every_call_is_refused_once(strategy: str, part: int) -> None:
    ends_though_refused(TWO[part::8], strategy, crashes=1)
    ends_though_refused(THREE[part::16], strategy)
    ends_though_refused(SHADOWED[part::32], strategy)


@pytest.mark.slow
@pytest.mark.parametrize("strategy", STRATEGIES)
@pytest.mark.parametrize("part", range(8))
def test_three_consumers_and_one_death(strategy: str, part: int) -> None:
    ends_well(THREE[part::8], strategy)


@pytest.mark.slow
@pytest.mark.parametrize("strategy", STRATEGIES)
@pytest.mark.parametrize("part", range(8))
def test_every_hop_that_died(strategy: str, part: int) -> None:
    ends_well(SHADOWED[part::8], strategy)
    ends_well(list(worlds_with_shadow(3))[part::32], strategy)


@pytest.mark.slow
@pytest.mark.parametrize("strategy", STRATEGIES)
@pytest.mark.parametrize("part", range(8))
def test_a_human_and_a_death(strategy: str, part: int) -> None:
    ends_well_though(TWO[part::8], strategy, crashes=1)
    ends_well_though(THREE[part::8], strategy)
    ends_well_though(SHADOWED[part::8], strategy)


def rotation(strategy: str, most: str = "1") -> CutOver:
    """To the role that is inside: nobody knows of a fresh session, and there is none to go back to."""
    return replace(cutover(most, strategy=strategy), before=RoleRef("new", NEW), roll_back_to=None)


def to_rotate(mark: RoleMark, count: int, *, stopped: bool = False) -> World:
    """Instances that are served the role by sessions of before."""
    states = (("running", "AIPAWEB"),) * count + ((("stopped", "AIPAWEB"),) if stopped else ())
    made = world_of(NEW, mark, states)
    served = {k: NEW if i.state == "running" else None for k, i in made.instances.items()}
    return replace(made, served=served, history=((0.0, NEW),))


def is_fresh(before: World, after: World) -> bool:
    """Whether each running instance was associated, or started, anew."""
    running = [k for k, i in before.instances.items() if i.state == "running"]
    return all(
        after.instances[k].rows != before.instances[k].rows
        or after.instances[k].launched_at > before.instances[k].launched_at
        for k in running
        if not after.instances[k].is_gone
    )


@pytest.mark.parametrize("strategy", STRATEGIES)
@pytest.mark.parametrize("mark", [Settled("-"), Pending("-", NEW, 900, "dead")])
def test_a_rotation_and_two_deaths(strategy: str, mark: RoleMark) -> None:
    for start in (to_rotate(mark, 2), to_rotate(mark, 1, stopped=True)):
        walk = Walk(rotation(strategy), crashes=2)
        walk.walk(start)
        assert walk.ended
        for ended, decision in walk.ended:
            assert decision == Done()
            took_up(ended)
            assert is_fresh(start, ended)


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_a_rotation_that_dies_takes_nothing_twice(strategy: str) -> None:
    """An instance that is noted to be done is not touched by the run that goes on."""
    start = to_rotate(Pending("-", NEW, 900, "dead"), 2)
    done, *_ = sorted(start.instances)
    noted = replace(start.instances[done], marks={"holds": f"{NEW}/assoc-a"})
    start = replace(start, instances={**start.instances, done: noted})
    walk = Walk(rotation(strategy), crashes=1)
    walk.walk(start)
    for ended, decision in walk.ended:
        assert decision == Done()
        assert ended.instances[done].rows == noted.rows
        assert ended.instances[done].launched_at == noted.launched_at


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_a_rotation_that_is_refused_goes_back_to_nothing(strategy: str) -> None:
    start = to_rotate(Settled("-"), 2)
    walk = Walk(rotation(strategy), 0, refusals=1)
    walk.walk(start)
    for ended, _ in walk.ended:
        assert ended.profile.role_id == NEW
        assert not isinstance(ended.profile.mark, Failed)
        assert set(held(ended)) <= {NEW, None}
