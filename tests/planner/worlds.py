"""Specs and an account as values, and the plan that follows: no AWS, no files but the specs."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Mapping
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import Any

from reconciler.diagnostics import has_errors
from reconciler.model.address import Arns, name_key
from reconciler.model.live import (
    AssociationRow,
    LiveInstance,
    LivePolicy,
    LiveProfile,
    LiveRole,
    LiveState,
    PolicyVersion,
)
from reconciler.model.ownership import (
    NO_ROLE,
    OWNER,
    ROLE_ID,
    InstanceKey,
    association_mark,
    encode_owner,
)
from reconciler.model.resources import Identity
from reconciler.plan.plan import TargetPlan
from reconciler.planner import Options, plan_context, plan_target
from reconciler.planner.context import resolved
from reconciler.spec.desired import DesiredState, SpecSet, ordered
from reconciler.spec.loader import Caller, interpret, read
from reconciler.spec.settings import Settings

NOW = 1_800_000_000.0
TEAM = "team"
HOME, AWAY = "us-east-1", "eu-west-1"
ME = Identity("111111111111", "aws", "arn:aws:iam::111111111111:user/me")
ARNS: Arns = ME.arns


@lru_cache(maxsize=256)
def spec_set(text: str) -> SpecSet:
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "spec.yaml").write_text(text, "utf-8")
        made = interpret(read(folder), Caller(ME.account_id, ME.partition))
    assert not has_errors(made.diagnostics), made.diagnostics
    return made


def owned(name: str) -> dict[str, str]:
    """The mark of what this set made."""
    return {OWNER: encode_owner(TEAM, name)}


def live(text: str, instances: Iterable[LiveInstance] = (), **more: Any) -> LiveState:
    """An account in which everything is as the specs in ``text`` say, made by us; ids follow from
    names."""
    specs = spec_set(text).desired
    there = LiveState(identity=ME)
    specs = resolved(specs, there)
    made = replace(
        there,
        roles={name: _role(r.resource) for name, r in specs.roles.items()},
        policies={name: _policy(p.resource) for name, p in specs.policies.items()},
        profiles={name: _profile(p.resource) for name, p in specs.profiles.items()},
        instances={i.key: i for i in instances},
        regions=(AWAY, HOME),
    )
    return replace(made, **more)


def _role(resource: Any) -> LiveRole:
    return LiveRole(
        resource=resource,
        id=role_id(resource.name),
        arn=ARNS.of("role", resource.path, resource.name),
        marks=owned(resource.name),
    )


def _policy(resource: Any) -> LivePolicy:
    return LivePolicy(
        resource=resource,
        id=f"ANPA{resource.name}",
        arn=ARNS.of("policy", resource.path, resource.name),
        marks=owned(resource.name),
        versions=(PolicyVersion("v1", False, 1.0), PolicyVersion("v2", True, 2.0)),
    )


def _profile(resource: Any) -> LiveProfile:
    held = None if resource.role is None else role_id(resource.role)
    return LiveProfile(
        resource=resource,
        id=profile_id(resource.name),
        arn=ARNS.of("instance-profile", resource.path, resource.name),
        marks={**owned(resource.name), ROLE_ID: held or NO_ROLE},
        role_id=held,
    )


def role_id(name: str) -> str:
    return f"AROA{name_key(name).replace('-', '').upper()}"


def profile_id(name: str) -> str:
    return f"AIPA{name_key(name).replace('-', '').upper()}"


def instance(
    number: int,
    profile: str | None = None,
    *,
    region: str = HOME,
    state: str = "running",
    tags: Mapping[str, str] | None = None,
    is_ours: bool = False,
) -> LiveInstance:
    """``is_ours`` where an association of our specs gave it the profile."""
    name = f"i-{number:08x}"
    rows: tuple[AssociationRow, ...] = ()
    marks: dict[str, str] = {}
    if profile is not None:
        arn = ARNS.of("instance-profile", "/", profile)
        rows = (AssociationRow(f"assoc-{number}", arn, profile_id(profile), "associated"),)
        if is_ours:
            marks["association"] = association_mark(TEAM, name, profile_id(profile))
    return LiveInstance(InstanceKey(region, name), state, NOW - 86_400, rows, tags or {}, marks)


def plan(
    text: str, account: LiveState, settings: Mapping[str, Any] | None = None, **more: Any
) -> TargetPlan:
    desired = spec_set(text).desired if text else DesiredState()
    options = Options(
        settings=Settings.model_validate({"owner": TEAM, **(settings or {})}),
        owner=TEAM,
        regions=(AWAY, HOME),
        now=NOW,
        **more,
    )
    return plan_target(plan_context(desired, account, options))


def steps(planned: TargetPlan) -> list[str]:
    """``2 role/web AttachRolePolicy app < 1``: number, address, call with what it is about, and
    the numbers of the steps that it waits for."""
    lines = []
    for step in planned.steps:
        params = getattr(step.action, "params", {})
        what = getattr(step.action, "operation", None) or f"wait {step.action.condition}"  # type: ignore[union-attr]
        about = [str(params[name]).rpartition("/")[2] for name in _ABOUT if name in params]
        after = f" < {' '.join(map(str, step.after))}" if step.after else ""
        lines.append(" ".join([str(step.id), str(step.address), what, *about]) + after)
    return lines


_ABOUT = ("PolicyArn", "RoleName", "VersionId", "AssociationId")


def entities(specs: DesiredState) -> list[str]:
    return [str(entity.resource.address) for entity in (*ordered(specs.roles), *specs.entities())]
