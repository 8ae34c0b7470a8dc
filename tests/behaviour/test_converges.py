"""Any desired state over any live state: one apply converges, the next plan is empty, the order is
legal, and equal inputs give equal bytes."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from reconciler.plan.calls import ApiCall
from reconciler.plan.plan import Plan
from reconciler.render.json.plan import plan_json
from tests.rig import Rig, rig

ROLES = ("r1", "r2", "r3")
POLICIES = ("p1", "p2")
PROFILES = ("f1", "f2")
ACTIONS = st.sampled_from(["s3:GetObject", "s3:PutObject", "ec2:Describe*"])


def document(actions: list[str]) -> dict[str, Any]:
    return {
        "Version": "2012-10-17",
        "Statement": [{"Effect": "Allow", "Action": actions, "Resource": "*"}],
    }


DOCUMENTS = st.lists(ACTIONS, min_size=1, max_size=2, unique=True).map(document)
PATHS = st.sampled_from(["/a/", "/b/"])
CUTOVERS = st.fixed_dictionaries(
    {},
    optional={
        "strategy": st.sampled_from(["reassociate", "restart"]),
        "max_unavailable": st.sampled_from([1, "50%", 2]),
    },
)
TAGS = st.dictionaries(
    st.sampled_from(["team", "Tier", "cost"]), st.sampled_from(["", "a", "b"]), max_size=3
)


def role(policies: tuple[str, ...]) -> st.SearchStrategy[dict[str, Any]]:
    known = [*policies, "AmazonSSMManagedInstanceCore", "CloudWatchAgentServerPolicy"]
    return st.fixed_dictionaries(
        {"trust": st.sampled_from(["ec2", ["ec2", "lambda"]])},
        optional={
            "description": st.sampled_from(["", "one", "two"]),
            "managed_policies": st.lists(st.sampled_from(known), unique=True, max_size=3),
            "inline_policies": st.dictionaries(st.sampled_from(["a", "b"]), DOCUMENTS, max_size=2),
            "max_session_duration": st.sampled_from(["1h", "2h", 7200]),
            "tags": TAGS,
            "path": PATHS,
        },
    )


@st.composite
def specs(draw: st.DrawFn) -> dict[str, Any]:
    policies = draw(
        st.dictionaries(
            st.sampled_from(POLICIES),
            st.fixed_dictionaries({"document": DOCUMENTS}, optional={"tags": TAGS, "path": PATHS}),
        )
    )
    roles = draw(st.dictionaries(st.sampled_from(ROLES), role(tuple(sorted(policies))), min_size=1))
    names = st.one_of(st.none(), st.sampled_from(sorted(roles)))
    optional = {"tags": TAGS, "path": PATHS, "cutover": CUTOVERS}
    profile = st.fixed_dictionaries({"role": names}, optional=optional)
    profiles = draw(st.dictionaries(st.sampled_from(PROFILES), profile, min_size=1))
    fleet = {
        "instance_profile": draw(st.sampled_from(sorted(profiles))),
        "select": {"tags": {"app": "web"}},
    }
    return {
        "policies": policies,
        "roles": roles,
        "instance_profiles": profiles,
        "associations": {"fleet": fleet} if draw(st.booleans()) else {},
    }


def lifted(aws: Rig) -> dict[str, Any]:
    """Prune, with the guards lifted for just this plan."""
    guards = aws.plan(prune=True).plan.guards
    # What is used by what leaves the specs cannot be made again in the same plan.
    assume(all(g.lift.startswith("--allow") for g in guards))
    keys = {tuple(g.lift.removeprefix("--allow ").split("=", 1)) for g in guards}
    return {"prune": True, "allow": frozenset(keys)}


@settings(max_examples=5)
@given(specs(), specs(), st.booleans())
def test_one_apply_converges(
    first: dict[str, Any], second: dict[str, Any], is_stopped: bool
) -> None:
    converges(first, second, is_stopped)


@pytest.mark.slow
@settings(max_examples=150)
@given(specs(), specs(), st.booleans())
def test_one_apply_converges_from_anywhere(
    first: dict[str, Any], second: dict[str, Any], is_stopped: bool
) -> None:
    converges(first, second, is_stopped)


def converges(first: dict[str, Any], second: dict[str, Any], is_stopped: bool) -> None:
    with tempfile.TemporaryDirectory() as folder, rig(Path(folder)) as aws:
        instances = aws.launch(2, tags={"app": "web"})
        aws.write(json.dumps(first))
        legal(aws.settle())
        if is_stopped:
            aws.ec2().stop_instances(InstanceIds=instances[:1])
        aws.clock.sleep(8 * 3600)
        aws.write(json.dumps(second))
        again = [
            {**plan_json(aws.plan(), "now"), "api_calls": {}, "file_digest": ""} for _ in range(2)
        ]
        assert json.dumps(again[0]) == json.dumps(again[1])
        legal(aws.settle(**lifted(aws)))
        served(aws, second, instances)


def legal(plan: Plan) -> None:
    """Every step comes after those it names, and uses nothing before it is made."""
    made: set[str] = set()
    steps = plan.targets[0].steps
    assert [s.id for s in steps] == list(range(1, len(steps) + 1))
    calls = [s.action for s in steps if isinstance(s.action, ApiCall)]
    created = {c.params["RoleName"] for c in calls if c.operation == "CreateRole"}
    created -= {c.params["RoleName"] for c in calls if c.operation == "DeleteRole"}
    for step in steps:
        assert all(before < step.id for before in step.after)
        action = step.action
        if not isinstance(action, ApiCall):
            continue
        name = str(action.params.get("RoleName"))
        if action.operation == "CreateRole":
            made.add(name)
        elif name in created:
            assert name in made, (action.operation, name)


def served(aws: Rig, spec: dict[str, Any], instances: list[str]) -> None:
    """What users asked for: a running instance of the fleet is served its profile's role."""
    fleet = spec["associations"].get("fleet")
    if fleet is None:
        return
    wanted = spec["instance_profiles"][fleet["instance_profile"]]["role"]
    for instance in instances:
        assert aws.profile_of(instance) == fleet["instance_profile"]
    if wanted is not None:
        assert aws.served(instances[1]) == wanted
