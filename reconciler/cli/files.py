"""Files that commands write, and files besides specs that they read."""

from __future__ import annotations

import os
import stat
import sys
import tempfile
from pathlib import Path

from reconciler.errors import RefusedError
from reconciler.exit_codes import ExitCode
from reconciler.render.json.encode import parsed
from reconciler.render.json.planfile import plan_of
from reconciler.render.json.types import DriftShape, PlanShape


def write_whole(path: Path, text: str) -> None:
    """Writes the file atomically, so that it is never incomplete. A pipe or device is written to,
    not replaced. Raises ``OSError`` with the path as its file name."""
    try:
        if path.exists() and not path.is_file():
            path.write_text(text, "utf-8")
        else:
            _replace(path, text)
    except OSError as error:
        # The error may name the temporary file.
        raise OSError(error.errno, error.strerror, str(path)) from error


def write_new(path: Path, text: str) -> None:
    """Raises ``OSError``, also if there is such a file."""
    with path.open("x", encoding="utf-8") as file:
        file.write(text)


MOST_BYTES = 100 * 1024 * 1024


def read_foreign(path: Path) -> str:
    """The text of an untrusted file. Raises ``OSError``, or ``ValueError`` if it is not a regular
    file, not UTF-8 or larger than ``MOST_BYTES``."""
    if not stat.S_ISREG(path.stat().st_mode):
        # Reading a pipe without a writer would block for ever.
        raise ValueError("it is not a regular file")
    with path.open("rb") as file:
        data = file.read(MOST_BYTES + 1)
    return text_of(data)


STDIN = "-"


def read_given(given: str) -> tuple[str, str]:
    """The text of a file that a flag names, ``-`` for the standard input, and its name for
    messages. Raises ``OSError``, or ``RefusedError`` for what is no text."""
    name = "standard input" if given == STDIN else given
    try:
        if given == STDIN:
            text = text_of(sys.stdin.buffer.read(MOST_BYTES + 1))
        else:
            text = read_foreign(Path(given))
    except ValueError as error:
        raise RefusedError(f"{name} cannot be read: {error}", ExitCode.ERROR) from error
    return text.removeprefix("\ufeff"), name


def text_of(data: bytes) -> str:
    """Raises ``ValueError`` if it is not UTF-8 or longer than ``MOST_BYTES``."""
    if len(data) > MOST_BYTES:
        raise ValueError("it has more than 100 MiB")
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise ValueError("it is not UTF-8 text") from error


def is_saved_plan(path: Path) -> bool:
    """Whether an argument that may also be specs is a plan: a file, and no YAML."""
    return path.suffix not in (".yaml", ".yml") and path.is_file()


def saved_plan(path: Path) -> PlanShape:
    """Raises ``OSError``, or ``RefusedError`` unless it is as `plan --out` wrote it."""
    try:
        text = read_foreign(path)
    except ValueError as error:
        message = f"{path} is not a plan saved with `reconciler plan --out`: {error}"
        raise RefusedError(message, ExitCode.ERROR) from error
    return plan_of(text, str(path))


def plan_or_drift(path: Path) -> PlanShape | DriftShape:
    """Raises ``OSError``, or ``RefusedError`` unless it is a plan, the result of an apply or a
    drift, as written."""
    try:
        text = read_foreign(path)
        if "findings" in parsed(text, dict[str, object]):
            return parsed(text, DriftShape)
    except ValueError as error:
        message = f"{path} is not a plan or a drift written by reconciler: {error}"
        raise RefusedError(message, ExitCode.ERROR) from error
    return plan_of(text, str(path))


def append(path: Path, text: str) -> None:
    """Raises ``OSError``."""
    with path.open("a", encoding="utf-8") as file:
        file.write(text)


def _replace(path: Path, text: str) -> None:
    """Replaces the target of a link, not the link, and keeps the permissions of the file."""
    path = path.resolve()
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
        if path.exists():
            mode = stat.S_IMODE(path.stat().st_mode)
        else:
            mask = os.umask(0)
            os.umask(mask)
            mode = 0o666 & ~mask
        Path(name).chmod(mode)
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
