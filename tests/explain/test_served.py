"""Whose credentials an instance is served: what our marks prove, and what nothing proves."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from reconciler.explain import marks
from reconciler.model.live import AssociationRow, LiveInstance, LiveState
from reconciler.model.ownership import HOLDS, IN_FLIGHT, ROLE_ID, SWAPPED, holds_mark
from reconciler.plan.changes import CutOverInstance
from reconciler.planner import Options, plan_context, plan_target
from reconciler.planner.context import PlanContext
from reconciler.planner.served import Served, served
from reconciler.spec.settings import Settings
from tests.planner.worlds import (
    ARNS,
    AWAY,
    HOME,
    NOW,
    TEAM,
    instance,
    live,
    profile_id,
    role_id,
    spec_set,
)

SPEC = "roles: {v1: {trust: ec2}, v2: {trust: ec2}}\ninstance_profiles: {web: {role: %s}}"
V1, V2 = role_id("v1"), role_id("v2")
DAY, HOUR, MINUTE = 86_400.0, 3_600.0, 60.0
BEGAN = int(NOW - HOUR)
PENDING = f"pending/{V1}/{V2}/{BEGAN}/run1"


def context(account: LiveState, text: str, settings: dict[str, Any] | None = None) -> PlanContext:
    options = Options(
        settings=Settings.model_validate({"owner": TEAM, **(settings or {})}),
        owner=TEAM,
        regions=(AWAY, HOME),
        now=NOW,
    )
    return plan_context(spec_set(text).desired, account, options)


def marked(
    inside: str, marks: dict[str, str], *instances: LiveInstance, wanted: str | None = None
) -> PlanContext:
    """A profile with that role inside, and these marks in place of ours for it."""
    account = live(SPEC % inside, instances)
    there = account.profiles["web"]
    kept = {name: value for name, value in there.marks.items() if name != ROLE_ID}
    account = replace(account, profiles={"web": replace(there, marks={**kept, **marks})})
    return context(account, SPEC % (wanted or inside))


def answer(made: PlanContext) -> Served:
    (only,) = made.live.instances.values()
    return served(only, made)


ONE = instance(1, "web")
YOUNG = replace(ONE, launched_at=NOW - MINUTE)
TAGGED = replace(ONE, marks={HOLDS: holds_mark(V2, "assoc-1")})


@pytest.mark.parametrize(
    ("inside", "marks", "who", "role", "how"),
    [
        ("v1", {ROLE_ID: V1}, ONE, "v1", "profile-mark"),
        ("v1", {ROLE_ID: f"partial/{V1}/{HOME}"}, ONE, "v1", "profile-mark"),
        ("v1", {ROLE_ID: f"failed/{V2}"}, ONE, "v1", "rolled-back"),
        ("v2", {ROLE_ID: PENDING}, TAGGED, "v2", "progress-tag"),
        ("v2", {ROLE_ID: PENDING, SWAPPED: f"{V2}/{BEGAN}"}, YOUNG, "v2", "launch-time"),
        ("v2", {ROLE_ID: f"waiting/{V2}/{BEGAN}"}, YOUNG, "v2", "launch-time"),
        ("v2", {ROLE_ID: f"waiting/{V2}/{int(NOW - DAY)}"}, ONE, "v2", "time-passed"),
    ],
)
def test_what_a_mark_proves(
    inside: str, marks: dict[str, str], who: LiveInstance, role: str, how: str
) -> None:
    found = answer(marked(inside, marks, who))
    assert (found.status, found.role, found.how) == ("known", role, how)
    assert found.because
    assert found.candidates == ()


@pytest.mark.parametrize(
    ("inside", "marks", "who", "candidates", "how"),
    [
        ("v1", {}, ONE, ("v1",), "no-mark"),
        ("v2", {ROLE_ID: V1}, ONE, ("v1", "v2"), "swapped-outside"),
        ("v2", {ROLE_ID: "AROAGONE"}, ONE, ("AROAGONE", "v2"), "swapped-outside"),
        ("v2", {ROLE_ID: "-"}, ONE, ("v2",), "swapped-outside"),
        ("v1", {ROLE_ID: f"partial/{V1}/{AWAY}"}, ONE, ("v1",), "region-not-searched"),
        ("v2", {ROLE_ID: f"partial/{V1}/{AWAY}"}, ONE, ("v1", "v2"), "swapped-outside"),
        ("v2", {ROLE_ID: PENDING}, ONE, ("v1", "v2"), "cut-over-in-progress"),
        ("v1", {ROLE_ID: PENDING}, ONE, ("v1", "v2"), "cut-over-in-progress"),
        # A launch after the mark, and before EC2 is known to have seen the role.
        ("v2", {ROLE_ID: PENDING}, YOUNG, ("v1", "v2"), "cut-over-in-progress"),
        # A progress tag is believed only where the swap that it is about was made.
        ("v1", {ROLE_ID: PENDING}, TAGGED, ("v1", "v2"), "cut-over-in-progress"),
        ("v2", {ROLE_ID: f"failed/{V2}"}, ONE, ("v2",), "cut-over-in-progress"),
    ],
)
def test_what_nothing_proves(
    inside: str, marks: dict[str, str], who: LiveInstance, candidates: tuple[str, ...], how: str
) -> None:
    found = answer(marked(inside, marks, who))
    assert (found.status, found.role, found.how) == ("unknown", None, how)
    assert found.candidates == candidates


def test_a_progress_tag_of_another_association_counts_for_nothing() -> None:
    stale = replace(ONE, marks={HOLDS: holds_mark(V2, "assoc-9")})
    assert answer(marked("v2", {ROLE_ID: PENDING}, stale)).status == "unknown"


def test_a_wait_for_aws_says_until_when() -> None:
    found = answer(marked("v2", {ROLE_ID: f"waiting/{V2}/{BEGAN}"}, ONE))
    assert (found.status, found.how) == ("unknown", "waiting-for-aws")
    assert found.until == BEGAN + 7 * HOUR


@pytest.mark.parametrize(
    ("who", "how"),
    [
        (instance(1), "no-association"),
        (instance(1, "web", state="stopped"), "not-running"),
        (instance(1, "web", state="stopping"), "not-running"),
        (instance(1, "web", state="terminated"), "not-running"),
    ],
)
def test_who_is_served_nothing(who: LiveInstance, how: str) -> None:
    found = answer(marked("v1", {ROLE_ID: V1}, who))
    assert (found.status, found.role, found.how) == ("none", None, how)


def test_an_instance_in_flight_has_nothing_and_must_get_its_profile_back() -> None:
    who = instance(1)
    found = answer(marked("v2", {ROLE_ID: PENDING, IN_FLIGHT: str(who.key)}, who))
    assert (found.status, found.how) == ("none", "no-association")
    assert "must give it back" in found.because


def test_an_association_that_is_not_in_effect() -> None:
    rows = tuple(replace(row, state="associating") for row in ONE.rows)
    found = answer(marked("v1", {ROLE_ID: V1}, replace(ONE, rows=rows)))
    assert (found.status, found.how) == ("none", "association-not-in-effect")


def test_a_deleted_profile_keeps_its_secret() -> None:
    row = AssociationRow("a", ARNS.of("instance-profile", "/", "web"), "AIPAGONE", "associated")
    found = answer(marked("v1", {ROLE_ID: V1}, replace(ONE, rows=(row,))))
    assert (found.status, found.how) == ("unknown", "deleted-profile")
    assert found.candidates == ("v1", "v2")


def test_an_instance_that_ec2_does_not_show() -> None:
    found = answer(marked("v1", {ROLE_ID: V1}, instance(1, "web", state="unknown")))
    assert (found.status, found.how) == ("unknown", "not-shown")


def test_a_managed_instance_is_not_brought_back() -> None:
    who = replace(ONE, operator="ecs.amazonaws.com")
    found = answer(marked("v1", {ROLE_ID: f"failed/{V2}"}, who))
    assert found.status == "unknown"
    assert found.candidates == ("v2", "v1")


def test_a_temporary_profile_serves_the_role_in_it() -> None:
    account = live(SPEC % "v1")
    home = account.profiles["web"]
    name = "web.reconciler-hop"
    temporary = replace(
        home,
        resource=replace(home.resource, name=name, role="v2"),
        id=profile_id(name),
        arn=ARNS.of("instance-profile", "/", name),
        role_id=V2,
        marks={"owner": f"{TEAM}/{name}", "temporary-of": "web"},
    )
    marks = {**home.marks, ROLE_ID: PENDING}
    who = instance(1, name)
    account = replace(
        account,
        profiles={"web": replace(home, marks=marks), name: temporary},
        instances={who.key: who},
    )
    found = answer(context(account, SPEC % "v2"))
    assert (found.status, found.role, found.how) == ("known", "v2", "temporary-profile")


def test_tags_that_were_not_read_prove_nothing() -> None:
    made = marked("v1", {ROLE_ID: V1}, ONE)
    there = replace(made.live.profiles["web"], tags_known=False, marks={})
    found = served(ONE, context(replace(made.live, profiles={"web": there}), SPEC % "v1"))
    assert (found.status, found.how) == ("unknown", "profile-not-read")


@pytest.mark.parametrize(
    "marks",
    [
        {ROLE_ID: V1},
        {ROLE_ID: V2},
        {ROLE_ID: PENDING},
        {ROLE_ID: f"partial/{V2}/{AWAY}"},
        {ROLE_ID: f"waiting/{V2}/{BEGAN}"},
        {},
    ],
)
@pytest.mark.parametrize("who", [ONE, YOUNG, TAGGED])
def test_who_is_known_to_have_the_role_is_left_alone(
    marks: dict[str, str], who: LiveInstance
) -> None:
    """The planner and this answer decide from the same marks: an instance that is not known to have
    the role in its profile is cut over, or left to AWS."""
    made = marked("v2", marks, who)
    found = served(next(iter(made.live.instances.values())), made)
    refreshed = [c for c in plan_target(made).changes if isinstance(c, CutOverInstance)]
    if found.status == "known" and found.how != "launch-time":
        assert not refreshed
    if found.status == "unknown" and found.how != "waiting-for-aws":
        assert refreshed


@pytest.mark.parametrize(
    "more",
    [
        {ROLE_ID: V1},
        {ROLE_ID: f"partial/{V1}/{HOME}"},
        {ROLE_ID: f"waiting/{V1}/{BEGAN}"},
        {ROLE_ID: f"failed/{role_id('v3')}", SWAPPED: f"{V1}/{BEGAN}"},
    ],
)
def test_a_mark_is_no_proof_once_another_hand_has_swapped_the_role(more: dict[str, str]) -> None:
    """Beside ``unknown`` it would read as the answer."""
    told = {inside: _mark_in_words(inside, more) for inside in ("v1", "v2")}
    assert "outside of reconciler" not in told["v1"]
    assert "role/v2 was put in since, outside of reconciler" in told["v2"]
    assert told["v2"].startswith(told["v1"])


def _mark_in_words(inside: str, more: dict[str, str]) -> str:
    made = marked(inside, more)
    found = marks.of_entity(made.live.profiles["web"], made)
    return next(one.meaning for one in found if one.key.endswith(ROLE_ID))


def test_a_mark_of_a_role_that_was_taken_out() -> None:
    made = marked("v1", {ROLE_ID: V1})
    there = made.live.profiles["web"]
    emptied = replace(there, role_id=None, resource=replace(there.resource, role=None))
    found = {one.key: one.meaning for one in marks.of_entity(emptied, made)}
    assert "the role was taken out since" in found[f"reconciler:{ROLE_ID}"]
