"""From any set to any other there is an order of the steps, whatever refers to whatever."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reconciler.plan.plan import TargetPlan
from tests.planner.worlds import instance, live, plan, steps

POLICIES, ROLES, PROFILES = ("p", "q"), ("a", "b", "c"), ("x", "y")
EVERYTHING = frozenset(
    (key, "*") for key in ("replace", "strip", "boundary", "consumers", "delete", "retry")
)
PATHS = st.sampled_from(["/", "/b/"])


def _document(action: str) -> dict[str, Any]:
    statement = {"Effect": "Allow", "Action": action, "Resource": "*"}
    return {"Version": "2012-10-17", "Statement": [statement]}


def _trust(role: str) -> dict[str, Any]:
    principal = {
        "Service": "ec2.amazonaws.com",
        "AWS": f"arn:aws:iam::111111111111:role/{role}",
    }
    statement = {"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": principal}
    return {"Version": "2012-10-17", "Statement": [statement]}


@st.composite
def sets(draw: st.DrawFn) -> dict[str, Any]:
    """Policies, roles that have some of them, as boundary too, and trust each other, profiles."""
    policies = draw(st.lists(st.sampled_from(POLICIES), unique=True))
    roles = draw(st.lists(st.sampled_from(ROLES), unique=True))
    profiles = draw(st.lists(st.sampled_from(PROFILES), unique=True))

    def role() -> dict[str, Any]:
        trusted = draw(st.sampled_from(["ec2", *roles]))
        made: dict[str, Any] = {"path": draw(PATHS)}
        made |= {"trust": "ec2"} if trusted == "ec2" else {"trust_policy": _trust(trusted)}
        if policies:
            made["managed_policies"] = draw(st.lists(st.sampled_from(policies), unique=True))
            if bound := draw(st.sampled_from([None, *policies])):
                made["permissions_boundary"] = bound
        if draw(st.booleans()):
            made["inline_policies"] = {"own": _document(draw(st.sampled_from(["s3:*", "sqs:*"])))}
        return made

    def policy() -> dict[str, Any]:
        return {
            "path": draw(PATHS),
            "document": _document(draw(st.sampled_from(["s3:*", "sqs:*"]))),
        }

    return {
        "policies": {name: policy() for name in policies},
        "roles": {name: role() for name in roles},
        "instance_profiles": {
            name: {"path": draw(PATHS), "role": draw(st.sampled_from([None, *roles]))}
            for name in profiles
        },
    }


def planned(before: Mapping[str, Any], after: Mapping[str, Any], **flags: Any) -> TargetPlan:
    held = [*before["instance_profiles"], None]
    instances = [instance(number, name) for number, name in enumerate(held, 1)]
    return plan(json.dumps(after), live(json.dumps(before), instances), **flags)


@given(sets(), sets(), st.booleans(), st.sampled_from([EVERYTHING, frozenset()]))
@settings(max_examples=60)
def test_there_is_an_order(
    before: dict[str, Any], after: dict[str, Any], prune: bool, allow: frozenset[tuple[str, str]]
) -> None:
    made = planned(before, after, prune=prune, allow=allow)
    assert [step.id for step in made.steps] == [*range(1, len(made.steps) + 1)]
    assert all(other < step.id for step in made.steps for other in step.after)
    assert made.steps or made.guards or not made.changes


BOUND = {"trust": "ec2", "permissions_boundary": "p"}
ATTACHED = {"trust": "ec2", "managed_policies": ["p"]}


@pytest.mark.parametrize(
    "roles", [{"a": BOUND}, {"a": BOUND, "b": ATTACHED}, {"a": BOUND | ATTACHED}]
)
def test_a_boundary_cannot_be_made_again_at_another_path(roles: dict[str, Any]) -> None:
    """The role would be without it for a time. It is told, and nothing can lift it."""

    def a_set(path: str) -> dict[str, Any]:
        policies = {"p": {"path": path, "document": _document("s3:*")}}
        return {"policies": policies, "roles": roles, "instance_profiles": {}}

    (guard,) = planned(a_set("/"), a_set("/b/"), allow=EVERYTHING).guards
    assert "role/a has it as its boundary, and would be without one for a time" in guard.reason
    assert "--allow" not in guard.lift


def test_a_role_that_gets_another_boundary_frees_the_policy() -> None:
    def a_set(path: str, bound: str) -> dict[str, Any]:
        policies = {"p": {"path": path, "document": _document("s3:*")}}
        policies["q"] = {"document": _document("sqs:*")}
        roles = {"a": {"trust": "ec2", "permissions_boundary": bound}}
        return {"policies": policies, "roles": roles, "instance_profiles": {}}

    made = planned(a_set("/", "p"), a_set("/b/", "q"), allow=EVERYTHING)
    assert made.guards == ()
    calls = [line.split()[2] for line in steps(made)]
    assert calls.index("PutRolePermissionsBoundary") < calls.index("DeletePolicy")


def test_replacements_that_wait_for_each_other_are_refused() -> None:
    """The old role frees the policy once its instances have the new role, which needs the policy
    at its new path."""

    def a_set(path: str, bound: dict[str, Any], held: str) -> dict[str, Any]:
        policies = {"p": {"path": path, "document": _document("s3:*")}}
        roles = {"old": {"trust": "ec2", "path": path, **bound}, "new": ATTACHED}
        return {"policies": policies, "roles": roles, "instance_profiles": {"x": {"role": held}}}

    bound = {"permissions_boundary": "p"}
    made = planned(a_set("/", bound, "old"), a_set("/b/", {}, "new"), allow=EVERYTHING)
    assert made.steps == ()
    (guard,) = [guard for guard in made.guards if guard.lift == "Change one path at a time"]
    assert {str(address) for address in guard.addresses} >= {"policy/p", "role/old"}
