"""What AWS would refuse is told by the plan, and nothing is written; what it refuses all the same is
told with its place."""

from __future__ import annotations

from dataclasses import replace

import pytest

from reconciler.commands.apply import Apply
from reconciler.commands.plan import make_plan
from reconciler.commands.planned import Planned
from reconciler.commands.request import Connection
from reconciler.diagnostics import Diagnostic
from reconciler.errors import RefusedError
from reconciler.executor.interrupt import Interrupt
from reconciler.plan.calls import ApiCall
from reconciler.render.styled_text import plain
from reconciler.render.text.apply import result_lines
from reconciler.render.text.look import Look
from reconciler.render.text.plan import plan_lines
from reconciler.spec.settings import Settings, TargetSpec
from tests.rig import Rig

NOBODY = "arn:aws:iam::123456789012:role/nobody"
TRUST = "{Version: 2012-10-17, Statement: {Effect: Allow, Action: 'sts:AssumeRole', Principal: {AWS: '%s'}}}"
CASES = {
    "a trusted role": (f"roles:\n  a:\n    trust_policy: {TRUST % NOBODY}", "no-such-role", 3),
    "a boundary by name": (
        "roles:\n  a:\n    trust: ec2\n    permissions_boundary: none-such",
        "no-such-policy",
        4,
    ),
    "a policy by a misspelt name": (
        "roles:\n  a:\n    trust: ec2\n    managed_policies:\n      - AmazonS3ReadonlyAcces",
        "no-such-policy",
        5,
    ),
    "another account": (
        "roles:\n  a:\n    trust: ec2\n    managed_policies: ['arn:aws:iam::999999999999:policy/x']",
        "other-account",
        4,
    ),
    "another partition": (
        "roles:\n  a:\n    trust: ec2\n    permissions_boundary: 'arn:aws-cn:iam::aws:policy/ReadOnlyAccess'",
        "other-partition",
        4,
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_the_plan_says_so_and_nothing_is_written(aws: Rig, case: str) -> None:
    text, code, line = CASES[case]
    aws.write(text)
    if code.startswith("other-"):
        with pytest.raises(RefusedError) as refused:
            aws.plan()
        (found,) = refused.value.diagnostics
    else:
        # What needs it is left alone, and the rest of the set is planned.
        planned = aws.plan()
        assert planned.plan.is_empty
        (found,) = planned.diagnostics
    assert (found.severity, found.code, found.location.line) == ("error", code, line)
    if "misspelt" in case:
        assert found.suggestion == "did you mean 'AmazonS3ReadOnlyAccess'?"
    assert aws.writes() == []


def test_a_boundary_of_aws_is_taken(aws: Rig) -> None:
    aws.write("roles:\n  a:\n    trust: ec2\n    permissions_boundary: ReadOnlyAccess")
    aws.settle()


def test_roles_that_trust_each_other(aws: Rig) -> None:
    role = "arn:aws:iam::123456789012:role/"
    aws.write(
        f"roles:\n  a: {{trust_policy: {TRUST % (role + 'b')}}}\n"
        f"  b: {{trust_policy: {TRUST % (role + 'a')}}}"
    )
    aws.settle()


def remote(aws: Rig, written: str, text: str) -> list[Diagnostic]:
    aws.write(text, written)
    commands = aws.commands()

    def connect(spec: TargetSpec | None, settings: Settings) -> Connection:
        return replace(commands.connect(spec, settings), is_remote=lambda: True)

    planned: Planned = make_plan(aws.request(), replace(commands, connect=connect))
    return [d for d in planned.diagnostics if d.code == "short-propagation"]


WEB = "roles: {web: {trust: ec2, instance_profile: true}}"


def test_a_short_propagation_is_told(aws: Rig) -> None:
    (found,) = remote(aws, "owner: tests\npropagation: 59s\n", WEB)
    assert (found.severity, found.location.line, found.location.column) == ("warning", 2, 14)


@pytest.mark.parametrize(
    ("settings", "spec"),
    [
        ("owner: tests\npropagation: 60s\n", WEB),
        ("owner: tests\n", WEB),
        ("owner: tests\npropagation: 1s\n", "roles: {web: {trust: ec2}}"),
    ],
)
def test_a_propagation_that_is_not_told(aws: Rig, settings: str, spec: str) -> None:
    assert remote(aws, settings, spec) == []


def test_on_this_machine_it_is_not_told(aws: Rig) -> None:
    aws.write(WEB, "owner: tests\npropagation: 1s\n")
    assert [d.code for d in aws.plan().diagnostics] == []


def test_a_failed_step_names_its_place(aws: Rig) -> None:
    """Dates of a likely form are left alone, so that AWS is the first to look at one."""
    date = "Condition: {DateLessThan: {aws:CurrentTime: 2026-13-45}}"
    body = (
        f"{{Version: 2012-10-17, Statement: {{Effect: Allow, Action: '*', Resource: '*', {date}}}}}"
    )
    aws.write(f"roles:\n  a:\n    trust: ec2\n    inline_policies: {{x: {body}}}")
    applied = Apply(aws.plan(), aws.commands(), Interrupt(), None).execute()
    (failed,) = [o for o in applied.result.outcomes if o.status == "failed"]
    assert failed.what == "iam:PutRolePolicy"
    assert failed.source is not None
    assert failed.source.line == 4
    text = plain(result_lines(applied))
    assert "spec.yaml:4" in text
    assert "correct the specs, then apply again" in "\n".join(applied.result.advice)
    assert "to resume" not in text


@pytest.mark.parametrize("listed", ["{}", "[{}]"])
def test_a_statement_that_is_a_mapping_counts_as_one(aws: Rig, listed: str) -> None:
    one = "{Effect: Allow, Action: 'sts:AssumeRole', Principal: {AWS: '*'}}"
    held = listed.replace("{}", one)
    aws.write(f"roles: {{a: {{trust_policy: {{Statement: {held}, Version: 2012-10-17}}}}}}")
    planned = aws.plan()
    assert "+ trust_policy: Allow sts:AssumeRole to *\n" in plain(plan_lines(planned.plan, Look()))
    (made,) = [s.action for s in planned.plan.targets[0].steps]
    assert isinstance(made, ApiCall)
    assert made.params["AssumeRolePolicyDocument"].startswith(
        '{"Version":"2012-10-17","Statement":'
    )
