"""Every JSON that is printed is what its JSON Schema says, in every situation that fills it."""

from __future__ import annotations

import json
from typing import Any

import jsonschema
import pytest

from reconciler.commands.drift import drift_of
from reconciler.diagnostics import Diagnostic, Location
from reconciler.report.diagnostics_json import diagnostics_json
from reconciler.report.drift_json import drift_json
from reconciler.report.plan_json import plan_json
from reconciler.report.schemas import PRINTED, schema_of
from tests.behaviour.faults import Crash, crashing, refusing
from tests.behaviour.test_ownership import TRUST
from tests.rig import AWAY, Rig

FIRST = """
policies: {read: {path: /a/, document: &d {Version: 2012-10-17, Statement: [
  {Effect: Allow, Action: 's3:*', Resource: '*'}]}}, old: {document: *d}}
roles: {v1: {trust: ec2}, v2: {trust: ec2}, left: {trust: ec2, managed_policies: [old]}}
instance_profiles: {web: {role: v1}, gone: {role: left}}
associations: {fleet: {instance_profile: web, select: {tags: {app: web}}}}
"""
SECOND = """
policies: {read: {path: /b/, document: &d {Version: 2012-10-17, Statement: [
  {Effect: Allow, Action: 's3:*', Resource: '*'}]}}}
roles: {v1: {trust: ec2, tags: {a: b}}, v2: {trust: ec2}, new: {trust: lambda},
  theirs: {trust: ec2}, others: {trust: ec2}}
instance_profiles: {web: {role: v2}, blocked: {role: v1}}
associations: {fleet: {instance_profile: web, select: {tags: {app: web}}}}
"""
NOW = "2026-11-23T20:00:00Z"
SETTINGS = """
version: 1
owner: tests
ignore: [{match: 'role/v2', attributes: [description], reason: x}]
"""


def valid(name: str, value: object) -> None:
    plain = json.loads(json.dumps(value))
    jsonschema.Draft202012Validator(schema_of(name)).validate(plain)


@pytest.fixture
def full(aws: Rig) -> Rig:
    """A world in which a plan has something of everything."""
    aws.launch(2, tags={"app": "web"})
    aws.launch(1, region=AWAY, tags={"app": "web"})
    aws.write(FIRST, SETTINGS)
    aws.settle()
    aws.iam.create_role(RoleName="theirs", AssumeRolePolicyDocument=TRUST)
    owned = [{"Key": "reconciler:owner", "Value": "others"}]
    aws.iam.create_role(RoleName="others", AssumeRolePolicyDocument=TRUST, Tags=owned)
    aws.iam.update_role(RoleName="v2", Description="theirs", MaxSessionDuration=3600)
    aws.iam.create_instance_profile(InstanceProfileName="blocked")
    aws.launch(1, tags={"app": "web"})
    aws.write(SECOND, SETTINGS)
    with pytest.raises(Crash), crashing(aws, 7, after=True):
        aws.plan() and aws.apply(only=("instance-profile/web",))
    return aws


def test_a_plan_with_something_of_everything(full: Rig) -> None:
    with refusing(full, "ListPolicyTags", "AccessDenied"):
        printed: Any = plan_json(full.plan(adopt=True), NOW)
    valid("plan", printed)
    plain = json.dumps(printed)
    target = printed["targets"][0]
    for member in ("changes", "steps", "kept", "ignored", "conflicts", "unread", "rules"):
        assert target[member], member
    printed = plan_json(full.plan(adopt=True, take_over=True, prune=True), NOW)
    valid("plan", printed)
    plain += json.dumps(printed)
    wanted = ["create", "adopt", "update", "delete", "cutover"]
    assert [a for a in wanted if f'"{a}"' not in plain] == []
    assert printed["targets"][0]["guards"]
    assert '"wait": "gone"' in plain


def test_drift(full: Rig) -> None:
    with refusing(full, "ListPolicyTags", "AccessDenied"):
        found = drift_of(full.plan())
    valid("drift", drift_json(found, NOW))
    assert {f.status for f in found.findings} >= {"modified", "missing", "unadopted", "unknown"}


def test_findings_about_specs() -> None:
    place = Location("a.yaml", 1, 2)
    found = Diagnostic("error", "x", "y", place, "z", (("there", place),))
    valid("diagnostics", diagnostics_json([found]))


@pytest.mark.parametrize("name", PRINTED)
def test_they_are_schemas(name: str) -> None:
    jsonschema.Draft202012Validator.check_schema(schema_of(name))


def spoilt(value: Any) -> list[Any]:
    """The value with a member too many, too few, or of another type."""
    more = {**value, "surprise": 1}
    name = sorted(value)[0]
    fewer = {k: v for k, v in value.items() if k != name}
    return [more, fewer, {**value, name: {"x": []}}]


def test_what_is_not_of_the_shape_is_refused(full: Rig) -> None:
    printed: Any = json.loads(json.dumps(plan_json(full.plan(), NOW)))
    target = printed["targets"][0]
    change, step = target["changes"][0], target["steps"][0]
    for wrong in spoilt(change):
        refused({**printed, "targets": [{**target, "changes": [wrong]}]})
    for wrong in spoilt(step):
        refused({**printed, "targets": [{**target, "steps": [wrong]}]})
    for wrong in spoilt(printed):
        refused(wrong)


def refused(value: object) -> None:
    with pytest.raises(jsonschema.ValidationError):
        valid("plan", value)
