"""A rotation, and an owner who lets the role go or takes it over: nothing that is owed is lost."""

from __future__ import annotations

import pytest

from reconciler.exit_codes import ExitCode
from tests.behaviour.faults import Crash, dying
from tests.behaviour.test_rotate import WEB, issued, policy, revoked, settled, spec
from tests.rig import HOME, Rig

__all__ = ["settled"]

OTHERS = f"version: 1\nowner: testsOwed\nregions: [{HOME}]\n"
TAKE = {"adopt": True, "take_over": True}


def owing(aws: Rig) -> None:
    """A run that dies with one instance done."""
    with dying(aws, "CreateTags"), pytest.raises(Crash):
        aws.apply(rotate=WEB, rotation="revoke")
    aws.clock.sleep(1200)


def test_an_owner_who_takes_all_over_ends_what_is_owed(settled: Rig) -> None:
    before = issued(settled)
    owing(settled)
    settled.write(spec(), OTHERS)
    settled.settle(**TAKE)
    assert all(revoked(settled, at) for at in before.values())
    assert not any(revoked(settled, at) for at in issued(settled).values())
    assert [one["Sid"] for one in policy(settled)] == ["ReconcilerRevokesFortestsOwed"]
    settled.clock.sleep(13 * 3600)
    settled.settle()
    assert not policy(settled)


def test_an_owner_who_takes_the_role_alone_waits_for_the_other(settled: Rig) -> None:
    before = issued(settled)
    owing(settled)
    settled.write("roles: {v1: {trust: ec2}}\n", OTHERS)
    plan = settled.settle(**TAKE)
    told = [kept.reason for target in plan.targets for kept in target.kept]
    assert any("will be revoked when its rotation has ended" in reason for reason in told)
    assert not any(revoked(settled, at) for at in before.values())
    both = spec().replace("  v1: {trust: ec2}\n", "")
    settled.write(both)
    settled.apply()
    assert not any(revoked(settled, at) for at in before.values())
    settled.write("roles: {v1: {trust: ec2}}\n", OTHERS)
    settled.settle()
    assert all(revoked(settled, at) for at in before.values())
    assert not any(revoked(settled, at) for at in issued(settled).values())


@pytest.mark.slow
def test_who_takes_over_what_has_been_revoked_takes_it_away_in_time(settled: Rig) -> None:
    settled.settle(rotate=WEB, rotation="revoke")
    settled.write(spec(), OTHERS)
    settled.settle(**TAKE)
    assert [one["Sid"] for one in policy(settled)] == ["ReconcilerRevokesFortests"]
    (found,) = [f for f in settled.drift().findings if f.severity == "info"]
    assert "apply removes" in str(found.reason)
    settled.settle(rotate=WEB, rotation="revoke")
    assert [one["Sid"] for one in policy(settled)] == ["ReconcilerRevokesFortestsOwed"]
    settled.clock.sleep(13 * 3600)
    settled.settle()
    assert not policy(settled)


def test_what_is_owed_is_not_forgotten_unasked(settled: Rig) -> None:
    owing(settled)
    (guard,) = settled.plan(forget=("role/v1",)).plan.guards
    assert guard.key == "unfinished"
    settled.settle()
    assert settled.apply(forget=("role/v1",)).exit_code is ExitCode.OK
    assert policy(settled)


def test_a_role_that_is_forgotten_and_adopted_again_is_cleaned(settled: Rig) -> None:
    settled.settle(rotate=WEB, rotation="revoke")
    settled.apply(forget=("role/v1",))
    settled.clock.sleep(13 * 3600)
    settled.settle(adopt=True)
    assert not policy(settled)


@pytest.mark.parametrize("rotation", ["fresh", "revoke"])
def test_a_profile_that_a_dead_run_marked_is_not_forgotten(settled: Rig, rotation: str) -> None:
    with dying(settled, "TagInstanceProfile"), pytest.raises(Crash):
        settled.apply(rotate=WEB, rotation=rotation)
    (guard,) = settled.plan(forget=WEB).plan.guards
    assert guard.key == "unfinished"
