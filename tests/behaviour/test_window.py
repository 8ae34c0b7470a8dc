"""How long an apply goes on: until its time is over, or its credentials would not last."""

from __future__ import annotations

import pytest
from moto.ec2.exceptions import EC2ClientError

from reconciler.exit_codes import ExitCode
from reconciler.sandbox.fault_config import Lags
from reconciler.sandbox.state import Logged
from tests.behaviour.faults import listening
from tests.prepared import prepared
from tests.rig import Rig

SPEC = """
roles: {{v1: {{trust: ec2}}, v2: {{trust: ec2}}}}
instance_profiles: {{web: {{role: {role}}}}}
"""


@pytest.fixture
@prepared
def fleet(aws: Rig) -> tuple[Rig, list[str]]:
    """Four instances hold v1, and the specs want v2; a batch takes its time."""
    aws.aws.lags = Lags(ec2_sees_iam=30.0, associating=1.5, disassociating=1.5)
    aws.write(SPEC.format(role="v1"))
    aws.settle()
    aws.clock.sleep(60)
    instances = aws.launch(4, profile="web")
    aws.write(SPEC.format(role="v2"))
    return aws, instances


def test_max_time_between_batches(fleet: tuple[Rig, list[str]]) -> None:
    """What was begun is ended, the next run goes on where this one stopped."""
    aws, instances = fleet
    applied = aws.apply(max_seconds=70)
    assert applied.exit_code == ExitCode.PARTLY_APPLIED
    outcome = next(o for o in applied.result.outcomes if o.what == "cut-over")
    assert (outcome.status, outcome.reason) == (
        "skipped",
        "the time limit of --max-time has passed",
    )
    served = [aws.served(i) for i in instances]
    assert set(served) == {"v1", "v2"}
    assert all(aws.profile_of(i) == "web" for i in instances)
    aws.aws.log.clear()
    aws.settle()
    taken = [c for c in aws.writes() if c.operation == "DisassociateIamInstanceProfile"]
    assert len(taken) == served.count("v1")
    assert {aws.served(i) for i in instances} == {"v2"}


def test_max_time_before_the_swap(fleet: tuple[Rig, list[str]]) -> None:
    aws, _ = fleet
    aws.aws.log.clear()
    assert aws.apply(max_seconds=0).exit_code == ExitCode.PARTLY_APPLIED
    assert aws.writes() == []
    aws.settle()


def test_credentials_that_expire_too_soon(fleet: tuple[Rig, list[str]]) -> None:
    """No instance is taken its profile that we may not be able to give back."""
    aws, instances = fleet
    aws.expires_at = aws.clock.now() + 300
    aws.aws.log.clear()
    applied = aws.apply()
    assert applied.exit_code == ExitCode.PARTLY_APPLIED
    assert "the credentials expire within 10 minutes" in applied.result.outcomes[0].reason
    assert aws.writes() == []
    aws.expires_at = aws.clock.now() + 670
    assert aws.apply().exit_code == ExitCode.PARTLY_APPLIED
    assert all(aws.profile_of(i) == "web" for i in instances)
    aws.expires_at = None
    aws.settle()
    assert {aws.served(i) for i in instances} == {"v2"}


@pytest.mark.parametrize("ends", ["nothing", "the time", "the credentials"])
@pytest.mark.parametrize("strategy", ["reassociate", "restart"])
def test_a_canary_that_fails_after_max_time_is_rolled_back(
    fleet: tuple[Rig, list[str]], ends: str, strategy: str
) -> None:
    """The old role goes back in, and the canary gets its profile: that ends what was begun."""
    aws, instances = fleet
    text = SPEC.replace("{{role: {role}}}", "{{role: {role}, cutover: {{strategy: STRATEGY}}}}")
    aws.write(text.replace("STRATEGY", strategy).format(role="v2"))

    def listen(logged: Logged) -> None:
        is_given = logged.operation in ("AssociateIamInstanceProfile", "StartInstances")
        if is_given and not logged.is_dry_run and aws.role_in("web") == "v2":
            aws.clock.sleep(200)
            raise EC2ClientError("UnauthorizedOperation", "not with this role")

    seconds = 100 if ends == "the time" else None
    aws.expires_at = aws.clock.now() + 700 if ends == "the credentials" else None
    with listening(aws.aws.before, listen):
        applied = aws.apply(max_seconds=seconds)
    assert applied.exit_code == ExitCode.PARTLY_APPLIED
    assert applied.result.stranded == ()
    assert aws.role_in("web") == "v1"
    assert [aws.served(i) for i in instances] == ["v1"] * 4
