"""What is printed is enough, and no statement of it is too much."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from reconciler.commands.permissions import wanted_for, wanted_for_plan
from reconciler.permissions.statements import documents
from reconciler.plan.authorization import READS, WRITES, Purpose
from reconciler.render.json.plan import now_as_text, plan_json
from tests.permissions.enforcing import Enforcer
from tests.rig import AWAY, HOME, Rig, rig

SETTINGS = f"version: 1\nowner: tests\nregions: [{HOME}, {AWAY}]\naccount_id: '123456789012'\n"
NARROW = SETTINGS + f"consumer_regions: [{HOME}, {AWAY}]\n"
DOCUMENT = "{Version: '2012-10-17', Statement: [{Effect: Allow, Action: 's3:GetObject', Resource: '*'}]}"
SWAP = """
roles: {v1: {trust: ec2, path: /app/}, v2: {trust: ec2}}
instance_profiles: {web: {role: ROLE, cutover: {strategy: STRATEGY, max_unavailable: 50%}}}
"""
WIDE = f"""
policies: {{read: {{path: /app/, tags: {{a: b}}, document: {DOCUMENT}}}}}
roles:
  web: {{trust: ec2, managed_policies: [read], inline_policies: {{own: {DOCUMENT}}}, tags: {{a: b}}}}
  bound: {{trust: lambda, permissions_boundary: read}}
instance_profiles: {{web: {{role: web, tags: {{a: b}}}}}}
"""


def statements(aws: Rig, purpose: Purpose, **flags: Any) -> list[dict[str, Any]]:
    (wanted,) = wanted_for(aws.request(**flags), purpose)
    return [one for document in documents(wanted.statements) for one in document["Statement"]]


def of_plan(aws: Rig, **flags: Any) -> list[dict[str, Any]]:
    planned = aws.plan(**flags)
    document: Any = plan_json(planned, now_as_text())
    (wanted,) = wanted_for_plan(document, aws.request(**flags))
    return [one for document in documents(wanted.statements) for one in document["Statement"]]


@contextmanager
def enforced(aws: Rig, allowed: list[dict[str, Any]]) -> Iterator[Enforcer]:
    """Ours alone; what others do meanwhile is not asked about."""
    enforcer = Enforcer(aws.aws, allowed)
    aws.aws.before.append(enforcer)
    try:
        yield enforcer
    finally:
        aws.aws.before.remove(enforcer)


Scenario = Callable[[Rig], tuple[str, dict[str, Any]]]
"""Brings AWS into the state before, writes the specs, and says what is run with which flags."""


def create(aws: Rig) -> tuple[str, dict[str, Any]]:
    aws.write(WIDE, NARROW)
    return "apply", {}


def adopt(aws: Rig) -> tuple[str, dict[str, Any]]:
    trust = {"Version": "2012-10-17", "Statement": [_taken_by_ec2()]}
    aws.iam.create_role(RoleName="web", Path="/old/", AssumeRolePolicyDocument=json.dumps(trust))
    aws.iam.create_instance_profile(InstanceProfileName="web", Path="/old/")
    aws.iam.add_role_to_instance_profile(InstanceProfileName="web", RoleName="web")
    aws.clock.sleep(60)
    aws.launch(1, profile="web")
    aws.write("roles: {web: {trust: ec2}}\ninstance_profiles: {web: {role: web}}\n", SETTINGS)
    return "apply", {"adopt": True, "refresh_adopted": True}


def _taken_by_ec2() -> dict[str, Any]:
    service = {"Service": "ec2.amazonaws.com"}
    return {"Effect": "Allow", "Principal": service, "Action": "sts:AssumeRole"}


def swap(strategy: str, settings: str = NARROW) -> Scenario:
    def made(aws: Rig) -> tuple[str, dict[str, Any]]:
        text = SWAP.replace("STRATEGY", strategy)
        aws.write(text.replace("ROLE", "v1"), settings)
        aws.settle()
        aws.clock.sleep(60)
        aws.launch(2, profile="web")
        aws.write(text.replace("ROLE", "v2"), settings)
        return "apply", {}

    made.__name__ = f"swap_{strategy}"
    return made


def update(aws: Rig) -> tuple[str, dict[str, Any]]:
    aws.write(WIDE, NARROW)
    aws.settle()
    changed = WIDE.replace("a: b", "c: d").replace("s3:GetObject", "s3:ListBucket")
    changed = changed.replace("trust: lambda, permissions_boundary: read", "trust: ecs-tasks, permissions_boundary: null")
    changed = changed.replace("managed_policies: [read]", "description: new").replace("own:", "other:")
    aws.write(changed, NARROW)
    return "apply", {"allow": frozenset({("boundary", "role/bound")})}


MOVE = """
roles: {one: {trust: ec2}}
instance_profiles: {one: {role: one}, two: {role: one}}
associations: {all: {instance_profile: PROFILE, select: {tags: {role: web}}}}
"""


def associate(aws: Rig) -> tuple[str, dict[str, Any]]:
    aws.launch(1, tags={"role": "web"}, region=AWAY)
    aws.write(MOVE.replace("PROFILE", "one"), NARROW)
    return "apply", {}


def move(aws: Rig) -> tuple[str, dict[str, Any]]:
    ids = aws.launch(2, tags={"role": "web"})
    aws.write(MOVE.replace("PROFILE", "one"), NARROW)
    aws.settle()
    aws.ec2().stop_instances(InstanceIds=ids[:1])
    aws.write(MOVE.replace("PROFILE", "two"), NARROW)
    return "apply", {}


def prune(aws: Rig) -> tuple[str, dict[str, Any]]:
    aws.launch(1, tags={"role": "web"})
    aws.write(WIDE.replace("instance_profiles: {web:", "instance_profiles: {gone: {role: null}, web:"), NARROW)
    aws.settle()
    aws.write("roles: {other: {trust: ec2}}\n", NARROW)
    return "apply", {"prune": True, "allow": frozenset({("delete", "9"), ("change", "9")})}


def prune_associations(aws: Rig) -> tuple[str, dict[str, Any]]:
    aws.launch(1, tags={"role": "web"})
    aws.write(MOVE.replace("PROFILE", "one"), NARROW)
    aws.settle()
    aws.write(MOVE.split("associations")[0], NARROW)
    return "apply", {"prune": True, "allow": frozenset({("delete", "9"), ("consumers", "*")})}


def replaced(before: str, after: str) -> Scenario:
    """With another path."""

    def made(aws: Rig) -> tuple[str, dict[str, Any]]:
        aws.write(before, NARROW)
        aws.settle()
        aws.write(after, NARROW)
        lifted = ("replace", "*"), ("delete", "9"), ("change", "9"), ("consumers", "*")
        return "apply", {"allow": frozenset(lifted)}

    made.__name__ = "replace"
    return made


PATHS = f"""
policies: {{read: {{path: /a/, document: {DOCUMENT}}}}}
roles: {{one: {{trust: ec2, path: /a/, managed_policies: [read]}}}}
instance_profiles: {{one: {{role: one, path: /a/}}}}
"""


def only(aws: Rig) -> tuple[str, dict[str, Any]]:
    aws.write(WIDE, NARROW)
    aws.settle()
    return "plan", {"only": ("role/*",)}


def one_by_one(aws: Rig) -> tuple[str, dict[str, Any]]:
    aws.write(WIDE, NARROW)
    aws.settle()
    return "plan", {"only": ("role/web", "policy/read", "instance-profile/web")}


def drifted(aws: Rig) -> tuple[str, dict[str, Any]]:
    aws.write(WIDE, NARROW)
    aws.settle()
    aws.iam.attach_role_policy(
        RoleName="web", PolicyArn="arn:aws:iam::aws:policy/ReadOnlyAccess"
    )
    aws.launch(1)
    return "drift", {}


SCENARIOS: tuple[Scenario, ...] = (
    create,
    adopt,
    update,
    swap("reassociate"),
    swap("hop"),
    swap("restart"),
    swap("wait"),
    associate,
    move,
    prune,
    prune_associations,
    replaced(PATHS, PATHS.replace("read: {path: /a/", "read: {path: /b/")),
    replaced(PATHS, PATHS.replace("one, path: /a/", "one, path: /b/")),
    replaced(PATHS, PATHS.replace("ec2, path: /a/", "ec2, path: /b/")),
    only,
    one_by_one,
    drifted,
)


def run(aws: Rig, what: str, flags: dict[str, Any]) -> None:
    if what == "apply":
        applied = aws.apply(**flags)
        assert applied.exit_code == 0, applied.result
    elif what == "plan":
        aws.plan(**flags)
    else:
        aws.drift(**flags)


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda s: s.__name__)
def test_debug(scenario: Scenario, tmp_path: Path) -> None:
    with rig(tmp_path) as aws:
        what, flags = scenario(aws)
        allowed = statements(aws, what, **flags)  # type: ignore[arg-type]
        with enforced(aws, allowed) as enforcer:
            try:
                run(aws, what, flags)
            finally:
                print("\nDENIED", enforcer.denied, "\nUSED", sorted(enforcer.used), "\nUNUSED", sorted({s["Sid"] for s in allowed} - enforcer.used), "\nSEEN", sorted(enforcer.seen))
        assert not enforcer.denied
