"""``rotate``: every consumer gets a fresh session of the role that it has, and with ``--revoke`` the
sessions that they had are denied everything."""

from __future__ import annotations

import pytest

from tests.behaviour.faults import Crash, dying
from tests.prepared import prepared
from tests.rig import ACCOUNT, AWAY, HOME, Rig

SPEC = """
roles:
  v1: {{trust: ec2}}
  v2: {{trust: ec2}}
instance_profiles:
  web: {{role: {role}, cutover: {{strategy: {strategy}}}}}
associations:
  fleet: {{instance_profile: web, select: {{tags: {{app: web}}}}}}
"""


def spec(role: str = "v1", strategy: str = "reassociate") -> str:
    return SPEC.format(role=role, strategy=strategy)


@pytest.fixture
@prepared
def settled(aws: Rig) -> Rig:
    aws.launch(2, tags={"app": "web"})
    aws.launch(1, tags={"app": "web"}, region=AWAY)
    aws.write(spec())
    aws.settle()
    aws.clock.sleep(3600)
    return aws


def issued(aws: Rig) -> dict[str, float]:
    """When the session of each running instance was issued."""
    found = {}
    for region in (HOME, AWAY):
        for instance in aws.instance_ids(region):
            aws.served(instance, region)
            session = aws.aws.sessions.now((ACCOUNT, region, instance))
            assert session is not None
            found[instance] = session.issued_at
    return found


@pytest.mark.parametrize("address", ["instance-profile/web", "role/v1"])
@pytest.mark.parametrize("strategy", ["reassociate", "hop", "restart"])
def test_every_consumer_gets_a_fresh_session(settled: Rig, address: str, strategy: str) -> None:
    settled.write(spec(strategy=strategy))
    began = settled.clock.now()
    plan = settled.settle(rotate=(address,))
    assert len([c for c in plan.changes if c.actions == ("cutover",)]) == 3
    assert all(at > began for at in issued(settled).values())
    assert settled.plan().plan.is_empty
    assert settled.plan(rotate=(address,), rotation="rest").plan.is_empty


def test_nothing_else_is_done(settled: Rig) -> None:
    settled.write(spec("v2"))
    settled.settle(rotate=("instance-profile/web",))
    assert settled.role_in("web") == "v1"
    assert not settled.plan().plan.is_empty


@pytest.mark.parametrize("by", ["apply", "rotate"])
def test_a_rotation_that_dies_is_finished_and_does_nothing_twice(settled: Rig, by: str) -> None:
    began = settled.clock.now()
    with dying(settled, "CreateTags"), pytest.raises(Crash):
        settled.apply(rotate=("instance-profile/web",))
    done = {i: at for i, at in issued(settled).items() if at > began}
    assert len(done) == 1
    settled.settle(**({"rotate": ("instance-profile/web",)} if by == "rotate" else {}))
    after = issued(settled)
    assert all(at > began for at in after.values())
    assert {i: after[i] for i in done} == done
    assert settled.plan().plan.is_empty


def test_the_strategy_wait_is_refused(settled: Rig) -> None:
    settled.write(spec(strategy="wait"))
    (guard,) = settled.plan(rotate=("instance-profile/web",)).plan.guards
    assert guard.key == "rotate"
    assert "strategy wait" in guard.reason


def test_a_cut_over_that_is_not_finished_comes_first(settled: Rig) -> None:
    settled.write(spec("v2"))
    with dying(settled, "DisassociateIamInstanceProfile"), pytest.raises(Crash):
        settled.apply()
    (guard,) = settled.plan(rotate=("instance-profile/web",)).plan.guards
    assert (guard.key, guard.lift) == ("rotate", "Apply first, so that it ends")
