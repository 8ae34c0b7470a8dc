"""Graph, of accounts that each test makes for itself."""

from __future__ import annotations

import pytest

from reconciler.cli.app import run
from reconciler.exit_codes import ExitCode
from reconciler.render.graph.formats import FORMATS
from tests.behaviour.test_ownership import TRUST
from tests.rig import HOME, Rig

TARGETS = """
version: 1
owner: tests
regions: [us-east-1]
targets:
  dev: {account_id: '222222222222', role_arn: 'arn:aws:iam::222222222222:role/ci'}
  prod: {account_id: '333333333333', role_arn: 'arn:aws:iam::333333333333:role/ci'}
"""


def test_each_target_has_its_part_and_a_shard_may_have_none(
    aws: Rig, capsys: pytest.CaptureFixture[str]
) -> None:
    aws.write("roles: {one: {trust: ec2}}\ninstance_profiles: {one: {role: one}}\n", TARGETS)
    flags = ["graph", str(aws.folder), "-q", "--format"]
    for form in FORMATS:
        assert run([*flags, form]) == ExitCode.OK
        out = capsys.readouterr().out
        assert "222222222222" in out
        assert "333333333333" in out
    empty = next(n for n in range(1, 9) if not _targets(aws, f"{n}/8"))
    for form in FORMATS:
        assert run([*flags, form, "--shard", f"{empty}/8"]) == ExitCode.OK
        out = capsys.readouterr().out
        assert "Nothing changes." in out or form == "json"
        assert 'height="0"' not in out


def _targets(aws: Rig, shard: str) -> tuple[object, ...]:
    aws.opened.clear()
    return aws.plan(regions=(), shard=shard).targets


def test_a_conflict_of_ownership_has_its_exit_code(
    aws: Rig, capsys: pytest.CaptureFixture[str]
) -> None:
    aws.iam.create_role(RoleName="one", AssumeRolePolicyDocument=TRUST)
    aws.write("roles: {one: {trust: ec2}}\ninstance_profiles: {one: {role: one}}\n")
    flags = ["graph", str(aws.folder), "--region", HOME]
    assert run(flags) == ExitCode.UNDECIDED
    told = capsys.readouterr()
    assert "role/one" in told.err
    assert "the next apply changes nothing: 1 conflict stops it" in told.err
    assert told.out.startswith("flowchart LR")
    assert run([*flags, "--adopt"]) == ExitCode.OK
