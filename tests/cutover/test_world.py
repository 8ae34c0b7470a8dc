"""What the product foresees of AWS (``simulate``) is what the world of the walk does."""

from __future__ import annotations

from dataclasses import replace

import pytest

from reconciler.cutover.calls import Calls
from reconciler.model.ownership import Pending, Settled
from reconciler.plan.cut_over import RoleRef
from tests.cutover.walking import (
    Walk,
    cutover,
    happened,
    look,
    profile,
    world_of,
    worlds_with_shadow,
)
from tests.cutover.world import NEW, OLD, OPERATIONS, World

STRATEGIES = ("reassociate", "hop", "restart")


def test_every_call_of_a_cut_over_is_compared() -> None:
    """The walk compares each as it is made; here, that it meets them all."""
    met: set[str] = set()
    plain = world_of(OLD, Settled(OLD), (("running", "AIPAWEB"), ("running", "AIPAOLD")))
    for strategy in STRATEGIES:
        for world in (plain, *list(worlds_with_shadow(1))[::7]):
            plan = replace(cutover(strategy=strategy), releases=("old",))
            walk = Walk(plan, crashes=0)
            walk.walk(world)
            met |= walk.operations
    assert met == OPERATIONS


@pytest.mark.parametrize("name", ["web-role", "WEB-ROLE"])
def test_a_role_that_was_made_again_has_its_own_id(name: str) -> None:
    """Before and after have one name, of which IAM ignores the case; only the new one is there."""
    again = replace(
        cutover(),
        before=RoleRef("web-role", OLD),
        after=RoleRef(name, NEW),
        half="second",
    )
    world = World(profile(None, Pending(OLD, NEW, 900, "run")), {}, {}, ((0.0, None),))
    world = replace(world, roles={name: NEW})
    after = happened(world, Calls(again, look(world, again)).add_role(name), again)
    assert after.profile.role_id == NEW


def test_the_role_before_is_put_back_with_its_own_id() -> None:
    """As a refused swap does."""
    world = World(profile(None, Pending(OLD, NEW, 900, "run")), {}, {}, ((0.0, None),))
    after = happened(world, Calls(cutover(), look(world, cutover())).add_role("old"), cutover())
    assert after.profile.role_id == OLD
