"""``reconciler drift --accept``."""

from __future__ import annotations

import difflib
import os
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from reconciler.cli.arguments import Login
from reconciler.cli.commands.plan import planning
from reconciler.cli.console import Console
from reconciler.cli.files import write_whole
from reconciler.commands.plan import Planned
from reconciler.commands.request import Request
from reconciler.diagnostics import Diagnostic, has_errors
from reconciler.drift.accept import Accepted, accept
from reconciler.drift.findings import drift_of
from reconciler.errors import RefusedError
from reconciler.exit_codes import ExitCode
from reconciler.render.styled_text import data, line
from reconciler.spec.files import display_name
from reconciler.spec.loader import read, validated

AcceptFlag = Annotated[
    list[str] | None,
    typer.Option(
        "--accept",
        metavar="ADDRESS",
        help="Print a patch of the specs that takes over what AWS has; repeat for more.",
    ),
]
WriteFlag = Annotated[
    bool, typer.Option("--write", help="With --accept: change the files in place of a patch.")
]


def accepted(
    request: Request, login: Login, console: Console, patterns: list[str], write: bool
) -> ExitCode:
    """A patch on stdout, or the files changed; what is left to a person makes the exit code 1."""
    planned = planning(request, login, console)
    made = accept(planned, drift_of(planned), patterns)
    _refuse_broken(planned, request, made)
    if write:
        for name, text in made.files.items():
            write_whole(Path(name), text)
    else:
        console.out_text("".join(_patch(planned.sources, made.files)))
    done = "accepted" if write else "in the patch"
    for address in made.addresses:
        console.note(data(f"{address}: {done}"))
    for what, why in made.refused.items():
        console.err(line(data(f"{what}: left to you: {why}")))
    return ExitCode.ERROR if made.refused else ExitCode.OK


def _patch(before: Mapping[str, str], after: Mapping[str, str]) -> Iterator[str]:
    """As `git apply` and `patch -p1` take it."""
    for name in sorted(after):
        old, new = before[name].splitlines(True), after[name].splitlines(True)
        for diff in difflib.unified_diff(old, new, f"a/{name}", f"b/{name}"):
            yield diff if diff.endswith("\n") else f"{diff}\n\\ No newline at end of file\n"


def _refuse_broken(planned: Planned, request: Request, made: Accepted) -> None:
    """The set must be valid afterwards: what is gone may be named elsewhere."""
    if not made.files:
        return
    root = os.path.abspath(planned.root)  # noqa: PTH100 - as names of files were made
    is_folder = Path(root).is_dir()
    base = root if is_folder else str(Path(root).parent)
    with tempfile.TemporaryDirectory() as folder:
        for name, text in {**planned.sources, **made.files}.items():
            copy = Path(folder) / os.path.relpath(name, base)
            copy.parent.mkdir(parents=True, exist_ok=True)
            copy.write_text(text, "utf-8")
        spec = validated(read(folder), dict(request.variables))
    if has_errors(spec.diagnostics):
        message = "the specs would not be valid afterwards, so nothing is accepted"
        found = tuple(_placed(d, folder, base) for d in spec.diagnostics)
        sources = {_named(name, folder, base): text for name, text in spec.sources.items()}
        raise RefusedError(message, ExitCode.ERROR, found, sources)


def _placed(found: Diagnostic, folder: str, base: str) -> Diagnostic:
    """In the files that the copies are of."""
    place = found.location
    return replace(found, location=replace(place, file=_named(place.file, folder, base)))


def _named(name: str, folder: str, base: str) -> str:
    return display_name(Path(base) / os.path.relpath(name, folder))
