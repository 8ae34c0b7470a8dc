"""Strategy ``restart``: instances are stopped and started, and nobody stays stopped."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from moto.ec2.models import ec2_backends

from reconciler.errors import RefusedError
from reconciler.executor.interrupt import Interrupt
from reconciler.exit_codes import ExitCode
from reconciler.sandbox.fault_config import Lags
from reconciler.sandbox.state import Logged
from tests.behaviour.faults import Crash, crashing, listening, refusing
from tests.rig import ACCOUNT, AWAY, HOME, Rig, rig
from tests.sampling import deaths

SPEC = """
roles: {{v1: {{trust: ec2}}, v2: {{trust: ec2}}}}
instance_profiles:
  web: {{role: {role}, cutover: {{strategy: restart, max_unavailable: {most}}}}}
"""


class Fleet:
    def __init__(self, aws: Rig) -> None:
        self.aws = aws
        aws.write(SPEC.format(role="v1", most=1))
        aws.settle()
        aws.clock.sleep(60)
        self.home = aws.launch(2, profile="web")
        self.away = aws.launch(1, region=AWAY, profile="web")
        self.idle = aws.launch(1, profile="web")
        aws.ec2().stop_instances(InstanceIds=self.idle)
        aws.clock.sleep(60)
        aws.write(SPEC.format(role="v2", most=1))

    def states(self) -> dict[str, str]:
        found = {}
        for region in (HOME, AWAY):
            for page in self.aws.ec2(region).get_paginator("describe_instances").paginate():
                for reservation in page["Reservations"]:
                    for one in reservation["Instances"]:
                        found[one["InstanceId"]] = one["State"]["Name"]
        return found

    def holds(self, role: str) -> None:
        wanted = {**dict.fromkeys((*self.home, *self.away), "running"), self.idle[0]: "stopped"}
        assert self.states() == wanted
        assert {self.aws.served(i) for i in self.home} == {role}
        assert {self.aws.served(i, AWAY) for i in self.away} == {role}
        tags = self.aws.profile_tags("web")
        assert tags["reconciler:role-id"] == self.aws.role_id(role)
        assert not [key for key in tags if "in-flight" in key]


@pytest.fixture
def fleet(tmp_path: Path) -> Iterator[Fleet]:
    lags = Lags(ec2_sees_iam=30.0, associating=5.0, disassociating=5.0, restarting=20.0)
    with rig(tmp_path, lags) as aws:
        made = Fleet(aws)
        yield made


def test_running_instances_are_restarted(fleet: Fleet) -> None:
    away: list[int] = []

    def count(_logged: Logged) -> None:
        here = ec2_backends[ACCOUNT]
        states = [i.state for r in (HOME, AWAY) for i in here[r].all_instances()]
        away.append(sum(state != "running" for state in states))

    with listening(fleet.aws.aws.before, count):
        plan = fleet.aws.settle()
    fleet.holds("v2")
    assert max(away) == 2  # one at a time, and the one that somebody stopped
    operations = {c.operation for c in fleet.aws.writes()}
    assert {"StopInstances", "StartInstances"} <= operations
    assert not operations & {"DisassociateIamInstanceProfile", "AssociateIamInstanceProfile"}
    cut = [c for c in plan.changes if c.actions == ("cutover",)]
    assert {str(c.address) for c in cut} == {f"association/{i}" for i in (*fleet.home, *fleet.away)}
    assert {c.reason for c in cut} == {"stopped and started"}
    calls = [s.action for s in plan.targets[0].steps]
    assert "StopInstances" in str(calls) and "condition='running'" in str(calls)


@pytest.mark.parametrize(("at", "after"), deaths([6, 7, 8, 9, 10], [7, 8]))
def test_a_crash_at_any_call_of_a_restart_is_resumed(fleet: Fleet, at: int, after: bool) -> None:
    with pytest.raises(Crash), crashing(fleet.aws, at, after=after):
        fleet.aws.apply()
    fleet.aws.settle()
    fleet.holds("v2")


def test_an_interrupt_starts_the_stopped_instance(fleet: Fleet) -> None:
    """It is started before we go."""
    stop = Interrupt()

    def interrupt(logged: Logged) -> None:
        if logged.operation == "StopInstances":
            stop.set()

    with listening(fleet.aws.aws.after, interrupt):
        assert fleet.aws.apply(stop).exit_code == ExitCode.INTERRUPTED
    fleet.aws.clock.sleep(30)
    assert sorted(fleet.states().values()) == ["running", "running", "running", "stopped"]
    fleet.aws.settle()
    fleet.holds("v2")


def test_an_instance_that_does_not_start_is_reported_and_retried(fleet: Fleet) -> None:
    """The canary: what was begun is rolled back, and it is started as soon as there is room."""
    with refusing(fleet.aws, "StartInstances", "InsufficientInstanceCapacity"):
        applied = fleet.aws.apply()
    assert applied.exit_code == ExitCode.PARTLY_APPLIED
    outcome = next(o for o in applied.result.outcomes if o.what == "cut-over")
    assert "InsufficientInstanceCapacity" in outcome.reason
    assert "start" in fleet.aws.profile_tags("web")["reconciler:in-flight"]
    plan = fleet.aws.plan().plan
    assert ("restore",) in [c.actions for c in plan.changes]
    fleet.aws.settle()
    fleet.holds("v2")


def _spot(aws: Rig) -> None:
    aws.ec2().run_instances(
        ImageId="ami-12c6146b",
        MinCount=1,
        MaxCount=1,
        IamInstanceProfile={"Name": "web"},
        InstanceMarketOptions={"MarketType": "spot"},
    )


def _in_a_group(aws: Rig) -> None:
    instance = aws.launch(1, profile="web")[0]
    tags = ec2_backends[ACCOUNT][HOME].tags.setdefault(instance, {})
    tags["aws:autoscaling:groupName"] = "web-asg"


@pytest.mark.parametrize(
    ("launch", "wanted"),
    [(_spot, "it is a spot instance"), (_in_a_group, "the Auto Scaling group web-asg")],
)
def test_an_instance_that_cannot_be_restarted_is_refused(
    fleet: Fleet, launch: object, wanted: str
) -> None:
    """Before anything is changed, with the place in the spec."""
    assert callable(launch)
    launch(fleet.aws)
    fleet.aws.aws.log.clear()
    with pytest.raises(RefusedError) as refused:
        fleet.aws.plan()
    found = refused.value.diagnostics[0]
    assert (found.code, found.location.line) == ("restart-refused", 4)
    assert wanted in found.message
    assert fleet.aws.writes() == []
