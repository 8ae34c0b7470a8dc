"""The examples work: their specs apply, and their commands are commands."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest
import typer

from reconciler.cli.app import app
from tests.rig import AWAY, HOME, Rig

ROOT = Path(__file__).parent.parent
EXAMPLES = ROOT / "examples"
SPECS = sorted([*EXAMPLES.glob("*/specs"), ROOT / "specs"])
TEXTS = sorted(p for p in EXAMPLES.rglob("*") if p.is_file() and p.suffix != ".timer")


@pytest.mark.parametrize("specs", SPECS, ids=lambda p: p.parent.name)
def test_specs_apply(aws: Rig, specs: Path) -> None:
    """Instances that the rules choose get the profile; the next plan is empty."""
    shutil.copytree(specs, aws.folder, dirs_exist_ok=True)
    text = "".join(p.read_text("utf-8") for p in aws.folder.glob("*.yaml"))
    chosen = re.search(r"select: \{tags: \{app: (\w+)\}\}", text)
    assert chosen is not None
    instances = aws.launch(2, tags={"app": chosen[1]})
    aws.settle(regions=(HOME, AWAY))
    assert all(aws.served(i) for i in instances)


def test_the_role_change_of_the_fleet(aws: Rig) -> None:
    shutil.copytree(EXAMPLES / "cutover" / "specs", aws.folder, dirs_exist_ok=True)
    instances = aws.launch(8, tags={"app": "fleet"})
    aws.settle()
    path = aws.folder / "fleet.yaml"
    path.write_text(path.read_text().replace("role: fleet-v1", "role: fleet-v2"))
    began = aws.clock.now()
    aws.settle()
    assert {aws.served(i) for i in instances} == {"fleet-v2"}
    assert aws.clock.now() - began > 3 * 60


@pytest.mark.parametrize("path", TEXTS, ids=lambda p: str(p.relative_to(EXAMPLES)))
def test_commands_are_commands(path: Path) -> None:
    """Every ``reconciler COMMAND --flag`` in an example exists."""
    group = typer.main.get_command(app)
    known = {
        name: {o for p in command.params for o in p.opts}
        for name, command in group.commands.items()  # type: ignore[attr-defined]
    }
    for name, rest in re.findall(
        r"reconciler (validate|plan|apply|drift|sandbox)\b([^\n|`]*)", path.read_text()
    ):
        for flag in re.findall(r"(?<=\s)--[a-z-]+", rest):
            assert flag in known[name], (name, flag)
