"""The plan as commands: AWS's own command line takes them, and they do what apply does."""

from __future__ import annotations

import html
import json
import re
import shlex
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from reconciler.plan.calls import ApiCall
from reconciler.render.aws_cli import aws_cli, commands_for, kebab, part_of
from tests.program import Program
from tests.render.situations import FIRST, SECOND, everything
from tests.render.situations import SETTINGS as SITUATION
from tests.rig import Rig

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


def variables(pattern: str, block: str) -> list[tuple[str, int]]:
    return [(found[1], found.start()) for found in re.finditer(pattern, block, re.M)]


def test_the_commands_of_one_change() -> None:
    """Whatever they use is set before, and every line but the last goes on only after success."""
    found = 0
    for planned in everything()[:2]:
        (target,) = planned.plan.targets
        for change in target.changes:
            lines = commands_for(target, change.address)
            if part_of(target, change.address):
                assert lines == []
                continue
            assert lines[0] == "export AWS_PAGER= &&"
            assert target.identity.account_id in lines[1]
            assert all(line.endswith(" &&") for line in lines[:-1])
            assert not lines[-1].endswith("&&")
            block = "\n".join(lines)
            made = dict(reversed(variables(r"^(aws_\w+)=", block)))
            for name, place in variables(r"\$(aws_\w+)", block):
                assert made[name] < place
                found += 1
            for line in lines[2:]:
                words = shlex.split(line.removesuffix(" &&"))
                if "--cli-input-json" in words and words[0] == "aws":
                    json.loads(words[words.index("--cli-input-json") + 1])
    assert found


def test_a_cut_over_is_pasted_as_a_whole(aws: Rig) -> None:
    """With its question, its waits and its instances, in their order."""
    aws.launch(2, tags={"app": "web"})
    aws.write(FIRST, SITUATION)
    aws.settle()
    aws.write(SECOND, SITUATION)
    (target,) = aws.plan().plan.targets
    web = next(c for c in target.changes if str(c.address) == "instance-profile/web")
    lines = commands_for(target, web.address)
    wanted = [
        "! said=",
        "remove-role-from-instance-profile",
        "add-role-to-instance-profile",
        "sleep ",
        "disassociate-iam-instance-profile",
        "until ",
        "associate-iam-instance-profile",
        "until ",
    ]
    text = "\n".join(lines)
    place = 0
    for word in wanted:
        place = text.index(word, place) + len(word)
    assert web.consumers
    for instance in web.consumers:
        assert f'"InstanceId": "{instance}"' in text


def pasted(program: Program, role: str) -> None:
    """Each block of the page, as "Copy" takes it, in the order of the page."""
    (program.folder / "specs" / "web.yaml").write_text(SPEC.format(role=role))
    planned = program.run("plan", "-q", "--report", "html=plan.html")
    assert planned.returncode == 0, planned.stderr
    page = (program.folder / "plan.html").read_text()
    blocks = re.findall(r'<pre>([^<]*)</pre><button type="button" class="copy">', page)
    assert blocks
    assert AWS is not None
    program.put(program.folder / ".bin" / "aws", f'exec {AWS} "$@"')
    for block in map(html.unescape, blocks):
        done = program.shell(f"set +e -u\n{block}", AWS_DEFAULT_REGION="us-east-1")
        assert done.returncode == 0, (block, done.stderr)
    assert program.run("plan", "--detailed-exitcode").returncode == 0
    assert not (program.folder / "pwned").exists()


@pytest.mark.slow
def test_the_page_can_be_pasted(tmp_path: Path) -> None:
    program = Program(tmp_path)
    (tmp_path / "specs").mkdir()
    (tmp_path / "specs" / "reconciler.yaml").write_text(SETTINGS)
    with program.sandbox("instances: [{count: 2, tags: {app: web}}]\n"):
        pasted(program, "v1")
        pasted(program, "v2")


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
