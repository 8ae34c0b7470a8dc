"""``reconciler permissions`` as it is called."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from reconciler.cli.app import run
from reconciler.exit_codes import ExitCode
from tests.rig import rig, save

SETTINGS = "version: 1\nowner: tests\nregions: [eu-west-1]\naccount_id: '123456789012'\n"
SPEC = "roles: {web: {trust: ec2}}\ninstance_profiles: {web: {role: web}}\n"


@pytest.fixture
def specs(tmp_path: Path) -> Path:
    (tmp_path / "reconciler.yaml").write_text(SETTINGS, "utf-8")
    (tmp_path / "spec.yaml").write_text(SPEC, "utf-8")
    return tmp_path


def printed(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    assert run(["permissions", *arguments]) == ExitCode.OK
    return capsys.readouterr().out


def statements(document: Any) -> dict[str, Any]:
    return {one["Sid"]: one for one in document["Statement"]}


def test_one_policy_is_the_document(specs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = statements(json.loads(printed(capsys, str(specs), "--for", "apply")))
    assert found["PassRolesToEc2"]["Resource"] == [
        "arn:aws:iam::123456789012:role/*/web",
        "arn:aws:iam::123456789012:role/web",
    ]
    assert "iam:CreateRole" in found["Roles"]["Action"]
    # Consumers are searched for everywhere.
    assert "Condition" not in found["ReadInstances"]


def test_regions_narrow_what_is_read(specs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    settings = SETTINGS + "consumer_regions: [us-east-1]\n"
    (specs / "reconciler.yaml").write_text(settings, "utf-8")
    found = statements(json.loads(printed(capsys, str(specs), "--for", "plan")))
    condition = found["ReadInstances"]["Condition"]
    assert condition == {"StringEquals": {"aws:RequestedRegion": ["eu-west-1", "us-east-1"]}}


def test_a_set_with_targets_has_a_policy_for_each(
    specs: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    targets = "targets: {dev: {account_id: '111111111111'}, prod: {account_id: '222222222222'}}\n"
    text = "version: 1\nowner: tests\nregions: [eu-west-1]\n" + targets
    (specs / "reconciler.yaml").write_text(text, "utf-8")
    found = json.loads(printed(capsys, str(specs), "--for", "apply"))
    assert found.keys() == {"reconciler-dev-apply", "reconciler-prod-apply"}
    assert "222222222222" in str(found["reconciler-prod-apply"])
    assert "222222222222" not in str(found["reconciler-dev-apply"])
    alone = json.loads(printed(capsys, str(specs), "--for", "apply", "--target", "dev"))
    assert alone == found["reconciler-dev-apply"]


ROLES = "targets: {dev: {role_arn: 'arn:aws:iam::111111111111:role/x'}}\n"


def test_a_target_with_a_role_has_a_policy_for_who_assumes_it(
    specs: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (specs / "reconciler.yaml").write_text("version: 1\nowner: tests\n" + ROLES, "utf-8")
    found = json.loads(printed(capsys, str(specs), "--for", "plan"))
    assert found.keys() == {"reconciler-plan", "reconciler-caller"}
    (only,) = found["reconciler-caller"]["Statement"]
    assert only["Action"] == ["sts:AssumeRole"]
    assert only["Resource"] == ["arn:aws:iam::111111111111:role/x"]
    roles = json.loads(printed(capsys, str(specs), "--github", "acme/iam"))["roles"]
    assert roles.keys() == {"reconciler-plan", "reconciler-apply"}


def test_targets_whose_names_differ_in_what_iam_does_not_take(
    specs: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    targets = "targets: {a b: {account_id: '111111111111'}, a/b: {account_id: '222222222222'}}\n"
    (specs / "reconciler.yaml").write_text("version: 1\nowner: tests\n" + targets, "utf-8")
    found = json.loads(printed(capsys, str(specs), "--for", "apply"))
    assert len(found) == 2
    assert sorted("111111111111" in str(one) for one in found.values()) == [False, True]


@pytest.mark.parametrize("purpose", ["destroy", "forget"])
def test_what_goes_is_known_by_its_owner_alone(
    purpose: str, specs: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    found = statements(json.loads(printed(capsys, str(specs), "--for", purpose)))
    owner = {"aws:ResourceTag/reconciler:owner": ["tests", "tests/*"]}
    changing = [one for sid, one in found.items() if sid.startswith("Owned")]
    assert len(changing) == 3
    assert all(owner.items() <= one["Condition"]["StringLike"].items() for one in changing)
    actions = {action for one in changing for action in one["Action"]}
    assert ("iam:DeleteRole" in actions) is (purpose == "destroy")
    assert ("iam:UntagRole" in actions) is (purpose == "forget")
    # Consumers are searched for everywhere.
    assert "Condition" not in found["ReadInstances"]


def test_the_policy_of_verify_runs_commands_only_if_it_is_asked_to(
    specs: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    found = statements(json.loads(printed(capsys, str(specs), "--for", "verify")))
    assert "cloudtrail:LookupEvents" in found["ReadAccount"]["Action"]
    assert "ssm:" not in str(found)
    more = ("--source", "cloudtrail", "--source", "imds")
    found = statements(json.loads(printed(capsys, str(specs), "--for", "verify", *more)))
    assert found["AskInstances"]["Action"] == ["ssm:SendCommand"]
    assert [arn for arn in found["AskInstances"]["Resource"] if ":ssm:" in arn] == [
        "arn:aws:ssm:*::document/AWS-RunPowerShellScript",
        "arn:aws:ssm:*::document/AWS-RunShellScript",
    ]


def test_the_policy_of_a_plan(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with rig(tmp_path) as aws:
        aws.write(SPEC, SETTINGS)
        save(aws.plan(), tmp_path / "plan.json")
    found = statements(json.loads(printed(capsys, str(tmp_path / "plan.json"))))
    named = [*found["Roles"]["Action"], *found["InstanceProfiles"]["Action"]]
    assert "iam:CreateRole" in named
    assert not [action for action in named if "Delete" in action]
    assert not any("Instances" in sid for sid in found.keys() - {"ReadInstances"})


def test_the_roles_of_a_pipeline(specs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = json.loads(printed(capsys, str(specs), "--github", "acme/iam"))["roles"]
    assert found.keys() == {"reconciler-plan", "reconciler-apply"}
    read, write = (found[f"reconciler-{name}"]["policies"] for name in ("plan", "apply"))
    assert "iam:CreateRole" in str(write)
    assert "iam:CreateRole" not in str(read)
    assert "cloudtrail:LookupEvents" in str(read)
    terraform = printed(capsys, str(specs), "--gitlab", "acme/iam", "--format", "terraform")
    assert terraform.count('resource "aws_iam_role" ') == 2
    assert terraform.count('resource "aws_iam_role_policy_attachment" ') == 2
    assert "policy_arn = aws_iam_policy.reconciler_apply.arn" in terraform
    text = printed(capsys, str(specs), "--github", "acme/iam", "--format", "cloudformation")
    resources = json.loads(text)["Resources"]
    role = resources["ReconcilerApplyRole"]["Properties"]
    assert role["ManagedPolicyArns"] == [{"Ref": "ReconcilerApplyPolicy"}]
    assert "ReconcilerApplyPolicy" in resources


def test_an_apply_may_revoke_only_if_it_is_asked_for(
    specs: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Who may write inline policies may give a role any permission."""

    def may(*arguments: str) -> list[bool]:
        found = statements(json.loads(printed(capsys, str(specs), "--for", "apply", *arguments)))
        return ["iam:PutRolePolicy" in found[sid]["Action"] for sid in ("Roles", "OwnedRoles")]

    assert may() == [False, False]
    assert may("--revoke") == [True, True]
    for arguments, expected in (((), 0), (("--revoke",), 2)):
        found = json.loads(printed(capsys, str(specs), "--github", "acme/iam", *arguments))["roles"]
        read, write = (found[f"reconciler-{name}"]["policies"] for name in ("plan", "apply"))
        assert "iam:PutRolePolicy" not in str(read)
        assert str(write).count("iam:PutRolePolicy'") == expected


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (["--for", "plan", "--revoke"], ExitCode.USAGE, "--revoke is for --for apply"),
        ([], ExitCode.USAGE, "--for is missing"),
        (["--for", "plan", "--github", "a/b"], ExitCode.USAGE, "--for does not go with"),
        (["--github", "a"], ExitCode.USAGE, "--github: 'a' is not a repository"),
        (["--github", "a/b", "--gitlab", "a/b"], ExitCode.USAGE, "pass one"),
        (["--for", "plan", "--source", "imds"], ExitCode.USAGE, "--source goes with --for verify"),
        (["--for", "aply"], ExitCode.USAGE, "not 'aply'; did you mean apply?"),
        (["--for", "plan", "--target", "x"], ExitCode.USAGE, "there is no target 'x'"),
    ],
)
def test_wrong_usage(
    specs: Path,
    arguments: list[str],
    code: ExitCode,
    says: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert run(["permissions", str(specs), *arguments]) == code
    assert says in capsys.readouterr().err


def test_specs_with_errors(specs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (specs / "spec.yaml").write_text("roles: {web: {nonsense: 7}}\n", "utf-8")
    assert run(["permissions", str(specs), "--for", "plan"]) == ExitCode.ERROR
    assert "spec.yaml:1:" in capsys.readouterr().err


def test_a_pipeline_needs_an_account(specs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (specs / "reconciler.yaml").write_text("version: 1\nowner: tests\n", "utf-8")
    assert run(["permissions", str(specs), "--github", "a/b"]) == ExitCode.ERROR
    assert "account_id" in capsys.readouterr().err


def test_too_many_for_a_role_is_said(specs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    roles = "".join(f"  a-role-with-quite-a-long-name-{n:04}: {{trust: ec2}}\n" for n in range(350))
    (specs / "spec.yaml").write_text(f"roles:\n{roles}", "utf-8")
    assert run(["permissions", str(specs), "--for", "apply"]) == ExitCode.OK
    said = capsys.readouterr()
    assert "takes 10 managed policies" in said.err
    assert all(name.startswith("reconciler-apply-") for name in json.loads(said.out))
