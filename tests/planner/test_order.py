"""What waits for what, for every kind and every pair of kinds that depend on each other."""

from __future__ import annotations

import random
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler.errors import UnmetRequirementError
from reconciler.model.address import Address
from reconciler.plan.plan import TargetPlan
from reconciler.planner import planner
from reconciler.planner.context import PlanFragment
from tests.planner.cases import CASES, GOLDEN, written
from tests.planner.worlds import live, plan, steps


def test_every_step_waits_for_what_it_needs() -> None:
    assert written() == GOLDEN.read_text("utf-8"), "python -m tests.planner.cases, and read it"


REFERENCE = re.compile(
    r"(?:(?<=role: )|(?<=instance_profile: )|(?<=permissions_boundary: )|(?<=:role/)|"
    r"(?<=managed_policies: \[)|(?<=, ))(?:app|web|new|other|v1|v2|a|b|p|q)(?=[,}\]\n']|$)"
)
"""Names where one resource refers to another, in ``CASES``."""


def respelled(text: str, seed: int) -> str:
    dice = random.Random(seed)
    return REFERENCE.sub(lambda m: "".join(dice.choice((c, c.upper())) for c in m[0]), text)


def said(planned: TargetPlan) -> tuple[object, ...]:
    changes = [(str(c.address), c.actions, c.before, c.after) for c in planned.changes]
    return steps(planned), changes, planned.diagnostics, planned.guards


@given(st.sampled_from(sorted(CASES)), st.integers(0, 1_000_000))
def test_the_case_of_a_reference_changes_nothing(name: str, seed: int) -> None:
    case = CASES[name]
    other = respelled(case.after, seed)
    assert said(case.plan(other)) == said(case.plan())


def test_references_are_respelled() -> None:
    """So that the test above can fail."""
    found = {m[0] for case in CASES.values() for m in REFERENCE.finditer(case.after)}
    assert found >= {"app", "web", "new", "v2", "a", "b", "p", "q"}


def test_a_requirement_that_nobody_provides_is_a_bug(monkeypatch: pytest.MonkeyPatch) -> None:
    """It raises, and is never taken for something that holds already."""
    monkeypatch.setattr(planner, "plan_entities", lambda _view: PlanFragment())
    text = CASES["an instance is associated"].after
    with pytest.raises(UnmetRequirementError, match="which no step provides"):
        plan(text, live("x-none: 1", CASES["an instance is associated"].instances))


MISSING = {
    "a profile's role": ("instance_profiles: {web: {role: nobody}}", "no-such-role"),
    "an association's profile": (
        "associations: {a: {instance_profile: nobody, instances: [i-00000001]}}",
        "no-such-profile",
    ),
    "a policy by its ARN": (
        "roles: {app: {trust: ec2, managed_policies: ['arn:aws:iam::111111111111:policy/x']}}",
        "no-such-policy",
    ),
    "a boundary by its ARN": (
        "roles: {app: {trust: ec2, permissions_boundary: 'arn:aws:iam::111111111111:policy/x'}}",
        "no-such-policy",
    ),
}


@pytest.mark.parametrize("name", MISSING)
def test_what_the_specs_refer_to_in_vain_is_a_finding(name: str) -> None:
    text, code = MISSING[name]
    planned = plan(text, live("x-none: 1", CASES["an instance is associated"].instances))
    assert [one.found.code for one in planned.unmet] == [code]
    assert planned.unmet[0].found.location.line == 1
    assert planned.changes == ()


def test_two_spellings_are_one_address() -> None:
    planned = CASES["a role is swapped for a new one"].plan()
    assert Address("role", "V2") in {c.address for c in planned.changes}
