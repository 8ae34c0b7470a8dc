"""The pure function of the cut-over, walked through every state of small worlds: two roles, every
mark, every state of the consumers; a death after any call, and a human who acts in between.

From each it ends in *done*, or in a failure that is told; no call ever leaves an instance without a
way back, and no hop leaves one without credentials. ``make sweep`` walks three consumers.
"""

from __future__ import annotations

from collections.abc import Iterable

import pytest

from reconciler.cutover.decisions import Done, GiveUp
from reconciler.model.ownership import Failed, Settled
from tests.cutover.walking import (
    NEW,
    OLD,
    Walk,
    World,
    cutover,
    planned,
    took_up,
    world_of,
    worlds,
    worlds_with_shadow,
)

TWO, THREE = list(worlds(2)), list(worlds(3))
SHADOWED = list(worlds_with_shadow(2))
STRATEGIES = ("reassociate", "hop", "restart")


def ends_well(some: Iterable[World], strategy: str, most: str = "1", crashes: int = 1) -> None:
    for world in some:
        walk = Walk(cutover(most, strategy=strategy), crashes)
        walk.walk(world)
        assert walk.ended
        for ended, decision in walk.ended:
            assert decision == Done()
            took_up(ended)


def ends_well_though(some: Iterable[World], strategy: str, crashes: int = 0) -> None:
    """A human acts once, anywhere. The run ends, one way or another, and the next ends well."""
    for world in some:
        mark = world.profile.mark
        if (
            isinstance(mark, Settled)
            and mark.role_id != world.profile.role_id
            and mark.role_id == NEW
        ):
            continue  # a human swapped the role before; who swaps it back would be the second
        walk = Walk(cutover(strategy=strategy), crashes, humans=1)
        walk.walk(world)
        assert all(decision.reason for _, decision in walk.ended if isinstance(decision, GiveUp))
        for ended in {ended.key(): ended for ended, _ in walk.ended}.values():
            ends_well([ended], strategy, crashes=0)


@pytest.mark.parametrize("strategy", STRATEGIES)
@pytest.mark.parametrize("part", range(4))
def test_two_consumers_and_one_death(strategy: str, part: int) -> None:
    ends_well(TWO[part::4], strategy)


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_half_the_fleet_at_a_time_and_two_deaths(strategy: str) -> None:
    ends_well(TWO[:: len(TWO) // 12], strategy, "50%", crashes=2)


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_a_hop_that_died_is_gone_on_with(strategy: str) -> None:
    """Whatever the strategy is now: whoever is on the shadow comes home."""
    ends_well(SHADOWED[::8], strategy)


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_a_human_acts_in_between(strategy: str) -> None:
    ends_well_though(TWO[::12], strategy)
    ends_well_though(SHADOWED[::40], strategy)


def ends_though_refused(some: Iterable[World], strategy: str, crashes: int = 0) -> None:
    """EC2 refuses one call, anywhere. Nobody who was only asked loses anything; what is marked as
    failed is held by nobody; and when nothing is refused any more, the next run ends well."""
    for world in some:
        plan = planned(world, cutover(strategy=strategy))
        walk = Walk(plan, crashes, refusals=1)
        walk.walk(world)
        for ended in {ended.key(): ended for ended, _ in walk.ended}.values():
            mark = ended.profile.mark
            if isinstance(mark, Failed) and mark != world.profile.mark:
                assert ended.profile.role_id == OLD
                running = [k for k, i in ended.instances.items() if i.state == "running"]
                assert not [k for k in running if ended.served[k] == mark.role_id]
            ends_well([ended], strategy, crashes=0)


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_one_call_is_refused(strategy: str) -> None:
    ends_though_refused(TWO[::5], strategy)
    ends_though_refused(SHADOWED[::50], strategy)


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_a_death_and_a_refusal(strategy: str) -> None:
    """Also a resumed run that meets a refusal."""
    plain = world_of(OLD, Settled(OLD), (("running", "AIPAWEB"), ("running", "AIPAWEB")))
    ends_though_refused([plain, *TWO[::17]], strategy, crashes=1)


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_a_canary_is_rolled_back_and_nobody_else_is_touched(strategy: str) -> None:
    plain = world_of(OLD, Settled(OLD), (("running", "AIPAWEB"), ("running", "AIPAWEB")))
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
