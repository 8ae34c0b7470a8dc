"""Instances that end, stop or are given to somebody else between the plan and the calls about them:
no blind waiting, no failure where nothing is left to do, and the result says what became of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from reconciler.commands.apply import Applied
from reconciler.exit_codes import ExitCode
from reconciler.render.styled_text import plain
from reconciler.render.text.apply import result_lines
from reconciler.sandbox.state import Logged
from tests.behaviour.faults import listening
from tests.behaviour.test_associations import two
from tests.rig import AWAY, HOME, Rig

LONG_SECONDS = 60.0


@contextmanager
def before(aws: Rig, operation: str, do: Callable[[], object]) -> Iterator[None]:
    """``do`` happens just before the first call of ``operation``."""
    done: list[bool] = []

    def listen(logged: Logged) -> None:
        if logged.operation == operation and not done:
            done.append(True)
            do()

    with listening(aws.aws.before, listen):
        yield
    assert done


def said(applied: Applied) -> str:
    return plain(result_lines(applied))


def timed(aws: Rig) -> tuple[Applied, float]:
    """What came of it, and how long it took beside the wait for a new profile."""
    began = aws.clock.now()
    applied = aws.apply()
    return applied, aws.clock.now() - began


@pytest.mark.parametrize("operation", ["CreateTags", "AssociateIamInstanceProfile"])
@pytest.mark.parametrize("region", [HOME, AWAY])
def test_two_of_four_instances_terminate(aws: Rig, operation: str, region: str) -> None:
    ids = aws.launch(4, region=region, tags={"app": "web"})
    aws.write(two("one"))
    ending = lambda: aws.ec2(region).terminate_instances(InstanceIds=ids[:2])  # noqa: E731
    with before(aws, operation, ending):
        applied, seconds = timed(aws)
    assert applied.exit_code == ExitCode.OK, applied.result.outcomes
    assert applied.left is not None and applied.left.is_empty
    assert [aws.served(i, region) for i in ids[2:]] == ["a", "a"]
    assert seconds < 60 + LONG_SECONDS
    for instance in ids[:2]:
        assert said(applied).count(f"{instance} has terminated") == 1
    assert "Resources: 6 added" in said(applied)


def test_a_terminated_instance_listed_by_id_is_reported(aws: Rig) -> None:
    """It is told, and so is what the next plan says of it."""
    ids = aws.launch(2)
    aws.write(two("one", f"instances: [{', '.join(ids)}]"))
    with before(
        aws,
        "AssociateIamInstanceProfile",
        lambda: aws.ec2().terminate_instances(InstanceIds=ids[:1]),
    ):
        applied, seconds = timed(aws)
    assert seconds < 60 + LONG_SECONDS
    assert not [o for o in applied.result.outcomes if o.status != "applied"]
    assert aws.served(ids[1]) == "a"
    assert f"{ids[0]} has terminated; nothing is left to do for it; the specs name it" in said(
        applied
    )


def moved(aws: Rig, count: int = 1) -> list[str]:
    ids = aws.launch(count, tags={"app": "web"})
    aws.write(two("one"))
    aws.settle()
    aws.clock.sleep(60)
    aws.write(two("two"))
    return ids


REPLACE = "ReplaceIamInstanceProfileAssociation"


def test_terminated_before_a_move(aws: Rig) -> None:
    ids = moved(aws, 2)
    with before(aws, REPLACE, lambda: aws.ec2().terminate_instances(InstanceIds=ids)):
        applied, seconds = timed(aws)
    assert applied.exit_code == ExitCode.OK
    assert seconds < LONG_SECONDS
    assert all(f"{i} has terminated" in said(applied) for i in ids)


def test_terminated_before_the_move_of_a_stopped_instance(aws: Rig) -> None:
    """Also in the middle of it, when it is noted as in flight."""
    ids = moved(aws)
    aws.ec2().stop_instances(InstanceIds=ids)
    with before(
        aws, "AssociateIamInstanceProfile", lambda: aws.ec2().terminate_instances(InstanceIds=ids)
    ):
        applied, seconds = timed(aws)
    assert applied.exit_code == ExitCode.OK
    assert seconds < LONG_SECONDS
    assert not [key for key in aws.profile_tags("two") if "in-flight" in key]


def test_stopped_before_a_move(aws: Rig) -> None:
    ids = moved(aws)
    with before(aws, REPLACE, lambda: aws.ec2().stop_instances(InstanceIds=ids)):
        applied, seconds = timed(aws)
    assert applied.exit_code == ExitCode.PARTLY_APPLIED
    assert seconds < LONG_SECONDS
    assert f"{ids[0]} has stopped since the plan" in said(applied)
    assert aws.profile_of(ids[0]) == "one"
    aws.settle()
    assert aws.profile_of(ids[0]) == "two"


def test_stopping_before_a_first_association_is_waited_for(aws: Rig) -> None:
    ids = aws.launch(1, tags={"app": "web"})
    aws.aws.lags = aws.aws.lags.__class__(**{**vars_of(aws), "restarting": 20.0})
    aws.write(two("one"))
    with before(
        aws, "AssociateIamInstanceProfile", lambda: aws.ec2().stop_instances(InstanceIds=ids)
    ):
        applied, _ = timed(aws)
    assert applied.exit_code == ExitCode.OK, applied.result.outcomes
    assert aws.profile_of(ids[0]) == "one"


def vars_of(aws: Rig) -> dict[str, float]:
    return {name: getattr(aws.aws.lags, name) for name in aws.aws.lags.__dataclass_fields__}


def given(aws: Rig, instance: str, profile: str) -> None:
    aws.ec2().associate_iam_instance_profile(
        InstanceId=instance, IamInstanceProfile={"Name": profile}
    )


def others(aws: Rig) -> None:
    aws.iam.create_instance_profile(InstanceProfileName="theirs")
    aws.clock.sleep(60)


def test_another_association_since_the_plan(aws: Rig) -> None:
    instance = aws.launch(1, tags={"app": "web"})[0]
    others(aws)
    aws.write(two("one"))
    with before(aws, "AssociateIamInstanceProfile", lambda: given(aws, instance, "theirs")):
        applied, seconds = timed(aws)
    assert applied.exit_code == ExitCode.PARTLY_APPLIED
    assert seconds < 60 + LONG_SECONDS
    assert f"{instance} was associated with instance-profile/theirs" in said(applied)
    assert aws.profile_of(instance) == "theirs"


def row_of(aws: Rig, instance: str) -> str:
    rows = aws.ec2().describe_iam_instance_profile_associations()["IamInstanceProfileAssociations"]
    found: str = next(row["AssociationId"] for row in rows if row["InstanceId"] == instance)
    return found


def replaced(aws: Rig, instance: str, profile: str) -> None:
    aws.ec2().replace_iam_instance_profile_association(
        AssociationId=row_of(aws, instance), IamInstanceProfile={"Name": profile}
    )


def test_moved_by_hand_since_the_plan(aws: Rig) -> None:
    instance = moved(aws)[0]
    others(aws)
    with before(aws, REPLACE, lambda: replaced_once(aws, instance)):
        applied, seconds = timed(aws)
    assert applied.exit_code == ExitCode.PARTLY_APPLIED
    assert seconds < LONG_SECONDS
    assert f"{instance} was associated with instance-profile/theirs" in said(applied)
    assert aws.profile_of(instance) == "theirs"


def replaced_once(aws: Rig, instance: str) -> None:
    replaced(aws, instance, "theirs")


def test_disassociated_by_hand_since_the_plan(aws: Rig) -> None:
    instance = moved(aws)[0]
    with before(
        aws,
        REPLACE,
        lambda: aws.ec2().disassociate_iam_instance_profile(AssociationId=row_of(aws, instance)),
    ):
        applied, seconds = timed(aws)
    assert applied.exit_code == ExitCode.PARTLY_APPLIED
    assert seconds < LONG_SECONDS
    assert f"the association of {instance} was removed" in said(applied)
    aws.settle()
    assert aws.profile_of(instance) == "two"


@pytest.mark.parametrize("how", ["ended", "taken", "off"])
def test_terminated_before_the_association_is_pruned(aws: Rig, how: str) -> None:
    instance = moved(aws)[0]
    others(aws)
    aws.write(two("one", "select: {tags: {app: nothing}}"))
    hands: dict[str, Callable[[], object]] = {
        "ended": lambda: aws.ec2().terminate_instances(InstanceIds=[instance]),
        "taken": lambda: replaced(aws, instance, "theirs"),
        "off": lambda: aws.ec2().disassociate_iam_instance_profile(
            AssociationId=row_of(aws, instance)
        ),
    }
    began = aws.clock.now()
    with before(aws, "DisassociateIamInstanceProfile", hands[how]):
        applied = aws.apply(prune=True, allow=frozenset({("consumers", f"association/{instance}")}))
    assert aws.clock.now() - began < LONG_SECONDS
    if how == "taken":
        assert applied.exit_code == ExitCode.PARTLY_APPLIED
        assert f"{instance} was associated with instance-profile/theirs" in said(applied)
        assert aws.profile_of(instance) == "theirs"
    else:
        assert applied.exit_code == ExitCode.OK, applied.result.outcomes
        assert aws.profile_of(instance) is None


def test_moved_by_hand_before_the_prune_after_a_cut_over(aws: Rig) -> None:
    """Whose association is read when the cut-over is done: it is not one of ours any more."""
    instance = aws.launch(2, tags={"app": "web", "n": "x"})[0]
    spec = (
        "roles: {{a: {{trust: ec2}}, b: {{trust: ec2}}}}\n"
        "instance_profiles: {{one: {{role: {role}}}}}\n"
        "associations: {{a: {{instance_profile: one, select: {{tags: {{app: {app}}}}}}}}}\n"
    )
    aws.write(spec.format(role="a", app="web"))
    aws.settle()
    others(aws)
    aws.write(spec.format(role="b", app="none"))
    with before(aws, "TagRole", lambda: replaced(aws, instance, "theirs")):
        applied = aws.apply(prune=True, allow=frozenset({("consumers", "*")}))
    assert applied.exit_code == ExitCode.PARTLY_APPLIED
    assert aws.profile_of(instance) == "theirs"
    assert f"{instance} was associated with instance-profile/theirs" in said(applied)


CUTOVER = """
roles: {{v1: {{trust: ec2}}, v2: {{trust: ec2}}}}
instance_profiles: {{web: {{role: {role}, cutover: {{strategy: {strategy}, max_unavailable: 1}}}}}}
"""


@pytest.mark.parametrize(
    ("strategy", "operation"),
    [
        ("reassociate", "DisassociateIamInstanceProfile"),
        ("reassociate", "AssociateIamInstanceProfile"),
        ("restart", "StopInstances"),
        ("restart", "StartInstances"),
        ("hop", REPLACE),
    ],
)
def test_terminated_during_a_cut_over(aws: Rig, strategy: str, operation: str) -> None:
    aws.write(CUTOVER.format(role="v1", strategy=strategy))
    aws.settle()
    aws.clock.sleep(60)
    ids = aws.launch(3, profile="web")
    aws.write(CUTOVER.format(role="v2", strategy=strategy))
    ending = lambda: aws.ec2().terminate_instances(InstanceIds=ids[:1])  # noqa: E731
    with before(aws, operation, ending):
        applied, seconds = timed(aws)
    assert applied.exit_code == ExitCode.OK, applied.result.outcomes
    assert seconds < 240
    assert [aws.served(i) for i in ids[1:]] == ["v2", "v2"]
    assert f"{ids[0]} has terminated" in said(applied)
    assert "; 2 instances cut over" in said(applied)
