"""``rotate`` and an account that changes: before it begins, while it runs, and after it died."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from typing import Any

import pytest

from reconciler.commands.apply import Applied, Apply
from reconciler.executor.interrupt import Interrupt
from reconciler.model.revocation import REVOKED
from tests.behaviour.faults import Crash, crashing, dying, refusing
from tests.behaviour.test_rotate import (
    WEB,
    errors,
    issued,
    policy,
    revoked,
    settled,
    spec,
)
from tests.behaviour.test_rotate_attacks import THEIRS, keys, put
from tests.rig import HOME, Rig

__all__ = ["settled"]
BOTH: dict[str, Any] = {"rotate": WEB, "rotation": "revoke"}


def launch(aws: Rig) -> None:
    aws.launch(1, tags={"app": "web"}, profile="web")


def edit_by_hand(aws: Rig) -> None:
    statement = {"Effect": "Allow", "Action": "s3:GetObject", "Resource": "*"}
    text = json.dumps({"Version": "2012-10-17", "Statement": statement})
    aws.iam.put_role_policy(RoleName="v1", PolicyName="own", PolicyDocument=text)


def revoke_by_hand(aws: Rig) -> None:
    put(aws, [THEIRS])


CHANGES: dict[str, Callable[[Rig], None]] = {
    "a consumer is launched": launch,
    "somebody gives the role an inline policy": edit_by_hand,
    "somebody revokes sessions": revoke_by_hand,
}


@pytest.mark.parametrize("name", CHANGES)
def test_what_changes_between_the_plan_and_its_apply_is_not_lost(settled: Rig, name: str) -> None:
    """The plan that was approved is carried out as it was, or not at all."""
    planned = settled.plan(**BOTH)
    old = issued(settled)
    CHANGES[name](settled)
    applied = Apply(planned, settled.commands(), Interrupt(), None).execute()
    there = settled.iam.list_role_policies(RoleName="v1")["PolicyNames"]
    assert ("own" in there) is (name == "somebody gives the role an inline policy")
    assert (THEIRS in policy(settled)) is (name == "somebody revokes sessions")
    if applied.exit_code != 0:
        assert not any(revoked(settled, at) for at in issued(settled).values())
        settled.clock.sleep(1200)
        settled.apply()
        settled.settle(**BOTH)
    assert all(revoked(settled, at) for at in old.values())
    assert errors(settled, earlier=0) == [None] * len(issued(settled))
    assert settled.plan().plan.is_empty


@pytest.mark.parametrize("name", CHANGES)
def test_the_digest_covers_what_is_done(settled: Rig, name: str) -> None:
    approved = settled.plan(**BOTH).plan
    assert settled.plan(**BOTH).plan.digest == approved.digest
    CHANGES[name](settled)
    settled.clock.sleep(60)
    is_same = settled.plan(**BOTH).plan.digest == approved.digest
    assert is_same is (name != "somebody revokes sessions")


def test_two_runs_at_a_time_deny_no_fresh_session(settled: Rig) -> None:
    old = issued(settled)
    planned = [settled.plan(**BOTH) for _ in range(2)]
    ended: list[Applied] = []

    def run(one: Any) -> None:
        ended.append(Apply(one, settled.commands(), Interrupt(), None).execute())

    threads = [threading.Thread(target=run, args=(one,)) for one in planned]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
    assert len(ended) == 2
    assert not any(revoked(settled, at) for at in issued(settled).values())
    settled.clock.sleep(1200)
    settled.settle()
    assert all(revoked(settled, at) for at in old.values())
    assert errors(settled, earlier=0) == [None] * 3
    assert settled.plan().plan.is_empty


def large(aws: Rig, characters: int) -> None:
    """An inline policy of that size."""
    bare = {"Effect": "Allow", "Action": "s3:GetObject", "Resource": "arn:aws:s3:::"}
    text = json.dumps({"Version": "2012-10-17", "Statement": bare}, separators=(",", ":"))
    filled = text.replace("arn:aws:s3:::", f"arn:aws:s3:::{'x' * (characters - len(text))}")
    assert len(filled) == characters
    aws.iam.put_role_policy(RoleName="v1", PolicyName="large", PolicyDocument=filled)


@pytest.mark.parametrize("rotation", ["revoke", "revoke-first"])
def test_a_role_without_room_for_the_policy_is_a_guard(settled: Rig, rotation: str) -> None:
    """Otherwise AWS refuses it after the mark, or after every instance has been touched."""
    large(settled, 10_100)
    settled.clock.sleep(60)
    (guard,) = settled.plan(rotate=WEB, rotation=rotation).plan.guards
    assert guard.key == "rotate"
    assert "more than the 10,240" in guard.reason
    assert keys(settled, "fresh") == []
    large(settled, 9_600)
    settled.clock.sleep(60)
    settled.settle(rotate=WEB, rotation=rotation)


def test_a_set_that_leaves_no_room_beside_the_policy_is_a_guard(settled: Rig) -> None:
    settled.settle(**BOTH)
    action = "{Effect: Allow, Action: 's3:GetObject', Resource: 'arn:aws:s3:::%s'}" % ("x" * 10_000)
    own = f"inline_policies: {{own: {{Version: '2012-10-17', Statement: {action}}}}}"
    settled.write(spec().replace("v1: {trust: ec2}", f"v1: {{trust: ec2, {own}}}"))
    (guard,) = settled.plan().plan.guards
    assert "more than the 10,240" in guard.reason
    settled.clock.sleep(13 * 3600)
    settled.settle()
    assert not policy(settled)


def owing(aws: Rig) -> None:
    with dying(aws, "CreateTags"), pytest.raises(Crash):
        aws.apply(**BOTH)
    aws.clock.sleep(1200)


LIFTED = frozenset({("delete", "9"), ("change", "9"), ("consumers", "*"), ("release", "*")})


@pytest.mark.slow
def test_destroy_ends_a_rotation(settled: Rig) -> None:
    """The first one ends it, as any cut-over that is not finished."""
    owing(settled)
    settled.apply(destroy=True, allow=LIFTED)
    settled.settle(destroy=True, allow=LIFTED)
    assert settled.names()["roles"] == []


@pytest.mark.parametrize("prune", [True, False])
def test_a_role_that_leaves_the_specs_in_a_rotation(settled: Rig, prune: bool) -> None:
    before = issued(settled)
    owing(settled)
    settled.write(spec("v2").replace("  v1: {trust: ec2}\n", ""))
    settled.settle(prune=prune, allow=LIFTED)
    if not prune:
        assert all(revoked(settled, at) for at in before.values())
    settled.clock.sleep(13 * 3600)
    settled.settle(prune=prune, allow=LIFTED)
    assert settled.plan(prune=prune).plan.is_empty


@pytest.mark.parametrize("mark", [True, False])
def test_a_profile_that_leaves_the_specs_in_a_rotation(settled: Rig, mark: bool) -> None:
    before = issued(settled)
    with dying(settled, "PutRolePolicy" if mark else "CreateTags"), pytest.raises(Crash):
        settled.apply(**BOTH)
    settled.clock.sleep(1200)
    settled.write("roles: {v1: {trust: ec2}, v2: {trust: ec2}}\n")
    plan = settled.settle()
    told = [kept.reason for target in plan.targets for kept in target.kept]
    is_done = all(revoked(settled, at) for at in before.values())
    assert is_done or any("will be revoked when its rotation has ended" in one for one in told)
    assert not any(revoked(settled, at) for at in issued(settled).values())


@pytest.mark.slow
def test_a_role_that_is_spelled_in_another_case(settled: Rig) -> None:
    before = issued(settled)
    owing(settled)
    settled.write(spec("V1").replace("v1:", "V1:"))
    settled.settle()
    assert all(revoked(settled, at) for at in before.values())
    since = issued(settled)
    settled.clock.sleep(600)
    settled.settle(rotate=("role/V1",), rotation="revoke")
    assert all(revoked(settled, at) for at in since.values())
    assert len(policy(settled)) == 1


@pytest.mark.slow
def test_a_role_in_several_profiles_of_which_one_is_of_others(settled: Rig) -> None:
    text = spec().replace("instance_profiles:", "instance_profiles:\n  web2: {role: v1}")
    settled.write(text)
    settled.settle()
    settled.iam.create_instance_profile(InstanceProfileName="other")
    settled.iam.add_role_to_instance_profile(InstanceProfileName="other", RoleName="v1")
    settled.clock.sleep(60)
    settled.launch(profile="web2")
    (theirs,) = settled.launch(profile="other")
    settled.clock.sleep(600)
    role = ("role/v1",)
    (kept,) = [k for t in settled.plan(rotate=role).plan.targets for k in t.kept]
    assert str(kept.address) == "instance-profile/other"
    assert keys(settled, "revoke", role) == [("consumers", "--allow consumers=role/v1")]
    before = issued(settled)
    settled.settle(rotate=role, rotation="revoke", allow=frozenset({("consumers", "role/v1")}))
    after = issued(settled)
    assert {i for i in before if after[i] == before[i]} == {theirs}
    assert {i for i, at in after.items() if revoked(settled, at)} == {theirs}


def test_a_stopped_instance_gets_its_fresh_session_when_it_starts(settled: Rig) -> None:
    one, *_ = settled.instance_ids(HOME)
    settled.ec2().stop_instances(InstanceIds=[one])
    settled.clock.sleep(120)
    settled.settle(rotate=WEB, rotation="revoke")
    settled.clock.sleep(600)
    settled.ec2().start_instances(InstanceIds=[one])
    settled.clock.sleep(120)
    settled.served(one)
    assert not any(revoked(settled, at) for at in issued(settled).values())
    assert settled.plan().plan.is_empty


@pytest.mark.parametrize("strategy", ["hop", "reassociate"])
def test_one_apply_ends_what_a_run_that_died_and_one_that_was_refused_left(
    settled: Rig, strategy: str
) -> None:
    """With a hop, instances are on a temporary profile, which is nobody else's."""
    settled.write(spec(strategy=strategy))
    before = issued(settled)
    with pytest.raises(Crash), crashing(settled, 6, after=True):
        settled.apply(**BOTH)
    settled.clock.sleep(1200)
    hop = strategy == "hop"
    call = "ReplaceIamInstanceProfileAssociation" if hop else "AssociateIamInstanceProfile"
    with refusing(settled, call, "UnauthorizedOperation", times=1):
        assert settled.apply().exit_code != 0
    settled.clock.sleep(1200)
    settled.settle()
    assert all(revoked(settled, at) for at in before.values())
    assert not any(revoked(settled, at) for at in issued(settled).values())


def test_the_policy_is_named_as_aws_has_it(settled: Rig) -> None:
    """Names of inline policies ignore case, so there is one of them."""
    text = json.dumps({"Version": "2012-10-17", "Statement": [THEIRS]})
    name = REVOKED.lower()
    settled.iam.put_role_policy(RoleName="v1", PolicyName=name, PolicyDocument=text)
    settled.settle(**BOTH)
    assert settled.iam.list_role_policies(RoleName="v1")["PolicyNames"] == [name]
