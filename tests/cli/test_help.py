"""``--help``, what leads to it, and completion in a shell."""

from __future__ import annotations

import re
import shlex
import time
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from reconciler.cli.app import app, run
from reconciler.cli.examples import EXAMPLES, EXITS
from reconciler.exit_codes import ExitCode
from tests.program import Program
from tests.rig import Rig, save

GROUP: Any = typer.main.get_command(app)
NAMES = tuple(GROUP.commands)


def page(*arguments: str, columns: int = 80) -> str:
    environment = {"COLUMNS": str(columns), "NO_COLOR": "1"}
    result = CliRunner().invoke(app, arguments, env=environment)
    assert result.exit_code == 0
    return result.output


def test_without_arguments_it_is_the_help() -> None:
    assert page() == page("--help")
    assert run([]) == ExitCode.OK


def test_import_stands_before_schema() -> None:
    assert NAMES.index("import") < NAMES.index("schema")


@pytest.mark.parametrize("columns", [60, 80, 100, 200])
@pytest.mark.parametrize("name", [(), *((name,) for name in NAMES)], ids=str)
def test_every_page_fits_and_says_what_a_value_is(name: tuple[str, ...], columns: int) -> None:
    text = page(*name, "--help", columns=columns)
    assert max(map(len, text.splitlines())) < min(columns, 100)
    assert "…" not in text
    assert not {"<str>", "<int", "<float", "<path>", "<list[str]>"} & set(text.split())
    for title in ("Usage:", "Examples:", "Exit codes:"):
        assert title in text


def test_flags_stand_in_panels_and_common_ones_last() -> None:
    titles = [line for line in page("drift", "--help").splitlines() if re.fullmatch(r"\w.*:", line)]
    assert titles == [
        "Arguments:",
        "Baseline and notifications:",
        "Accepting a drift:",
        "Scope:",
        "Ownership and guards:",
        "Access to AWS:",
        "Output:",
        "Other:",
        "Examples:",
        "Exit codes:",
    ]


@pytest.mark.parametrize("name", NAMES)
def test_every_command_has_two_examples_that_parse(name: str) -> None:
    assert len(EXAMPLES[name]) == 2
    assert {ExitCode.OK, ExitCode.USAGE} <= EXITS[name].keys()
    for example, _ in EXAMPLES[name]:
        program, command, *arguments = shlex.split(example.split(" | ")[0].split(" > ")[0])
        assert (program, command) == ("reconciler", name)
        GROUP.commands[name].make_context(name, arguments)


@pytest.mark.parametrize(
    ("arguments", "hint"),
    [
        (["plan", "--wrong"], "see reconciler plan --help"),
        (["apply", "--expect", "sha256:abc"], "see reconciler apply --help"),
        (["drift", "--notify", "slack=x"], "see reconciler drift --help"),
        (["plan", "--parallelism", "0"], "see reconciler plan --help"),
        (["import", "--all"], "see reconciler import --help"),
        (["comment", "github"], "see reconciler comment --help"),
        (["plna"], "see reconciler --help"),
        (["--wrong"], "see reconciler --help"),
    ],
)
def test_wrong_usage_leads_to_the_help_of_the_command(
    arguments: list[str], hint: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(arguments) == ExitCode.USAGE
    assert hint in capsys.readouterr().err


@pytest.mark.parametrize("flag", [("--color", "always"), ("--color=always",)])
def test_errors_have_colors_too(
    flag: tuple[str, ...], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TERM", "dumb")
    assert run(["plan", "nowhere", *flag]) == ExitCode.ERROR
    assert "\x1b[1;31mError: " in capsys.readouterr().err
    assert run(["plan", "nowhere", "--color", "never"]) == ExitCode.ERROR
    assert "\x1b" not in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "meant"),
    [
        (["plan", "--allow", "retyr=role/x"], "did you mean retry?"),
        (["plan", "--report", "markdwn=x.md"], "did you mean markdown?"),
        (["drift", "--baseline", "b", "--notify", "slak=x"], "did you mean slack?"),
        (["plan", "--onl", "role/x"], "--only"),
        (["aply"], "Did you mean 'apply'?"),
    ],
)
def test_a_misspelt_word_has_a_suggestion(
    arguments: list[str], meant: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(arguments) == ExitCode.USAGE
    assert meant in capsys.readouterr().err


def test_a_code_host_that_cannot_be_reached(
    aws: Rig, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    aws.write("roles: {web: {trust: ec2}}")
    save(aws.plan(), plan := aws.folder / "plan.json")
    monkeypatch.setenv("GITHUB_TOKEN", "t")
    monkeypatch.setattr("reconciler.notify.webhook._pause", lambda *_: 0.0)
    dead = ["--repository", "a/b", "--number", "1"]
    assert run(["comment", "github", str(plan), *dead, "--api-url", "http://127.0.0.1:9"]) == 1
    assert "its address is from --api-url" in capsys.readouterr().err
    monkeypatch.setenv("GITHUB_API_URL", "http://127.0.0.1:9")
    assert run(["comment", "github", str(plan), *dead]) == 1
    assert "its address is from GITHUB_API_URL" in capsys.readouterr().err


SPECS = """
roles: {app-web: {trust: ec2, instance_profile: true}, batch: {trust: lambda}}
associations: {web: {instance_profile: app-web, instances: [i-0abc1234]}}
"""
SETTINGS = "version: 1\ntargets: {prod: {specs: [.]}, stage: {specs: [.]}}\n"


@pytest.fixture
def program(tmp_path: Path) -> Program:
    (tmp_path / "specs").mkdir()
    (tmp_path / "specs/web.yaml").write_text(SPECS)
    (tmp_path / "specs/reconciler.yaml").write_text(SETTINGS)
    return Program(tmp_path)


def completed(program: Program, *words: str) -> list[str]:
    """What fish offers, which shows values alone."""
    asked = {
        "_RECONCILER_COMPLETE": "complete_fish",
        "_TYPER_COMPLETE_FISH_ACTION": "get-args",
        "_TYPER_COMPLETE_ARGS": " ".join(("reconciler", *words)),
    }
    found = program.run(**asked)
    assert found.stderr == ""
    return [line.partition("\t")[0] for line in found.stdout.splitlines() if line]


@pytest.mark.parametrize(
    ("words", "offered"),
    [
        (("plan", "--only", "ro"), ["role/app-web", "role/batch"]),
        (("drift", "--exclude", "i"), ["instance-profile/app-web"]),
        (("drift", "--accept", "assoc"), ["association/i-0abc1234"]),
        (("apply", "--target", "p"), ["prod"]),
        (("destroy", "--allow", "re"), ["replace=", "retry=", "release="]),
        (("plan", "--allow", "retry=inst"), ["retry=instance-profile/app-web"]),
        (("plan", "--allow", "delete=r"), []),
        (("plan", "--report", "g"), ["github=", "gitlab="]),
        (("plan", "--report", "j"), ["json="]),
        (("drift", "--report", "j"), ["json=", "junit="]),
        (("validate", "--report", "s"), ["sarif="]),
        (("drift", "--notify", "s"), ["slack=", "sns="]),
        (("plan", "elsewhere", "--only", "ro"), []),
        (("plan", "specs/web.yaml", "--only", "role/b"), ["role/batch"]),
    ],
)
def test_completion(program: Program, words: tuple[str, ...], offered: list[str]) -> None:
    assert completed(program, *words) == offered


@pytest.mark.parametrize(
    "text", ["roles: {app-web: {trst: ec2}}", "roles: [", "\0", "roles: &a *a"]
)
def test_broken_specs_complete_nothing(program: Program, text: str) -> None:
    (program.folder / "specs/web.yaml").write_text(text)
    assert completed(program, "plan", "--only", "ro") == []


def test_bash_is_served_too(program: Program) -> None:
    words = {"COMP_WORDS": "reconciler plan --only role/ap", "COMP_CWORD": "3"}
    found = program.run(_RECONCILER_COMPLETE="complete_bash", **words)
    assert found.stdout.split() == ["role/app-web"]


def test_completion_of_a_large_set_is_fast(program: Program) -> None:
    roles = ", ".join(f"r{n}: {{trust: lambda}}" for n in range(1000))
    (program.folder / "specs/web.yaml").write_text(f"roles: {{{roles}}}")
    began = time.monotonic()
    assert len(completed(program, "plan", "--only", "role/r")) == 1000
    assert time.monotonic() - began < 5
