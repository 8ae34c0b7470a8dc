"""What ``reconciler init`` does."""

from __future__ import annotations

import os
from pathlib import Path

import typer

from reconciler.cli.arguments import Color
from reconciler.cli.console import Console
from reconciler.cli.files import write_new
from reconciler.errors import RefusedError
from reconciler.exit_codes import ExitCode
from reconciler.model.ownership import OWNER_PATTERN
from reconciler.render.styled_text import Piece, data, line
from reconciler.spec.check.aws_limits import REGION
from reconciler.spec.files import display_name, find, root_of
from reconciler.spec.format.first_set import first_set
from reconciler.spec.settings import SETTINGS_FILE


def run(
    folder: Path,
    owner: str,
    region: str,
    color: Color,
) -> None:
    if not OWNER_PATTERN.fullmatch(owner):
        form = "up to 64 letters, digits, dots, dashes and underscores"
        raise typer.BadParameter(f"--owner takes {form}, not {owner!r}")
    if not REGION.fullmatch(region):
        raise typer.BadParameter(f"--region takes a name such as eu-west-1, not {region!r}")
    _refuse_taken(folder)
    console = Console(color=color.value)
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in first_set(owner, region).items():
        write_new(folder / name, text)
        console.out([line(Piece("Wrote ", "bold green"), data(folder / name))])
    where = "" if folder == Path("specs") else f" {folder}"
    console.out([line("Next: edit them, then run reconciler plan", data(where))])


def _refuse_taken(folder: Path) -> None:
    """Raises ``RefusedError`` if there are specs already: in the folder, or a set that it is part
    of."""
    root = root_of(folder)
    if os.path.lexists(root / SETTINGS_FILE):
        name = display_name(root)
        raise RefusedError(f"there is a spec set in {name}; nothing was written", ExitCode.ERROR)
    if folder.exists() and (files := find(str(folder)).files):
        names = ", ".join(display_name(file) for file in files[:3])
        more = ", ..." if len(files) > 3 else ""
        message = f"{folder} already has specs ({names}{more}); nothing was written"
        raise RefusedError(message, ExitCode.ERROR)
