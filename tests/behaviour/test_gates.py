"""What holds a roll-out up: the time that the first batch stands, checkpoints, and what is watched
meanwhile."""

from __future__ import annotations

import pytest

from reconciler.executor.interrupt import Interrupt
from reconciler.plan.calls import Wait
from reconciler.plan.changes import CutOverInstance
from reconciler.sandbox.state import Logged
from tests.behaviour.faults import Crash, crashing, listening, refusing
from tests.prepared import prepared
from tests.rig import HOME, Rig
from tests.sampling import deaths

SPEC = """
roles:
  v1: {{trust: ec2}}
  v2: {{trust: ec2}}
instance_profiles:
  web:
    role: {role}
    cutover: {{{more}}}
associations:
  fleet:
    instance_profile: web
    select: {{tags: {{app: web}}}}
"""
BAKE = 300


def spec(role: str, more: str = "bake: 5m") -> str:
    return SPEC.format(role=role, more=more)


class Fleet:
    def __init__(self, aws: Rig, count: int) -> None:
        self.aws = aws
        self.ids = sorted(aws.launch(count, tags={"app": "web"}))
        aws.write(spec("v1"))
        aws.settle()

    def with_role(self, role: str) -> int:
        return sum(self.aws.served(one, HOME) == role for one in self.ids)

    def wants(self, more: str) -> None:
        self.aws.write(spec("v2", more))


def times(aws: Rig, operation: str) -> list[float]:
    return [one.at for one in aws.aws.log if one.operation == operation]


@prepared
def fleet_of(aws: Rig, count: int) -> Fleet:
    return Fleet(aws, count)


def test_the_canary_stands_for_its_time(aws: Rig) -> None:
    fleet = fleet_of(aws, 3)
    fleet.wants("bake: 5m")
    plan = aws.settle()
    first, second, third = times(aws, "DisassociateIamInstanceProfile")
    assert second - first >= BAKE
    assert third - second < BAKE
    assert fleet.with_role("v2") == 3
    waits = [s.action for s in plan.targets[0].steps if isinstance(s.action, Wait)]
    assert [w.seconds for w in waits if w.condition == "baked"] == [BAKE]


@pytest.mark.parametrize("strategy", ["reassociate", "hop", "restart"])
def test_also_the_only_instance_stands_for_its_time(aws: Rig, strategy: str) -> None:
    fleet = fleet_of(aws, 1)
    fleet.wants(f"strategy: {strategy}, bake: 5m")
    began = aws.clock.now()
    aws.settle()
    assert aws.clock.now() - began >= BAKE
    assert fleet.with_role("v2") == 1


def ends_in(aws: Rig, seconds: float, monkeypatch: pytest.MonkeyPatch) -> Interrupt:
    """An interrupt so long after the first instance was taken its profile."""
    stop, sleep = Interrupt(), aws.clock.sleep

    def watched(pause: float) -> None:
        sleep(pause)
        taken = times(aws, "DisassociateIamInstanceProfile")
        if taken and aws.clock.now() >= taken[0] + seconds:
            stop.set()

    monkeypatch.setattr(aws.clock, "sleep", watched)
    return stop


def test_a_run_that_ended_meanwhile_is_followed_by_one_that_waits_in_full(
    aws: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    fleet = fleet_of(aws, 3)
    fleet.wants("bake: 5m")
    stop = ends_in(aws, 100, monkeypatch)
    applied = aws.apply(stop)
    monkeypatch.undo()
    assert applied.exit_code == 130
    assert fleet.with_role("v2") == 1
    again = aws.clock.now()
    aws.settle()
    _, second, _ = times(aws, "DisassociateIamInstanceProfile")
    assert second - again >= BAKE
    assert fleet.with_role("v2") == 3


def test_a_run_that_ended_afterwards_is_followed_by_one_that_does_not_wait_again(
    aws: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The profile names the instances of the second batch."""
    fleet_of(aws, 4).wants("bake: 5m")
    stop = Interrupt()

    def listen(logged: Logged) -> None:
        if len(times(aws, "DisassociateIamInstanceProfile")) == 2:
            stop.set()

    with listening(aws.aws.after, listen):
        assert aws.apply(stop).exit_code == 130
    again = aws.clock.now()
    aws.settle()
    assert times(aws, "DisassociateIamInstanceProfile")[2] - again < BAKE


@pytest.mark.parametrize(("at", "after"), deaths(range(1, 16), [4, 6, 7, 8, 9]))
def test_a_death_anywhere_skips_no_time(aws: Rig, at: int, after: bool) -> None:
    """The next run may wait again, and never less; the walk has every strategy."""
    fleet = fleet_of(aws, 2)
    fleet.wants("bake: 5m")
    began = len(aws.aws.log)
    with crashing(aws, at, after=after), pytest.raises(Crash):
        aws.apply()
    aws.settle()
    assert fleet.with_role("v2") == 2
    taken: dict[str, float] = {}
    for one in aws.aws.log[began:]:
        if one.operation == "AssociateIamInstanceProfile" and not one.is_dry_run:
            taken.setdefault(one.params["InstanceId"], one.at)
    first, second = sorted(taken.values())[-2:]
    assert second - first >= BAKE


CHECKPOINTS = "max_unavailable: 2, checkpoints: [20%, 50%]"


def test_an_apply_ends_at_each_checkpoint_once(aws: Rig) -> None:
    fleet = fleet_of(aws, 10)
    fleet.wants(CHECKPOINTS)
    for with_role, checkpoint in ((3, 20), (5, 50)):
        applied = aws.apply()
        assert applied.exit_code == 3
        (ended,) = [o for o in applied.result.outcomes if o.status != "applied"]
        assert ended.status == "skipped"
        assert f"the checkpoint of {checkpoint}% is reached: {with_role} of 10" in ended.reason
        assert ended.advice == "apply again to go on"
        assert fleet.with_role("v2") == with_role
        tags = aws.profile_tags("web")
        assert tags["reconciler:role-id"].startswith("pending/")
        assert tags["reconciler:swapped"].endswith(f"/{checkpoint}")
        assert "reconciler:in-flight" not in tags
        told = [c.reason for c in aws.plan().plan.targets[0].changes if c.consumers]
        assert told and told[0] and f"ended at the checkpoint of {checkpoint}%" in told[0]
        assert {f.status for f in aws.drift().findings} == {"in_progress"}
    applied = aws.apply()
    assert applied.exit_code == 0
    assert fleet.with_role("v2") == 10
    assert applied.left is not None and applied.left.is_empty


def test_a_checkpoint_is_passed_also_where_instances_cannot_be_tagged(aws: Rig) -> None:
    fleet = fleet_of(aws, 4)
    fleet.wants("checkpoints: [25%, 50%]")
    with refusing(aws, "CreateTags", "UnauthorizedOperation"):
        codes = [int(aws.apply().exit_code) for _ in range(3)]
    assert codes == [3, 3, 0]
    assert fleet.with_role("v2") == 4


def test_a_plan_shows_all_of_the_roll_out(aws: Rig) -> None:
    """What comes after the checkpoint is approved with it."""
    fleet = fleet_of(aws, 4)
    fleet.wants("checkpoints: [25%]")
    plan = aws.plan().plan
    assert len([c for c in plan.targets[0].changes if isinstance(c, CutOverInstance)]) == 4
