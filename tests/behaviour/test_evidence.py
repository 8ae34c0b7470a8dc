"""Proof that instances are served the role of their profile: what CloudTrail and the instances
themselves say, against a sandbox that knows."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from reconciler.commands.verify import Question, Verification, verify
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
