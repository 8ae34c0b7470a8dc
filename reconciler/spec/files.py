"""Which files make up a spec set, and which of them may be read.

Specs are data that others send: nothing that they hold, links included, may make the program read
or write a file outside of the set.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from reconciler.diagnostics import Diagnostic, Location, nearest
from reconciler.spec.settings import SETTINGS_FILE

YAML_SUFFIXES = (".yaml", ".yml")


@dataclass(frozen=True, slots=True)
class Found:
    """``part`` is the path that was asked for when it lies inside the root, else ``None``;
    ``bound`` is the real folder that no file of the set may lie outside of."""

    root: Path
    files: tuple[Path, ...]
    part: Path | None
    bound: Path
    diagnostics: tuple[Diagnostic, ...] = ()


def display_name(path: Path) -> str:
    """How a person names the file: relative to where they are, if it is below."""
    absolute = os.path.abspath(path)  # noqa: PTH100 - links stay as the user wrote them
    relative = os.path.relpath(absolute)
    return absolute if relative.startswith("..") else relative


def find(given: str) -> Found:
    """The set that ``given`` belongs to: from the nearest ``reconciler.yaml`` upwards, otherwise
    from ``given`` itself.

    ``given`` may be a link or lie behind one, unless the link leads out of its Git work tree: such
    a link may come with a foreign commit. Below the root, only links that stay inside are followed.
    """
    path = Path(given)
    if not path.exists():
        is_loop = path.is_symlink()
        message = "is a broken link" if is_loop else "does not exist"
        problem = Diagnostic("error", "no-such-path", message, Location(given), _meant(path))
        return Found(path, (), None, path, (problem,))
    root = root_of(path)
    if (outside := leads_out(path, root)) is not None:
        return Found(path, (), None, path, (outside,))
    if not root.is_dir():
        return Found(root, (root,), None, _real(_absolute(root).parent))
    problems: list[Diagnostic] = []
    bound = _real(root)
    files = tuple(sorted(_walk(root, bound, (), problems)))
    if not files and not problems:
        message = "has no .yaml or .yml file"
        place = Location(display_name(root))
        problems.append(Diagnostic("warning", "no-specs", message, place, _first_steps(path)))
    is_part = bound != _real(path)
    return Found(root, files, path if is_part else None, bound, tuple(problems))


def _meant(path: Path) -> str:
    """What to do about a path that does not exist: the nearest one beside it, or the first
    steps."""
    try:
        beside = sorted(entry.name for entry in path.parent.iterdir())
    except OSError:
        beside = []
    near = nearest(path.name, beside)
    return _first_steps(path) if near is None else f"did you mean {path.parent / near}?"


def _first_steps(path: Path) -> str:
    own = "" if path == Path("specs") else f" {path}"
    return (
        f"`reconciler init{own}` writes a first set, `reconciler import --all --out {path}` one of "
        "what the account has"
    )


def leads_out(path: Path, root: Path) -> Diagnostic | None:
    """A diagnostic if a path is not valid for a set of that root; it need not exist yet."""
    absolute = _absolute(path)
    trees = [folder for folder in absolute.parents if os.path.lexists(folder / ".git")]
    if not all(stays_within(absolute, _real(tree)) for tree in trees):
        return _outside(path, "the repository; give its target instead")
    if root.is_dir() and not stays_within(path, _real(root)):
        return _outside(path, "the set")
    return None


def root_of(path: Path) -> Path:
    """The nearest folder, from ``path`` upwards, that has settings; ``path`` if none has."""
    absolute = _absolute(path)
    start = absolute if absolute.is_dir() else absolute.parent
    for folder in (start, *start.parents):
        # Settings that are a broken link are still intended, and reported as broken.
        if os.path.lexists(folder / SETTINGS_FILE):
            return path if folder == absolute else folder
    return path


def stays_within(path: Path, bound: Path) -> bool:
    """Whether what ``path`` leads to, links followed, is ``bound`` or lies below it."""
    return _real(path).is_relative_to(bound)


def is_inside(file: Path, part: Path) -> bool:
    """Whether ``file`` is ``part`` or lies below it."""
    return _real(file).is_relative_to(_real(part))


def _absolute(path: Path) -> Path:
    return Path(os.path.abspath(path))  # noqa: PTH100 - links stay as the user wrote them


def _real(path: Path) -> Path:
    # Path.resolve raises for a link that leads to itself.
    return Path(os.path.realpath(path))


def _outside(link: Path, where: str) -> Diagnostic:
    """Names the link and not its target: that may be a secret."""
    message = f"is a link to a place outside of {where}"
    return Diagnostic("error", "link-outside", message, Location(display_name(link)))


def _walk(
    folder: Path, bound: Path, above: tuple[tuple[int, int], ...], problems: list[Diagnostic]
) -> Iterator[Path]:
    """Spec files below ``folder``, hidden ones aside. Links are followed inside of ``bound``; those
    that lead out of it, and loops, are reported."""
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
        problems.append(
            Diagnostic("error", "link-loop", "is a link back to a parent folder", place)
        )
        return
    for entry in entries:
        is_spec = entry.suffix in YAML_SUFFIXES
        is_folder = entry.is_dir() and entry.name != SETTINGS_FILE
        if entry.name.startswith(".") or not (is_spec or is_folder):
            continue
        if entry.is_symlink() and not stays_within(entry, bound):
            problems.append(_outside(entry, "the set"))
        elif is_folder:
            yield from _walk(entry, bound, (*above, identity), problems)
        else:
            yield entry
