"""Proof that instances are served the role of their profile: what CloudTrail and the instances
themselves say, against a sandbox that knows."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from reconciler.commands.plan import make_plan
from reconciler.commands.verify import Question, Verification, verify, verify_planned
from reconciler.drift.evidence import with_evidence
from reconciler.drift.findings import Drift, drift_of
from reconciler.model.evidence import Judgement
from reconciler.sandbox.fault_config import Lags
from tests.rig import ACCOUNT, AWAY, HOME, Rig, rig

SPEC = """
roles: {web-v1: {trust: ec2}, web-v2: {trust: ec2}}
instance_profiles: {web: {role: ROLE}}
"""
MINUTE, HOUR = 60.0, 3600.0


@pytest.fixture
def aws(tmp_path: Path) -> Iterator[Rig]:
    with rig(tmp_path, Lags(ec2_sees_iam=30.0, associating=5.0, disassociating=5.0)) as made:
        yield made


@pytest.fixture
def fleet(aws: Rig) -> list[str]:
    """Three instances on a profile with ``web-v1``, an hour ago."""
    aws.write(SPEC.replace("ROLE", "web-v1"))
    aws.settle()
    aws.clock.sleep(MINUTE)
    ids = [*aws.launch(2, profile="web"), *aws.launch(1, profile="web", region=AWAY)]
    aws.clock.sleep(HOUR)
    return ids


def uses(aws: Rig, instance: str, region: str = HOME, **how: Any) -> None:
    """Somebody on the instance calls AWS."""
    aws.served(instance, region)
    aws.aws.sessions.use((ACCOUNT, region, instance), "s3:ListBuckets", aws.clock.now(), **how)


def asked(aws: Rig, *addresses: str, **more: Any) -> Verification:
    return verify(Question(addresses, **more), aws.request(), aws.commands())


def judged(made: Verification) -> dict[str, Judgement]:
    return {
        one.instance.key.instance: one.judgement
        for target in made.targets
        for one in target.verified
    }


def statuses(made: Verification) -> dict[str, tuple[str, str]]:
    return {name: (one.status, one.how) for name, one in judged(made).items()}


def test_a_call_of_each_instance_proves_the_role(aws: Rig, fleet: list[str]) -> None:
    one, two, away = fleet
    uses(aws, one)
    uses(aws, away, AWAY)
    made = asked(aws)
    assert statuses(made) == {
        one: ("proved", "session"),
        two: ("unknown", "no-call"),
        away: ("proved", "session"),
    }
    assert made.exit_code == 1
    uses(aws, two)
    assert asked(aws).exit_code == 0


def test_after_a_cut_over_only_new_credentials_prove_it(aws: Rig, fleet: list[str]) -> None:
    one, two, away = fleet
    aws.write(SPEC.replace("ROLE", "web-v2"))
    aws.settle()
    aws.clock.sleep(10 * MINUTE)
    uses(aws, one)
    uses(aws, two, earlier=1)
    uses(aws, away, AWAY)
    made = judged(asked(aws))
    assert (made[one].status, made[one].role) == ("proved", "web-v2")
    assert (made[two].status, made[two].how, made[two].role) == (
        "unknown",
        "earlier-session",
        "web-v1",
    )


def test_a_role_that_ec2_serves_late_is_a_contradiction(aws: Rig, fleet: list[str]) -> None:
    """EC2 sees the swap later than ``propagation`` allows for."""
    aws.aws.lags = replace(aws.aws.lags, ec2_sees_iam=600.0)
    aws.write(SPEC.replace("ROLE", "web-v2"))
    aws.settle()
    aws.clock.sleep(10 * MINUTE)
    for instance, region in zip(fleet, (HOME, HOME, AWAY), strict=True):
        uses(aws, instance, region)
    made = asked(aws)
    assert set(statuses(made).values()) == {("contradicted", "other-role")}
    assert made.exit_code == 2


def test_a_role_swapped_there_and_back_is_found(aws: Rig, fleet: list[str]) -> None:
    """EC2 has renewed the credentials of one instance meanwhile. Mark and profile say that nothing
    has happened; nothing but the evidence tells."""
    one, _, _ = fleet
    swap(aws, "web-v1", "web-v2")
    aws.clock.sleep(10 * MINUTE)
    aws.aws.lags = replace(aws.aws.lags, renewing=HOUR + 5 * MINUTE)
    aws.served(one)
    aws.aws.lags = replace(aws.aws.lags, renewing=0.0)
    swap(aws, "web-v2", "web-v1")
    aws.clock.sleep(10 * MINUTE)
    assert aws.served(one) == "web-v2"
    assert not aws.drift().findings
    uses(aws, one)
    found = drifted(aws)
    assert [(str(f.address), f.status, f.severity) for f in found.findings] == [
        (f"association/{one}", "stale", "critical")
    ]
    assert "role/web-v2" in str(found.findings[0].reason)
    assert found.exit_code == 2


def swap(aws: Rig, before: str, after: str) -> None:
    """By hand."""
    aws.iam.remove_role_from_instance_profile(InstanceProfileName="web", RoleName=before)
    aws.iam.add_role_to_instance_profile(InstanceProfileName="web", RoleName=after)


def drifted(aws: Rig) -> Drift:
    planned = make_plan(aws.request(for_drift=True), aws.commands(), keeps_context=True)
    return with_evidence(drift_of(planned), verify_planned(Question(), planned, aws.commands()))


def test_unknown_evidence_is_no_drift(aws: Rig, fleet: list[str]) -> None:
    found = drifted(aws)
    assert (found.findings, found.exit_code) == ((), 0)
    assert "evidence is unknown for 3 of 3 running instances: 3 no-call" in {
        note.reason for note in found.notes
    }


def test_a_contradiction_joins_what_is_known_of_the_instance(aws: Rig, fleet: list[str]) -> None:
    one, _, _ = fleet
    swap(aws, "web-v1", "web-v2")
    uses(aws, one)
    found = [f for f in drifted(aws).findings if str(f.address) == f"association/{one}"]
    assert [f.status for f in found] == ["stale"]
    assert [cause.rule for cause in found[0].causes] == ["stale-credentials", "contradicted"]


@pytest.fixture
def answering(aws: Rig) -> list[str]:
    """Three instances whose role lets their agents answer to Systems Manager."""
    core = "managed_policies: [AmazonSSMManagedInstanceCore]"
    spec = SPEC.replace("trust: ec2", f"trust: ec2, {core}")
    aws.write(spec.replace("ROLE", "web-v1"))
    aws.settle()
    aws.clock.sleep(MINUTE)
    ids = [*aws.launch(2, profile="web"), *aws.launch(1, profile="web", region=AWAY)]
    aws.clock.sleep(HOUR)
    aws.write(spec.replace("ROLE", "web-v2"))
    aws.settle()
    aws.clock.sleep(MINUTE)
    return ids


def test_the_metadata_service_of_each_instance_is_asked(aws: Rig, answering: list[str]) -> None:
    one, two, away = answering
    aws.aws.windows.add(two)
    made = asked(aws, sources=("imds",))
    assert statuses(made) == dict.fromkeys(answering, ("proved", "metadata"))
    assert {j.role for j in judged(made).values()} == {"web-v2"}
    sent = aws.aws.commands.values()
    assert {c.instances: "Invoke-RestMethod" in c.text for c in sent} == {
        (one,): False,
        (two,): True,
        (away,): False,
    }
    assert not [c for c in aws.aws.log if c.operation == "LookupEvents"]


def test_who_does_not_answer_is_unknown(aws: Rig, fleet: list[str]) -> None:
    """Their role does not let the agent use Systems Manager; CloudTrail is asked as well."""
    one, two, _ = fleet
    uses(aws, one)
    made = judged(asked(aws, sources=("imds", "cloudtrail")))
    assert (made[one].status, made[one].source) == ("proved", "cloudtrail")
    assert [s.how for s in made[one].silences] == ["no-agent"]
    assert [s.how for s in made[two].silences] == ["no-agent", "no-call"]


def test_an_agent_that_sleeps_after_a_cut_over(aws: Rig, answering: list[str]) -> None:
    aws.aws.lags = replace(aws.aws.lags, agent_sleep=15 * MINUTE)
    made = asked(aws, sources=("imds",))
    assert set(statuses(made).values()) == {("unknown", "no-answer")}
    made = asked(aws, sources=("imds",), wait=15 * MINUTE)
    assert set(statuses(made).values()) == {("proved", "metadata")}


def test_the_metadata_service_contradicts(aws: Rig, answering: list[str]) -> None:
    """EC2 serves what was in the profile before it was swapped by hand."""
    swap(aws, "web-v2", "web-v1")
    made = asked(aws, sources=("imds",))
    assert set(statuses(made).values()) == {("contradicted", "other-role")}
    assert made.exit_code == 2


@pytest.mark.parametrize(
    ("action", "source"),
    [
        ("cloudtrail:LookupEvents", "cloudtrail"),
        ("ssm:DescribeInstanceInformation", "imds"),
        ("ssm:SendCommand", "imds"),
        ("ssm:ListCommandInvocations", "imds"),
    ],
)
def test_without_permission_it_is_unknown_and_says_which(
    aws: Rig, answering: list[str], action: str, source: Any
) -> None:
    aws.aws.chaos = replace(aws.aws.chaos, denied=frozenset({action}))
    began = aws.clock.now()
    made = asked(aws, sources=(source,), wait=HOUR)
    assert set(statuses(made).values()) == {("unknown", "denied")}
    assert {j.permissions for j in judged(made).values()} == {(action,)}
    assert made.exit_code == 1
    assert aws.clock.now() - began < MINUTE, "nobody waits for a permission"
