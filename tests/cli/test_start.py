"""What a start imports, and what a signal does meanwhile."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from reconciler.cli.app import COMMANDS
from reconciler.exit_codes import ExitCode
from tests.bench_growth import served
from tests.bench_server import Size, write_specs
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
        # From bash, whatever runs the tests: the shell to complete in is looked for among the
        # processes above. One that is told to do more than one thing stays there.
        ["bash", "-c", '"$@"; exit $?', "bash", sys.executable, "-c", IMPORTED, *arguments],
        env={**Program(folder).environment, **more},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
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


@pytest.mark.parametrize("command", [name for panel in COMMANDS.values() for name in panel])
def test_help_of_a_command_imports_its_flags_alone(tmp_path: Path, command: str) -> None:
    text, modules = imported(tmp_path, command, "--help")
    assert f"Usage: reconciler {command}" in text
    assert modules == [f"reconciler.cli.commands.{command}{'_' * (command == 'import')}"]


def test_completion_of_a_flag_imports_the_flags_alone(tmp_path: Path) -> None:
    asked = {**BASH, "COMP_WORDS": "reconciler plan --onl", "COMP_CWORD": "2"}
    text, modules = imported(tmp_path, **asked)
    assert (text, modules) == ("--only\n", ["reconciler.cli.commands.plan"])


def test_a_flag_that_is_there_is_not_completed_again(tmp_path: Path) -> None:
    words = "reconciler plan specs --prune --out p.json --only role/x --"
    text, _ = imported(tmp_path, **{**BASH, "COMP_WORDS": words, "COMP_CWORD": "8"})
    found = text.split()
    assert {"--only", "--impact"} <= set(found)
    assert not {"--prune", "--out"} & set(found)


def test_completion_of_a_value_imports_what_reads_specs(tmp_path: Path) -> None:
    """What it imports is what the tests above look for."""
    asked = {**BASH, "COMP_WORDS": "reconciler plan --report ht", "COMP_CWORD": "3"}
    text, modules = imported(tmp_path, **asked)
    assert text == "html=\n"
    assert {"pydantic", "yaml", "reconciler.commands"} <= set(modules)


FOR_FEW = (
    "asyncio",
    "deepdiff",
    "rich.live",
    "rich.table",
    "ruamel",
    "reconciler.cli.apply_flow",
    "reconciler.executor.executor",
    "reconciler.importer",
    "reconciler.notify",
    "reconciler.render.html.page",
    "reconciler.sandbox",
    "reconciler.spec.format",
)


def test_a_plan_without_changes_imports_nothing_that_few_need(tmp_path: Path) -> None:
    size = Size(1)
    write_specs(tmp_path, size)
    script = IMPORTED.replace(str(SLOW), str(FOR_FEW))
    with served(size) as url:
        ended = subprocess.run(
            [sys.executable, "-c", script, "plan", str(tmp_path), "--quiet"],
            env=Program(tmp_path, url).environment,
            capture_output=True,
            text=True,
            check=True,
        )
    assert "No changes." in ended.stdout
    assert ended.stderr.split() == ["reconciler.cli.commands.plan"]


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
        ("pydantic", ["plan"], 130, "Error: interrupted\n"),
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


@pytest.mark.parametrize(
    ("shell", "printed"),
    [
        ("zsh", "#compdef reconciler"),
        ("fish", "complete --command reconciler"),
        ("pwsh", "Register-ArgumentCompleter"),
        ("PowerShell", "Register-ArgumentCompleter"),
        ("bash", "complete_bash"),
    ],
)
def test_completion_is_for_the_shell_that_is_named(
    tmp_path: Path, shell: str, printed: str
) -> None:
    """Whichever has started the program: here it is bash."""
    for arguments in (["--show-completion", shell], [f"--show-completion={shell}"]):
        text, _ = imported(tmp_path, *arguments)
        assert printed in text


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--show-completion", "zhs"], "there is no completion for 'zhs'; did you mean zsh?"),
        (["--install-completion=tcsh"], "there is no completion for 'tcsh'"),
        (["--show-completion", "zsh", "fish"], "--show-completion takes one shell"),
    ],
)
def test_a_shell_without_completion(tmp_path: Path, arguments: list[str], told: str) -> None:
    done = Program(tmp_path).run(*arguments)
    assert done.returncode == ExitCode.USAGE
    assert told in done.stderr
    assert "bash, zsh, fish, powershell, pwsh" in done.stderr
