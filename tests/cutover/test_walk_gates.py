"""The walk where batches have to prove themselves: a time that the first one stands, an alarm that
may go off whenever it is asked about, checkpoints; and a death after any call."""

from __future__ import annotations

from dataclasses import replace

import pytest

from reconciler.cutover.decisions import Decision, Done, GiveUp
from reconciler.model.checks import Verify
from reconciler.model.ownership import Failed, Pending, Settled
from tests.cutover.test_walk import STRATEGIES, ends_well, held, running
from tests.cutover.walking import ALARM, Walk, cutover, planned, took_up
from tests.cutover.world import NEW, OLD, World

BAKE = 120


def all_take_up(walk: Walk, begun: World) -> None:
    """Wherever the walk ends, it ends well."""
    walk.walk(begun)
    assert walk.ended
    for ended, decision in walk.ended:
        assert decision == Done()
        took_up(ended)


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_the_first_stands_for_its_time_whatever_run_dies(strategy: str) -> None:
    """The walk looks at every call that takes something, in every run."""
    plain = running(2)
    walk = Walk(planned(plain, cutover(strategy=strategy, bake_seconds=BAKE)), crashes=1)
    all_take_up(walk, plain)


def off(world: World) -> World:
    """The alarm is off again, and a new run knows of no answer."""
    return replace(world, alarm=False, gates=None)


def ends_though_it_rings(
    strategy: str, on_failure: str, crashes: int, bake: int = BAKE
) -> set[str]:
    plain = running(3 if crashes == 0 else 2)
    plan = cutover(strategy=strategy, on_failure=on_failure, bake_seconds=bake, checks=ALARM)
    walk = Walk(planned(plain, plan), crashes, alarms=1)
    walk.walk(plain)
    outcomes = {_outcome(plain, *ending) for ending in walk.endings}
    ends_well([off(ended) for ended, _ in walk.ended], strategy, crashes=0)
    return outcomes


def _outcome(plain: World, ended: World, decision: Decision, trail: object) -> str:
    """What became of it, and that it is whole."""
    rings, mark = ended.alarm, ended.profile.mark
    if decision == Done() and mark == Settled(NEW):
        took_up(ended)
        return "done though it rang at the end" if rings else "done"
    assert rings, decision
    if mark == Failed(NEW):
        # A run that follows one that died at the very end finds nothing to go back from.
        assert decision == Done() or "nothing was changed" in str(decision)
        assert (ended.profile.role_id, set(held(ended))) == (OLD, {OLD})
        return "rolled back"
    assert isinstance(decision, GiveUp)
    assert "the alarm errors (us-east-1) is in ALARM" in decision.reason
    if mark == Settled(OLD):
        assert (ended.instances, ended.served) == (plain.instances, plain.served)
        return "nothing was done"
    assert isinstance(mark, Pending)
    return "stopped" if held(ended).get(NEW) else "stopped before the first"


@pytest.mark.parametrize("on_failure", ["rollback", "stop"])
@pytest.mark.parametrize("strategy", STRATEGIES)
def test_an_alarm_that_goes_off_at_any_moment(strategy: str, on_failure: str) -> None:
    outcomes = ends_though_it_rings(strategy, on_failure, crashes=0)
    back = {"rolled back"} if on_failure == "rollback" else set()
    assert outcomes == {"nothing was done", "stopped before the first", "stopped", "done", *back}


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_an_alarm_that_goes_off_and_a_death(strategy: str) -> None:
    """Also of the run that rolls back, and of the one that resumes a bake time."""
    assert "rolled back" in ends_though_it_rings(strategy, "rollback", crashes=1)


@pytest.mark.parametrize("strategy", ["reassociate", "restart"])
def test_every_checkpoint_ends_one_run(strategy: str) -> None:
    plain = running(3)
    plan = planned(plain, cutover(strategy=strategy, checkpoints=(30, 60)))
    world, shares = plain, []
    while True:
        walk = Walk(planned(world, plan), crashes=0)
        walk.walk(world)
        ((world, decision),) = walk.ended
        if decision == Done():
            break
        assert isinstance(decision, GiveUp)
        assert decision.is_checkpoint
        shares.append(held(world)[NEW])
        assert not world.profile.in_flight
    took_up(world)
    assert shares == [1, 2]


@pytest.mark.parametrize("strategy", ["reassociate", "restart"])
def test_a_death_at_a_checkpoint(strategy: str) -> None:
    """Whatever was recorded by then, the next runs come to the end."""
    plain = running(2)
    plan = planned(plain, cutover(strategy=strategy, checkpoints=(50,)))
    walk = Walk(plan, crashes=1)
    walk.walk(plain)
    for ended, decision in walk.ended:
        assert decision == Done() or (isinstance(decision, GiveUp) and decision.is_checkpoint)
        again = Walk(planned(ended, plan), crashes=0)
        again.walk(ended)
        assert [d for _, d in again.ended] == [Done()]
        took_up(again.ended[0][0])


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_every_batch_is_proved_whatever_run_dies(strategy: str) -> None:
    """Nobody who was given the role is found to be served another one, in whichever run."""
    plain = running(2)
    verify = Verify(sources=("imds",), on_unknown="stop")
    walk = Walk(planned(plain, cutover(strategy=strategy, verify=verify)), crashes=1)
    all_take_up(walk, plain)


VERIFIED = Verify(sources=("imds",), on_unknown="stop")


@pytest.mark.parametrize("on_failure", ["rollback", "stop"])
@pytest.mark.parametrize("strategy", STRATEGIES)
def test_one_that_is_served_another_role(strategy: str, on_failure: str) -> None:
    """In any batch, the first of which goes back; and whoever had the role keeps it otherwise."""
    plain = running(2)
    plan = planned(plain, cutover(strategy=strategy, on_failure=on_failure, verify=VERIFIED))
    walk = Walk(plan, crashes=0, alarms=1)
    walk.walk(plain)
    outcomes = {_doubted(ended, decision) for ended, decision in walk.ended}
    is_first = "rolled back" if on_failure == "rollback" else "stopped at 1"
    assert outcomes == {"done", is_first, "stopped at 2"}
    ends_well([ended for ended, _ in walk.ended], strategy, crashes=0)


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_each_of_a_batch_counts(strategy: str) -> None:
    plain = running(3)
    plan = cutover("2", on_failure="stop", strategy=strategy, verify=VERIFIED)
    walk = Walk(planned(plain, plan), crashes=0, alarms=1)
    walk.walk(plain)
    reasons = [decision.reason for _, decision in walk.ended if isinstance(decision, GiveUp)]
    for key in plain.instances:
        assert any(key.instance in reason for reason in reasons), key


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_one_of_whom_nothing_is_known(strategy: str) -> None:
    """It says nothing about the role: nobody goes back. A run that goes on comes to the end."""
    plain = running(2)
    plan = planned(plain, cutover(strategy=strategy, verify=VERIFIED))
    walk = Walk(plan, crashes=0, alarms=1, evidence="unknown")
    walk.walk(plain)
    outcomes = {_doubted(ended, decision) for ended, decision in walk.ended}
    assert outcomes == {"done", "stopped at 1", "stopped at 2"}
    ends_well([ended for ended, _ in walk.ended], strategy, crashes=0)
    goes_on = replace(VERIFIED, on_unknown="continue")
    walk = Walk(
        planned(plain, cutover(strategy=strategy, verify=goes_on)), 0, alarms=2, evidence="unknown"
    )
    all_take_up(walk, plain)


def _doubted(ended: World, decision: Decision) -> str:
    if ended.profile.mark == Failed(NEW):
        assert decision == Done()
        assert (ended.profile.role_id, set(held(ended))) == (OLD, {OLD})
        return "rolled back"
    if decision == Done():
        took_up(ended)
        return "done"
    assert isinstance(decision, GiveUp)
    assert "served" in decision.reason
    return f"stopped at {held(ended)[NEW]}"
