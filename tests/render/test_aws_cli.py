"""The plan as commands: AWS's own command line takes them, and they do what apply does."""

from __future__ import annotations

import json
import re
import shlex
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from reconciler.plan.calls import ApiCall
from reconciler.render.aws_cli import aws_cli, commands_for, kebab
from tests.program import Program
from tests.render.situations import everything

pytestmark = pytest.mark.xdist_group("aws-cli")
AWS = shutil.which("aws", path=str(Path(sys.executable).parent))
SETTINGS = "owner: cli\nregions: [us-east-1]\nconsumer_regions: [us-east-1]\npropagation: 0s\n"
SPEC = """
roles:
  v1: {{trust: ec2, description: "file:///etc/passwd 'x' $(touch pwned)"}}
  v2: {{trust: ec2}}
instance_profiles: {{web: {{role: {role}}}}}
associations: {{fleet: {{instance_profile: web, select: {{tags: {{app: web}}}}}}}}
"""


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Program]:
    made = Program(tmp_path_factory.mktemp("cli"))
    with made.sandbox("instances: [{count: 1, tags: {app: web}}]\n"):
        (made.folder / "specs").mkdir()
        (made.folder / "specs" / "reconciler.yaml").write_text(SETTINGS)
        yield made


def carried_out(program: Program, role: str, *flags: str) -> None:
    """The script is run in place of apply."""
    (program.folder / "specs" / "web.yaml").write_text(SPEC.format(role=role))
    planned = program.run("plan", "-q", "--report", "aws-cli=plan.sh", *flags)
    assert planned.returncode == 0, planned.stderr
    assert AWS is not None
    program.put(program.folder / ".bin" / "aws", f'exec {AWS} "$@"')
    done = program.shell("sh plan.sh", AWS_DEFAULT_REGION="us-east-1")
    assert done.returncode == 0, done.stderr
    assert program.run("plan", "--detailed-exitcode", *flags).returncode == 0
    assert not (program.folder / "pwned").exists()


def test_a_first_apply(program: Program) -> None:
    (program.folder / "specs" / "web.yaml").write_text(SPEC.format(role="v1"))
    carried_out(program, "v1", "--only", "role/*")


@pytest.mark.slow
def test_a_role_change(program: Program) -> None:
    """The question that must be refused, the waits, the notes: all of it."""
    carried_out(program, "v1")
    carried_out(program, "v2")
    refused = (program.folder / "plan.sh").read_text().replace("123456789012", "210987654321")
    (program.folder / "plan.sh").write_text(refused)
    done = program.shell("sh plan.sh", AWS_DEFAULT_REGION="us-east-1")
    assert done.returncode == 1
    assert "these are not the credentials of 210987654321" in done.stderr


def test_every_call_is_there_with_its_parameters() -> None:
    for planned in everything()[:2]:
        (target,) = planned.plan.targets
        lines = aws_cli(planned.plan).splitlines()
        calls = [
            step.action
            for step in target.steps
            if isinstance(step.action, ApiCall) and not step.action.is_dry_run
        ]
        commands = [
            line for line in lines if re.match(r"(said=\"\$\()?aws (iam|ec2) [a-z-]+ ", line)
        ]
        assert len([c for c in commands if " wait " not in c]) == len(calls)
        for call, command in zip(calls, commands, strict=False):
            assert f"aws {call.service} {kebab(call.operation)} " in command


def test_the_commands_of_one_change() -> None:
    (target,) = everything()[1].plan.targets
    for change in target.changes:
        for command in commands_for(target, change.address):
            words = shlex.split(command)
            assert words[0] == "aws"
            if "--cli-input-json" in words:
                json.loads(words[words.index("--cli-input-json") + 1])


@pytest.mark.parametrize(
    ("name", "spelt"),
    [
        ("RoleName", "role-name"),
        ("PolicyArn", "policy-arn"),
        ("SetAsDefault", "set-as-default"),
        ("CreateRole", "create-role"),
        ("AddRoleToInstanceProfile", "add-role-to-instance-profile"),
    ],
)
def test_spelling(name: str, spelt: str) -> None:
    assert kebab(name) == spelt
