"""What a start imports, and what a signal does meanwhile."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from reconciler.cli.app import COMMANDS
from tests.program import Program

SLOW = (
    "pydantic",
    "ruamel",
    "yaml",
    "boto3",
    "botocore",
    "deepdiff",
    "rich",
    "reconciler.commands",
)
IMPORTED = f"""
import sys
from reconciler.__main__ import main
try:
    main()
finally:
    there = [name for name in {SLOW} if name in sys.modules]
    there += [name for name in sys.modules if name.startswith("reconciler.cli.commands.")]
    print(*there, sep="\\n", file=sys.stderr)
"""
BASH = {"_RECONCILER_COMPLETE": "complete_bash", "COMP_CWORD": "1"}


def imported(folder: Path, *arguments: str, **more: str) -> tuple[str, list[str]]:
    """What it prints, and which of the slow modules and of the commands it imports."""
    ended = subprocess.run(
        [sys.executable, "-c", IMPORTED, *arguments],
        env={**Program(folder).environment, **more},
        capture_output=True,
        text=True,
        check=True,
    )
    return ended.stdout, ended.stderr.split()


@pytest.mark.parametrize(
    ("arguments", "more", "printed"),
    [
        (["--version"], {}, "botocore "),
        (["--help"], {}, "Usage: reconciler COMMAND"),
        ([], {}, "Usage: reconciler COMMAND"),
        (["--show-completion", "bash"], {}, "complete_bash"),
        ([], {**BASH, "COMP_WORDS": "reconciler "}, "validate\nplan\n"),
        ([], {**BASH, "COMP_WORDS": "reconciler pl"}, "plan\n"),
        ([], {**BASH, "COMP_WORDS": "reconciler --ver"}, "--version\n"),
    ],
)
def test_no_command_is_imported(
    tmp_path: Path, arguments: list[str], more: dict[str, str], printed: str
) -> None:
    text, modules = imported(tmp_path, *arguments, **more)
    assert printed in text
    assert modules == []


def test_one_command_is_imported(tmp_path: Path) -> None:
    """What it imports is what the test above looks for."""
    _, modules = imported(tmp_path, "validate", "--help")
    assert {"pydantic", "ruamel", "rich"} <= set(modules)
    assert "boto3" not in modules
    assert [m for m in modules if m.startswith("reconciler.cli")] == [
        "reconciler.cli.commands.validate"
    ]


def test_every_module_is_a_command() -> None:
    folder = Path(__file__).parent.parent.parent / "reconciler" / "cli" / "commands"
    modules = {path.stem.rstrip("_") for path in folder.glob("*.py")} - {"__init"}
    assert modules == {name for panel in COMMANDS.values() for name in panel}


AT_IMPORT = """
import os, signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)  # as at a terminal
class Finder:
    module = sys.argv[1]
    def find_spec(self, name, *_):
        if name == self.module:
            os.kill(os.getpid(), signal.SIGINT)
sys.meta_path.insert(0, Finder())
from reconciler.__main__ import main
sys.argv = ["reconciler", *sys.argv[2:]]
main()
"""


@pytest.mark.parametrize(
    ("module", "arguments", "code", "said"),
    [
        ("reconciler.cli.app", ["plan"], -signal.SIGINT, ""),
        ("typer", ["--help"], -signal.SIGINT, ""),
        ("reconciler.cli.commands.plan", ["plan"], 130, "Error: interrupted\n"),
        ("pydantic", ["plan", "--help"], 130, "Error: interrupted\n"),
        ("reconciler.cli.failures", ["nosuch"], 130, "Error: interrupted\n"),
        ("rich.text", ["nosuch"], 130, "Error: interrupted\n"),
    ],
)
def test_ctrl_c_during_imports(
    tmp_path: Path, module: str, arguments: list[str], code: int, said: str
) -> None:
    ended = subprocess.run(
        [sys.executable, "-c", AT_IMPORT, module, *arguments],
        cwd=tmp_path,
        env=Program(tmp_path).environment,
        timeout=60,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (ended.returncode, ended.stdout, ended.stderr) == (code, "", said)
