"""What holds a roll-out up: the time that the first batch stands, checkpoints, and what is watched
meanwhile."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from reconciler.aws import cloudtrail as trail
from reconciler.executor.interrupt import Interrupt
from reconciler.plan.calls import Wait
from reconciler.plan.changes import CutOverInstance
from reconciler.sandbox import cloudtrail
from reconciler.sandbox.sessions import Used
from reconciler.sandbox.state import Alarm, App, Logged, Target
from tests.behaviour.faults import Crash, crashing, listening, refusing
from tests.prepared import prepared
from tests.rig import ACCOUNT, AWAY, HOME, Rig
from tests.sampling import deaths, sampled

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


def test_a_run_that_lets_its_canary_stand_is_not_taken_for_dead(
    aws: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It writes nothing for longer than the ten minutes after which others are."""
    fleet = fleet_of(aws, 3)
    fleet.wants("bake: 30m")
    stop = ends_in(aws, 1200, monkeypatch)
    assert aws.apply(stop).exit_code == 130
    monkeypatch.undo()
    for later, told in ((0, "may still be watching its first batch"), (1200, "run died")):
        aws.clock.sleep(later)
        (change,) = [c for c in aws.plan().plan.targets[0].changes if c.consumers]
        assert told in (change.reason or "")
        severities = {f.severity for f in aws.drift().findings}
        assert ("critical" in severities) == bool(later)


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


GROUP = "arn:aws:elasticloadbalancing:us-east-1:123456789012:targetgroup/web/0123456789abcdef"
SECRET = "arn:aws:secretsmanager:us-east-1:123456789012:secret:db"
WATCHED = "bake: 10m, checks: {alarms: [errors]}"


def alarm(aws: Rig, state: str, role: str | None = None, *, composite: bool = False) -> None:
    aws.aws.alarms[ACCOUNT, HOME, "errors"] = Alarm(state, composite, role)


def is_untouched(fleet: Fleet) -> bool:
    """Nobody has lost anything, and the profile is as it was."""
    aws, tags = fleet.aws, fleet.aws.profile_tags("web")
    is_settled = tags["reconciler:role-id"] == aws.role_id("v1")
    return is_settled and aws.role_in("web") == "v1" and fleet.with_role("v1") == len(fleet.ids)


@pytest.mark.parametrize("composite", [False, True])
def test_an_alarm_that_rings_before_the_start_is_refused(aws: Rig, composite: bool) -> None:
    fleet = fleet_of(aws, 2)
    fleet.wants(WATCHED)
    alarm(aws, "ALARM", composite=composite)
    before = len(aws.writes())
    applied = aws.apply()
    assert applied.exit_code == 3
    (failed,) = [o for o in applied.result.outcomes if o.status == "failed"]
    assert "the alarm errors (us-east-1) is in ALARM" in failed.reason
    assert "nothing was changed" in failed.reason
    assert is_untouched(fleet)
    assert not aws.writes()[before:]
    alarm(aws, "OK")
    aws.settle()
    assert fleet.with_role("v2") == 2


def test_an_alarm_that_does_not_exist_is_refused(aws: Rig) -> None:
    fleet = fleet_of(aws, 2)
    fleet.wants(WATCHED)
    (failed,) = [o for o in aws.apply().result.outcomes if o.status == "failed"]
    assert "the alarm errors does not exist in eu-west-1, us-east-1" in failed.reason
    assert failed.advice == "correct cutover.checks in the specs, then apply again"
    assert is_untouched(fleet)


DENIED_READS = {
    "cloudwatch:DescribeAlarms": "alarms: [errors]",
    "elasticloadbalancing:DescribeTargetHealth": f"target_groups: ['{GROUP}']",
    "cloudtrail:LookupEvents": "denied: {max: 0, window: 5m}",
}


@pytest.mark.parametrize("action", sampled(["cloudwatch:DescribeAlarms"], [*DENIED_READS][1:]))
def test_what_cannot_be_read_is_refused_with_the_permission(aws: Rig, action: str) -> None:
    fleet = fleet_of(aws, 2)
    fleet.wants(f"bake: 10m, checks: {{{DENIED_READS[action]}}}")
    alarm(aws, "OK")
    target(aws, fleet.ids[0], "healthy")
    aws.aws.chaos = replace(aws.aws.chaos, denied=frozenset({action}))
    (failed,) = [o for o in aws.apply().result.outcomes if o.status == "failed"]
    # CloudTrail answers in JSON, where the code has another ending.
    code = "AccessDeniedException" if action.startswith("cloudtrail:") else "AccessDenied"
    told = f": {code}: User: sandbox is not authorized to perform: {action}"
    assert told in failed.reason
    # An alarm that is given by its name is looked for in both of the target's regions.
    region = AWAY if action == "cloudwatch:DescribeAlarms" else HOME
    assert (
        failed.advice == f"grant the calling identity {action} on * in {region}, then apply again"
    )
    assert is_untouched(fleet)


def test_an_alarm_during_the_bake_time_rolls_back(aws: Rig) -> None:
    fleet = fleet_of(aws, 3)
    fleet.wants(WATCHED)
    alarm(aws, "ALARM", "v2")
    began = len(aws.aws.log)
    applied = aws.apply()
    assert applied.exit_code == 3
    (failed,) = [o for o in applied.result.outcomes if o.status == "failed"]
    assert "the alarm errors (us-east-1) is in ALARM" in failed.reason
    assert "rolled back" in failed.reason
    assert aws.profile_tags("web")["reconciler:role-id"].startswith("failed/")
    assert fleet.with_role("v1") == 3
    assert len(given(aws, began)) == 1


def given(aws: Rig, began: int) -> set[str]:
    """Instances that got their profile back since then, which is a place in the log."""
    return {
        one.params["InstanceId"]
        for one in aws.aws.log[began:]
        if one.operation == "AssociateIamInstanceProfile" and not one.is_dry_run
    }


def test_an_alarm_after_the_first_batch_stops(aws: Rig) -> None:
    """What works is left as it is, and the next apply goes on once the alarm is off."""
    fleet = fleet_of(aws, 4)
    fleet.wants("max_unavailable: 1, pause: 60s, checks: {alarms: [errors]}")
    alarm(aws, "OK")

    def listen(logged: Logged) -> None:
        if len(times(aws, "DisassociateIamInstanceProfile")) == 2:
            alarm(aws, "ALARM")

    with listening(aws.aws.after, listen):
        applied = aws.apply()
    assert applied.exit_code == 3
    (failed,) = [o for o in applied.result.outcomes if o.status == "failed"]
    assert failed.reason.startswith("the alarm errors (us-east-1) is in ALARM")
    assert fleet.with_role("v2") == 2
    assert aws.profile_tags("web")["reconciler:role-id"].startswith("pending/")
    stopped = aws.apply()
    assert stopped.exit_code == 3
    assert fleet.with_role("v2") == 2
    alarm(aws, "OK")
    aws.settle()
    assert fleet.with_role("v2") == 4


def test_on_failure_stop_leaves_the_canary(aws: Rig) -> None:
    fleet = fleet_of(aws, 2)
    fleet.wants(f"on_failure: stop, {WATCHED}")
    alarm(aws, "ALARM", "v2")
    assert aws.apply().exit_code == 3
    assert (fleet.with_role("v2"), fleet.with_role("v1")) == (1, 1)


def test_a_gate_that_can_no_longer_be_read_stops_and_rolls_nothing_back(aws: Rig) -> None:
    fleet = fleet_of(aws, 2)
    fleet.wants(WATCHED)
    alarm(aws, "OK")

    def listen(logged: Logged) -> None:
        if logged.operation == "DisassociateIamInstanceProfile":
            aws.aws.chaos = replace(aws.aws.chaos, denied=frozenset({"cloudwatch:DescribeAlarms"}))

    with listening(aws.aws.after, listen):
        applied = aws.apply()
    (failed,) = [o for o in applied.result.outcomes if o.status == "failed"]
    assert "is not authorized to perform: cloudwatch:DescribeAlarms" in failed.reason
    assert "no further batch begins" in failed.reason
    assert fleet.with_role("v2") == 1
    aws.aws.chaos = replace(aws.aws.chaos, denied=frozenset())
    aws.settle()
    assert fleet.with_role("v2") == 2


def target(aws: Rig, instance: str, state: str, role: str | None = None) -> None:
    aws.aws.targets[ACCOUNT, HOME, GROUP, instance] = Target(state, role=role)


HEALTHY = f"bake: 10m, checks: {{target_groups: ['{GROUP}']}}"


def test_a_refreshed_target_that_is_unhealthy_rolls_back(aws: Rig) -> None:
    fleet = fleet_of(aws, 3)
    fleet.wants(HEALTHY)
    for one in fleet.ids:
        target(aws, one, "unhealthy", "v2")
    (failed,) = [o for o in aws.apply().result.outcomes if o.status == "failed"]
    canary = fleet.ids[0]
    told = f"{canary} (us-east-1) is unhealthy in target group web: Target.FailedHealthChecks"
    assert told in failed.reason
    assert "rolled back" in failed.reason
    assert fleet.with_role("v1") == 3


def test_a_target_that_was_unhealthy_before_is_refused_and_a_stranger_is_not(aws: Rig) -> None:
    fleet = fleet_of(aws, 2)
    fleet.wants(HEALTHY)
    target(aws, "i-0123456789abcdef0", "unhealthy")
    target(aws, fleet.ids[1], "unhealthy")
    assert aws.apply().exit_code == 3
    assert is_untouched(fleet)
    target(aws, fleet.ids[1], "healthy")
    aws.settle()


def test_targets_that_are_no_instances_are_refused(aws: Rig) -> None:
    fleet = fleet_of(aws, 2)
    fleet.wants(HEALTHY)
    target(aws, "10.0.0.1", "healthy")
    (failed,) = [o for o in aws.apply().result.outcomes if o.status == "failed"]
    assert "only instances can be checked" in failed.reason
    assert is_untouched(fleet)


ROLES = """
roles:
  v1:
    trust: ec2
    inline_policies: {{secret: {{Version: 2012-10-17, Statement: [{{Effect: Allow, Action: "secretsmanager:GetSecretValue", Resource: "*"}}]}}}}
  v2: {{trust: ec2}}
instance_profiles:
  web: {{role: {role}, cutover: {{{more}}}}}
associations:
  fleet: {{instance_profile: web, select: {{tags: {{app: web}}}}}}
"""
DENIED = "bake: 10m, checks: {denied: {max: 0, window: 5m}}"


@prepared
def with_apps(aws: Rig, count: int) -> Fleet:
    """Instances whose applications read a secret, which v1 allows and v2 does not; and call
    something that neither does."""
    fleet = Fleet.__new__(Fleet)
    fleet.aws = aws
    fleet.ids = sorted(aws.launch(count, tags={"app": "web"}))
    aws.write(ROLES.format(role="v1", more=""))
    aws.settle()
    now = aws.clock.now()
    aws.aws.apps.append(App("secretsmanager:GetSecretValue", SECRET, now))
    aws.aws.apps.append(App("sqs:ListQueues", "*", now))
    aws.clock.sleep(1000)
    return fleet


@pytest.mark.parametrize("late", [0.0, 240.0])
def test_an_app_that_is_denied_after_the_canary_stops_at_one_instance(
    aws: Rig, late: float
) -> None:
    fleet = with_apps(aws, 3)
    aws.aws.apps[:] = [replace(app, late_seconds=late) for app in aws.aws.apps]
    aws.write(ROLES.format(role="v2", more=DENIED))
    began = len(aws.aws.log)
    (failed,) = [o for o in aws.apply().result.outcomes if o.status == "failed"]
    assert f"{fleet.ids[0]} (us-east-1) is denied secretsmanager:GetSecretValue" in failed.reason
    assert SECRET in failed.reason
    assert "sqs:ListQueues" not in failed.reason, "that was denied before as well"
    assert "rolled back" in failed.reason
    assert given(aws, began) == {fleet.ids[0]}
    assert fleet.with_role("v1") == 3


@pytest.mark.parametrize("behind", [1, 20])
def test_a_call_when_the_role_was_given_hides_no_later_one(
    aws: Rig, monkeypatch: pytest.MonkeyPatch, behind: int
) -> None:
    """CloudTrail tells times to the second, by a clock that may be behind."""
    fleet = with_apps(aws, 3)
    aws.aws.apps[:] = [App("secretsmanager:GetSecretValue", SECRET, aws.clock.now(), 0.25)]
    told = cloudtrail._of_instance

    def earlier(used: Used) -> dict[str, Any]:
        event = told(used)
        return event | {"EventTime": event["EventTime"] - behind}

    monkeypatch.setattr(cloudtrail, "_of_instance", earlier)
    aws.aws.lags = replace(aws.aws.lags, associating=0.0)
    aws.write(ROLES.format(role="v2", more="bake: 60s, checks: {denied: {max: 0, window: 60s}}"))
    began = len(aws.aws.log)
    (failed,) = [o for o in aws.apply().result.outcomes if o.status == "failed"]
    assert "is denied secretsmanager:GetSecretValue" in failed.reason
    assert given(aws, began) == {fleet.ids[0]}


def test_a_run_that_died_in_the_bake_time_is_watched_by_the_next(
    aws: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The canary got the role in another run, and its denied calls count all the same."""
    fleet = with_apps(aws, 3)
    aws.aws.apps[:] = [replace(app, late_seconds=300) for app in aws.aws.apps]
    aws.write(ROLES.format(role="v2", more=DENIED))
    stop = ends_in(aws, 60, monkeypatch)
    assert aws.apply(stop).exit_code == 130
    monkeypatch.undo()
    assert fleet.with_role("v2") == 1
    (failed,) = [o for o in aws.apply().result.outcomes if o.status == "failed"]
    assert "is denied secretsmanager:GetSecretValue" in failed.reason
    assert fleet.with_role("v1") == 3


def test_what_was_denied_before_is_no_reason(aws: Rig) -> None:
    fleet = with_apps(aws, 2)
    aws.aws.apps[:] = [app for app in aws.aws.apps if app.action == "sqs:ListQueues"]
    aws.write(ROLES.format(role="v2", more=DENIED))
    aws.settle()
    assert fleet.with_role("v2") == 2


def test_in_a_rotation_what_the_session_before_was_denied_is_no_reason(aws: Rig) -> None:
    """It has the same role: when it was issued tells it apart."""
    fleet = with_apps(aws, 3)
    aws.aws.apps[:] = [app for app in aws.aws.apps if app.action == "sqs:ListQueues"]
    aws.write(ROLES.format(role="v1", more=DENIED))
    aws.settle(rotate=("instance-profile/web",))
    assert fleet.with_role("v1") == 3


def test_in_a_rotation_what_a_fresh_session_alone_is_denied_stops_it(aws: Rig) -> None:
    fleet = with_apps(aws, 3)
    aws.aws.apps[:] = [App("sqs:SendMessage", "*", aws.clock.now() + 120)]
    aws.write(ROLES.format(role="v1", more=DENIED))
    began = len(aws.aws.log)
    (failed,) = [
        o
        for o in aws.apply(rotate=("instance-profile/web",)).result.outcomes
        if o.status == "failed"
    ]
    assert "is denied sqs:SendMessage" in failed.reason
    assert given(aws, began) == {fleet.ids[0]}


@pytest.fixture
def pages(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of five events each, so that a busy instance is one with a call every ten seconds."""
    monkeypatch.setattr(trail, "PAGE", 5)


def test_what_a_busy_instance_was_denied_before_is_no_reason(aws: Rig, pages: None) -> None:
    """CloudTrail answers some calls at a time, the newest first: what was denied before is behind
    those that are allowed."""
    fleet = with_apps(aws, 1)
    now = aws.clock.now()
    aws.aws.apps[:] = [App("sqs:ListQueues", "*", now - 600, 150.0)]
    aws.aws.apps.append(App("secretsmanager:GetSecretValue", SECRET, now - 600, 10.0))
    policy = ROLES[ROLES.index("    inline") : ROLES.index("  v2")]
    both = ROLES.replace("v2: {{trust: ec2}}\n", f"v2:\n    trust: ec2\n{policy}")
    aws.write(both.format(role="v2", more=DENIED))
    aws.settle()
    assert fleet.with_role("v2") == 1


def test_a_storm_of_denied_calls_rolls_back_however_many_they_are(aws: Rig, pages: None) -> None:
    fleet = with_apps(aws, 2)
    aws.aws.apps[:] = [App("secretsmanager:GetSecretValue", SECRET, aws.clock.now() + 100, 2.0)]
    aws.write(ROLES.format(role="v2", more=DENIED))
    (failed,) = [o for o in aws.apply().result.outcomes if o.status == "failed"]
    assert "is denied secretsmanager:GetSecretValue" in failed.reason
    assert "rolled back" in failed.reason
    assert fleet.with_role("v1") == 2


def test_a_busy_instance_that_cannot_be_looked_through_stops_and_rolls_nothing_back(
    aws: Rig, pages: None
) -> None:
    fleet = with_apps(aws, 2)
    aws.aws.apps[:] = [App("sqs:ListQueues", "*", aws.clock.now(), 0.5)]
    aws.write(ROLES.format(role="v2", more=DENIED))
    (failed,) = [o for o in aws.apply().result.outcomes if o.status == "failed"]
    assert "makes more calls than can be looked through; no further batch begins" in failed.reason
    assert "shorten the window of cutover.checks.denied" in failed.advice
    assert fleet.with_role("v2") == 1
