"""``forget`` takes our tags off and nothing else; ``--refresh`` cuts consumers over although nothing
differs."""

from __future__ import annotations

import pytest

from reconciler.errors import RefusedError
from reconciler.exit_codes import ExitCode
from tests.behaviour.faults import Crash, dying
from tests.prepared import prepared
from tests.rig import AWAY, HOME, Rig

SPEC = """
policies:
  read: {{document: {{Version: 2012-10-17, Statement: [
    {{Effect: Allow, Action: 's3:GetObject', Resource: '*'}}]}}, tags: {{team: web}}}}
roles:
  v1: {{trust: ec2, managed_policies: [read], tags: {{team: web}}}}
  v2: {{trust: ec2}}
instance_profiles:
  web: {{role: {role}, tags: {{team: web}}, cutover: {{strategy: {strategy}}}}}
associations:
  fleet: {{instance_profile: web, select: {{tags: {{app: web}}}}}}
"""


def spec(role: str = "v1", strategy: str = "reassociate") -> str:
    return SPEC.format(role=role, strategy=strategy)


@pytest.fixture
@prepared
def settled(aws: Rig) -> Rig:
    aws.launch(2, tags={"app": "web"})
    aws.launch(1, tags={"app": "web"}, region=AWAY)
    aws.write(spec())
    aws.settle()
    aws.clock.sleep(60)
    return aws


def rows(aws: Rig) -> set[str]:
    return {
        row["AssociationId"]
        for region in (HOME, AWAY)
        for row in aws.ec2(region).describe_iam_instance_profile_associations()[
            "IamInstanceProfileAssociations"
        ]
    }


def test_what_is_forgotten_loses_our_tags_and_nothing_else(settled: Rig) -> None:
    before = rows(settled)
    applied = settled.apply(forget=("role/v1", "instance-profile/*", "policy/READ"))
    assert applied.exit_code is ExitCode.OK
    writes = [c.operation for c in settled.writes()[-3:]]
    assert sorted(writes) == ["UntagInstanceProfile", "UntagPolicy", "UntagRole"]
    assert settled.role_tags("v1") == {"team": "web"}
    assert settled.profile_tags("web") == {"team": "web"}
    assert set(settled.role_tags("v2")) == {"reconciler:owner"}
    assert rows(settled) == before
    assert settled.role_in("web") == "v1"
    unadopted = {str(c.address) for c in settled.plan().plan.conflicts}
    assert unadopted == {"role/v1", "instance-profile/web", "policy/read"}


def test_an_association_is_forgotten_in_every_region(settled: Rig) -> None:
    before = rows(settled)
    applied = settled.apply(forget=("association/*",))
    assert applied.exit_code is ExitCode.OK
    assert rows(settled) == before
    for region in (HOME, AWAY):
        for instance in settled.instance_ids(region):
            assert settled.instance_tags(instance, region) == {"app": "web"}
    assert set(settled.profile_tags("web")) >= {"reconciler:owner"}


def test_what_is_of_another_owner_is_not_forgotten(settled: Rig) -> None:
    assert settled.plan(forget=("*",), owner="others").plan.is_empty
    with pytest.raises(RefusedError) as refused:
        settled.plan(forget=("role/v11",))
    assert refused.value.exit_code is ExitCode.USAGE
    assert refused.value.message == "role/v11 matches nothing; did you mean role/v1?"


def test_a_profile_in_the_middle_of_a_cut_over_is_not_forgotten(settled: Rig) -> None:
    settled.write(spec("v2"))
    with dying(settled, "DisassociateIamInstanceProfile"), pytest.raises(Crash):
        settled.apply()
    (guard,) = settled.plan(forget=("instance-profile/web",)).plan.guards
    assert guard.key == "unfinished"


@pytest.mark.parametrize("strategy", ["reassociate", "hop"])
def test_a_refresh_gives_every_consumer_a_fresh_session(settled: Rig, strategy: str) -> None:
    settled.write(spec(strategy=strategy))
    before = rows(settled)
    planned = settled.plan(refresh=("instance-profile/*",)).plan
    change = next(c for c in planned.changes if str(c.address) == "instance-profile/web")
    assert change.reason == "its consumers are cut over once more, as --refresh asks"
    assert len([c for c in planned.changes if c.actions == ("cutover",)]) == 3
    settled.settle(refresh=("instance-profile/*",))
    assert not rows(settled) & before
    assert {settled.served(i) for i in settled.instance_ids()} == {"v1"}
    assert {c.operation for c in settled.writes()} >= {"AssociateIamInstanceProfile"}
    assert settled.profile_tags("web")["reconciler:role-id"] == settled.role_id("v1")


def test_a_refresh_that_dies_is_completed_without_the_flag(settled: Rig) -> None:
    before = rows(settled)
    with dying(settled, "DisassociateIamInstanceProfile"), pytest.raises(Crash):
        settled.apply(refresh=("instance-profile/web",))
    settled.settle()
    assert not rows(settled) & before
    assert {settled.served(i) for i in settled.instance_ids()} == {"v1"}


def test_a_refresh_after_the_strategy_wait(settled: Rig) -> None:
    settled.write(spec("v2", "wait"))
    settled.apply()
    settled.write(spec("v2"))
    settled.settle(refresh=("instance-profile/web",))
    assert {settled.served(i) for i in settled.instance_ids()} == {"v2"}


def test_a_refresh_of_what_is_not_ours_does_nothing(settled: Rig) -> None:
    for glob in ("instance-profile/wep", "role/v1"):
        with pytest.raises(RefusedError) as refused:
            settled.plan(refresh=(glob,))
        assert refused.value.exit_code is ExitCode.USAGE
