"""``plan --access-analyzer``: what AWS finds in the policies that the plan writes, at its place; and
what it does not answer."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from reconciler.aws.access_analyzer import AwsPolicyAnalyzer
from reconciler.cli.app import run
from reconciler.commands.analysis import analyzed
from reconciler.commands.planned import Planned
from reconciler.commands.request import Connection
from reconciler.diagnostics import Diagnostic
from reconciler.errors import AwsError
from reconciler.exit_codes import ExitCode
from reconciler.model.policy_document import PolicyUse
from reconciler.ports import PolicyFinding
from reconciler.render import formats
from reconciler.render.styled_text import plain
from reconciler.render.text.diagnostics import full
from tests.permissions.enforcing import Enforcer
from tests.permissions.test_enforced import enforced
from tests.render.situations import HOSTILE, plan_report
from tests.rig import ACCOUNT, AWAY, HOME, Rig

VALIDATE, NEW_ACCESS = "access-analyzer:ValidatePolicy", "access-analyzer:CheckNoNewAccess"
SPEC = """
policies:
  read:
    document: {Version: 2012-10-17, Statement: [{Effect: Allow, Action: [ACTION], Resource: '*'}]}
roles:
  web:
    trust_policy:
      Version: 2012-10-17
      Statement: {Effect: Allow, Principal: {Service: [SERVICE]}, Action: 'sts:AssumeRole'}
    managed_policies: [read]
    inline_policies:
      Own:
        Version: 2012-10-17
        Statement:
          - {Effect: Allow, Action: 'iam:PassRole', Resource: [PASSED]}
  short: {trust: ec2}
"""


def spec(action: str = "'s3:GetObject'", service: str = "ec2.amazonaws.com", passed: str = "'arn:aws:iam::123456789012:role/a'") -> str:  # fmt: skip
    return SPEC.replace("ACTION", action).replace("SERVICE", service).replace("PASSED", passed)


def planned(aws: Rig, **flags: Any) -> Planned:
    aws.opened.clear()
    return analyzed(aws.plan(**flags), aws.progress, parallelism=4, targets=2)


def found(made: Planned) -> list[Diagnostic]:
    return [one for one in made.diagnostics if one.code.startswith("access-analyzer")]


def told(made: Planned) -> list[tuple[str, int, str]]:
    return [(one.code, one.location.line, one.message.partition(":")[0]) for one in found(made)]


def asked(aws: Rig) -> list[str]:
    return [one.operation for one in aws.aws.log if one.service == "access-analyzer"]


def test_what_is_new_is_validated(aws: Rig) -> None:
    aws.write(spec("'s3:Get*', 's3:GetObject'", passed="'*'"))
    made = planned(aws)
    assert told(made) == [
        ("access-analyzer-suggestion", 4, "policy/read"),
        ("access-analyzer-security", 15, "the inline policy 'Own' of role/web"),
    ]
    security = found(made)[1]
    assert "PASS_ROLE_WITH_STAR_IN_RESOURCE: Using the iam:PassRole action" in security.message
    assert str(security.suggestion).startswith("https://docs.aws.amazon.com/IAM/")
    # Two policies and a trust; the trust in the short form is our own.
    assert sorted(asked(aws)) == ["ValidatePolicy"] * 3
    assert made.plan.api_calls[VALIDATE] == 3
    assert not aws.writes()


def test_what_changes_is_compared_with_what_aws_has(aws: Rig) -> None:
    aws.write(spec())
    aws.settle()
    aws.aws.log.clear()
    aws.write(spec("'s3:GetObject', 's3:PutObject'", "ecs-tasks.amazonaws.com"))
    made = planned(aws)
    assert told(made) == [
        ("access-analyzer-new-access", 4, "policy/read allows more than before"),
        ("access-analyzer-new-access", 7, "the trust policy of role/web allows more than before"),
    ]
    assert sorted(asked(aws)) == ["CheckNoNewAccess"] * 2 + ["ValidatePolicy"] * 2
    aws.settle()
    aws.aws.log.clear()
    aws.write(spec("'s3:PutObject'", "ecs-tasks.amazonaws.com"))
    assert told(planned(aws)) == []
    assert asked(aws) == ["ValidatePolicy", "CheckNoNewAccess"]


def test_without_a_change_of_a_document_nothing_is_asked(aws: Rig) -> None:
    aws.write(spec())
    aws.settle()
    aws.write(spec().replace("{trust: ec2}", "{trust: ec2, description: new}"))
    aws.aws.log.clear()
    assert found(planned(aws)) == []
    assert asked(aws) == []


@contextmanager
def denying(aws: Rig, *actions: str) -> Iterator[None]:
    calm = aws.aws.chaos
    aws.aws.chaos = replace(calm, denied=frozenset(actions))
    try:
        yield
    finally:
        aws.aws.chaos = calm


@pytest.mark.parametrize("actions", [(VALIDATE,), (NEW_ACCESS,), (VALIDATE, NEW_ACCESS)])
def test_what_is_denied_is_told_once_and_the_plan_is_whole(
    aws: Rig, actions: tuple[str, ...]
) -> None:
    aws.write(spec())
    aws.settle()
    aws.write(spec("'s3:*'", "ecs-tasks.amazonaws.com", "'*'"))
    with denying(aws, *actions):
        made = planned(aws)
    unknown = [one for one in found(made) if one.code == "access-analyzer-unknown"]
    assert [one.message for one in unknown] == [
        f"Access Analyzer did not check the policies of this plan: {action}: AccessDenied in {AWAY} of {ACCOUNT}"
        for action in sorted(actions)
    ]
    assert made.plan.is_whole
    assert made.severity == "critical"
    assert len({one.address for one in made.plan.changes}) == 2


@dataclass
class Answers:
    """In place of AWS."""

    findings: tuple[PolicyFinding, ...] = ()
    reasons: tuple[str, ...] = ()
    error: AwsError | None = None
    regions: list[str] = field(default_factory=list)

    def validate(self, document: str, use: PolicyUse) -> tuple[PolicyFinding, ...]:
        assert json.loads(document)["Version"] == "2012-10-17"
        if self.error is not None:
            raise self.error
        return self.findings if use == "managed" else ()

    def new_access(self, before: str, after: str, use: PolicyUse) -> tuple[str, ...]:
        assert before != after
        return self.reasons


def answering(aws: Rig, answers: Answers, **connection: Any) -> Planned:
    aws.opened.clear()
    made = aws.plan()

    def analyzer(region: str) -> Answers:
        answers.regions.append(region)
        return answers

    def taught(one: Connection) -> Connection:
        return replace(one, analyzer=analyzer, **connection)

    targets = tuple(
        replace(t, account=replace(t.account, connection=taught(t.connection)))
        for t in made.targets
    )
    return analyzed(replace(made, targets=targets), aws.progress, parallelism=4, targets=2)


def test_texts_of_awss_are_text(aws: Rig) -> None:
    aws.write(spec())
    nasty = PolicyFinding("error", "BAD", HOSTILE, f"https://example.com/{HOSTILE}", ("Statement", 0, "Action", 7))  # fmt: skip
    made = answering(aws, Answers((nasty,)))
    assert told(made) == [("access-analyzer-error", 4, "policy/read")]
    text = plain(full(made.diagnostics, made.sources))
    assert "\x1b" not in text
    assert "\n::error::b" not in text
    annotated = formats.PLAN["github"](plan_report(made))
    assert not [line for line in annotated.splitlines() if line.startswith("::error::b")]
    assert (
        "<script"
        not in formats.PLAN["html"](plan_report(made))
        .partition("<main>")[2]
        .partition("</main>")[0]
    )


@pytest.mark.parametrize(
    ("code", "places"),
    [
        ("EndpointConnectionError", 1),
        ("UnrecognizedClientException", 1),
        ("ThrottlingException", 1),
        ("ValidationException", 3),
        ("UnprocessableEntityException", 3),
    ],
)
def test_what_is_not_available_is_told(aws: Rig, code: str, places: int) -> None:
    """Once for a region that does not have it; at its place for a document that is not taken."""
    aws.write(spec())
    made = answering(aws, Answers(error=AwsError(VALIDATE, code, "no")))
    assert [one.code for one in found(made)] == ["access-analyzer-unknown"] * places
    assert made.plan.is_whole


def test_without_a_region_it_is_told(aws: Rig) -> None:
    aws.write("policies: {p: {document: {Version: 2012-10-17, Statement: [{Effect: Allow, Action: 's3:*', Resource: '*'}]}}}\n")  # fmt: skip
    aws.opened.clear()
    made = aws.plan(regions=())
    target = made.targets[0]
    alone = replace(
        target,
        plan=replace(target.plan, regions=()),
        account=replace(target.account, connection=replace(target.connection, default_region=None)),
    )
    made = analyzed(replace(made, targets=(alone,)), aws.progress, parallelism=1, targets=1)
    (one,) = found(made)
    assert "no region is set" in one.message


def test_the_command(aws: Rig, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    harmless = spec("'s3:GetObject', 's3:GetObject*'").replace("iam:PassRole", "iam:GetRole")
    aws.write(harmless)
    flags = ["plan", str(aws.folder), "--region", HOME, "-q"]
    assert run([*flags, "--access-analyzer", "--fail-on", "warning"]) == ExitCode.OK
    assert "access-analyzer-suggestion" in capsys.readouterr().err
    aws.write(harmless.replace("Version: 2012-10-17\n      Statement", "Statement"))
    path = tmp_path / "plan.json"
    assert run([*flags, "--access-analyzer", "--fail-on", "warning", "--out", str(path)]) == 2
    assert "access-analyzer-warning" in capsys.readouterr().err
    assert run([*flags, "--fail-on", "warning"]) == ExitCode.OK
    capsys.readouterr()


def test_its_permissions_are_printed_and_enough(
    aws: Rig, capsys: pytest.CaptureFixture[str]
) -> None:
    aws.write(spec(), f"version: 1\nowner: tests\nregions: [{HOME}]\n")
    aws.settle(regions=())
    aws.write(spec("'s3:*'"), f"version: 1\nowner: tests\nregions: [{HOME}]\n")
    flags = ["permissions", str(aws.folder), "--for", "plan"]
    assert run([*flags, "--access-analyzer"]) == ExitCode.OK
    document = json.loads(capsys.readouterr().out)
    aws.opened.clear()
    with enforced(aws, document["Statement"]) as enforcer:
        made = planned(aws, regions=())
    assert isinstance(enforcer, Enforcer)
    assert enforcer.denied == []
    assert "AskAccessAnalyzer" in enforcer.used
    assert [one.code for one in found(made)] == ["access-analyzer-new-access"]
    assert run(flags) == ExitCode.OK
    assert "access-analyzer" not in capsys.readouterr().out
    assert run([*flags[:-1], "apply", "--access-analyzer"]) == ExitCode.USAGE


def test_pages_and_paths() -> None:
    """As AWS answers, which the sandbox does in one page."""

    class Pages:
        def paginate(self, **_asked: str) -> list[dict[str, Any]]:
            place = {"path": [{"value": "Statement"}, {"index": 1}, {"key": "Action"}, {"substring": {"start": 1, "length": 2}}]}  # fmt: skip
            one = {"findingType": "WARNING", "issueCode": "X", "findingDetails": "a\n  b", "learnMoreLink": "https://x", "locations": [place, place]}  # fmt: skip
            none = {**one, "findingType": "OF_TOMORROW", "locations": []}
            return [{"findings": [one]}, {"findings": [none]}]

    class Client:
        def get_paginator(self, _name: str) -> Pages:
            return Pages()

    class Stub:
        session: Any

        def get(self, _service: str, _region: str) -> Client:
            return Client()

        @contextmanager
        def calling(self, _call: str, _region: str) -> Iterator[None]:
            yield

    stub: Any = Stub()
    stub.session = stub
    assert AwsPolicyAnalyzer(stub, HOME).validate("{}", "managed") == (
        PolicyFinding("warning", "X", "a b", "https://x", ("Statement", 1, "Action")),
        PolicyFinding("warning", "X", "a b", "https://x", ()),
    )
