"""Many accounts: when to give up."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import cast

import pytest
from moto.iam.models import iam_backends

from reconciler.cli.app import run
from reconciler.cli.console import Console
from reconciler.cli.progress import Lines
from reconciler.commands.apply import Applied, Apply
from reconciler.commands.failures import FailureLimit
from reconciler.commands.plan import make_plan
from reconciler.commands.planned import Planned
from reconciler.commands.request import Connection, RunPorts
from reconciler.errors import AwsError, RefusedError
from reconciler.executor.retry_rules import UNREACHED_SECONDS
from reconciler.model.resources import Identity
from reconciler.notify.pr_comments import bodies
from reconciler.ports import Reader
from reconciler.render.json.apply import outcome_json, summary_json
from reconciler.render.json.plan import plan_json
from reconciler.render.json.planfile import sealed
from reconciler.render.markdown import Page, plan_markdown
from reconciler.render.styled_text import plain
from reconciler.render.text.apply import result_lines
from reconciler.sandbox.faults import refused
from reconciler.sandbox.state import Logged
from reconciler.spec.settings import Settings, TargetSpec
from tests.behaviour.faults import listening
from tests.rig import Rig


def account(number: int) -> str:
    return f"{number:012}"


def settings(count: int) -> str:
    lines = "".join(
        f"  t{n}: {{account_id: '{account(n)}', role_arn: 'arn:aws:iam::{account(n)}:role/x'}}\n"
        for n in range(1, count + 1)
    )
    return f"version: 1\nowner: tests\ntargets:\n{lines}"


@pytest.fixture
def four(aws: Rig) -> Rig:
    aws.write("roles: {web: {trust: ec2}}", settings(4))
    return aws


@contextmanager
def refusing_in(aws: Rig, operation: str, *accounts: int) -> Iterator[None]:
    """A call, or all of a service, is denied in some accounts."""
    where = {account(n) for n in accounts}

    def listen(logged: Logged) -> None:
        if operation in (logged.operation, logged.service) and logged.account in where:
            raise refused("iam", "AccessDenied", "not authorized", 403)

    with listening(aws.aws.before, listen):
        yield


def one_by_one(aws: Rig, most: int) -> RunPorts:
    return replace(aws.commands(), target_parallelism=1, failures=FailureLimit(most))


def roles_in(aws: Rig) -> list[str]:
    """Accounts in which a role was made."""
    return sorted(name for name in map(account, range(1, 5)) if iam_backends[name]["aws"].roles)


def applied(aws: Rig, most: int) -> Applied:
    ports = one_by_one(aws, most)
    return Apply(make_plan(aws.request(), ports), ports).execute()


def test_after_so_many_failures_no_further_target_begins(four: Rig) -> None:
    with refusing_in(four, "CreateRole", 1, 3):
        ended = applied(four, 2)
    assert roles_in(four) == [account(2)]
    assert ended.result.not_begun == ("t4",)
    assert [(o.target, o.status) for o in ended.result.outcomes] == [
        ("t1", "failed"),
        ("t2", "applied"),
        ("t3", "failed"),
    ]
    assert ended.exit_code == 3
    assert ended.left is not None
    assert [(t.target, len(t.changes)) for t in ended.left.targets] == [
        ("t1", 1),
        ("t2", 0),
        ("t3", 1),
        ("t4", 1),
    ]


def test_what_had_not_begun_is_told_in_every_form(four: Rig) -> None:
    with refusing_in(four, "CreateRole", 1):
        ended = applied(four, 1)
    text = plain(result_lines(ended))
    assert "not begun target t2\nnot begun target t3\nnot begun target t4" in text
    assert "Applied in part: 0 steps applied, 1 failed, 0 skipped, 3 targets not begun." in text
    assert "  remaining: t4: + role/web" in text
    assert summary_json(ended.planned.plan, ended)["not_begun"] == ["t2", "t3", "t4"]
    outcome = outcome_json(ended, ended.exit_code)
    document = sealed({**plan_json(ended.planned, "2026-11-23T20:00:00Z"), "outcome": outcome})
    shown = plan_markdown(document, Page())
    assert "3 targets not begun" in shown
    assert "- **Not begun:** target t4" in shown
    comments = bodies(document)
    assert "Not begun" not in comments[f"apply {account(1)}/tests/t1"]
    assert "- **Not begun:** target t2\n" in comments[f"apply {account(2)}/tests/t2"]


def test_without_a_limit_every_target_is_tried(four: Rig) -> None:
    with refusing_in(four, "CreateRole", 1, 2, 3):
        assert four.apply().result.not_begun == ()
    assert roles_in(four) == [account(4)]


def test_a_limit_that_is_not_reached_changes_nothing(four: Rig) -> None:
    with refusing_in(four, "CreateRole", 1):
        ended = applied(four, 2)
    assert ended.result.not_begun == ()
    assert roles_in(four) == [account(n) for n in (2, 3, 4)]


def unread(planned: Planned) -> list[tuple[str, list[str]]]:
    return [(t.target, [u.reason for u in t.unread]) for t in planned.plan.targets]


NOT_BEGUN = "not begun: the limit of --max-failures 1 was reached"


@pytest.mark.parametrize("operation", ["iam", "GetCallerIdentity"])
def test_reading_gives_up_as_well(four: Rig, operation: str) -> None:
    """A plan of unread targets is not whole, so nothing is taken for right."""
    with refusing_in(four, operation, 2):
        planned = make_plan(four.request(), one_by_one(four, 1))
    found = dict(unread(planned))
    assert found["t3"] == found["t4"] == [NOT_BEGUN]
    assert "AccessDenied" in found["t2"][0]
    assert not planned.plan.is_whole
    asked = {one.account for one in four.aws.log if one.operation == "ListRoles"}
    assert account(3) not in asked and account(4) not in asked


def test_what_fails_while_reading_counts_for_the_apply(four: Rig) -> None:
    with refusing_in(four, "iam", 1), refusing_in(four, "CreateRole", 2):
        ended = applied(four, 2)
    assert ended.result.not_begun == ("t3", "t4")


def test_a_target_that_fails_twice_counts_once(four: Rig) -> None:
    limit = FailureLimit(2)
    limit.note("t1")
    limit.note("t1")
    assert limit.why is None
    limit.note("t2")
    assert limit.why == "the limit of --max-failures 2 was reached"


def test_progress_counts_targets(four: Rig, capsys: pytest.CaptureFixture[str]) -> None:
    lines = Lines(Console())
    ports = replace(one_by_one(four, 1), progress=lines)
    with refusing_in(four, "CreateRole", 2):
        Apply(make_plan(four.request(), ports), ports).execute()
    lines.stop()
    shown = [one for one in capsys.readouterr().err.splitlines() if " target t" in one]
    assert [one.split(" ", 1)[1] for one in shown] == [
        "target t1: 1 applied (1 of 4 targets)",
        "target t2: 0 applied, 1 failed (2 of 4 targets)",
        f"target t3: {NOT_BEGUN} (3 of 4 targets)",
        f"target t4: {NOT_BEGUN} (4 of 4 targets)",
    ]


@pytest.mark.parametrize(
    ("denied", "code", "made"), [("CreateRole", 3, []), ("iam", 1, []), ("", 0, [1, 2, 3, 4])]
)
def test_the_exit_code_says_how_far_it_came(
    four: Rig, denied: str, code: int, made: list[int], capsys: pytest.CaptureFixture[str]
) -> None:
    flags = ["--max-failures", "1", "--target-parallelism", "1", "--region", "us-east-1"]
    with refusing_in(four, denied, 1):
        assert run(["apply", str(four.folder), "--auto-approve", *flags]) == code
    assert roles_in(four) == [account(n) for n in made]
    told = capsys.readouterr().err
    assert ("nothing was applied: the limit of --max-failures 1 was reached" in told) is (
        denied == "iam"
    )


def test_the_limit_is_one_at_least(four: Rig, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["plan", str(four.folder), "--max-failures", "0"]) == 64
    assert "--max-failures" in capsys.readouterr().err


def test_a_lost_connection_is_waited_for_once(four: Rig) -> None:
    """Not again for each target: it is the connection of this machine."""

    class Unreachable:
        def identity(self) -> Identity:
            raise AwsError(
                "sts:AssumeRole", "EndpointConnectionError", "cannot be reached", was_not_sent=True
            )

    ports = replace(four.commands(), target_parallelism=1)

    def connect(spec: TargetSpec | None, settings: Settings) -> Connection:
        return replace(ports.connect(spec, settings), reader=cast("Reader", Unreachable()))

    began = four.clock.now()
    with pytest.raises(AwsError, match="cannot be reached"):
        make_plan(four.request(), replace(ports, connect=connect))
    assert 0 < four.clock.now() - began < 2 * UNREACHED_SECONDS


def test_of_many_targets_only_some_are_named(aws: Rig) -> None:
    aws.write("roles: {web: {trust: ec2}}", settings(40))
    with pytest.raises(RefusedError) as failed:
        aws.plan(targets=("T7",))
    assert failed.value.message.endswith("t19, t2 and 28 more; did you mean t7?")
