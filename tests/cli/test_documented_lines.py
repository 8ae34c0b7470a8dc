"""Every line in the documentation that runs the program is one that it takes: its command is there,
with its flags and their values."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.exceptions import Exit

from reconciler.cli.app import app

ROOT = Path(__file__).parent.parent.parent
PAGES = [
    *(ROOT / name for name in ("README.md", "CONTRIBUTING.md")),
    *sorted((ROOT / "docs").rglob("*.md")),
    *sorted((ROOT / "examples").rglob("*.md")),
]
BLOCK = re.compile(r"^( *)```(\w*)\n(.*?)^\1```", re.DOTALL | re.MULTILINE)
VARIABLE = re.compile(r"\w+=")
OPERATORS = set("|&;<>()")


def lines(page: Path) -> Iterator[str]:
    """Lines that are typed: in a transcript those after ``$``, else all of a block that is not of
    output alone."""
    for block in BLOCK.finditer(page.read_text("utf-8")):
        found = [line.strip() for line in block[3].replace("\\\n", " ").splitlines()]
        typed = [line.removeprefix("$ ") for line in found if line.startswith("$ ")]
        if not typed and block[2] != "text":
            typed = found
        yield from (line for line in typed if "reconciler " in line)


def commands(line: str) -> Iterator[list[str]]:
    """The words of each command in it that is ours, without redirections."""
    splitter = shlex.shlex(line, posix=True, punctuation_chars=True)
    splitter.whitespace_split = True
    words: list[str] = []
    is_file = False
    for word in [*splitter, ";"]:
        if is_file:
            is_file = False
        elif not set(word) <= OPERATORS:
            words.append(word)
        elif {"<", ">"} & set(word):
            is_file = True
        else:
            while words and VARIABLE.match(words[0]):
                words = words[1:]
            if words[:1] == ["reconciler"]:
                yield words[1:]
            words = []


def taken(words: list[str]) -> None:
    """Reads the words as the program does, and runs nothing."""
    program: Any = typer.main.get_command(app)
    with suppress(Exit):
        group = program.make_context("reconciler", list(words))
        name, command, rest = program.resolve_command(group, [*group._protected_args, *group.args])
        command.make_context(name, rest, parent=group)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_what_is_to_be_typed_is_taken(page: Path) -> None:
    for line in lines(page):
        for words in commands(line):
            taken(words)


def test_there_is_something_to_type() -> None:
    found = [words for page in PAGES for line in lines(page) for words in commands(line)]
    assert len(found) > 150
    assert ["plan"] in found


@pytest.mark.parametrize("line", ["reconciler plan --no-such-flag", "A=b reconciler plna | less"])
def test_a_line_that_is_wrong_is_found(line: str) -> None:
    (words,) = commands(line)
    with pytest.raises(Exception, match=r"No such (option|command)"):
        taken(words)
