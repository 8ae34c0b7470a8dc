"""Somebody who may tag instances, and nothing else: no tag of theirs makes us pass a role, drop a
profile or skip a refresh without a word."""

from __future__ import annotations

import pytest

from tests.behaviour.faults import Crash, crashing
from tests.prepared import prepared
from tests.rig import HOME, Rig
from tests.sampling import sampled

SPEC = """
roles: {{v1: {{trust: ec2}}, v2: {{trust: ec2}}}}
instance_profiles: {{web: {{role: {role}, cutover: {{strategy: {strategy}}}}}}}
associations: {{fleet: {{instance_profile: web, select: {{tags: {{app: web}}}}}}}}
"""
ASSOCIATION, HOLDS = "reconciler:association", "reconciler:holds"


def spec(role: str, strategy: str = "reassociate") -> str:
    return SPEC.format(role=role, strategy=strategy)


@pytest.fixture
@prepared
def fleet(aws: Rig) -> tuple[Rig, list[str], list[str]]:
    """Two instances of the specs, and two that somebody launched with the profile; all on v1."""
    mine = aws.launch(2, tags={"app": "web"})
    aws.write(spec("v1"))
    aws.settle()
    aws.clock.sleep(60)
    return aws, mine, aws.launch(2, profile="web")


def tag(aws: Rig, instance: str, key: str, value: str) -> None:
    aws.ec2().create_tags(Resources=[instance], Tags=[{"Key": key, "Value": value}])


def profile_id(aws: Rig) -> str:
    found = aws.iam.get_instance_profile(InstanceProfileName="web")["InstanceProfile"]
    return str(found["InstanceProfileId"])


def row_of(aws: Rig, instance: str) -> str:
    row = aws.aws.staying("123456789012", HOME, instance)
    assert row is not None
    return row.id


def test_an_association_tag_gives_no_profile_to_an_unselected_instance(
    fleet: tuple[Rig, list[str], list[str]],
) -> None:
    """To an instance that no spec means, whatever its tags say."""
    aws, mine, _ = fleet
    theirs = aws.launch(1)[0]
    for value in (
        f"tests/{theirs}/{profile_id(aws)}",
        f"tests/{mine[0]}/{profile_id(aws)}",
        "tests/*/web",
    ):
        tag(aws, theirs, ASSOCIATION, value)
        tag(aws, theirs, HOLDS, f"{aws.role_id('v1')}/iip-assoc-0")
        assert aws.plan().plan.is_empty
        assert aws.plan(prune=True).plan.is_empty
    assert aws.profile_of(theirs) is None


def test_only_prune_removes_a_profile_by_tag(fleet: tuple[Rig, list[str], list[str]]) -> None:
    """The tag that we would have written ourselves: without ``--prune`` nothing is done, with it the
    plan names the instance, and that it runs."""
    aws, _, launched = fleet
    tag(aws, launched[0], ASSOCIATION, f"tests/{launched[0]}/{profile_id(aws)}")
    tag(aws, launched[1], ASSOCIATION, f"tests/{launched[0]}/{profile_id(aws)}")
    assert aws.plan().plan.is_empty
    changes = aws.plan(prune=True).plan.changes
    assert [str(c.address) for c in changes] == [f"association/{launched[0]}"]
    assert changes[0].consumers == (launched[0],)
    aws.settle()
    assert {aws.profile_of(i) for i in launched} == {"web"}


@pytest.mark.parametrize("strategy", ["reassociate", "hop"])
def test_forged_marks_before_a_cut_over_are_ignored(
    fleet: tuple[Rig, list[str], list[str]], strategy: str
) -> None:
    aws, mine, launched = fleet
    aws.write(spec("v2", strategy))
    for instance in (*mine, *launched):
        tag(aws, instance, HOLDS, f"{aws.role_id('v2')}/{row_of(aws, instance)}")
    aws.settle()
    aws.clock.sleep(10)
    assert {aws.served(i) for i in (*mine, *launched)} == {"v2"}


def test_forged_marks_in_an_interrupted_cut_over_are_reported(
    fleet: tuple[Rig, list[str], list[str]],
) -> None:
    """They are believed, since a run that died wrote such ones; the plan and the apply say whom they
    are about, and the next change of the role reaches them."""
    aws, mine, launched = fleet
    aws.write(spec("v2"))
    with crashing(aws, 5, after=True), pytest.raises(Crash):
        aws.apply()
    forged = launched[0]
    tag(aws, forged, HOLDS, f"{aws.role_id('v2')}/{row_of(aws, forged)}")
    plan = aws.plan().plan
    (change,) = [c for c in plan.changes if str(c.address) == "instance-profile/web"]
    assert forged in (change.reason or "")
    applied = aws.apply()
    assert applied.exit_code == 0
    (outcome,) = [o for o in applied.result.outcomes if o.what == "cut-over"]
    assert f"{forged} is skipped: its tag says that it has the role" in outcome.reason
    aws.clock.sleep(10)
    assert {aws.served(i) for i in (*mine, launched[1])} == {"v2"}
    aws.write(spec("v1"))
    aws.settle()
    aws.clock.sleep(10)
    assert {aws.served(i) for i in (*mine, *launched)} == {"v1"}


def test_an_association_tag_of_another_owner_is_a_conflict(
    fleet: tuple[Rig, list[str], list[str]],
) -> None:
    aws, mine, _ = fleet
    tag(aws, mine[0], ASSOCIATION, f"somebody/{mine[0]}/{profile_id(aws)}")
    (conflict,) = aws.plan().plan.conflicts
    assert str(conflict.address) == f"association/{mine[0]}"
    assert "somebody" in conflict.reason


@pytest.mark.parametrize(
    "value", sampled(["a/b/c/d"], ["", "tests//", "/", "///", "tests", "\u202e", "x" * 256])
)
def test_malformed_marks_on_instances_are_ignored(
    fleet: tuple[Rig, list[str], list[str]], value: str
) -> None:
    aws, mine, launched = fleet
    for instance in (*mine, *launched):
        tag(aws, instance, HOLDS, value)
    for instance in launched:
        tag(aws, instance, ASSOCIATION, value)
    assert aws.plan().plan.is_empty
    aws.write(spec("v2"))
    aws.settle()
    aws.clock.sleep(10)
    assert {aws.served(i) for i in (*mine, *launched)} == {"v2"}
