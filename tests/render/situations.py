"""Plans and drifts that have something of everything, made once for all tests of reports."""

from __future__ import annotations

import tempfile
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from moto.moto_api._internal import mock_random

from reconciler.commands.planned import Planned
from reconciler.drift.findings import Drift, drift_of
from reconciler.render.formats import DriftReport, PlanReport
from reconciler.render.json.drift import drift_json
from reconciler.render.json.plan import plan_json
from tests.behaviour.faults import Crash, crashing, refusing
from tests.behaviour.test_ownership import TRUST
from tests.rig import AWAY, Rig, rig

NOW = "2026-11-23T20:00:00Z"
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
SETTINGS = """
version: 1
owner: tests
ignore: [{match: 'role/v2', attributes: [description], reason: x}]
"""
HOSTILE = (
    "x\x1b[31m|`</script><img src=x onerror=alert(1)>@team #1 ##[error]a\n::error::b [l](http://e)"
)


def in_trouble(aws: Rig, **flags: Any) -> Rig:
    """A world in which a plan has something of everything."""
    aws.launch(2, tags={"app": "web"})
    aws.launch(1, region=AWAY, tags={"app": "web"})
    aws.write(FIRST, SETTINGS)
    aws.settle(**flags)
    aws.iam.create_role(RoleName="theirs", AssumeRolePolicyDocument=TRUST)
    owned = [{"Key": "reconciler:owner", "Value": "others/others"}]
    aws.iam.create_role(RoleName="others", AssumeRolePolicyDocument=TRUST, Tags=owned)
    aws.iam.update_role(RoleName="v2", Description="theirs", MaxSessionDuration=3600)
    aws.iam.create_instance_profile(InstanceProfileName="blocked")
    mock_random.seed(8)  # how far the dice have come depends on the threads of the apply
    aws.launch(1, tags={"app": "web"})
    aws.write(SECOND, SETTINGS)
    with pytest.raises(Crash), crashing(aws, 7, after=True):
        aws.plan() and aws.apply(only=("instance-profile/web",), **flags)
    return aws


@cache
def everything() -> tuple[Planned, Planned, Drift]:
    """A plan that a person must decide about, one that prunes and takes over, and a drift."""
    with tempfile.TemporaryDirectory() as folder, rig(Path(folder)) as aws:
        in_trouble(aws)
        with refusing(aws, "ListPolicyTags", "AccessDenied"):
            stopped = aws.plan(adopt=True)
            drift = drift_of(aws.plan())
        return stopped, aws.plan(adopt=True, take_over=True, prune=True), drift


def plan_report(planned: Planned) -> PlanReport:
    return PlanReport(planned.plan, plan_json(planned, NOW))


def drift_report(drift: Drift) -> DriftReport:
    return DriftReport(drift, drift_json(drift, NOW))


def change(address: str = "role/a", **more: Any) -> Any:
    """One change of a plan document."""
    kind, _, name = address.partition("/")
    made = {
        "address": address,
        "kind": kind,
        "name": name,
        "region": None,
        "actions": ["update"],
        "before": {"description": "a"},
        "after": {"description": "b"},
        "differences": [{"path": "description", "before": "a", "after": "b"}],
        "reason": None,
        "consumers": [],
        "intent": {},
        "source": {"file": "specs/a.yaml", "line": 3, "column": 1},
    }
    return {**made, **more}


def plan_document(*changes: Any, **more: Any) -> Any:
    """A plan document of these changes; ``more`` are members of its target."""
    target = {
        "target": "default",
        "account_id": "123456789012",
        "partition": "aws",
        "regions": ["us-east-1"],
        "changes": list(changes),
        "steps": [],
        "kept": [],
        "ignored": [],
        "conflicts": [],
        "guards": [],
        "unread": [],
        "rules": [],
    }
    return {
        "format_version": "1.0",
        "reconciler": "0",
        "created_at": NOW,
        "owner": "tests",
        "digest": "sha256:" + "0" * 64,
        "targets": [{**target, **more}],
        "summary": {},
        "seconds": {"least": 0, "most": 60},
        "api_calls": {},
        "diagnostics": [],
        "request": {},
        "specs_digest": "",
    }
