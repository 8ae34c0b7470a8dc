"""``--help``: flags in panels, the names of their values, examples and exit codes.

typer's own help shows Python types as values, cuts the list of commands, and needs 100 columns.
This one wraps at words, and below ``NARROW`` columns puts each meaning under its flag.
"""

from __future__ import annotations

import shutil
import textwrap
from collections.abc import Iterable, Iterator
from itertools import groupby
from pathlib import Path
from typing import Any

from typer.core import TyperCommand, TyperGroup

from reconciler.cli.examples import EXAMPLES, EXITS, START
from reconciler.cli.panels import ACCESS, OUTPUT, OWNERSHIP, RUN, SCOPE
from reconciler.exit_codes import ExitCode

WIDEST = 100
NARROW = 72
_COLUMN = 30
_SHORT = 14
"""Column of meanings where all that is explained is short: names of commands, exit codes."""
_ROW = tuple[str, str]


class HelpCommand(TyperCommand):
    """A command with this help."""

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """Writes the help into the formatter."""
        formatter.write(_page(_command_lines(self, ctx)))


class HelpGroup(TyperGroup):
    """The program, with the commands in panels."""

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """Writes the help into the formatter."""
        formatter.write(_page(_group_lines(self, ctx)))


def _page(lines: Iterable[str]) -> str:
    return "\n".join(line.rstrip() for line in lines) + "\n"


def _width() -> int:
    """Of the page. A pipe has 80 columns, as everywhere."""
    return max(40, min(WIDEST, shutil.get_terminal_size().columns))


def _command_lines(command: Any, ctx: Any) -> Iterator[str]:
    arguments = [p for p in command.params if _is_argument(p)]
    pieces = ["[FLAGS]"]
    for argument in arguments:
        name = value_name(argument)
        many = f"{name}..." if argument.nargs != 1 else name
        pieces.append(many if argument.required else f"[{many}]")
    yield from _usage(ctx.command_path, pieces)
    yield from _paragraph(command.help)
    if arguments:
        yield from _panel("Arguments", [(value_name(a), meaning(a)) for a in arguments])
    yield from _panels(command, ctx)
    examples, exits = EXAMPLES[command.name], EXITS[command.name]
    yield from _examples(examples)
    yield from _table("Exit codes", _exits(exits), _SHORT)


def _group_lines(group: Any, ctx: Any) -> Iterator[str]:
    yield from _usage(ctx.command_path, ["COMMAND", "[FLAGS]"])
    yield from _paragraph(group.help)
    shown = [(name, group.get_command(ctx, name)) for name in group.list_commands(ctx)]
    for title, part in groupby(shown, key=lambda one: one[1].rich_help_panel):
        yield from _table(title, [(name, _first_sentence(c.help)) for name, c in part], _SHORT)
    yield from _panels(group, ctx)
    yield from _examples(START)
    yield from _table("Exit codes", _exits({code: code.brief for code in ExitCode}), _SHORT)
    yield ""
    yield f"Flags and examples of a command: {ctx.command_path} COMMAND --help"


def _panels(command: Any, ctx: Any) -> Iterator[str]:
    """Flags by their panels: those of the command alone, then those that several have."""
    flags = [p for p in command.get_params(ctx) if not _is_argument(p) and not p.hidden]
    titles = dict.fromkeys(_title(flag) for flag in flags)
    for title in sorted(titles, key=lambda title: _LAST.index(title) if title in _LAST else -1):
        yield from _panel(title, [(_form(f), meaning(f)) for f in flags if _title(f) == title])


_OTHER = "Other"
_LAST = (SCOPE, OWNERSHIP, RUN, ACCESS, OUTPUT, _OTHER)


def _title(flag: Any) -> str:
    return flag.rich_help_panel or _OTHER


def _is_argument(parameter: Any) -> bool:
    return not parameter.opts[0].startswith("-")


def _form(flag: Any) -> str:
    """As it is typed: ``-q, --quiet``, ``--only ADDRESS``."""
    names = sorted(flag.opts, key=len)
    shown = ", ".join(names)
    if flag.secondary_opts:
        shown += f", {', '.join(flag.secondary_opts)}"
    value = value_name(flag)
    return f"{shown} {value}" if value else shown


def value_name(parameter: Any) -> str:
    """What stands for the value, such as ``ADDRESS`` or ``always|never``; empty for a switch."""
    kind = parameter.type_descriptor
    if getattr(parameter, "is_flag", False) or getattr(parameter, "count", False):
        return str(parameter.metavar or "")  # of one that may have a value
    if kind.is_choice:
        return "|".join(str(getattr(choice, "value", choice)) for choice in kind.choices)
    if parameter.metavar:
        return str(parameter.metavar)
    if _is_argument(parameter):
        return str(parameter.name).upper()
    return {Path: "FILE", int: "N"}.get(kind.annotation, "TEXT")


def meaning(parameter: Any) -> str:
    """The help of a flag or an argument, with its variable and its default."""
    notes = []
    if parameter.envvar:
        given = parameter.envvar
        notes.append(f"env: {given if isinstance(given, str) else ', '.join(given)}")
    if (default := default_of(parameter)) is not None:
        notes.append(f"default: {default}")
    text = parameter.help or ""
    return f"{text} [{'; '.join(notes)}]" if notes else text


def default_of(parameter: Any) -> str | None:
    """As it would be typed; ``None`` if there is none worth telling."""
    value = parameter.default
    if value in (None, False, 0, (), []) or callable(value):
        return None
    return str(getattr(value, "value", value))


def _usage(path: str, pieces: list[str]) -> Iterator[str]:
    yield from _wrapped(" ".join(("Usage:", path, *pieces)), "", "       ")


def _paragraph(text: str | None) -> Iterator[str]:
    yield ""
    yield from _wrapped(" ".join((text or "").split()), "", "")


def _panel(title: str, rows: Iterable[_ROW]) -> Iterator[str]:
    return _table(title, rows, 6 if _width() < NARROW else _COLUMN)


def _table(title: str, rows: Iterable[_ROW], column: int) -> Iterator[str]:
    """``column`` is where meanings begin."""
    yield ""
    yield f"{title}:"
    for left, right in rows:
        yield from _row(left, right, column)


def _row(left: str, right: str, column: int) -> Iterator[str]:
    indent = " " * column
    if len(left) > column - 4:
        yield from _broken(left)
        yield from _wrapped(right, indent, indent)
    else:
        yield from _wrapped(right, f"  {left}".ljust(column), indent)


def _broken(left: str) -> Iterator[str]:
    """A flag with many values goes on after one of them."""
    start = "  "
    while len(start) + len(left) >= _width() and "|" in left:
        end = left.rfind("|", 0, _width() - len(start) - 1) + 1
        if not end:
            break
        yield start + left[:end]
        start, left = " " * 6, left[end:]
    yield start + left


def _examples(examples: Iterable[_ROW]) -> Iterator[str]:
    yield ""
    yield "Examples:"
    for command, what in examples:
        yield from _wrapped(f"# {what}", "  ", "  # ")
        # Broken as a shell takes it.
        *lines, last = textwrap.wrap(
            command,
            _width() - 4,
            subsequent_indent="  ",
            break_long_words=False,
            break_on_hyphens=False,
        )
        yield from (f"  {line} \\" for line in lines)
        yield f"  {last}"


def _exits(exits: dict[ExitCode, str]) -> Iterator[_ROW]:
    return ((f"{int(code):>3}", what) for code, what in exits.items())


def _wrapped(text: str, first: str, rest: str) -> list[str]:
    found = textwrap.wrap(
        text,
        _width() - 1,
        initial_indent=first,
        subsequent_indent=rest,
        break_long_words=False,
        break_on_hyphens=False,
    )
    return found or [first]


def _first_sentence(text: str | None) -> str:
    return " ".join((text or "").split()).partition(". ")[0].rstrip(".")
