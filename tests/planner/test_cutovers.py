"""Which role a failed canary goes back to, and what stops a cut-over before it begins."""

from __future__ import annotations

from dataclasses import replace

import pytest

from reconciler.model.live import LiveInstance, LiveProfile, LiveState
from reconciler.model.ownership import (
    ROLE_ID,
    SWAPPED,
    TEMPORARY_OF,
    Failed,
    Partial,
    Pending,
    RoleMark,
    Settled,
    Swapped,
    Waiting,
    encode_role_mark,
    encode_swapped,
)
from reconciler.model.resources import InstanceProfile
from reconciler.plan.cut_over import CutOver
from reconciler.plan.plan import TargetPlan
from tests.planner.worlds import HOME, instance, live, plan, role_id

ROLES = "roles: {a: {trust: ec2}, b: {trust: ec2}, c: {trust: ec2}}\n"
A, B, C = map(role_id, "abc")


def specs(role: str) -> str:
    return f"{ROLES}instance_profiles: {{web: {{role: {role}}}}}"


def account(
    inside: str | None,
    mark: RoleMark,
    instances: tuple[LiveInstance, ...] = (instance(1, "web"),),
    left_with: str | None = None,
) -> LiveState:
    made = live(specs("a"), instances)
    web = made.profiles["web"]
    web = replace(
        web,
        resource=replace(web.resource, role=inside),
        role_id=role_id(inside) if inside else None,
        marks={
            **web.marks,
            ROLE_ID: encode_role_mark(mark),
            **({SWAPPED: encode_swapped(Swapped(left_with, 900))} if left_with else {}),
        },
    )
    return replace(made, profiles={"web": web})


def cutover(planned: TargetPlan) -> CutOver:
    (found,) = [w.pending.action for w in planned.work if isinstance(w.pending.action, CutOver)]
    return found


BACK: dict[str, tuple[str, RoleMark, str | None]] = {
    "all hold a": ("a", Settled(A), "a"),
    "all hold a, as far as was looked": ("a", Partial(A, (HOME,)), "a"),
    "swapped by hand to what is wanted": ("b", Settled(A), None),
    "begun from a to b": ("a", Pending(A, B, 900, "dead"), "a"),
    "begun from a to b, and swapped": ("b", Pending(A, B, 900, "dead"), "a"),
    "begun to another role": ("a", Pending(A, C, 900, "dead"), None),
    "aws gives it out by itself": ("a", Waiting(A, 900), "a"),
    "aws gave out another": ("c", Waiting(A, 900), None),
    "another was given up": ("a", Failed(C), "a"),
    "what is inside was given up": ("c", Failed(C), None),
}


@pytest.mark.parametrize("name", BACK)
def test_the_role_that_a_failed_canary_goes_back_to(name: str) -> None:
    inside, mark, wanted = BACK[name]
    back = cutover(plan(specs("b"), account(inside, mark))).roll_back_to
    assert (back.name if back else None) == wanted


@pytest.mark.parametrize(
    ("inside", "left_with", "wanted"),
    [("a", A, "a"), ("c", A, "a"), ("b", A, None), ("c", C, None), ("a", C, "a")],
)
def test_the_role_to_go_back_to_after_a_roll_back(
    inside: str, left_with: str, wanted: str | None
) -> None:
    """Also one that somebody has swapped out since: consumers have it still. ``c`` was given up."""
    back = cutover(plan(specs("b"), account(inside, Failed(C), left_with=left_with))).roll_back_to
    assert (back.name if back else None) == wanted


def calls(planned: TargetPlan) -> list[str]:
    return [str(getattr(step.action, "operation", "")) for step in planned.steps]


@pytest.mark.parametrize(
    ("inside", "left_with", "is_believed"), [("a", A, True), ("a", None, False), ("a", C, False)]
)
def test_specs_that_go_back_after_a_roll_back(
    inside: str, left_with: str | None, is_believed: bool
) -> None:
    """Where the roll-back recorded that every instance has the role, only its mark goes."""
    found = calls(plan(specs("a"), account(inside, Failed(B), left_with=left_with)))
    assert ("DisassociateIamInstanceProfile" in found) is not is_believed
    assert "TagInstanceProfile" in found


def lifts(planned: TargetPlan) -> list[str]:
    return [guard.lift for guard in planned.guards if guard.key != "change"]


def test_a_role_that_was_given_up_is_not_tried_again_unasked() -> None:
    given_up = account("a", Failed(B))
    assert lifts(plan(specs("b"), given_up)) == ["--allow retry=instance-profile/web"]
    asked = frozenset({("retry", "instance-profile/web")})
    assert lifts(plan(specs("b"), given_up, allow=asked)) == []
    assert lifts(plan(specs("c"), given_up)) == []


@pytest.mark.parametrize(
    ("state", "is_guarded"), [("running", True), ("stopped", False), ("unknown", True)]
)
def test_an_emptied_profile_with_running_instances_is_guarded(state: str, is_guarded: bool) -> None:
    there = account("a", Settled(A), (instance(1, "web", state=state),))
    found = lifts(plan(specs("null"), there))
    assert found == (["--allow consumers=instance-profile/web"] if is_guarded else [])


def test_an_association_of_a_profile_that_is_gone_is_made_anew() -> None:
    """Its name is the same, its id is not."""
    made = account("a", Settled(A))
    assert plan(specs("a"), made).is_empty
    again = {"web": replace(made.profiles["web"], id="AIPAAGAIN")}
    planned = plan(specs("a"), replace(made, profiles=again))
    found = calls(planned)
    assert "AssociateIamInstanceProfile" in found[found.index("DisassociateIamInstanceProfile") :]


@pytest.mark.parametrize(("owner", "is_ours"), [("team", True), ("others", False)])
def test_only_our_own_temporary_profile_is_taken_for_one(owner: str, is_ours: bool) -> None:
    """Anybody who may make a profile could put the tag on one; ours alone is brought home."""
    name = "web.reconciler-hop"
    made = account("a", Settled(A), (instance(1, name),))
    temporary = LiveProfile(
        resource=InstanceProfile(name, "a"),
        id="AIPAHOP",
        arn=f"arn:aws:iam::111111111111:instance-profile/{name}",
        marks={"owner": f"{owner}/{name}", TEMPORARY_OF: "web"},
        role_id=A,
    )
    there = replace(made, profiles={**made.profiles, name: temporary})
    assert plan(specs("a"), there).is_empty is not is_ours
