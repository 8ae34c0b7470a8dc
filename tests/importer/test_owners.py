"""What another owner manages is not imported, and it is told whose it is."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from reconciler.cli.app import run
from reconciler.exit_codes import ExitCode
from tests.rig import HOME, Rig

SPEC = "roles: {web: {trust: ec2}, mine: {trust: ec2}}"


def state(aws: Rig, *names: str) -> str:
    resources = [
        {
            "mode": "managed",
            "type": "aws_iam_role",
            "name": name,
            "provider": 'provider["registry.terraform.io/hashicorp/aws"]',
            "instances": [
                {"attributes": {"name": name, "arn": f"arn:aws:iam::123456789012:role/{name}"}}
            ],
        }
        for name in names
    ]
    path = aws.folder.parent / "terraform.tfstate"
    path.write_text(json.dumps({"version": 4, "resources": resources}), "utf-8")
    return str(path)


def test_whose_they_are_and_no_file(
    aws: Rig, tmp_path_factory: pytest.TempPathFactory, capsys: pytest.CaptureFixture[str]
) -> None:
    aws.write(SPEC)
    aws.settle()
    out = tmp_path_factory.mktemp("import") / "specs"
    flags = ["import", "--from-tfstate", state(aws, "web"), "--out", str(out), "--region", HOME]
    assert run([*flags, "--owner", "others"]) == ExitCode.ERROR
    told = " ".join(capsys.readouterr().err.split())
    assert "role/web is managed by the owner 'tests'" in told
    assert "--owner tests" in told
    assert "no file was written" in told
    assert not out.exists()
    assert run([*flags, "--owner", "tests"]) == ExitCode.OK
    assert "web:" in written(out)


def written(out: Path) -> str:
    return "".join(path.read_text("utf-8") for path in out.iterdir())


def test_beside_what_is_imported(
    aws: Rig, tmp_path_factory: pytest.TempPathFactory, capsys: pytest.CaptureFixture[str]
) -> None:
    aws.write(SPEC)
    aws.settle()
    aws.iam.untag_role(RoleName="mine", TagKeys=["reconciler:owner"])
    out = tmp_path_factory.mktemp("import") / "specs"
    flags = ["import", "--from-tfstate", state(aws, "web", "mine"), "--out", str(out)]
    assert run([*flags, "--region", HOME, "--owner", "others"]) == ExitCode.OK
    told = " ".join(capsys.readouterr().out.split())
    assert "role/web is managed by the owner 'tests'" in told
    assert "mine:" in written(out)
    assert "web:" not in written(out)


def test_many_are_folded(
    aws: Rig, tmp_path_factory: pytest.TempPathFactory, capsys: pytest.CaptureFixture[str]
) -> None:
    names = [f"r{number:02}" for number in range(20)]
    aws.write(f"roles: {{{', '.join(f'{name}: {{trust: ec2}}' for name in names)}}}")
    aws.settle()
    out = tmp_path_factory.mktemp("import") / "specs"
    flags = ["--out", str(out), "--region", HOME, "--owner", "others"]
    assert run(["import", "--path-prefix", "/", *flags]) == ExitCode.ERROR
    told = " ".join(capsys.readouterr().err.split())
    assert "role/r11 and 8 more are managed by the owner 'tests'" in told
