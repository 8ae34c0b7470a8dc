"""Instances that come, or change hands, while a cut-over is at work: none is left with another role
than that of its profile when the cut-over says that all have it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager

import pytest
from moto.ec2.exceptions import EC2ClientError

from reconciler.sandbox.state import Logged
from tests.behaviour.faults import Crash, listening
from tests.rig import HOME, Rig

SPEC = """
roles:
  v1: {{trust: ec2}}
  v2: {{trust: ec2}}
instance_profiles:
  web:
    role: {role}
    cutover: {{strategy: {strategy}}}
"""
SETTINGS = f"version: 1\nowner: tests\nregions: [{HOME}]\nconsumer_regions: [{HOME}]\n"


def launching(
    aws: Rig, late: list[str], operation: str, nth: int = 1
) -> AbstractContextManager[None]:
    seen: list[str] = []

    def launch(logged: Logged) -> None:
        if logged.operation == operation:
            seen.append(operation)
        if len(seen) == nth and not late:
            aws.clock.sleep(1.0)
            late.append("launching")
            late[:] = aws.launch(1, profile="web")

    return listening(aws.aws.after, launch)


@pytest.mark.parametrize("there", [0, 1])
@pytest.mark.parametrize("strategy", ["reassociate", "hop", "restart"])
def test_an_instance_that_comes_after_a_swap_by_hand(aws: Rig, strategy: str, there: int) -> None:
    aws.write(SPEC.format(role="v1", strategy=strategy), SETTINGS)
    aws.settle(regions=(HOME,))
    aws.clock.sleep(400.0)
    if there:
        aws.launch(1, profile="web")
    aws.iam.remove_role_from_instance_profile(InstanceProfileName="web", RoleName="v1")
    aws.iam.add_role_to_instance_profile(InstanceProfileName="web", RoleName="v2")
    aws.write(SPEC.format(role="v2", strategy=strategy), SETTINGS)
    late: list[str] = []
    with launching(aws, late, "TagInstanceProfile"):
        aws.settle(regions=(HOME,))
    assert late
    assert aws.served(late[0]) == "v2"


@pytest.mark.parametrize("there", [0, 1])
@pytest.mark.parametrize("strategy", ["reassociate", "hop", "restart"])
def test_an_instance_that_comes_after_a_run_died(aws: Rig, strategy: str, there: int) -> None:
    aws.write(SPEC.format(role="v1", strategy=strategy), SETTINGS)
    aws.settle(regions=(HOME,))
    aws.clock.sleep(400.0)
    if there:
        aws.launch(1, profile="web")
    aws.write(SPEC.format(role="v2", strategy=strategy), SETTINGS)

    def die(logged: Logged) -> None:
        if logged.operation == "AddRoleToInstanceProfile" and aws.role_in("web") == "v2":
            raise Crash

    with listening(aws.aws.after, die), pytest.raises(Crash):
        aws.apply(regions=(HOME,))
    assert aws.role_in("web") == "v2"
    late: list[str] = []
    # The plan lists once, and the cut-over when it begins.
    with launching(aws, late, "DescribeIamInstanceProfileAssociations", 2):
        aws.settle(regions=(HOME,))
    assert late
    assert aws.served(late[0]) == "v2"


ROWS = "DescribeIamInstanceProfileAssociations"


@contextmanager
def not_answering(aws: Rig, code: str, after: int, seconds: float) -> Iterator[None]:
    """Associations cannot be listed for some seconds, from the listing of that number on."""
    asked: list[float] = []

    def refuse(logged: Logged) -> None:
        if logged.operation == ROWS:
            asked.append(aws.clock.now())
            if len(asked) > after and aws.clock.now() < asked[after] + seconds:
                raise EC2ClientError(code, "not now")

    with listening(aws.aws.before, refuse):
        yield


@pytest.mark.parametrize("strategy", ["reassociate", "hop", "restart"])
@pytest.mark.parametrize(
    ("code", "seconds"), [("UnauthorizedOperation", 1.0), ("InternalError", 600.0)]
)
def test_a_region_that_cannot_be_read_when_it_begins(
    aws: Rig, strategy: str, code: str, seconds: float
) -> None:
    """It could be when it was planned: who is not known to use the profile is asked about by
    nobody, neither whether it can be put right nor whether all is well."""
    aws.write(SPEC.format(role="v1", strategy=strategy), SETTINGS)
    aws.settle(regions=(HOME,))
    aws.clock.sleep(400.0)
    ids = aws.launch(2, profile="web")
    aws.write(SPEC.format(role="v2", strategy=strategy), SETTINGS)
    before = len(aws.writes())
    with not_answering(aws, code, 1, seconds):
        applied = aws.apply(regions=(HOME,))
    assert applied.exit_code == 3
    (failed,) = [o for o in applied.result.outcomes if o.status == "failed"]
    assert f"us-east-1 cannot be read (ec2:{ROWS}: {code})" in failed.reason
    assert "nothing was changed" in failed.reason
    assert "apply again when us-east-1 can be read" in failed.advice
    assert [one.name for one in aws.writes()[before:]] == []
    aws.clock.sleep(600.0)
    aws.settle(regions=(HOME,))
    assert {aws.served(instance) for instance in ids} == {"v2"}


@pytest.mark.parametrize("strategy", ["reassociate", "hop", "restart"])
def test_a_region_that_does_not_answer_for_a_moment(aws: Rig, strategy: str) -> None:
    aws.write(SPEC.format(role="v1", strategy=strategy), SETTINGS)
    aws.settle(regions=(HOME,))
    aws.clock.sleep(400.0)
    ids = aws.launch(2, profile="web")
    aws.write(SPEC.format(role="v2", strategy=strategy), SETTINGS)
    with not_answering(aws, "ServiceUnavailable", 1, 20.0):
        aws.settle(regions=(HOME,))
    assert {aws.served(instance) for instance in ids} == {"v2"}


def test_an_instance_that_comes_before_a_profile_is_emptied(aws: Rig) -> None:
    """It has the role that went: the profile and the role say so as they do of one that was there
    before."""
    spec = SPEC.format(role="v1", strategy="reassociate")
    aws.write(spec)
    aws.settle()
    aws.clock.sleep(400.0)
    aws.write(spec.replace("role: v1", "role: null"))
    late: list[str] = []
    with launching(aws, late, "TagInstanceProfile"):
        aws.settle()
    assert aws.served(late[0]) == "v1"
    assert aws.profile_tags("web")["reconciler:role-id"].startswith("waiting/")
    assert "reconciler:released" in aws.role_tags("v1")
