"""``rotate`` beside things that are not as it left them: another hand, a run that died, instances
that it cannot touch."""

from __future__ import annotations

import json
from typing import Any

import pytest
from moto.ec2.exceptions import EC2ClientError

from reconciler.model.revocation import REVOKED
from reconciler.sandbox.state import Logged
from tests.behaviour.faults import Crash, dying, listening
from tests.behaviour.test_rotate import (
    WEB,
    errors,
    issued,
    policy,
    revoked,
    settled,
    spec,
    told,
)
from tests.rig import AWAY, Rig

__all__ = ["settled"]

THEIRS = {
    "Effect": "Deny",
    "Action": ["*"],
    "Resource": ["*"],
    "Condition": {"DateLessThan": {"aws:TokenIssueTime": "2026-11-01T00:00:00.000Z"}},
}


def put(aws: Rig, statements: Any, **around: Any) -> None:
    text = json.dumps({"Version": "2012-10-17", **around, "Statement": statements})
    aws.iam.put_role_policy(RoleName="v1", PolicyName=REVOKED, PolicyDocument=text)


def keys(aws: Rig, rotation: str, rotate: tuple[str, ...] = WEB) -> list[tuple[str, str]]:
    guards = aws.plan(rotate=rotate, rotation=rotation).plan.guards
    return [(guard.key, guard.lift) for guard in guards]


@pytest.mark.parametrize("kept", [True, False])
def test_what_somebody_writes_while_it_runs_is_not_lost(settled: Rig, kept: bool) -> None:
    """As the console does, whose statement is younger than ours."""
    done: list[Logged] = []

    def listen(logged: Logged) -> None:
        if logged.operation == "AssociateIamInstanceProfile" and not done:
            done.append(logged)
            put(settled, [THEIRS, *(policy(settled) if kept else [])])

    with listening(settled.aws.after, listen):
        applied = settled.apply(rotate=WEB, rotation="revoke")
    assert applied.exit_code != 0
    (failed,) = [o for o in applied.result.outcomes if o.status == "failed"]
    assert "was changed outside of this run" in failed.reason
    assert policy(settled)[0] == THEIRS
    settled.settle()
    assert policy(settled)[0] == THEIRS
    assert len(policy(settled)) == (2 if kept else 1)


def test_others_document_keeps_what_is_around_its_statements(settled: Rig) -> None:
    put(settled, THEIRS, Id="emergency")
    settled.settle(rotate=WEB, rotation="revoke")
    found = settled.iam.get_role_policy(RoleName="v1", PolicyName=REVOKED)["PolicyDocument"]
    assert (found["Id"], found["Version"]) == ("emergency", "2012-10-17")


def test_our_statement_as_somebody_changed_it_is_a_guard(settled: Rig) -> None:
    """IAM would refuse two with one ``Sid``, once all instances have been touched."""
    settled.settle(rotate=WEB, rotation="revoke")
    put(settled, [{**policy(settled)[0], "Resource": ["*"]}])
    assert keys(settled, "revoke") == [("rotate", "Remove it, or give it another Sid")]
    assert keys(settled, "fresh") == []


def test_who_denies_first_after_a_run_that_died_spares_what_it_did(settled: Rig) -> None:
    before = issued(settled)
    with dying(settled, "CreateTags"), pytest.raises(Crash):
        settled.apply(rotate=WEB, rotation="revoke")
    settled.clock.sleep(1200)
    settled.settle(rotate=WEB, rotation="revoke-first")
    assert all(revoked(settled, at) for at in before.values())
    assert not any(revoked(settled, at) for at in issued(settled).values())
    assert errors(settled, earlier=0) == [None] * 3


def test_instances_that_a_service_manages_are_not_cut_off_unasked(settled: Rig) -> None:
    settled.launch(1, profile="web", operator="eks.amazonaws.com")
    settled.clock.sleep(600)
    assert keys(settled, "revoke-first") == [("consumers", "--allow consumers=role/v1")]
    assert keys(settled, "revoke") == []
    settled.apply(rotate=WEB, rotation="revoke")
    settled.apply()
    assert policy(settled)
    assert not any(revoked(settled, at) for at in issued(settled).values())


def test_a_region_that_cannot_be_read_is_not_cut_off_unasked(settled: Rig) -> None:
    listed = ("DescribeInstances", "DescribeIamInstanceProfileAssociations")

    def listen(logged: Logged) -> None:
        if logged.region == AWAY and logged.operation in listed:
            raise EC2ClientError("UnauthorizedOperation", "refused by the test")

    with listening(settled.aws.before, listen):
        assert keys(settled, "revoke-first") == [("consumers", "--allow consumers=role/v1")]
        settled.apply(rotate=WEB, rotation="revoke")
        settled.apply()
    assert not any(revoked(settled, at) for at in issued(settled).values())
    settled.clock.sleep(1200)
    old = issued(settled)
    settled.settle()
    assert policy(settled)
    assert not any(revoked(settled, at) for at in issued(settled).values())
    assert any(revoked(settled, at) for at in old.values())


def test_a_role_that_ec2_goes_on_serving_is_not_cut_off_unasked(settled: Rig) -> None:
    settled.write(spec("v2", "wait"))
    applied = settled.apply()
    assert told(applied) == []
    assert {settled.served(i) for i in settled.instance_ids()} == {"v1"}
    assert keys(settled, "revoke", ("role/v1",)) == [("consumers", "--allow consumers=role/v1")]
    settled.clock.sleep(8 * 3600)
    assert keys(settled, "revoke", ("role/v1",)) == []


def test_a_part_of_the_set_does_not_cut_off_the_rest(settled: Rig) -> None:
    """``--only`` reads the profiles that it names, and another one has the role as well."""
    text = spec().replace("instance_profiles:", "instance_profiles:\n  web2: {role: v1}")
    settled.write(text)
    settled.settle()
    settled.clock.sleep(60)
    settled.launch(profile="web2")
    settled.clock.sleep(600)
    with dying(settled, "AssociateIamInstanceProfile"), pytest.raises(Crash):
        settled.apply(rotate=("role/v1",), rotation="revoke")
    for name in ("web", "web2"):
        settled.apply(only=(f"instance-profile/{name}", "role/v1"))
        assert not any(one.get("Sid") == "ReconcilerRevokesFortests" for one in policy(settled))
    settled.settle()
    assert any(one.get("Sid") == "ReconcilerRevokesFortests" for one in policy(settled))
    assert not any(revoked(settled, at) for at in issued(settled).values())


def test_another_run_may_have_done_the_same(settled: Rig) -> None:
    done: list[Logged] = []

    def listen(logged: Logged) -> None:
        if logged.operation == "AssociateIamInstanceProfile" and not done:
            done.append(logged)
            (owed,) = policy(settled)
            time = {"aws:TokenIssueTime": owed["Condition"]["DateLessThan"]["aws:TokenIssueTime"]}
            sid = owed["Sid"].replace("Owes", "Revokes")
            put(settled, [{**owed, "Sid": sid, "Condition": {"DateLessThan": time}}])

    with listening(settled.aws.after, listen):
        settled.settle(rotate=WEB, rotation="revoke")
    assert done
