"""``rotate``: every consumer gets a fresh session of the role that it has, and with ``--revoke`` the
sessions that they had are denied everything."""

from __future__ import annotations

import json
from typing import Any

import pytest

from reconciler.aws.examiner import AwsExaminer
from reconciler.cli.apply_flow import question
from reconciler.commands.apply import Applied
from reconciler.model.hours import hour_of
from reconciler.model.revocation import REVOKED
from reconciler.render.json.apply import summary_json
from reconciler.render.styled_text import plain
from reconciler.render.text.apply import result_lines
from reconciler.sandbox.revoked import is_revoked
from reconciler.sandbox.sessions import IssuedSession
from reconciler.sandbox.switches import with_switches
from tests.behaviour.faults import Crash, dying
from tests.prepared import prepared
from tests.rig import ACCOUNT, AWAY, HOME, Rig

SPEC = """
roles:
  v1: {{trust: ec2}}
  v2: {{trust: ec2}}
instance_profiles:
  web: {{role: {role}, cutover: {{strategy: {strategy}}}}}
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
    aws.clock.sleep(3600)
    return aws


def issued(aws: Rig) -> dict[str, float]:
    """When the session of each running instance was issued."""
    found = {}
    for region in (HOME, AWAY):
        for instance in aws.instance_ids(region):
            aws.served(instance, region)
            session = aws.aws.sessions.now((ACCOUNT, region, instance))
            assert session is not None
            found[instance] = session.issued_at
    return found


@pytest.mark.parametrize("address", ["instance-profile/web", "role/v1"])
@pytest.mark.parametrize("strategy", ["reassociate", "hop", "restart"])
def test_every_consumer_gets_a_fresh_session(settled: Rig, address: str, strategy: str) -> None:
    settled.write(spec(strategy=strategy))
    began = settled.clock.now()
    plan = settled.settle(rotate=(address,))
    assert len([c for c in plan.changes if c.actions == ("cutover",)]) == 3
    assert all(at > began for at in issued(settled).values())
    assert settled.plan().plan.is_empty
    assert settled.plan(rotate=(address,), rotation="rest").plan.is_empty


def test_nothing_else_is_done(settled: Rig) -> None:
    settled.write(spec("v2"))
    settled.settle(rotate=("instance-profile/web",))
    assert settled.role_in("web") == "v1"
    assert not settled.plan().plan.is_empty


@pytest.mark.parametrize("by", ["apply", "rotate"])
def test_a_rotation_that_dies_is_finished_and_does_nothing_twice(settled: Rig, by: str) -> None:
    began = settled.clock.now()
    with dying(settled, "CreateTags"), pytest.raises(Crash):
        settled.apply(rotate=("instance-profile/web",))
    done = {i: at for i, at in issued(settled).items() if at > began}
    assert len(done) == 1
    settled.settle(**({"rotate": ("instance-profile/web",)} if by == "rotate" else {}))
    after = issued(settled)
    assert all(at > began for at in after.values())
    assert {i: after[i] for i in done} == done
    assert settled.plan().plan.is_empty


def test_the_question_says_what_is_denied_and_who_is_touched(settled: Rig) -> None:
    def asked(**flags: Any) -> str:
        return question(settled.plan(**flags).plan, "rotate")

    profile = ("instance-profile/web",)
    fresh = asked(rotate=profile)
    assert "give these instances fresh sessions in account" in fresh
    assert "deny" not in fresh
    both = asked(rotate=profile, rotation="revoke")
    assert "fresh sessions and deny everything to the older sessions of role/v1 in" in both
    settled.write(spec("v2"))
    settled.settle()
    alone = asked(rotate=("role/v1",), rotation="revoke")
    assert "want to deny everything to the older sessions of role/v1 in account" in alone
    assert "fresh" not in alone


def test_the_strategy_wait_is_refused(settled: Rig) -> None:
    settled.write(spec(strategy="wait"))
    (guard,) = settled.plan(rotate=("instance-profile/web",)).plan.guards
    assert guard.key == "rotate"
    assert "strategy wait" in guard.reason


def test_a_cut_over_that_is_not_finished_comes_first(settled: Rig) -> None:
    settled.write(spec("v2"))
    with dying(settled, "DisassociateIamInstanceProfile"), pytest.raises(Crash):
        settled.apply()
    (guard,) = settled.plan(rotate=("instance-profile/web",)).plan.guards
    assert (guard.key, guard.lift) == ("rotate", "Apply first, so that it ends")


def policy(aws: Rig, role: str = "v1") -> list[Any]:
    """The statements of the policy that revokes sessions."""
    names = aws.iam.list_role_policies(RoleName=role)["PolicyNames"]
    if REVOKED not in names:
        return []
    found = aws.iam.get_role_policy(RoleName=role, PolicyName=REVOKED)["PolicyDocument"]
    statements: list[Any] = found["Statement"]
    return statements


def revoked(aws: Rig, at: float, role: str = "v1") -> bool:
    """Whether IAM denies a call to a session of the role that was issued then."""
    session = IssuedSession(aws.role_id(role), role, at)
    return is_revoked(ACCOUNT, session, "s3:GetObject", "*", aws.clock.now())


def errors(aws: Rig, earlier: int) -> list[str | None]:
    """What becomes of a call of each instance, with the session that it was given so long ago."""
    for key in aws.aws.sessions.used:
        aws.aws.sessions.used[key].clear()
    path, query = "/_sandbox/use", f"call=s3:ListBuckets&earlier={earlier}"
    request = {"PATH_INFO": path, "REQUEST_METHOD": "POST", "QUERY_STRING": query}
    with_switches(aws.aws, lambda *_: ())(request, lambda *_: None)
    return [used.error for each in aws.aws.sessions.used.values() for used in each]


WEB = ("instance-profile/web",)


@pytest.mark.parametrize("rotation", ["revoke", "revoke-first"])
def test_old_sessions_are_denied_and_fresh_ones_are_not(settled: Rig, rotation: str) -> None:
    before = issued(settled)
    began = settled.clock.now()
    settled.settle(rotate=WEB, rotation=rotation)
    assert all(revoked(settled, at) for at in before.values())
    assert not any(revoked(settled, at) for at in issued(settled).values())
    assert revoked(settled, began - 1)
    assert errors(settled, earlier=1) == ["AccessDenied"] * 3
    assert errors(settled, earlier=0) == [None] * 3
    writes = [c.operation for c in settled.writes()]
    last, first = writes[-1], writes.index("PutRolePolicy")
    assert first < writes.index("DisassociateIamInstanceProfile", first)
    assert (last == "PutRolePolicy") == (rotation == "revoke")
    assert settled.plan().plan.is_empty
    assert settled.drift().exit_code == 0


def test_nothing_is_denied_before_all_have_fresh_sessions(settled: Rig) -> None:
    before = issued(settled)
    with dying(settled, "AssociateIamInstanceProfile"), pytest.raises(Crash):
        settled.apply(rotate=WEB, rotation="revoke")
    assert policy(settled)
    assert not any(revoked(settled, at) for at in before.values())


@pytest.mark.parametrize("by", ["apply", "rotate"])
@pytest.mark.parametrize("call", ["PutRolePolicy", "TagInstanceProfile", "CreateTags"])
def test_a_run_that_dies_owes_the_revocation(settled: Rig, by: str, call: str) -> None:
    before = issued(settled)
    with dying(settled, call), pytest.raises(Crash):
        settled.apply(rotate=WEB, rotation="revoke")
    settled.clock.sleep(1200)
    again = {"rotate": WEB, "rotation": "revoke"}
    settled.settle(**(again if by == "rotate" else {}))
    after = issued(settled)
    assert all(after[i] > at for i, at in before.items())
    if (by, call) != ("apply", "TagInstanceProfile"):
        # Otherwise it died before it had recorded what it owes.
        assert all(revoked(settled, at) for at in before.values())
    assert not any(revoked(settled, at) for at in after.values())
    assert settled.plan().plan.is_empty


def test_the_policy_goes_after_twelve_hours(settled: Rig) -> None:
    settled.settle(rotate=WEB, rotation="revoke")
    settled.clock.sleep(11 * 3600)
    assert settled.plan().plan.is_empty
    settled.clock.sleep(3600)
    drift = settled.drift()
    assert drift.exit_code == 0
    assert [(str(f.address), f.severity) for f in drift.findings] == [("role/v1", "info")]
    (change,) = settled.plan().plan.changes
    assert str(change.address) == "role/v1"
    assert not change.widens
    settled.settle()
    assert not policy(settled)


def test_what_others_put_there_stays(settled: Rig) -> None:
    theirs = {
        "Effect": "Deny",
        "Action": ["*"],
        "Resource": ["*"],
        "Condition": {"DateLessThan": {"aws:TokenIssueTime": "2026-11-01T00:00:00.000Z"}},
    }
    text = json.dumps({"Version": "2012-10-17", "Statement": [theirs]})
    settled.iam.put_role_policy(RoleName="v1", PolicyName=REVOKED, PolicyDocument=text)
    before = issued(settled)
    settled.settle(rotate=WEB, rotation="revoke")
    assert policy(settled)[0] == theirs
    assert len(policy(settled)) == 2
    assert all(revoked(settled, at) for at in before.values())
    settled.clock.sleep(13 * 3600)
    settled.settle()
    assert policy(settled) == [theirs]
    assert settled.plan().plan.is_empty


def test_a_role_without_consumers_is_revoked_at_once(settled: Rig) -> None:
    old = issued(settled)
    settled.write(spec("v2"))
    settled.settle()
    settled.settle(rotate=("role/v1",), rotation="revoke")
    assert all(revoked(settled, at) for at in old.values())
    assert not policy(settled, "v2")
    assert settled.plan().plan.is_empty


def test_a_second_rotation_revokes_what_came_since(settled: Rig) -> None:
    settled.settle(rotate=WEB, rotation="revoke")
    since = issued(settled)
    settled.clock.sleep(600)
    settled.settle(rotate=WEB, rotation="revoke")
    assert all(revoked(settled, at) for at in since.values())
    assert len(policy(settled)) == 1


def test_instances_that_would_be_cut_off_are_a_guard(settled: Rig) -> None:
    settled.iam.create_instance_profile(InstanceProfileName="other")
    settled.iam.add_role_to_instance_profile(InstanceProfileName="other", RoleName="v1")
    settled.clock.sleep(60)
    settled.launch(profile="other")
    (guard,) = settled.plan(rotate=WEB, rotation="revoke").plan.guards
    assert (guard.key, guard.lift) == ("consumers", "--allow consumers=role/v1")
    assert not settled.plan(rotate=WEB).plan.guards


def told(applied: Applied) -> list[str]:
    return [plain([one]) for one in result_lines(applied) if "older credentials" in plain([one])]


def test_the_end_of_a_cut_over_says_how_long_old_credentials_last(settled: Rig) -> None:
    settled.write(spec("v2"))
    applied = settled.apply()
    until = settled.clock.now() + 6 * 3600
    (line,) = told(applied)
    assert "role/v1" in line
    assert line.endswith(f"reconciler rotate role/v1 --revoke --specs {settled.folder}")
    assert hour_of(until)[:15] in line
    (one,) = summary_json(applied.planned.plan, applied)["old_sessions"]
    assert one["role"] == "role/v1"
    assert told(settled.apply(rotate=WEB)) != []
    assert told(settled.apply(rotate=WEB, rotation="revoke")) == []


@pytest.mark.parametrize("ahead", [-240.0, 240.0])
def test_the_time_is_that_of_awss_clock(
    settled: Rig, monkeypatch: pytest.MonkeyPatch, ahead: float
) -> None:
    monkeypatch.setattr(AwsExaminer, "ahead", lambda _self, _service: ahead)
    began = settled.clock.now()
    settled.settle(rotate=WEB, rotation="revoke-first")
    assert revoked(settled, began + ahead - 2)
    assert not revoked(settled, began + ahead + 60)
