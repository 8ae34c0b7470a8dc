"""What a run remembers of its own calls; the walk has no call that takes long."""

from __future__ import annotations

from dataclasses import replace

from reconciler.cutover.calls import Calls
from reconciler.cutover.fleet import Fleet
from reconciler.cutover.run_state import RunState, after_own_call, ended_batch, lost
from reconciler.model.ownership import Pending
from tests.cutover.walking import cutover, instance, look, profile
from tests.cutover.world import NEW, OLD, World


def world(*, inside: str | None) -> World:
    ones = [instance(name, "running", "AIPAWEB") for name in "abcd"]
    return World(
        profile(inside, Pending(OLD, NEW, 900, "run")),
        {one.key: one for one in ones},
        {one.key: OLD for one in ones},
        ((0.0, inside),),
    )


def test_a_swap_was_when_its_call_had_ended() -> None:
    """A throttled call takes minutes; what was known of the role before it is known no more."""
    seen = look(world(inside=None))
    keys = list(seen.instances)
    before = RunState(
        "run", resumed=True, refreshed={keys[0]: "assoc-a"}, allowed=frozenset(keys), swaps=1
    )
    after = after_own_call(before, Calls(cutover(), seen).add_role("new"), seen, 1300.0)
    assert (after.swapped_at, after.changed_at, after.swaps) == (1300.0, 1300.0, 2)
    assert (after.resumed, dict(after.refreshed), after.allowed) == (False, {}, frozenset())


def test_an_association_was_when_its_call_began() -> None:
    """So that none counts as made after EC2 saw the role that was made before."""
    seen = look(world(inside=NEW))
    one = next(iter(seen.instances.values()))
    after = after_own_call(RunState("run"), Calls(cutover(), seen).associate(one.key), seen, 1300.0)
    assert dict(after.back) == {one.key: 1000.0}


def test_a_batch_with_a_failure_is_no_canary_that_went_well() -> None:
    seen = look(world(inside=NEW))
    key = next(iter(seen.instances))
    assert ended_batch(lost(RunState("run"), key, "denied"), 1.0).batches == 0
    assert ended_batch(RunState("run"), 1.0).batches == 1


def test_who_is_away_already_takes_room() -> None:
    """Half of four at a time, and one of them is without its profile; a canary is one."""
    there = world(inside=NEW)
    first, *others = there.instances.values()
    bare = {first.key: replace(first, rows=())}
    seen = look(replace(there, instances={**there.instances, **bare}))
    canary = RunState("run", away={first.key: 990.0})
    later = replace(canary, batches=1)
    assert Fleet(cutover("50%"), seen, later, True).running_among(others) == (others[0],)
    assert Fleet(cutover("50%"), seen, canary, True).running_among(others) == ()
