"""What ``reconciler fmt`` does."""

from __future__ import annotations

from pathlib import Path

import typer

from reconciler.cli.arguments import Color
from reconciler.cli.console import Console
from reconciler.cli.files import write_whole
from reconciler.diagnostics import Diagnostic, Location, has_errors
from reconciler.errors import NotWritableError, RefusedError, UnreadableError
from reconciler.exit_codes import ExitCode
from reconciler.render.styled_text import data
from reconciler.render.text.diagnostics import full
from reconciler.spec.files import display_name, find
from reconciler.spec.format.formatter import formatted
from reconciler.spec.yaml.parser import parse, read_text


def run(
    files: list[str] | None,
    check: bool,
    color: Color,
    quiet: bool,
) -> None:
    console = Console(color=color.value, quiet=quiet)
    problems: list[Diagnostic] = []
    sources: dict[str, str] = {}
    changed = 0
    for path in _paths(files or ["specs"]):
        name = display_name(path)
        after = _formatted(path, name, sources, problems)
        if after is None or after == sources[name]:
            continue
        changed += 1
        console.note(data(f"{name}: {'would change' if check else 'formatted'}"))
        if not check:
            write_whole(path, after)
    console.err(*full(problems, sources))
    failed = has_errors(problems) or (check and changed)
    raise typer.Exit(ExitCode.ERROR if failed else ExitCode.OK)


def _paths(given: list[str]) -> list[Path]:
    """Every file once. Raises ``RefusedError`` for a missing one, or one outside of its set."""
    found: dict[Path, None] = {}
    for text in given:
        path = Path(text)
        there = find(text)
        names = (text, display_name(path))
        is_one = path.is_file()
        # A single file is formatted even if other files of its set have problems.
        wrong = tuple(d for d in there.diagnostics if not is_one or d.location.file in names)
        if has_errors(wrong):
            raise RefusedError("nothing is formatted", ExitCode.ERROR, wrong)
        found |= dict.fromkeys([path] if is_one else there.files)
    return list(found)


def _formatted(
    path: Path, name: str, sources: dict[str, str], problems: list[Diagnostic]
) -> str | None:
    """The formatted text; ``None`` if the file cannot be formatted. Adds to ``sources`` and
    ``problems``."""
    try:
        sources[name] = text = read_text(path, name)
        found: list[Diagnostic] = []
        parse(text, name, found)
        if has_errors(found):
            problems.extend(found)
            return None
        return formatted(text)
    except UnreadableError as error:
        problems.append(error.diagnostic)
    except NotWritableError as error:
        message = f"is not formatted: {error}"
        problems.append(Diagnostic("error", "not-formatted", message, Location(name)))
    return None
