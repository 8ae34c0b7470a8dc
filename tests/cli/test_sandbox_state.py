"""`sandbox --state` and `import --seed`, as a person uses them."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from tests.program import Program

SEED = """
instances:
  - {count: 2, tags: {app: web}}
  - {region: eu-west-1, tags: {app: web}}
"""
SPEC = """
roles: {v1: {trust: ec2}}
instance_profiles: {web: {role: v1}}
associations: {web: {instance_profile: web, select: {tags: {app: web}}}}
"""
SETTINGS = "owner: tests\nregions: [us-east-1, eu-west-1]\npropagation: 0s\n"


@pytest.fixture
def program(tmp_path: Path) -> Program:
    specs = tmp_path / "specs"
    specs.mkdir()
    (specs / "reconciler.yaml").write_text(SETTINGS, "utf-8")
    (specs / "web.yaml").write_text(SPEC, "utf-8")
    return Program(tmp_path)


def applied(program: Program) -> None:
    done = program.run("apply", "--auto-approve")
    assert done.returncode == 0, done.stderr


def is_settled(program: Program) -> bool:
    return program.run("plan", "--detailed-exitcode").returncode == 0


def settled_text(state: Path) -> str:
    """The file, when nothing more is written to it."""
    deadline, text = time.monotonic() + 60, ""
    while text != (text := state.read_text("utf-8")) or '"web"' not in text:
        assert time.monotonic() < deadline
        time.sleep(2.0)
    return text


def test_a_sandbox_goes_on_where_it_stopped(program: Program) -> None:
    state = program.folder / "state.json"
    with program.sandbox(SEED, "--state", str(state)) as told:
        assert f"Its data is kept in {state}." in told
        applied(program)
    with program.sandbox(SEED, "--state", str(state)):
        assert is_settled(program)
    assert not list(program.folder.glob(".state.json.*"))


def test_a_killed_sandbox_goes_on_too(program: Program) -> None:
    """It is written while it runs, so nothing has to be said at the end."""
    state = program.folder / "state.json"
    with program.sandbox(SEED, "--state", str(state)):
        applied(program)
        assert is_settled(program)
        text = settled_text(state)
        copy = program.folder / "copy.json"
        copy.write_text(text, "utf-8")
    with program.sandbox(SEED, "--state", str(copy)):
        assert is_settled(program)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "state.json: error[empty-file]: is empty"),
        ('{"roles": {"a": {"trust_policy": "x', "state.json:1:36: error[yaml-syntax]: "),
        ('{"rolls": {}}', "state.json:1:2: error[unknown-key]: unknown key 'rolls'"),
        (
            '{"roles": {"a": {"id": "AROA"}}}',
            "state.json:1:24: error[invalid-value]: id: string should match pattern",
        ),
    ],
)
def test_a_damaged_state_is_an_error(program: Program, text: str, said: str) -> None:
    (program.folder / "state.json").write_text(text, "utf-8")
    ended = program.run("sandbox", "--port", "0", "--state", "state.json")
    assert ended.returncode == 1
    assert said in ended.stderr
    assert "Traceback" not in ended.stderr
    assert (program.folder / "state.json").read_text("utf-8") == text


def test_a_state_that_cannot_be_written_is_an_error(program: Program) -> None:
    ended = program.run("sandbox", "--port", "0", "--state", "none/state.json")
    assert (ended.returncode, ended.stdout) == (1, "")
    assert "none/state.json: No such file or directory" in ended.stderr


def test_an_account_as_a_seed(program: Program) -> None:
    seed = program.folder / "account.yaml"
    asked = ("import", "--seed", str(seed), "--region", "us-east-1", "--region", "eu-west-1")
    with program.sandbox(SEED):
        applied(program)
        made = program.run(*asked)
        assert made.returncode == 0, made.stderr
        assert made.stdout.splitlines() == [
            "Written: 5 resources.",
            "  instances in eu-west-1, us-east-1",
            f"Next: reconciler sandbox --seed {seed}",
        ]
        again = program.run(*asked)
        assert (again.returncode, again.stdout) == (1, "")
        assert f"{seed} exists; choose another file" in again.stderr
    with program.sandbox(seed.read_text("utf-8")):
        assert is_settled(program)
    for wrong in (("--all",), ("--out", "x")):
        assert program.run(*asked, *wrong).returncode == 64
