"""What is printed without a terminal and without colors."""

from __future__ import annotations

import io

import pytest
from rich.console import Console as RichConsole

from reconciler.cli import console
from reconciler.cli.console import Console
from reconciler.render.styled_text import Line, Piece, data, line

LINES: list[Line] = [
    (),
    line("plain"),
    line(Piece("Error: ", "bold red"), data("\x1b[31mred\x07 a\tb"), " end "),
    line(data("[bold]no markup[/bold] :smile: https://example.com 123")),
    line("x" * 500),
    line(data("日本語 ↻ é")),
]


def test_it_is_what_rich_prints(capsys: pytest.CaptureFixture[str]) -> None:
    Console().out(LINES)
    printed = capsys.readouterr().out
    expected = io.StringIO()
    rich = RichConsole(file=expected, highlight=False, markup=False, emoji=False, soft_wrap=True)
    for one in LINES:
        rich.print(console._text(one))
    assert printed == expected.getvalue()
    assert len(printed.splitlines()) == len(LINES)


def test_a_line_without_pieces_is_empty(capsys: pytest.CaptureFixture[str]) -> None:
    Console().out([(), line("a"), ()])
    assert capsys.readouterr().out == "\na\n\n"


def test_colors_that_are_asked_for(capsys: pytest.CaptureFixture[str]) -> None:
    Console("always").out([line(Piece("a", "bold"))])
    assert capsys.readouterr().out == "\x1b[1ma\x1b[0m\n"
