"""Files that the program writes, and those of others that it reads besides specs."""

from __future__ import annotations

import os
import stat
import tempfile
from pathlib import Path

from reconciler.errors import RefusedError
from reconciler.exit_codes import ExitCode
from reconciler.render.json.planfile import plan_of
from reconciler.render.json.types import PlanShape


def write_whole(path: Path, text: str) -> None:
    """Whole or not at all: what was cut off must not look like the whole. A pipe or a device is
    written to, not replaced by a file. Raises ``OSError`` that names the path."""
    try:
        if path.exists() and not path.is_file():
            path.write_text(text, "utf-8")
        else:
            _replace(path, text)
    except OSError as error:
        # The file that could not be written may be one that nobody has heard of.
        raise OSError(error.errno, error.strerror, str(path)) from error


MOST_BYTES = 100 * 1024 * 1024


def read_foreign(path: Path) -> str:
    """The text of a file that somebody else may have written. Raises ``OSError``, and
    ``ValueError``, which says why it is none."""
    if not stat.S_ISREG(path.stat().st_mode):
        # A pipe that nobody writes to would be waited for without end.
        raise ValueError("it is not a regular file")
    with path.open("rb") as file:
        data = file.read(MOST_BYTES + 1)
    return text_of(data)


def text_of(data: bytes) -> str:
    """Raises ``ValueError``."""
    if len(data) > MOST_BYTES:
        raise ValueError("it has more than 100 MiB")
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise ValueError("it is not UTF-8 text") from error


def saved_plan(path: Path) -> PlanShape:
    """Raises ``OSError``, and ``RefusedError`` for what `plan --out` did not save, or is
    changed."""
    try:
        text = read_foreign(path)
    except ValueError as error:
        message = f"{path} is not a plan saved with `reconciler plan --out`: {error}"
        raise RefusedError(message, ExitCode.ERROR) from error
    return plan_of(text, str(path))


def append(path: Path, text: str) -> None:
    """Raises ``OSError``."""
    with path.open("a", encoding="utf-8") as file:
        file.write(text)


def _replace(path: Path, text: str) -> None:
    """What a link leads to is replaced, not the link; who may read the file stays as it is."""
    path = path.resolve()
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
        Path(name).chmod(_mode(path))
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def _mode(path: Path) -> int:
    if path.exists():
        return stat.S_IMODE(path.stat().st_mode)
    mask = os.umask(0)
    os.umask(mask)
    return 0o666 & ~mask
