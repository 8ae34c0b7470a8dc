"""What nobody has is found by the plan, at its place, before anything is written."""

from __future__ import annotations

from typing import Any

import pytest

from reconciler.diagnostics import Diagnostic, in_order
from reconciler.model.address import policy_address
from tests.planner.worlds import HOME, instance, live, plan, steps

TRUSTING = """roles:
  a:
    trust_policy:
      Version: 2012-10-17
      Statement:
        - Effect: Allow
          Action: sts:AssumeRole
          Principal:
            AWS:
              - arn:aws:iam::222222222222:root
              - {ARN}
"""
B = "roles: {b: {trust: ec2}}"
PLACED = "roles: {b: {trust: ec2, path: /x/}}"


def told(text: str, account: str = "x-none: 1", **more: Any) -> list[Diagnostic]:
    planned = plan(text, live(account), **more)
    assert not planned.unmet or not planned.work
    return list(in_order((*planned.diagnostics, *(one.found for one in planned.unmet))))


def trusting(name: str) -> str:
    return TRUSTING.replace("{ARN}", f"arn:aws:iam::111111111111:role/{name}")


def test_a_trusted_role_that_nobody_has() -> None:
    (found,) = told(trusting("bb"), "roles: {bbb: {trust: ec2}}")
    assert (found.severity, found.code) == ("error", "no-such-role")
    assert (found.location.line, found.location.column) == (11, 17)
    assert found.suggestion == "did you mean 'bbb'?"


@pytest.mark.parametrize(
    ("text", "account"),
    [
        (trusting("b"), B),
        (trusting("B"), B),
        (trusting("x/b"), PLACED),
        (f"{trusting('b')}  b: {{trust: ec2}}\n", "x-none: 1"),
        (f"{trusting('x/b')}  b: {{trust: ec2, path: /x/}}\n", "x-none: 1"),
        (trusting("a"), "x-none: 1"),
        (TRUSTING.replace("{ARN}", "arn:aws:iam::333333333333:role/b"), "x-none: 1"),
        (TRUSTING.replace("{ARN}", "arn:aws:iam::111111111111:user/b"), "x-none: 1"),
    ],
)
def test_a_trusted_role_that_is_there(text: str, account: str) -> None:
    assert told(text, account) == []


@pytest.mark.parametrize("name", ["b", "y/b"])
def test_a_trusted_role_at_another_path(name: str) -> None:
    """AWS compares the whole ARN."""
    (found,) = told(trusting(name), PLACED)
    assert found.code == "no-such-role"
    assert "arn:aws:iam::111111111111:role/x/b" in found.message


def test_a_policy_that_nobody_has() -> None:
    text = "roles:\n  a:\n    trust: ec2\n    managed_policies:\n      - ReadOnlyAccess\n      - arn:aws:iam::111111111111:policy/shard\n"
    (found,) = told(text, f"policies: {{shared: {{document: {DOCUMENT}}}}}")
    assert (found.code, found.location.line, found.location.column) == ("no-such-policy", 6, 9)
    assert found.suggestion == "did you mean 'shared'?"


def test_a_boundary_that_nobody_has() -> None:
    text = "roles:\n  a:\n    trust: ec2\n    permissions_boundary: arn:aws:iam::111111111111:policy/none\n"
    (found,) = told(text)
    assert (found.code, found.location.line, found.location.column) == ("no-such-policy", 4, 27)


DOCUMENT = "{Version: 2012-10-17, Statement: [{Effect: Allow, Action: 's3:*', Resource: '*'}]}"


@pytest.mark.parametrize("key", ["managed_policies: [ARN]", "permissions_boundary: ARN"])
def test_a_policy_of_the_set_by_its_arn_in_another_case(key: str) -> None:
    text = (
        f"policies: {{Foo: {{document: {DOCUMENT}}}}}\n"
        f"roles: {{a: {{trust: ec2, {key.replace('ARN', 'arn:aws:iam::111111111111:policy/foo')}}}}}"
    )
    planned = plan(text, live("x-none: 1"))
    assert planned.diagnostics == ()
    params = [getattr(step.action, "params", {}) for step in planned.steps]
    arns = {p.get("PolicyArn") or p.get("PermissionsBoundary") for p in params} - {None}
    assert arns == {"arn:aws:iam::111111111111:policy/Foo"}
    made = next(line for line in steps(planned) if "CreatePolicy" in line).split()[0]
    user = next(line for line in steps(planned) if "Attach" in line or "CreateRole a" in line)
    if "permissions_boundary" in key:
        assert user.endswith(f"< {made}")
    assert policy_address("foo") == policy_address("Foo")


SELECT = (
    "instance_profiles: {web: {role: null}}\n"
    "associations:\n  fleet: {instance_profile: web, select: {tags: {app: web}}}\n"
)


def test_a_selector_that_matches_nothing() -> None:
    (found,) = told(SELECT)
    assert (found.severity, found.code, found.location.line) == ("warning", "selects-nothing", 3)
    assert "'fleet'" in found.message


def test_a_selector_that_matches() -> None:
    web = instance(1, region=HOME, tags={"app": "web"})
    planned = plan(SELECT, live("x-none: 1", [web]))
    assert planned.diagnostics == ()


@pytest.mark.parametrize(
    "flags", [{"only": ("role/*",)}, {"exclude": ("association/*", "instance-profile/*")}]
)
def test_a_selector_that_is_not_planned(flags: dict[str, Any]) -> None:
    assert "selects-nothing" not in [d.code for d in told(SELECT, **flags)]


def test_a_selector_where_a_region_cannot_be_read() -> None:
    account = live("x-none: 1", regions=(), unread_regions={HOME: "denied"})
    assert plan(SELECT, account).diagnostics == ()
