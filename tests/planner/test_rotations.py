"""What ``rotate`` begins, goes on with or refuses, and what becomes of the policy that revokes
sessions."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from reconciler.model.live import LiveState
from reconciler.model.ownership import (
    NO_ROLE,
    OWNER,
    Failed,
    Partial,
    Pending,
    RoleMark,
    Settled,
    Waiting,
    encode_owner,
)
from reconciler.model.policy_document import PolicyDocument
from reconciler.model.revocation import REVOKED, document, moment, revocation_of
from reconciler.plan.changes import actions_of
from reconciler.plan.plan import TargetPlan
from tests.planner.cases import READ
from tests.planner.test_cutovers import account, specs
from tests.planner.worlds import NOW, TEAM, instance, plan, role_id, steps

A, B = map(role_id, "ab")
WEB = "instance-profile/web"
HOURS = 3600.0
PUT = "PutRolePolicy"


def rotate(there: LiveState, what: str = WEB, rotation: str = "fresh", **more: Any) -> TargetPlan:
    return plan(specs("a"), there, rotate=(what,), rotation=rotation, **more)


def with_policy(there: LiveState, value: Any, role: str = "a") -> LiveState:
    live = there.roles[role]
    inline = ((REVOKED, PolicyDocument.of(value)),)
    changed = replace(live, resource=replace(live.resource, inline_policies=inline))
    return replace(there, roles={**there.roles, role: changed})


def ours(since: float | None = None, owed: float | None = None) -> Any:
    times = [None if at is None else moment(at) for at in (since, owed)]
    return document(TEAM, times[0], times[1])


def operations(planned: TargetPlan) -> list[str]:
    return [line.split()[2] for line in steps(planned)]


MARKED: dict[str, tuple[RoleMark, str]] = {
    "settled": (Settled(A), "begins"),
    "settled in some regions": (Partial(A, ("us-east-1",)), "begins"),
    "after the strategy wait": (Waiting(A, int(NOW)), "begins"),
    "marked by a run that died": (Settled(NO_ROLE), "goes on"),
    "begun by a run that died": (Pending(NO_ROLE, A, int(NOW) - 900, "dead"), "goes on"),
    "in a role change": (Pending(B, A, int(NOW) - 900, "dead"), "refused"),
    "swapped by hand": (Settled(B), "refused"),
    "rolled back": (Failed(B), "refused"),
}


@pytest.mark.parametrize("name", MARKED)
def test_what_is_begun(name: str) -> None:
    mark, what = MARKED[name]
    planned = rotate(account("a", mark))
    if what == "refused":
        (guard,) = planned.guards
        assert guard.key == "rotate"
        assert not planned.work
        return
    assert not planned.guards
    assert [c.actions for c in planned.changes] == [("update",), ("cutover",)]
    marks = [s for s in planned.work if s.pending.action.__class__.__name__ == "ApiCall"]
    assert len(marks) == (1 if what == "begins" else 0)


@pytest.mark.parametrize("mark", [Settled(A), Settled(NO_ROLE)])
def test_what_is_left_of_it(mark: RoleMark) -> None:
    planned = rotate(account("a", mark), rotation="rest")
    assert bool(planned.changes) is (mark == Settled(NO_ROLE))


def test_the_order_of_a_revocation() -> None:
    planned = rotate(account("a", Settled(A)), rotation="revoke")
    assert steps(planned)[0].startswith("1 instance-profile/web TagInstanceProfile")
    assert steps(planned)[1] == "2 role/a PutRolePolicy a < 1"
    assert operations(planned).count(PUT) == 2
    last = steps(planned)[-1]
    assert " role/a PutRolePolicy a < " in last
    first = rotate(account("a", Settled(A)), rotation="revoke-first")
    assert operations(first)[:2] == ["TagInstanceProfile", PUT]
    assert operations(first).count(PUT) == 1


def test_who_goes_on_takes_the_time_of_the_start() -> None:
    began = NOW - 2 * HOURS
    mark = Pending(NO_ROLE, A, int(began), "dead")
    there = with_policy(account("a", mark), ours(owed=began))
    for planned in (rotate(there, rotation="revoke"), plan(specs("a"), there)):
        assert operations(planned).count(PUT) == 1
        (change,) = [c for c in planned.changes if c.kind == "role"]
        assert change.intent == {"revokes": moment(began)}


POLICIES = {
    "fresh": (ours(since=NOW - HOURS), Settled(A), None),
    "over": (ours(since=NOW - 12 * HOURS), Settled(A), "DeleteRolePolicy"),
    "owed and done": (ours(owed=NOW - HOURS), Settled(A), PUT),
    "owed and over": (ours(owed=NOW - 13 * HOURS), Settled(A), "DeleteRolePolicy"),
    "that of an owner before": (
        document("others", moment(NOW - 99 * HOURS), None),
        Settled(A),
        "DeleteRolePolicy",
    ),
    "owed by an owner before": (document("others", None, moment(NOW - HOURS)), Settled(A), PUT),
    "somebody else's": (
        {"Version": "2012-10-17", "Statement": [{"Effect": "Deny", "Action": "s3:*"}]},
        Settled(A),
        None,
    ),
    "ours beside somebody else's": (
        document(TEAM, moment(NOW - 13 * HOURS), None, [{"Effect": "Deny", "Action": "s3:*"}]),
        Settled(A),
        PUT,
    ),
}


@pytest.mark.parametrize("name", POLICIES)
def test_what_an_apply_does_with_the_policy(name: str) -> None:
    value, mark, call = POLICIES[name]
    there = with_policy(account("a", mark), value)
    planned = plan(specs("a"), there)
    assert operations(planned) == ([] if call is None else [call])
    assert plan(specs("a"), there, for_drift=True).changes == ()
    assert not any(change.widens for change in planned.changes)


def test_what_is_owed_waits_for_a_profile_that_is_left_out() -> None:
    there = with_policy(account("a", Settled(NO_ROLE)), ours(owed=NOW - HOURS))
    assert not plan(specs("a"), there, only=("role/a",)).changes
    assert operations(plan(specs("a"), there))[-1] == PUT


def test_what_is_owed_waits_for_instances_that_aws_serves_by_itself() -> None:
    there = with_policy(account("a", Settled(NO_ROLE)), ours(owed=NOW - HOURS))
    text = specs("a").replace("{role: a}", "{role: a, cutover: {strategy: wait}}")
    assert PUT not in operations(plan(text, there))
    there = with_policy(account("a", Waiting(A, int(NOW))), ours(owed=NOW - HOURS))
    assert PUT not in operations(plan(text, there))


def test_what_is_owed_waits_for_a_swap_that_comes_in_between() -> None:
    mark = Pending(NO_ROLE, A, int(NOW) - 900, "dead")
    there = with_policy(account("a", mark), ours(owed=NOW - HOURS))
    assert operations(plan(specs("b"), there))[-1] == PUT


def test_a_policy_of_the_specs_is_theirs() -> None:
    there = with_policy(account("a", Settled(A)), ours(since=NOW - 13 * HOURS))
    own = f"inline_policies: {{{REVOKED}: {READ}}}"
    text = specs("a").replace("a: {trust: ec2}", f"a: {{trust: ec2, {own}}}")
    (guard,) = [
        g for g in plan(text, there, rotate=(WEB,), rotation="revoke").guards if g.key == "rotate"
    ]
    assert "the specs have the inline policy" in guard.reason


def test_a_role_in_no_profile_has_nobody_to_give_a_session() -> None:
    there = account("a", Settled(A))
    (guard,) = rotate(there, "role/b").guards
    assert guard.key == "rotate"
    assert operations(rotate(there, "role/b", "revoke")) == [PUT]


def test_a_role_of_nobody_here_is_not_revoked() -> None:
    there = account("a", Settled(A))
    bare = replace(there.roles["a"], marks={})
    there = replace(there, roles={**there.roles, "a": bare})
    assert {g.key for g in rotate(there, rotation="revoke").guards} == {"rotate"}
    assert not rotate(there).guards


def test_instances_outside_of_consumer_regions_are_a_guard() -> None:
    there = account("a", Settled(A), (instance(1, "web"),))
    narrow: dict[str, Any] = {"consumer_regions": ("us-east-1",)}
    (guard,) = rotate(there, rotation="revoke", **narrow).guards
    assert (guard.key, guard.lift) == ("consumers", "--allow consumers=role/a")
    lifted = frozenset({("consumers", "role/a")})
    assert not rotate(there, rotation="revoke", allow=lifted, **narrow).guards


OWNERS = ["platform", "a.b_c-d", "Z9", "Z5F9", "_9", "x", "xOwed", "xZ", "x" * 64]


@pytest.mark.parametrize("owner", OWNERS)
def test_our_statement_is_known_by_its_form(owner: str) -> None:
    made = PolicyDocument.of(document(owner, moment(NOW), moment(NOW + 1)))
    found = revocation_of(made)
    assert (found.since, found.owed, found.others) == (NOW, NOW + 1, ())


def sids(owner: str) -> list[str]:
    made: Any = document(owner, moment(NOW), moment(NOW + 1))
    return [statement["Sid"] for statement in made["Statement"]]


def test_no_two_statements_have_one_sid() -> None:
    """IAM takes each once in a policy, and letters and digits alone."""
    made = [sid for owner in OWNERS for sid in sids(owner)]
    assert len({*made}) == len(made)
    assert all(sid.isascii() and sid.isalnum() for sid in made)


def test_a_statement_of_the_earlier_form_is_known_and_not_in_the_way() -> None:
    """The ending of its ``Sid`` could have been that of an owner's name."""
    made: Any = document("x", None, moment(NOW))
    made["Statement"][0]["Sid"] = "ReconcilerRevokesForxOwed"
    assert revocation_of(PolicyDocument.of(made)).owed == NOW
    there = with_policy(account("a", Settled(NO_ROLE)), ours(owed=NOW - HOURS))
    value = there.roles["a"].resource.inline_policies[0][1].value
    earlier = {**value["Statement"][0], "Sid": f"ReconcilerRevokesFor{TEAM}Owed"}
    planned = plan(specs("a"), with_policy(there, {**value, "Statement": [earlier]}))
    (change,) = [c for c in planned.changes if c.kind == "role"]
    assert change.after == {"inline_policies": {REVOKED: ours(since=NOW - HOURS)}}


def test_a_statement_that_somebody_changed_is_theirs() -> None:
    made = ours(since=NOW)
    made["Statement"][0]["Resource"] = "arn:aws:s3:::*"
    found = revocation_of(PolicyDocument.of(made))
    assert not found.is_ours
    assert len(found.others) == 1


def owned_by(there: LiveState, owner: str, role: str = "a", profile: str = "web") -> LiveState:
    """The role, or the profile, or both, of another owner."""
    roles, profiles = dict(there.roles), dict(there.profiles)
    for known, name in ((roles, role), (profiles, profile)):
        if name:
            live: Any = known[name]
            mark = encode_owner(owner, live.resource.name)
            known[name] = replace(live, marks={**live.marks, OWNER: mark})
    return replace(there, roles=roles, profiles=profiles)


TAKING: dict[str, Any] = {"adopt": True, "take_over": True}


def test_what_is_owed_comes_with_the_role_that_is_taken_over() -> None:
    """In one plan: afterwards, nothing is left to do."""
    there = with_policy(account("a", Settled(A)), document("others", None, moment(NOW - HOURS)))
    planned = plan(specs("a"), owned_by(there, "others"), **TAKING)
    (change,) = [c for c in planned.changes if c.kind == "role"]
    assert actions_of(change) == ("adopt", "update")
    assert change.after == {"inline_policies": {REVOKED: ours(since=NOW - HOURS)}}
    assert str(change.reason).startswith("taken over from 'others'; every consumer has a fresh")
    told = [line for line in steps(planned) if " role/a " in line]
    assert [line.split()[2] for line in told] == ["TagRole", PUT]
    assert not plan(specs("a"), owned_by(there, "others")).work


def test_what_is_owed_waits_for_a_profile_of_the_owner_before() -> None:
    """Its consumers have no fresh sessions yet, and that owner's apply gives them theirs."""
    there = with_policy(account("a", Settled(NO_ROLE)), document("others", None, moment(NOW)))
    roles = specs("a").partition("instance_profiles")[0]
    assert PUT not in operations(plan(roles, owned_by(there, "others"), **TAKING))
    # The role of one owner, the profile of another.
    split = owned_by(there, "others", role="")
    assert PUT not in operations(plan(roles, split))
    assert PUT in operations(plan(roles, owned_by(account_with(Settled(A)), "others", role="")))


def account_with(mark: RoleMark) -> LiveState:
    return with_policy(account("a", mark), ours(owed=NOW - HOURS))


def test_what_a_forgotten_role_leaves_behind_is_told() -> None:
    def forget(policy: Any, what: str = "role/a") -> TargetPlan:
        return plan(specs("a"), with_policy(account("a", Settled(A)), policy), forget=(what,))

    (guard,) = forget(ours(owed=NOW - HOURS)).guards
    assert guard.key == "unfinished"
    assert "are still to be revoked" in guard.reason
    assert guard.lift.startswith("Apply first")
    assert not forget(ours(owed=NOW - HOURS), "policy/*").guards
    done = forget(ours(since=NOW - HOURS))
    assert not done.guards
    assert operations(done) == ["UntagRole"]
    (kept,) = done.kept
    assert kept.reason.endswith("and stays until somebody deletes it")
    assert "denies its sessions from before" in kept.reason
    (kept,) = forget(ours(owed=NOW - 13 * HOURS)).kept
    assert "denies nobody any longer" in kept.reason


def test_a_profile_that_waits_for_fresh_sessions_is_not_forgotten() -> None:
    there = account("a", Settled(NO_ROLE))
    (guard,) = plan(specs("a"), there, forget=(WEB,)).guards
    assert guard.key == "unfinished"


@pytest.mark.parametrize(
    ("mark", "words"),
    [
        (Settled(A), "every consumer has a fresh session: "),
        (Settled(NO_ROLE), "once all consumers have fresh sessions, "),
    ],
)
def test_the_reason_says_whether_the_cut_over_is_to_come(mark: RoleMark, words: str) -> None:
    (change,) = [c for c in plan(specs("a"), account_with(mark)).changes if c.kind == "role"]
    assert change.reason == f"{words}those issued before {moment(NOW - HOURS)} are revoked"


@pytest.mark.parametrize("rotation", ["revoke", "revoke-first"])
def test_the_reason_of_a_rotation_that_goes_on_has_its_time(rotation: str) -> None:
    planned = rotate(account_with(Pending(NO_ROLE, A, int(NOW) - 3600, "dead")), rotation=rotation)
    (change,) = [c for c in planned.changes if c.kind == "role"]
    assert f"issued before {moment(NOW - HOURS)} are revoked" in str(change.reason)


@pytest.mark.parametrize("for_drift", [True, False])
def test_what_a_role_that_left_the_specs_denies_is_told(for_drift: bool) -> None:
    there = with_policy(account("a", Settled(A)), ours(since=NOW - HOURS))
    text = "roles: {b: {trust: ec2}}\n"
    (told,) = [k for k in plan(text, there, for_drift=for_drift).kept if k.status == "revoked"]
    assert str(told.address) == "role/a"
    assert "are revoked; apply removes" in told.reason
