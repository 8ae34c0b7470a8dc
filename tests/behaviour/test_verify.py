"""After an apply the plan is made again, from AWS and not from what was sent."""

from __future__ import annotations

from reconciler.sandbox.state import Logged
from tests.behaviour.faults import listening
from tests.rig import ACCOUNT, Rig


def test_remaining_differences_are_reported(aws: Rig) -> None:
    """Somebody undoes a step behind the apply's back, while it runs."""
    aws.write(
        "roles: {web: {trust: ec2, tags: {a: b}, managed_policies: [AmazonSSMManagedInstanceCore]}}"
    )

    def undo(logged: Logged) -> None:
        if logged.operation == "AttachRolePolicy":
            aws.iam.untag_role(RoleName="web", TagKeys=["a"])

    with listening(aws.aws.after, undo):
        applied = aws.apply()
    assert applied.result.is_complete
    assert applied.left is not None
    assert [d.path for c in applied.left.changes for d in c.differences] == ["tags.a"]
    assert applied.exit_code == 3
    aws.settle()
    assert aws.plan().plan.is_empty


def test_specs_that_change_during_an_apply_are_ignored(aws: Rig) -> None:
    """What is left is left of the plan that was approved."""
    aws.write("roles: {web: {trust: ec2, tags: {account: '${account_id}'}}}")

    def edit(logged: Logged) -> None:
        if logged.operation == "CreateRole":
            aws.write("roles: {web: {trust: ec2, tags: {a: c}}, other: {trust: ec2}}")

    with listening(aws.aws.after, edit):
        applied = aws.apply()
    assert applied.exit_code == 0
    assert aws.role_tags("web")["account"] == ACCOUNT
    assert "other" not in aws.names()["roles"]
    aws.settle()
    assert "other" in aws.names()["roles"]


def test_outdated_reads_are_waited_for(aws: Rig) -> None:
    """IAM shows the tag half a minute late; that is no drift."""
    aws.write("roles: {web: {trust: ec2, tags: {a: b}}}")
    began: list[float] = []

    def hide(logged: Logged) -> None:
        if logged.operation == "CreateRole":
            began.append(aws.clock.now())
            aws.iam.untag_role(RoleName="web", TagKeys=["a"])
        elif began and aws.clock.now() - began[0] > 5:
            began.clear()
            aws.iam.tag_role(RoleName="web", Tags=[{"Key": "a", "Value": "b"}])

    with listening(aws.aws.after, hide):
        assert aws.apply().exit_code == 0
