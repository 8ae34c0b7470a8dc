"""The first commands of somebody who has no specs: init, or import."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from moto.ec2.exceptions import EC2ClientError

from reconciler.cli.app import run
from reconciler.exit_codes import ExitCode
from reconciler.sandbox.state import Logged
from tests.behaviour.faults import listening, refusing
from tests.behaviour.test_ownership import TRUST
from tests.rig import AWAY, HOME, Rig


@pytest.fixture
def folder(aws: Rig, monkeypatch: pytest.MonkeyPatch) -> Iterator[Rig]:
    monkeypatch.chdir(aws.folder)
    monkeypatch.setenv("AWS_REGION", HOME)
    yield aws


def test_a_first_set_is_valid_formatted_and_planned(
    folder: Rig, capsys: pytest.CaptureFixture[str]
) -> None:
    folder.launch(1, tags={"app": "web"})
    assert run(["init", "--owner", "team"]) == ExitCode.OK
    assert "Next: edit them, then run reconciler plan\n" in capsys.readouterr().out
    assert run(["validate", "--format", "concise"]) == ExitCode.OK
    assert capsys.readouterr().out == ""
    assert run(["fmt", "--check"]) == ExitCode.OK
    assert run(["plan", "--detailed-exitcode"]) == ExitCode.DIFFERENCES
    assert "Plan: 0 to adopt, 3 to add, 0 to change, 0 to destroy." in capsys.readouterr().out
    assert "owner: team" in Path("specs/reconciler.yaml").read_text()
    assert f"regions: [{HOME}]" in Path("specs/reconciler.yaml").read_text()
    folder.settle(path="specs", regions=())
    assert run(["drift"]) == ExitCode.OK


@pytest.mark.parametrize(
    "taken", ["specs/reconciler.yaml", "specs/web.yaml", "specs/a/b.yml", "reconciler.yaml"]
)
def test_init_overwrites_nothing(
    folder: Rig, taken: str, capsys: pytest.CaptureFixture[str]
) -> None:
    Path(taken).parent.mkdir(parents=True, exist_ok=True)
    Path(taken).write_text("version: 1\n")
    before = sorted(str(path) for path in Path().rglob("*"))
    assert run(["init"]) == ExitCode.ERROR
    assert "nothing was written" in capsys.readouterr().err
    assert sorted(str(path) for path in Path().rglob("*")) == before
    assert Path(taken).read_text() == "version: 1\n"


def test_init_in_another_folder(folder: Rig, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["init", "infra/iam", "--region", "eu-west-1"]) == ExitCode.OK
    assert "reconciler plan infra/iam" in capsys.readouterr().out
    assert "regions: [eu-west-1]" in Path("infra/iam/reconciler.yaml").read_text()


@pytest.mark.parametrize("flags", [("--owner", "a b"), ("--region", "Europe")])
def test_init_takes_what_settings_take(folder: Rig, flags: tuple[str, str]) -> None:
    assert run(["init", *flags]) == ExitCode.USAGE
    assert not Path("specs").exists()


@pytest.mark.parametrize("command", ["plan", "apply", "drift", "destroy", "validate"])
def test_without_specs_the_first_steps_are_told(
    folder: Rig, command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run([command]) == ExitCode.ERROR
    told = capsys.readouterr()
    assert "reconciler init" in told.err + told.out
    assert "reconciler import --all --out specs" in told.err + told.out


def web(aws: Rig, region: str) -> None:
    aws.iam.create_role(RoleName="web", AssumeRolePolicyDocument=TRUST)
    aws.iam.create_instance_profile(InstanceProfileName="web")
    aws.iam.add_role_to_instance_profile(InstanceProfileName="web", RoleName="web")
    aws.clock.sleep(60)
    aws.launch(2, region=region, profile="web")
    aws.clock.sleep(60)


def test_a_misspelt_path_is_told(folder: Rig, capsys: pytest.CaptureFixture[str]) -> None:
    Path("specs").mkdir()
    assert run(["plan", "spces"]) == ExitCode.ERROR
    assert "did you mean specs?" in capsys.readouterr().err


def test_import_looks_in_all_enabled_regions(
    folder: Rig, capsys: pytest.CaptureFixture[str]
) -> None:
    web(folder, AWAY)
    assert run(["import", "--all", "--out", "specs"]) == ExitCode.OK
    assert f"instances in {AWAY}" in capsys.readouterr().out
    assert f"regions: [{AWAY}, {HOME}]" in Path("specs/reconciler.yaml").read_text()
    written = Path("specs/web.yaml").read_text()
    assert written.count("i-") == 2
    assert "instance_profiles:\n  web:\n    role: web\n" in written
    assert run(["plan", "--adopt"]) == ExitCode.OK
    out = capsys.readouterr().out
    assert "Plan: 2 to adopt, 0 to add, 0 to change, 0 to destroy." in out
    folder.settle(path="specs", regions=(), adopt=True)
    assert run(["plan", "--detailed-exitcode"]) == ExitCode.OK


def test_import_into_a_set_with_regions_of_its_own(folder: Rig) -> None:
    """What it writes is found by that set: an association elsewhere names its region."""
    web(folder, AWAY)
    Path("specs").mkdir()
    Path("specs/reconciler.yaml").write_text(f"owner: tests\nregions: [{HOME}]\n")
    assert run(["import", "--all", "--out", "specs/more"]) == ExitCode.OK
    assert f"regions: [{AWAY}]" in Path("specs/more/web.yaml").read_text()
    folder.settle(path="specs", regions=(), adopt=True)
    assert run(["plan", "--detailed-exitcode"]) == ExitCode.OK


def test_a_given_region_is_all_that_import_looks_in(folder: Rig) -> None:
    web(folder, AWAY)
    assert run(["import", "--all", "--out", "specs", "--region", HOME]) == ExitCode.OK
    assert "associations" not in Path("specs/web.yaml").read_text()


@contextmanager
def denied_in(aws: Rig, region: str) -> Iterator[None]:
    def listen(logged: Logged) -> None:
        if logged.operation == "DescribeInstances" and logged.region == region:
            raise EC2ClientError("UnauthorizedOperation", "denied by a service control policy")

    with listening(aws.aws.before, listen):
        yield


def test_a_region_that_denies_is_told_and_stops_nothing(
    folder: Rig, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Service control policies deny whole regions."""
    web(folder, HOME)
    with denied_in(folder, AWAY):
        assert run(["import", "--all", "--out", "specs"]) == ExitCode.OK
    assert (
        f"not read {AWAY}: ec2:DescribeInstances: UnauthorizedOperation" in capsys.readouterr().out
    )
    with denied_in(folder, HOME):
        assert run(["import", "--all", "--out", "two"]) == ExitCode.ERROR
    with refusing(folder, "DescribeRegions", "UnauthorizedOperation"):
        assert run(["import", "--all", "--out", "two"]) == ExitCode.ERROR
    assert "pass --region for each region that has instances" in capsys.readouterr().err


def test_what_another_tool_manages_is_told(folder: Rig, capsys: pytest.CaptureFixture[str]) -> None:
    tags = [{"Key": "ManagedBy", "Value": "terraform"}]
    folder.iam.create_role(RoleName="tf", AssumeRolePolicyDocument=TRUST, Tags=tags)
    assert run(["import", "--all", "--out", "specs"]) == ExitCode.OK
    assert "looks managed by Terraform: role/tf" in capsys.readouterr().out
