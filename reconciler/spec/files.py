"""Which files make up a spec set."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from reconciler.diagnostics import Diagnostic, Location
from reconciler.spec.settings import SETTINGS_FILE

_SUFFIXES = (".yaml", ".yml")


@dataclass(frozen=True, slots=True)
class Found:
    """``part`` is the path that was asked for when it lies inside the root, else ``None``."""

    root: Path
    files: tuple[Path, ...]
    part: Path | None
    diagnostics: tuple[Diagnostic, ...] = ()


def display_name(path: Path) -> str:
    """How a person names the file: relative to where they are, if it is below."""
    absolute = os.path.abspath(path)  # noqa: PTH100 - links stay as the user wrote them
    relative = os.path.relpath(absolute)
    return absolute if relative.startswith("..") else relative


def find(given: str) -> Found:
    """The set that ``given`` belongs to: from the nearest ``reconciler.yaml`` upwards, else from
    ``given`` itself."""
    path = Path(given)
    problems: list[Diagnostic] = []
    if not path.exists():
        is_loop = path.is_symlink()
        message = "is a link that leads nowhere" if is_loop else "does not exist"
        problem = Diagnostic("error", "no-such-path", message, Location(given))
        return Found(path, (), None, (problem,))
    root = _root(path)
    if not root.is_dir():
        return Found(root, (root,), None)
    files = tuple(sorted(_walk(root, (), problems)))
    if not files and not problems:
        message = "there is no .yaml or .yml file here"
        problems.append(Diagnostic("warning", "no-specs", message, Location(display_name(root))))
    is_part = root.resolve() != path.resolve()
    return Found(root, files, path if is_part else None, tuple(problems))


def _root(path: Path) -> Path:
    absolute = Path(os.path.abspath(path))  # noqa: PTH100 - links stay as the user wrote them
    start = absolute if absolute.is_dir() else absolute.parent
    for folder in (start, *start.parents):
        if (folder / SETTINGS_FILE).exists():
            return path if folder == absolute else folder
    return path


def _walk(
    folder: Path, above: tuple[tuple[int, int], ...], problems: list[Diagnostic]
) -> Iterator[Path]:
    """Spec files below ``folder``, hidden ones aside. Links are followed, loops reported."""
    place = Location(display_name(folder))
    try:
        status = folder.stat()
        entries = sorted(folder.iterdir())
    except OSError as error:
        reason = error.strerror or type(error).__name__
        problems.append(Diagnostic("error", "unreadable-file", f"cannot be read: {reason}", place))
        return
    identity = (status.st_dev, status.st_ino)
    if identity in above:
        problems.append(Diagnostic("error", "link-loop", "leads back to a folder above it", place))
        return
    for entry in entries:
        if entry.name.startswith("."):
            continue
        if entry.is_dir():
            yield from _walk(entry, (*above, identity), problems)
        elif entry.suffix in _SUFFIXES:
            yield entry


def is_inside(file: Path, part: Path) -> bool:
    """Whether ``file`` is ``part`` or lies below it."""
    return file.resolve().is_relative_to(part.resolve())
