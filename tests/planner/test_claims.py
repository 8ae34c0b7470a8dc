"""Whose something is, and what it takes to have it all the same."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from reconciler.model.live import LiveState
from reconciler.plan.plan import TargetPlan
from tests.planner.worlds import instance, live, plan

ROLE = "roles: {app: {trust: ec2}}\n"
TWO = ROLE + "instance_profiles: {web: {role: app}, new: {role: app}}\n"
LISTED = TWO + "associations: {fleet: {instance_profile: new, instances: [i-00000001]}}"
SELECTED = TWO + "associations: {fleet: {instance_profile: new, select: {tags: {team: [x]}}}}"


def owned_by(other: str | None, kind: str, name: str, made: LiveState) -> LiveState:
    """The account, in which that resource is another owner's, or nobody's."""
    held = getattr(made, kind)
    marks = {key: value for key, value in held[name].marks.items() if key != "owner"}
    if other is not None:
        marks["owner"] = f"{other}/{name}"
    more: Any = {kind: {**held, name: replace(held[name], marks=marks)}}
    return replace(made, **more)


def conflicts(planned: TargetPlan) -> list[tuple[str, str]]:
    return [(str(c.address), c.lift) for c in planned.conflicts]


ROLES: list[tuple[str | None, Mapping[str, Any], list[str]]] = [
    ("team", {}, []),
    (None, {}, ["--adopt"]),
    (None, {"adopt": True}, []),
    ("others", {}, ["--adopt --take-over"]),
    ("others", {"adopt": True}, ["--adopt --take-over"]),
    ("others", {"adopt": True, "take_over": True}, []),
    ("others", {"take_over": True}, ["--adopt --take-over"]),
]


@pytest.mark.parametrize(("owner", "flags", "wanted"), ROLES)
def test_a_role_of_somebody_else(
    owner: str | None, flags: Mapping[str, Any], wanted: list[str]
) -> None:
    there = owned_by(owner, "roles", "app", live(ROLE))
    assert conflicts(plan(ROLE, there, **flags)) == [("role/app", flag) for flag in wanted]


INSTANCES: list[tuple[str, str | None, Mapping[str, Any], list[str]]] = [
    (LISTED, "team", {}, []),
    (LISTED, None, {}, []),
    (SELECTED, None, {}, ["--adopt"]),
    (SELECTED, None, {"adopt": True}, []),
    (LISTED, "others", {}, ["--take-over"]),
    (LISTED, "others", {"adopt": True, "take_over": True}, []),
    (SELECTED, "others", {}, ["--adopt --take-over"]),
]


@pytest.mark.parametrize(("specs", "owner", "flags", "wanted"), INSTANCES)
def test_an_instance_on_a_profile_of_somebody_else(
    specs: str, owner: str | None, flags: Mapping[str, Any], wanted: list[str]
) -> None:
    """Whoever may tag instances decides what is selected; an id in a spec is a decision."""
    one = instance(1, "old", tags={"team": "x"})
    there = live(TWO + "", (one,))
    old = replace(
        there.profiles["web"],
        resource=replace(there.profiles["web"].resource, name="old"),
        id="AIPAOLD",
        arn="arn:aws:iam::111111111111:instance-profile/old",
        marks={"owner": "team/old"},
    )
    there = owned_by(
        owner, "profiles", "old", replace(there, profiles={**there.profiles, "old": old})
    )
    assert conflicts(plan(specs, there, **flags)) == [
        ("association/i-00000001", flag) for flag in wanted
    ]


@pytest.mark.parametrize(
    ("state", "allow", "wanted"),
    [
        ("running", (), ["--allow consumers=association/i-00000001"]),
        ("stopped", (), []),
        ("running", (("consumers", "association/i-00000001"),), []),
    ],
)
def test_a_running_instance_is_not_moved_to_an_empty_profile(
    state: str, allow: tuple[tuple[str, str], ...], wanted: list[str]
) -> None:
    before = ROLE + "instance_profiles: {web: {role: app}, new: {role: null}}\n"
    after = before + "associations: {fleet: {instance_profile: new, instances: [i-00000001]}}"
    there = live(before, (instance(1, "web", state=state, is_ours=True),))
    planned = plan(after, there, allow=frozenset(allow))
    assert [g.lift for g in planned.guards if g.key == "consumers"] == wanted


def test_a_role_that_somebody_else_s_profile_holds_is_not_made_again() -> None:
    """It would be gone from there, and nobody would put it back."""
    made = live(ROLE + "instance_profiles: {web: {role: app}}")
    moved = ROLE.replace("trust: ec2", "trust: ec2, path: /b/")
    both = moved + "instance_profiles: {web: {role: app}}"
    allow = frozenset({("replace", "role/app")})
    assert not [g for g in plan(both, made, allow=allow).guards if g.key == "replace"]
    theirs = owned_by("others", "profiles", "web", made)
    (guard,) = [g for g in plan(moved, theirs, allow=allow).guards if g.key == "replace"]
    assert "instance-profile/web outside this plan holds it" in guard.reason
