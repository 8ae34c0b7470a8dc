"""Specs of any size are told what is wrong with them, in time that grows as they do and in memory
that does not. Work is counted, not time: machines differ."""

from __future__ import annotations

import json
import re
import tracemalloc
from collections.abc import Iterable
from pathlib import Path

import pytest

from reconciler import diagnostics
from reconciler.diagnostics import MOST_SHOWN, MOST_SUGGESTIONS
from reconciler.render.styled_text import plain
from reconciler.render.text.diagnostics import concise, full
from reconciler.spec.build import validation, variables
from reconciler.spec.desired import SpecSet
from reconciler.spec.loader import load
from tests.program import Program

WRONG = {
    "roles": "roles:\n" + "".join(
        f"  r{n}: {{trst: ec2, tags: 5, pth: x}}\n" for n in range(400)
    ),
    "keys": "roles:\n  r:\n    trust: ec2\n" + "".join(f"    key{n}: x\n" for n in range(1200)),
    "names": "roles:\n  r:\n    trust: ec2\n    managed_policies:\n"
    + "".join(f"      - a name {n}\n" for n in range(1200)),
    "variables": "roles:\n" + "".join(
        f"  r{n}: {{trust: ec2, description: '${{acount_id}} ${{x{n}}}'}}\n" for n in range(600)
    ),
    "keys of a document": "policies:\n  p:\n    document:\n      Statement: []\n"
    + "".join(f"      Versio{n}: x\n" for n in range(1200)),
}  # fmt: skip


def loaded(folder: Path, text: str, settings: str = "version: 1\n") -> SpecSet:
    (folder / "reconciler.yaml").write_text(settings)
    (folder / "a.yaml").write_text(text)
    return load(str(folder))


@pytest.mark.parametrize("case", WRONG)
def test_the_first_are_suggested_and_shown_and_the_rest_is_counted(
    tmp_path: Path, case: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []
    look_up = diagnostics.nearest
    schemas = validation._schema.cache_info().misses

    def counted(word: str, known: Iterable[str]) -> str | None:
        asked.append(word)
        return look_up(word, known)

    monkeypatch.setattr(diagnostics, "nearest", counted)
    found = loaded(tmp_path, WRONG[case]).diagnostics
    assert len(found) >= 1200
    assert len(asked) <= MOST_SUGGESTIONS
    assert validation._schema.cache_info().misses - schemas <= 2
    assert all(d.near is None or d.suggestion is None for d in found)
    left = [d for d in found if d.severity == "error"][MOST_SHOWN:]
    if case != "names":
        assert [d for d in found if d.suggestion]
    for lines in (full(found, {}), concise(found)):
        text = plain(lines)
        assert text.count("a.yaml:") == MOST_SHOWN
        assert re.search(rf"^and {len(left)} errors(, 1 warning)? more$", text, re.MULTILINE)


def test_errors_are_shown_before_warnings(tmp_path: Path) -> None:
    document = "{Statement: [{Effect: Allow, Action: 's3:*', Resource: '*'}]}"
    warned = "".join(
        f"  r{n}: {{trust: ec2, inline_policies: {{x: {document}}}}}\n" for n in range(300)
    )
    found = loaded(tmp_path, f"roles:\n{warned}  last: {{trst: ec2}}\n").diagnostics
    text = plain(concise(found))
    assert "unknown-key" in text
    assert text.endswith("warnings more")


def test_every_command_counts(tmp_path: Path) -> None:
    program = Program(tmp_path)
    (tmp_path / "specs").mkdir()
    (tmp_path / "specs" / "a.yaml").write_text(WRONG["roles"])
    for arguments in ("validate", "validate --format concise", "plan"):
        told = program.run(*arguments.split())
        assert told.returncode == 1
        assert "and 1100 errors more" in told.stdout + told.stderr
        assert "1200 errors" in told.stderr
    told = program.run("validate", "--format", "json")
    assert len(json.loads(told.stdout)) == 1200


def test_what_variables_come_to(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """340 kB took five gigabytes."""
    monkeypatch.setattr(variables, "MOST_CHARACTERS", 1_000_000)
    monkeypatch.setattr(
        variables.CharactersLeft, "__init__", lambda room: setattr(room, "left", 1_000_000)
    )
    text = "roles:\n" + "".join(
        f"  r{n}:\n    trust: ec2\n    description: '{'${v}' * 30}'\n" for n in range(200)
    )
    tracemalloc.start()
    found = loaded(tmp_path, text, f"variables: {{v: {'x' * 10_000}}}\n").diagnostics
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    (large,) = [d for d in found if d.code == "variables-too-large"]
    assert large.location.line == 13
    assert most < 20_000_000


@pytest.mark.parametrize("body", ["&a 'LONG'", "&a {k: 'LONG'}"])
def test_a_long_text_is_as_good_for_a_bomb(tmp_path: Path, body: str) -> None:
    made = body.replace("LONG", "x" * 100_000)
    text = f"x-a: {made}\nx-b: [{', '.join(['*a'] * 1_000)}]\n"
    assert "alias-bomb" in [d.code for d in loaded(tmp_path, text).diagnostics]


def test_half_of_a_pair_is_no_text(tmp_path: Path) -> None:
    for text in ('policies: {p: {description: "\\ud800"}}', 'policies: {"\\udfff": {}}'):
        found = loaded(tmp_path, text).diagnostics
        assert [d.code for d in found][:1] == ["yaml-syntax"], found
