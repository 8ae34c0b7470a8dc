"""The network goes in the middle, and comes back: nobody stays without a profile for it."""

from __future__ import annotations

import pytest
from botocore.exceptions import EndpointConnectionError

from reconciler.aws.reader import AwsReader
from reconciler.errors import NO_CREDENTIALS, AwsError
from reconciler.executor.interrupt import Interrupt
from reconciler.executor.retry_rules import IN_FLIGHT_SECONDS, UNREACHED_SECONDS
from reconciler.model.resources import Identity
from reconciler.sandbox.fault_config import Lags, Outage
from reconciler.sandbox.state import Logged
from tests.behaviour.faults import listening
from tests.prepared import prepared
from tests.rig import AWAY, HOME, Rig

SPEC = """
roles: {{v1: {{trust: ec2}}, v2: {{trust: ec2}}}}
instance_profiles:
  web: {{role: {role}, cutover: {{strategy: {strategy}}}}}
"""
MOVES = """
roles: {{r: {{trust: ec2}}}}
instance_profiles: {{one: {{role: r}}, two: {{role: r}}}}
associations: {{fleet: {{instance_profile: {profile}, select: {{tags: {{app: web}}}}}}}}
"""


@pytest.fixture(autouse=True)
def _botocore_does_not_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    """It has no clock that jumps."""
    monkeypatch.setattr("time.sleep", lambda _seconds: None)


@prepared
def fleet(aws: Rig, strategy: str = "reassociate") -> list[tuple[str, str]]:
    """Three instances hold v1, and the specs want v2."""
    aws.write(SPEC.format(role="v1", strategy=strategy))
    aws.settle()
    aws.clock.sleep(60)
    made = [(HOME, one) for one in aws.launch(2, profile="web")]
    made += [(AWAY, one) for one in aws.launch(1, profile="web", region=AWAY)]
    aws.write(SPEC.format(role="v2", strategy=strategy))
    return made


def outage(aws: Rig, operation: str, seconds: float) -> None:
    aws.aws.chaos = type(aws.aws.chaos)(outage=Outage(seconds, operation=operation))


@pytest.mark.parametrize(
    ("operation", "seconds"),
    [
        ("RemoveRoleFromInstanceProfile", 10),
        ("RemoveRoleFromInstanceProfile", 300),
        ("DisassociateIamInstanceProfile", 10),
        ("DisassociateIamInstanceProfile", 300),
        ("AssociateIamInstanceProfile", 10),
    ],
)
def test_an_outage_during_a_cut_over(aws: Rig, operation: str, seconds: float) -> None:
    """A profile between its roles, and an instance without its profile, wait ten minutes."""
    instances = fleet(aws)
    outage(aws, operation, seconds)
    began = aws.clock.now()
    assert aws.apply().exit_code == 0
    assert aws.clock.now() - began > seconds
    assert {aws.served(i, region) for region, i in instances} == {"v2"}


def test_a_dry_run_without_a_connection_is_no_answer(aws: Rig) -> None:
    """Whoever could not be asked for keeps what it has."""
    fleet(aws)
    since = len(aws.aws.log)

    def listen(logged: Logged) -> None:
        if logged.is_dry_run:
            raise EndpointConnectionError(endpoint_url="https://ec2.invalid/")

    with listening(aws.aws.before, listen):
        applied = aws.apply()
    assert applied.exit_code == 3
    writes = {c.operation for c in aws.aws.log[since:] if not c.is_read}
    assert writes == {"AddRoleToInstanceProfile"}  # the question, which the role inside refuses
    assert aws.role_in("web") == "v1"
    aws.settle()


def test_an_outage_while_an_instance_restarts(aws: Rig) -> None:
    aws.aws.lags = Lags(ec2_sees_iam=30, associating=5, disassociating=5, restarting=20)
    instances = fleet(aws, "restart")
    outage(aws, "StopInstances", 300)
    assert aws.apply().exit_code == 0
    assert {aws.served(i, region) for region, i in instances} == {"v2"}


def test_an_outage_while_a_stopped_instance_moves(aws: Rig) -> None:
    (instance,) = aws.launch(1, tags={"app": "web"})
    aws.write(MOVES.format(profile="one"))
    aws.settle()
    aws.ec2().stop_instances(InstanceIds=[instance])
    aws.write(MOVES.format(profile="two"))
    outage(aws, "DisassociateIamInstanceProfile", 300)
    assert aws.apply().exit_code == 0
    assert aws.profile_of(instance) == "two"


@pytest.mark.parametrize("max_seconds", [None, 1])
def test_an_interrupt_does_not_shorten_the_retries_in_an_outage(
    aws: Rig, max_seconds: float | None
) -> None:
    instances, stop = fleet(aws), Interrupt()
    outage(aws, "DisassociateIamInstanceProfile", 300)

    def listen(logged: Logged) -> None:
        if logged.operation == "DisassociateIamInstanceProfile":
            stop.set()

    with listening(aws.aws.after, listen):
        applied = aws.apply(stop, max_seconds and 90)
    assert applied.exit_code == 130
    assert applied.result.count("failed") == 0
    assert {aws.profile_of(i, region) for region, i in instances} == {"web"}
    aws.aws.chaos = type(aws.aws.chaos)()
    aws.settle()


def test_an_outage_that_does_not_end_is_reported(aws: Rig) -> None:
    instances = fleet(aws)
    outage(aws, "DisassociateIamInstanceProfile", 100_000)
    began = aws.clock.now()
    applied = aws.apply()
    assert applied.exit_code == 3
    assert IN_FLIGHT_SECONDS <= aws.clock.now() - began < IN_FLIGHT_SECONDS * 3
    assert "EndpointConnectionError" in applied.result.outcomes[-1].reason
    aws.aws.chaos = type(aws.aws.chaos)()
    aws.clock.sleep(100_000)
    aws.settle()
    assert {aws.served(i, region) for region, i in instances} == {"v2"}


@pytest.mark.parametrize(("seconds", "code"), [(50, 0), (100, 3)])
def test_an_outage_without_instances_in_flight_is_retried_for_a_minute(
    aws: Rig, seconds: float, code: int
) -> None:
    aws.write("roles: {a: {trust: ec2, instance_profile: true}}")
    outage(aws, "CreateRole", seconds)
    assert aws.apply().exit_code == code
    aws.aws.chaos = type(aws.aws.chaos)()
    aws.settle()


def test_a_second_signal_restores_instances_without_waiting(aws: Rig) -> None:
    """No wait for EC2, for a listing, or for the association to be in effect."""
    aws.aws.lags = Lags(ec2_sees_iam=30, associating=20, disassociating=12)
    instances, stop = fleet(aws), Interrupt()
    gone_at = []

    def listen(logged: Logged) -> None:
        if logged.operation == "DisassociateIamInstanceProfile":
            gone_at.append(logged.at + 12)
            stop.set()
        if logged.operation.startswith("Describe") and gone_at and logged.at > gone_at[0] - 6:
            stop.hurry()

    with listening(aws.aws.after, listen):
        assert aws.apply(stop).exit_code == 130
    taken = [w for w in aws.writes() if w.operation == "AssociateIamInstanceProfile"]
    assert 0 <= taken[-1].at - gone_at[0] <= 1
    assert aws.clock.now() - gone_at[0] <= 5
    assert {aws.profile_of(i, region) for region, i in instances} == {"web"}
    aws.settle()
    assert {aws.served(i, region) for region, i in instances} == {"v2"}


def test_a_second_signal_while_a_stopped_instance_moves(aws: Rig) -> None:
    aws.aws.lags = Lags(ec2_sees_iam=30, associating=60, disassociating=40)
    (instance,) = aws.launch(1, tags={"app": "web"})
    aws.write(MOVES.format(profile="one"))
    aws.settle()
    aws.ec2().stop_instances(InstanceIds=[instance])
    aws.write(MOVES.format(profile="two"))
    stop, gone_at = Interrupt(), []

    def listen(logged: Logged) -> None:
        if logged.operation == "DisassociateIamInstanceProfile":
            gone_at.append(logged.at + 40)
            stop.set()
            stop.hurry()

    with listening(aws.aws.after, listen):
        assert aws.apply(stop).exit_code == 130
    assert aws.profile_of(instance) == "two"
    assert aws.clock.now() - gone_at[0] <= 5
    aws.settle()


def test_a_second_signal_while_the_profile_is_empty(aws: Rig) -> None:
    instances, stop = fleet(aws), Interrupt()

    def listen(logged: Logged) -> None:
        if logged.operation == "RemoveRoleFromInstanceProfile":
            stop.hurry()

    began = aws.clock.now()
    with listening(aws.aws.after, listen):
        assert aws.apply(stop).exit_code == 130
    assert aws.clock.now() - began < 10
    assert aws.role_in("web") == "v2"
    aws.settle()
    assert {aws.served(i, region) for region, i in instances} == {"v2"}


@pytest.mark.parametrize(("seconds", "is_waited_out"), [(10, True), (45, True), (120, False)])
@pytest.mark.parametrize("answered", ["GetCallerIdentity", None])
def test_an_outage_while_a_plan_reads(
    aws: Rig, answered: str | None, seconds: float, is_waited_out: bool
) -> None:
    """From the first call on, or once that one was answered."""
    aws.write("roles: {r: {trust: ec2}}")
    until = aws.clock.now() + seconds

    def listen(_logged: Logged) -> None:
        if aws.clock.now() < until:
            raise EndpointConnectionError(endpoint_url="https://sts.invalid/")

    if answered:
        outage(aws, answered, seconds)
    with listening(aws.aws.before, listen if not answered else lambda _logged: None):
        if is_waited_out:
            assert len(aws.plan().plan.changes) == 1
        else:
            began = aws.clock.now()
            with pytest.raises(AwsError, match="EndpointConnectionError"):
                aws.plan()
            assert UNREACHED_SECONDS <= aws.clock.now() - began < 2 * UNREACHED_SECONDS


@pytest.mark.parametrize("code", ["CredentialRetrievalError", "UnknownRegion", "AccessDenied"])
def test_what_is_wrong_at_the_first_call_is_told_at_once(
    aws: Rig, code: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    aws.write("roles: {r: {trust: ec2}}")
    began, asked = aws.clock.now(), []

    def identity(_reader: AwsReader) -> Identity:
        asked.append(code)
        raise AwsError("sts:GetCallerIdentity", code, "", was_not_sent=code in NO_CREDENTIALS)

    monkeypatch.setattr(AwsReader, "identity", identity)
    with pytest.raises(AwsError):
        aws.plan()
    assert (len(asked), aws.clock.now()) == (1, began)
