"""``cutover.verify``: each batch proves that EC2 serves it the new role, before the next begins."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from reconciler.executor.estimate import estimate
from reconciler.executor.outcomes import Outcome
from reconciler.exit_codes import ExitCode
from reconciler.plan.calls import Wait
from reconciler.render.json.apply import outcome_json, summary_json
from reconciler.sandbox.fault_config import Lags
from reconciler.sandbox.state import Logged
from tests.behaviour.faults import listening
from tests.behaviour.test_gates import ends_in
from tests.rig import HOME, Rig, rig

SPEC = """
roles:
  v1: {{trust: ec2, managed_policies: [AmazonSSMManagedInstanceCore]}}
  v2: {{trust: ec2, managed_policies: [AmazonSSMManagedInstanceCore]}}
instance_profiles:
  web: {{role: {role}, cutover: {{{more}}}}}
associations:
  fleet: {{instance_profile: web, select: {{tags: {{app: web}}}}}}
"""
MINUTE = 60.0
TRAIL = "verify: {source: [cloudtrail]}"
STOPS = "verify: {source: [cloudtrail], on_unknown: stop}"


@pytest.fixture
def aws(tmp_path: Path) -> Iterator[Rig]:
    lags = Lags(ec2_sees_iam=20.0, associating=5.0, disassociating=5.0, restarting=25.0, calls=20.0)
    with rig(tmp_path, lags) as made:
        yield made


class Fleet:
    """Instances that call AWS every twenty seconds."""

    def __init__(self, aws: Rig, count: int = 3) -> None:
        self.aws = aws
        self.ids = sorted(aws.launch(count, tags={"app": "web"}))
        aws.write(SPEC.format(role="v1", more=""))
        aws.settle()
        aws.clock.sleep(600)
        self.began = len(aws.aws.log)

    def wants(self, more: str) -> None:
        self.aws.write(SPEC.format(role="v2", more=more))

    def with_role(self, role: str) -> int:
        return sum(self.aws.served(one, HOME) == role for one in self.ids)

    def taken(self) -> list[str]:
        """Instances that were given a profile, or stopped, in order, each once."""
        found = []
        for one in self.aws.aws.log[self.began :]:
            if one.is_dry_run:
                continue
            if one.operation == "AssociateIamInstanceProfile":
                found.append(one.params["InstanceId"])
            elif one.operation == "StopInstances":
                found += one.params["InstanceIds"]
        return list(dict.fromkeys(found))

    def silent(self) -> None:
        """Nothing on them calls AWS any longer."""
        self.lag(calls=0.0)

    def lag(self, **seconds: float) -> None:
        self.aws.aws.lags = replace(self.aws.aws.lags, **seconds)


def failed(aws: Rig) -> Outcome:
    applied = aws.apply()
    assert applied.exit_code == 3
    (outcome,) = [o for o in applied.result.outcomes if o.status == "failed"]
    return outcome


@pytest.mark.parametrize("strategy", ["reassociate", "hop", "restart"])
@pytest.mark.parametrize("source", ["cloudtrail", "imds"])
def test_each_batch_that_is_proved_is_followed_by_the_next(
    aws: Rig, strategy: str, source: str
) -> None:
    fleet = Fleet(aws)
    fleet.wants(f"strategy: {strategy}, verify: {{source: [{source}], on_unknown: stop}}")
    aws.settle()
    assert fleet.with_role("v2") == 3


@pytest.mark.parametrize("source", ["cloudtrail", "imds"])
def test_a_swap_that_ec2_serves_late_is_found_at_the_canary_and_rolled_back(
    aws: Rig, source: str
) -> None:
    """EC2 sees the swap later than ``propagation`` allows for: the canary is given the old role."""
    fleet = Fleet(aws)
    fleet.lag(ec2_sees_iam=600.0)
    fleet.wants(f"verify: {{source: [{source}]}}")
    outcome = failed(aws)
    canary = fleet.ids[0]
    assert f"{canary} (us-east-1) is not served the role of its profile" in outcome.reason
    assert "role/v1" in outcome.reason
    assert "rolled back" in outcome.reason
    assert aws.role_in("web") == "v1"
    assert fleet.taken() == [canary]
    aws.clock.sleep(1000)
    assert fleet.with_role("v1") == 3
    fleet.lag(ec2_sees_iam=20.0)
    aws.write(SPEC.format(role="v1", more=""))
    aws.settle()


def test_on_failure_stop_leaves_the_canary(aws: Rig) -> None:
    fleet = Fleet(aws)
    fleet.lag(ec2_sees_iam=600.0)
    fleet.wants(f"on_failure: stop, {TRAIL}")
    outcome = failed(aws)
    assert "is not served the role of its profile" in outcome.reason
    assert "rolled back" not in outcome.reason
    assert "propagation" in outcome.advice
    assert aws.role_in("web") == "v2"
    assert fleet.taken() == [fleet.ids[0]]


def test_what_is_not_known_in_time_is_noted_and_gone_on_from(aws: Rig) -> None:
    fleet = Fleet(aws)
    fleet.silent()
    fleet.wants("verify: {source: [cloudtrail], timeout: 5m}")
    began = aws.clock.now()
    applied = aws.apply()
    assert applied.exit_code == 0
    assert 3 * 300 <= aws.clock.now() - began < 3 * 300 + 300
    assert fleet.with_role("v2") == 3
    (outcome,) = [o for o in applied.result.outcomes if o.what == "cut-over"]
    named = ", ".join(fleet.ids)
    assert (
        f"it is not known which role {named} is served: CloudTrail shows no" in outcome.unproved[0]
    )
    for made in (outcome_json(applied, ExitCode.OK), summary_json(applied.planned.plan, applied)):
        (told,) = made["unproved"]
        assert told["address"] == "instance-profile/web"
        assert told["text"] == outcome.unproved[0]
    assert aws.plan().plan.is_empty


def test_what_is_not_known_in_time_may_end_the_run(aws: Rig) -> None:
    """It says nothing about the role: nothing is rolled back, and the next run asks again."""
    fleet = Fleet(aws)
    fleet.silent()
    fleet.wants(STOPS)
    outcome = failed(aws)
    assert f"it is not known which role {fleet.ids[0]} (us-east-1) is served" in outcome.reason
    assert "rolled back" not in outcome.reason
    assert (fleet.with_role("v2"), fleet.taken()) == (1, [fleet.ids[0]])
    assert fleet.ids[0] in failed(aws).reason
    assert fleet.taken() == [fleet.ids[0]]
    fleet.lag(calls=20.0)
    aws.settle()
    assert fleet.with_role("v2") == 3


DENIED = [
    ("cloudtrail:LookupEvents", "cloudtrail"),
    ("ssm:SendCommand", "imds"),
]


@pytest.mark.parametrize(("action", "source"), DENIED)
def test_a_missing_permission_is_named_and_not_waited_for(
    aws: Rig, action: str, source: str
) -> None:
    fleet = Fleet(aws)
    aws.aws.chaos = replace(aws.aws.chaos, denied=frozenset({action}))
    fleet.wants(f"verify: {{source: [{source}], on_unknown: stop}}")
    began = aws.clock.now()
    outcome = failed(aws)
    assert f"not allowed to call {action}" in outcome.reason
    assert outcome.advice == f"grant the calling identity {action}, then apply again"
    assert aws.clock.now() - began < 300
    assert fleet.with_role("v2") == 1
    fleet.wants(f"verify: {{source: [{source}]}}")
    applied = aws.apply()
    assert applied.exit_code == 0
    assert fleet.with_role("v2") == 3
    assert any(f"not allowed to call {action}" in str(o.unproved) for o in applied.result.outcomes)
    assert aws.plan().plan.is_empty


def test_the_batch_of_a_run_that_ended_before_it_was_verified_is_verified_by_the_next(
    aws: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    """EC2 is late with the role, and nothing calls AWS until the first run is gone."""
    fleet = Fleet(aws)
    fleet.lag(ec2_sees_iam=600.0, calls=0.0)
    fleet.wants(TRAIL)
    stop = ends_in(aws, 100, monkeypatch)
    assert aws.apply(stop).exit_code == 130
    monkeypatch.undo()
    fleet.lag(calls=20.0)
    reason = failed(aws).reason
    assert f"{fleet.ids[0]} (us-east-1) is not served the role of its profile" in reason
    assert "rolled back" in reason
    assert fleet.taken() == [fleet.ids[0]]


@pytest.mark.parametrize("strategy", ["reassociate", "hop", "restart"])
def test_so_is_a_later_batch(aws: Rig, strategy: str) -> None:
    """The profile records which it was."""
    fleet = Fleet(aws)
    fleet.wants(f"strategy: {strategy}, {STOPS}")

    def listen(logged: Logged) -> None:
        operations = [one.operation for one in aws.aws.log if not one.is_dry_run]
        replaced = operations.count("ReplaceIamInstanceProfileAssociation")
        if len(fleet.taken()) == 2 or replaced == 2:
            fleet.silent()

    with listening(aws.aws.after, listen):
        assert f"which role {fleet.ids[1]} (us-east-1) is served" in failed(aws).reason
    assert f"which role {fleet.ids[1]} (us-east-1) is served" in failed(aws).reason
    assert fleet.with_role("v2") == 2
    fleet.lag(calls=20.0)
    aws.settle()
    assert fleet.with_role("v2") == 3


def test_a_run_that_looks_for_evidence_is_not_taken_for_dead(
    aws: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    fleet = Fleet(aws)
    fleet.silent()
    fleet.wants("verify: {source: [cloudtrail], timeout: 30m}")
    stop = ends_in(aws, 1200, monkeypatch)
    assert aws.apply(stop).exit_code == 130
    monkeypatch.undo()
    (change,) = [c for c in aws.plan().plan.targets[0].changes if c.consumers]
    assert "may still be watching its first batch" in (change.reason or "")


def test_a_plan_has_a_wait_for_each_batch(aws: Rig) -> None:
    """So that its bound holds, and its digest is another one."""
    fleet = Fleet(aws)
    fleet.wants("")
    plain = aws.plan().plan
    fleet.wants("verify: {source: [imds], timeout: 5m}")
    plan = aws.plan().plan
    waits = [s.action for s in plan.targets[0].steps if isinstance(s.action, Wait)]
    assert [w.seconds for w in waits if w.condition == "verified"] == [300.0] * 3
    assert estimate(plan).most - estimate(plain).most == 3 * 300
    assert plan.digest != plain.digest
    fleet.wants("verify: {source: [imds], timeout: 5m, on_unknown: stop}")
    assert aws.plan().plan.digest != plan.digest
