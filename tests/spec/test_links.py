"""Specs are sent by others: no link in them makes the program read, show or write a file that is
not theirs."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from reconciler.spec.loader import load
from tests.program import Program

SECRET = "ghs_FAKETOKENFAKETOKEN"
ROLE = "roles: {web: {trust: ec2}}\n"
DOCUMENT = {
    "Version": "2012-10-17",
    "Statement": [{"Effect": "Allow", "Action": "s3:GetObject", "Resource": "*"}],
}


@pytest.fixture
def outside(tmp_path: Path) -> Path:
    """What a runner has beside its checkout."""
    home = tmp_path / "home"
    home.mkdir()
    (home / "token").write_text(SECRET)
    (home / "secrets.yaml").write_text(f"api_token: {SECRET}\n")
    (home / "config.json").write_text(json.dumps({"auths": {SECRET: 1}}))
    (home / "specs").mkdir()
    (home / "specs" / "x.yaml").write_text(f"api_token: {SECRET}\n")
    (home / "reconciler.yaml").write_text(f"owner: {SECRET}!\n")
    return home


@pytest.fixture
def program(tmp_path: Path) -> Program:
    made = Program(tmp_path / "repo")
    (made.folder / "specs").mkdir(parents=True)
    (made.folder / "specs" / "ok.yaml").write_text(ROLE)
    return made


def link(program: Program, name: str, to: Path) -> None:
    path = program.folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.symlink_to(to)


def links(program: Program, made: dict[str, Path]) -> None:
    for name, to in made.items():
        link(program, name, to)


LINKS: dict[str, Callable[[Program, Path], None]] = {
    "a spec": lambda p, o: link(p, "specs/s.yaml", o / "secrets.yaml"),
    "a spec, by a relative link": lambda p, o: link(
        p, "specs/s.yaml", Path("../../home/secrets.yaml")
    ),
    "a spec, by a link to a link": lambda p, o: links(
        p, {"specs/t.yml": o / "secrets.yaml", "specs/s.yaml": Path("t.yml")}
    ),
    "a folder": lambda p, o: link(p, "specs/sub", o / "specs"),
    "a folder in a folder": lambda p, o: link(p, "specs/a/b", o / "specs"),
    "the folder above": lambda p, o: link(p, "specs/sub", o.parent),
    "settings": lambda p, o: link(p, "specs/reconciler.yaml", o / "reconciler.yaml"),
    "nothing": lambda p, o: link(p, "specs/s.yaml", o / "nothing.yaml"),
}


@pytest.mark.parametrize("case", LINKS)
@pytest.mark.parametrize(
    "command", ["validate specs", "fmt specs", "validate specs --format json", "plan specs"]
)
def test_a_link_that_leads_out(program: Program, outside: Path, case: str, command: str) -> None:
    LINKS[case](program, outside)
    before = {p: p.read_bytes() for p in outside.rglob("*") if p.is_file()}
    told = program.run(*command.split())
    said = told.stdout + told.stderr
    assert told.returncode == 1, said
    assert "link-outside" in said
    assert "specs/" in said
    assert SECRET not in said
    assert "api_token" not in said
    assert {p: p.read_bytes() for p in outside.rglob("*") if p.is_file()} == before


INCLUDES = {
    "a link": ("cfg.json", "config.json", "link-outside"),
    "a link to a token": ("tok.json", "token", "link-outside"),
    "behind a linked folder": ("sub/config.json", "", "link-outside"),
    "hidden": (".git/config", None, "bad-file"),
    "above": ("../token", None, "bad-file"),
}


@pytest.mark.parametrize("case", INCLUDES)
def test_an_include_that_leads_out(program: Program, outside: Path, case: str) -> None:
    name, to, code = INCLUDES[case]
    if to is not None:
        link(program, "specs/" + name.partition("/")[0], outside / to)
    (program.folder / "specs/.git").mkdir()
    (program.folder / "specs/.git/config").write_text(SECRET)
    spec = f"policies:\n  p:\n    document: {{file: {name}}}\n"
    (program.folder / "specs" / "p.yaml").write_text(spec)
    told = program.run("validate", "specs/p.yaml")
    assert told.returncode == 1
    assert f"specs/p.yaml:3:22: error[{code}]" in told.stdout, told.stdout
    assert SECRET not in told.stdout + told.stderr


def test_links_that_stay_inside(program: Program) -> None:
    specs = program.folder / "specs"
    (specs / "shared").mkdir()
    (specs / "shared" / "p.json").write_text(json.dumps(DOCUMENT))
    (specs / "shared" / "r.yaml").write_text("policies: {a: {document: {file: p.json}}}\n")
    (specs / "b").mkdir()
    (specs / "b" / "q.json").symlink_to("../shared/p.json")
    (specs / "b" / "q.yaml").write_text("policies: {b: {document: {file: q.json}}}\n")
    (specs / "ok.yaml").rename(specs / "moved")
    (specs / "link.yaml").symlink_to("moved")
    found = load(str(specs))
    assert [d.code for d in found.diagnostics] == []
    assert found.desired.size == 3


def test_what_a_person_types_may_be_a_link(program: Program, tmp_path: Path) -> None:
    """A folder, a folder above, and a single file."""
    (tmp_path / "there").symlink_to(program.folder / "specs")
    (tmp_path / "above").symlink_to(program.folder)
    (tmp_path / "one.yaml").symlink_to(program.folder / "specs" / "ok.yaml")
    for name in ("there", "there/ok.yaml", "above/specs", "one.yaml"):
        told = program.run("validate", str(tmp_path / name))
        assert told.returncode == 0, told.stdout + told.stderr
        assert "1 resource" in told.stderr


@pytest.mark.parametrize("command", ["validate", "fmt", "plan"])
@pytest.mark.parametrize("name", ["specs", "deep/specs", "specs/x.yaml", "one.yaml"])
def test_the_folder_itself_is_a_link_out_of_the_repository(
    program: Program, outside: Path, command: str, name: str
) -> None:
    """It was committed: nobody typed it."""
    (program.folder / ".git").mkdir()
    (program.folder / "specs" / "ok.yaml").unlink()
    (program.folder / "specs").rmdir()
    link(program, "specs", outside / "specs")
    link(program, "deep", outside)
    link(program, "one.yaml", outside / "secrets.yaml")
    told = program.run(command, name)
    assert told.returncode == 1
    assert "link-outside" in told.stderr + told.stdout
    assert "api_token" not in told.stderr + told.stdout


def test_one_file_of_a_set_that_is_a_link(program: Program, outside: Path) -> None:
    """A hook gives the names of what was changed."""
    (program.folder / "specs/reconciler.yaml").write_text("version: 1\n")
    link(program, "specs/s.yaml", outside / "secrets.yaml")
    for command in ("validate", "fmt", "plan"):
        told = program.run(command, "specs/s.yaml")
        assert told.returncode == 1
        assert SECRET not in told.stdout + told.stderr
    assert program.run("fmt", "specs/ok.yaml").returncode == 0


def test_loops_pipes_and_devices(program: Program) -> None:
    specs = program.folder / "specs"
    (specs / "loop.yaml").symlink_to("loop.yaml")
    (specs / "loop").symlink_to("loop")
    os.mkfifo(specs / "pipe.yaml")
    (specs / "zero.yaml").symlink_to("/dev/zero")
    (specs / "environ.yaml").symlink_to("/proc/self/environ")
    (specs / "reconciler.yaml").mkdir()
    os.mkfifo(specs / "doc.json")
    (specs / "doc.yaml").write_text("policies: {p: {document: {file: doc.json}}}\n")
    told = program.run("validate", "specs", "--format", "concise")
    assert told.returncode == 1
    found = {
        (line.split(": ")[0].split(":")[0], line.split("[")[1].split("]")[0])
        for line in told.stdout.splitlines()
    }
    assert {(name, code) for name, code in found if not code.startswith("policy-")} == {
        ("specs/loop.yaml", "unreadable-file"),
        ("specs/pipe.yaml", "not-a-file"),
        ("specs/zero.yaml", "link-outside"),
        ("specs/environ.yaml", "link-outside"),
        ("specs/reconciler.yaml", "not-a-file"),
        ("specs/doc.json", "not-a-file"),
    }
