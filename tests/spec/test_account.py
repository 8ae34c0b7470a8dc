"""What AWS refuses in one account and takes in another."""

from __future__ import annotations

from pathlib import Path

import pytest

from reconciler.diagnostics import Diagnostic
from reconciler.spec.check.account_checks import of_account
from reconciler.spec.loader import Caller, interpret, read, validated

ME, CHINA = "111111111111", "aws-cn"
ROLE = "roles:\n  r:\n    trust: ec2\n    {TEXT}\n"
POLICY = (
    "policies:\n  p:\n    document:\n      Version: 2012-10-17\n      Statement:\n"
    "        - {Effect: Allow, Action: 's3:*', Resource: {ARN}}\n"
)


def findings(folder: Path, text: str, partition: str = "aws") -> list[Diagnostic]:
    (folder / "s.yaml").write_text(text, "utf-8")
    made = interpret(read(str(folder)), Caller(ME, partition))
    assert made.diagnostics == ()
    return list(of_account(made.desired, ME, partition))


@pytest.mark.parametrize(
    ("text", "partition", "code", "place"),
    [
        ("managed_policies: ['arn:aws-cn:iam::aws:policy/x']", "aws", "other-partition", (4, 24)),
        ("managed_policies: [x, 'arn:aws:iam::aws:policy/x']", CHINA, "other-partition", (4, 27)),
        (
            "managed_policies: ['arn:aws:iam::222222222222:policy/x']",
            "aws",
            "other-account",
            (4, 24),
        ),
        (
            "permissions_boundary: arn:aws:iam::222222222222:policy/x",
            "aws",
            "other-account",
            (4, 27),
        ),
        (
            "permissions_boundary: arn:aws-us-gov:iam::aws:policy/x",
            "aws",
            "other-partition",
            (4, 27),
        ),
    ],
)
def test_a_policy_of_elsewhere(
    tmp_path: Path, text: str, partition: str, code: str, place: tuple[int, int]
) -> None:
    (found,) = findings(tmp_path, ROLE.replace("{TEXT}", text), partition)
    assert (found.severity, found.code) == ("error", code)
    assert (found.location.line, found.location.column) == place
    assert "${" in (found.suggestion or "")


@pytest.mark.parametrize(
    "text",
    [
        "managed_policies: ['arn:${partition}:iam::aws:policy/x']",
        "managed_policies: ['arn:${partition}:iam::${account_id}:policy/x']",
        "permissions_boundary: 'arn:aws-cn:iam::111111111111:policy/x'",
        "managed_policies: [x]",
    ],
)
def test_a_policy_of_here(tmp_path: Path, text: str) -> None:
    assert findings(tmp_path, ROLE.replace("{TEXT}", text), CHINA) == []


@pytest.mark.parametrize(
    ("arn", "column"),
    [("arn:aws:s3:::b", 53), ("['*', arn:aws:s3:::b]", 59), ("['arn:aws-us-gov:s3:::b']", 54)],
)
def test_a_resource_of_another_partition(tmp_path: Path, arn: str, column: int) -> None:
    (found,) = findings(tmp_path, POLICY.replace("{ARN}", arn), CHINA)
    assert (found.severity, found.code) == ("error", "other-partition")
    assert (found.location.line, found.location.column) == (6, column)
    assert found.suggestion == "write arn:${partition}:…"


@pytest.mark.parametrize(
    "arn", ["arn:aws-cn:s3:::b", "'arn:*:s3:::b'", "'arn:${partition}:s3:::b'"]
)
def test_a_resource_of_this_partition(tmp_path: Path, arn: str) -> None:
    assert findings(tmp_path, POLICY.replace("{ARN}", arn), CHINA) == []


def test_a_principal_of_another_partition(tmp_path: Path) -> None:
    text = (
        "roles:\n  r:\n    trust_policy:\n      Version: 2012-10-17\n      Statement:\n"
        "        Effect: Allow\n        Action: sts:AssumeRole\n"
        "        Principal: {AWS: 'arn:aws:iam::111111111111:root'}\n"
    )
    (found,) = findings(tmp_path, text, CHINA)
    assert (found.code, found.location.line, found.location.column) == ("other-partition", 8, 26)


def test_a_condition_on_another_partition_is_a_warning(tmp_path: Path) -> None:
    """AWS takes it, and nothing is like it."""
    text = POLICY.replace("{ARN}", "'*', Condition: {ArnLike: {aws:SourceArn: 'arn:aws:s3:::b'}}")
    (found,) = findings(tmp_path, text, CHINA)
    assert (found.severity, found.code) == ("warning", "other-partition")


def test_an_account_that_the_settings_name_is_known_offline(tmp_path: Path) -> None:
    (tmp_path / "reconciler.yaml").write_text(f"account_id: '{ME}'")
    text = ROLE.replace("{TEXT}", "managed_policies: ['arn:aws:iam::222222222222:policy/x']")
    (tmp_path / "s.yaml").write_text(text)
    assert [d.code for d in validated(read(str(tmp_path)), {}).diagnostics] == ["other-account"]


def test_an_account_that_is_not_known_is_not_compared(tmp_path: Path) -> None:
    text = ROLE.replace("{TEXT}", "managed_policies: ['arn:aws-cn:iam::222222222222:policy/x']")
    (tmp_path / "s.yaml").write_text(text)
    assert validated(read(str(tmp_path)), {}).diagnostics == ()
