"""The examples work: what their pages say to type is typed, and does what they say."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
import typer

from reconciler.cli.app import app
from tests.behaviour.test_ownership import TRUST
from tests.program import ROOT, Program
from tests.rig import AWAY, HOME, Rig

EXAMPLES = ROOT / "examples"
SPECS = sorted([*EXAMPLES.glob("*/specs"), ROOT / "specs"])
TEXTS = sorted(p for p in EXAMPLES.rglob("*") if p.is_file() and p.suffix not in (".timer", ".pyc"))
PAGES = sorted(p for n in ("how-to", "strategies") for p in (ROOT / "docs" / n).glob("*.md"))
SETTINGS = "regions: [us-east-1]\nconsumer_regions: [us-east-1]\npropagation: 0s\n"
"""What makes a rehearsal short."""


@pytest.fixture
def program(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Program]:
    """The example that the test asks for, on a local AWS with two instances of its tag."""
    name, tag = request.param
    shutil.copytree(EXAMPLES / name, tmp_path, dirs_exist_ok=True)
    specs = tmp_path / "specs"
    specs.mkdir(exist_ok=True)
    settings = specs / "reconciler.yaml"
    settings.write_text((settings.read_text() if settings.exists() else "") + SETTINGS)
    for path in specs.glob("*.yaml"):
        path.write_text(path.read_text().replace("pause: 1m", "pause: 1s"))
    made = Program(tmp_path)
    with made.sandbox(f"instances: [{{count: 2, tags: {{app: {tag}}}}}]"):
        yield made


def client(program: Program, service: str) -> Any:
    made: Any = boto3.client(  # type: ignore[call-overload]
        service,
        region_name=HOME,
        endpoint_url=program.endpoint,
        aws_access_key_id="sandbox",
        aws_secret_access_key="sandbox",
    )
    return made


def lines_of(page: Path) -> list[tuple[str, int]]:
    """Each line of the page's shell blocks, with the exit code that its comment gives."""
    found = []
    for block in re.findall(r"```sh\n(.*?)```", page.read_text("utf-8"), re.S):
        for line in block.splitlines():
            code = re.search(r"# exits with (\d+)", line)
            found.append((line, int(code[1]) if code else 0))
    return found


def follow(program: Program) -> list[str]:
    """Types the whole page."""
    told = []
    for line, wanted in lines_of(program.folder / "README.md"):
        done = program.shell(line)
        assert done.returncode == wanted, (line, done.stdout, done.stderr)
        told.append(done.stdout + done.stderr)
    return told


@pytest.mark.parametrize("program", [("terminal", "app")], indirect=True)
def test_at_a_terminal(program: Program) -> None:
    told = follow(program)
    assert "Only 'yes' will be accepted to approve." in told[2]
    assert "left the specs; use --prune" in told[-3]
    assert "2 running instances would be left without instance-profile/app" in told[-2]
    ec2 = client(program, "ec2")
    rows = ec2.describe_iam_instance_profile_associations()["IamInstanceProfileAssociations"]
    assert rows == []
    role = client(program, "iam").get_role(RoleName="app")["Role"]
    assert role["Description"] == "Application servers, second edition"


@pytest.mark.parametrize("program", [("cutover", "fleet")], indirect=True)
def test_a_role_change_for_a_fleet(program: Program) -> None:
    told = follow(program)
    assert "2 instances to cut over" in told[2]
    assert "2 instances cut over" in told[3]
    assert "No drift." in told[4]
    assert "role/fleet-v1: processes may hold its credentials until" in told[-1]


@pytest.mark.parametrize("program", [("adopt", "web")], indirect=True)
def test_adopting_what_was_made_by_hand(program: Program) -> None:
    iam = client(program, "iam")
    iam.create_role(RoleName="legacy-web", AssumeRolePolicyDocument=TRUST)
    iam.attach_role_policy(
        RoleName="legacy-web", PolicyArn="arn:aws:iam::aws:policy/ReadOnlyAccess"
    )
    iam.create_instance_profile(InstanceProfileName="legacy-web")
    iam.add_role_to_instance_profile(InstanceProfileName="legacy-web", RoleName="legacy-web")
    told = follow(program)
    assert "exists and is not managed; use --adopt to manage it" in told[0]
    assert "adopting role/legacy-web would remove ReadOnlyAccess" in told[2]
    assert "Override with --allow strip=role/legacy-web" in told[2]
    attached = iam.list_attached_role_policies(RoleName="legacy-web")["AttachedPolicies"]
    assert [p["PolicyName"] for p in attached] == ["AmazonSSMManagedInstanceCore"]


PROBE = EXAMPLES / "probe" / "probe.sh"


def test_the_script_of_the_probe_is_one() -> None:
    subprocess.run(["bash", "-n", PROBE], check=True)
    if checker := shutil.which("shellcheck"):
        subprocess.run([checker, PROBE], check=True)


@pytest.mark.slow  # the AWS CLI takes a second for each call
@pytest.mark.skipif(shutil.which("aws") is None, reason="needs the AWS CLI")
@pytest.mark.parametrize("program", [("probe", "app")], indirect=True)
def test_what_is_made_for_a_probe_is_destroyed(program: Program) -> None:
    script = program.folder / "probe.sh"
    script.write_text(PROBE.read_text("utf-8").replace("sleep 60", "sleep 1"), "utf-8")
    own = {"AWS_REGION": HOME, "AWS_DEFAULT_REGION": HOME, "HOME": str(Path.home())}
    for words in ("make", "run --experiment young", "destroy", "destroy"):
        done = program.shell(f"./probe.sh {words}", **own)
        assert done.returncode == 0, (words, done.stdout, done.stderr)
    iam, ec2 = client(program, "iam"), client(program, "ec2")
    assert not iam.list_roles()["Roles"]
    assert not iam.list_instance_profiles()["InstanceProfiles"]
    filters = [
        {"Name": "tag:reconciler:probe", "Values": ["yes"]},
        {"Name": "instance-state-name", "Values": ["running"]},
    ]
    assert not ec2.describe_instances(Filters=filters)["Reservations"]


@pytest.mark.parametrize("specs", SPECS, ids=lambda p: p.parent.name)
def test_specs_apply(aws: Rig, specs: Path) -> None:
    """Instances that the rules choose get the profile; the next plan is empty."""
    shutil.copytree(specs, aws.folder, dirs_exist_ok=True)
    text = "".join(p.read_text("utf-8") for p in aws.folder.glob("*.yaml"))
    chosen = re.search(r"select: \{tags: \{app: (\w+)\}\}", text)
    instances = aws.launch(2, tags={"app": chosen[1]}) if chosen else []
    aws.settle(regions=(HOME, AWAY))
    assert all(aws.served(i) for i in instances)


def test_the_pace_of_the_fleet(aws: Rig) -> None:
    """A quarter at a time, with a minute between."""
    shutil.copytree(EXAMPLES / "cutover" / "specs", aws.folder, dirs_exist_ok=True)
    instances = aws.launch(8, tags={"app": "fleet"})
    aws.settle()
    path = aws.folder / "fleet.yaml"
    path.write_text(path.read_text().replace("role: fleet-v1", "role: fleet-v2"))
    began = aws.clock.now()
    aws.settle()
    assert {aws.served(i) for i in instances} == {"fleet-v2"}
    assert aws.clock.now() - began > 3 * 60


@pytest.mark.parametrize("path", [*TEXTS, *PAGES], ids=lambda p: str(p.relative_to(ROOT)))
def test_commands_are_commands(path: Path) -> None:
    """Every ``reconciler COMMAND --flag`` in an example exists."""
    commands = typer.main.get_command(app).commands.items()  # type: ignore[attr-defined]
    known = {name: {o for p in command.params for o in p.opts} for name, command in commands}
    pattern = r"reconciler (validate|plan|apply|drift|sandbox|comment|fmt|import)\b([^\n|`]*)"
    text = path.read_text().replace("\\\n", " ")
    for name, rest in re.findall(pattern, text):
        for flag in re.findall(r"(?<=\s)--[a-z0-9-]+", rest):
            assert flag in known[name], (name, flag)
