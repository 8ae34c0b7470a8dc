"""Output: results go to stdout, everything else to stderr."""

from __future__ import annotations

import os
import sys
import textwrap
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TextIO, cast

from rich.console import Console as RichConsole
from rich.text import Text

from reconciler.errors import DENIED, AwsError, RefusedError
from reconciler.exit_codes import ExitCode
from reconciler.render.json.encode import json_text
from reconciler.render.styled_text import Line, Piece, data, line, wrapped
from reconciler.render.text.diagnostics import count, full


class _Stream:
    """A stream that may break: its reader may exit, or the disk may be full.

    If ``is_vital``, that is an error. Otherwise the output is discarded from then on, and ``lost``
    is the error."""

    def __init__(self, stream: TextIO, *, is_vital: bool) -> None:
        self._stream = stream
        self.is_vital = is_vital
        self.lost: OSError | None = None

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def write(self, text: str) -> int:
        with self._lossy():
            self._stream.write(text)
        return len(text)

    def flush(self) -> None:
        with self._lossy():
            self._stream.flush()

    @contextmanager
    def _lossy(self) -> Iterator[None]:
        try:
            yield
        except (OSError, ValueError) as error:
            if self.is_vital:
                raise
            self.lost = self.lost or (error if isinstance(error, OSError) else OSError(str(error)))
            _mute(self._stream)


class _Rich(RichConsole):
    def on_broken_pipe(self) -> None:
        """Replaces rich's own, which exits the process."""
        raise  # noqa: PLE0704 - it is called where the error is handled


@dataclass
class Console:
    """Prints to stdout and stderr. ``color`` is ``auto``, ``always`` or ``never``; with ``auto``
    rich decides, which honours ``NO_COLOR`` and ``FORCE_COLOR``."""

    color: str = "auto"
    quiet: bool = False
    verbose: int = 0
    now: Callable[[], datetime] = lambda: datetime.now(UTC)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def __post_init__(self) -> None:
        # Python sets a stream to None if it was closed before the start.
        sys.stdout = sys.stdout or _nowhere()
        sys.stderr = sys.stderr or _nowhere()
        for stream in (sys.stdout, sys.stderr):
            # Characters that the terminal's encoding lacks are escaped instead of raising.
            if hasattr(stream, "reconfigure"):
                stream.reconfigure(errors="backslashreplace")
        self._stdout = _Stream(sys.stdout, is_vital=True)
        # A closed stderr must not stop an apply.
        self._stderr = _Stream(sys.stderr, is_vital=False)
        self._out = self._console(self._stdout)
        self._err = self._console(self._stderr)

    def _console(self, stream: _Stream) -> RichConsole:
        forced = {"always": True, "never": False}.get(self.color)
        return _Rich(
            file=cast(TextIO, stream),
            force_terminal=forced,
            # A flag counts more than NO_COLOR, and than TERM=dumb, for which rich has no colors.
            no_color=None if forced is None else not forced,
            color_system="standard" if forced else "auto",
            highlight=False,
            markup=False,
            emoji=False,
            soft_wrap=True,
        )

    @property
    def unicode(self) -> bool:
        try:
            "↻".encode(sys.stdout.encoding or "ascii")
        except UnicodeEncodeError:
            return False
        return True

    @property
    def is_terminal(self) -> bool:
        """Whether stderr is a terminal, so that its cursor may be moved. Colors in a file do not
        make it one, and without any the cursor stays too."""
        try:
            is_one = bool(self._stderr.isatty()) and not self._err.is_dumb_terminal
            return is_one and self._err.is_terminal
        except ValueError:  # closed
            return False

    @property
    def shows_stderr(self) -> bool:
        """False if nobody can have read what was printed to stderr."""
        return self._stderr.lost is None and not _is_nowhere(self._stderr)

    @property
    def stderr(self) -> RichConsole:
        return self._err

    def out(self, lines: list[Line]) -> None:
        _print(self._out, lines)

    def out_json(self, value: Any, indent: int | None = 2) -> None:
        """Raises ``OSError`` if stdout is broken, except within ``lossy_stdout``."""
        self.out_text(json_text(value, indent) + "\n")

    def out_text(self, text: str) -> None:
        """Raises ``OSError`` if stdout is broken, except within ``lossy_stdout``."""
        with self._lock:
            self._stdout.write(text)
            self._stdout.flush()

    def err_text(self, text: str) -> None:
        with self._lock:
            self._stderr.write(text)
            self._stderr.flush()

    @contextmanager
    def lossy_stdout(self) -> Iterator[None]:
        """Within the block, output to a broken stdout is discarded, so that an apply continues.
        Afterwards ``lost`` is the error."""
        self._stdout.is_vital = False
        try:
            yield
        finally:
            self._stdout.is_vital = True

    @property
    def lost(self) -> OSError | None:
        """Why a part of the output to stdout was discarded; ``None`` if all was written."""
        return self._stdout.lost

    def err(self, *lines: Line) -> None:
        _print(self._err, lines)

    def event(self, *pieces: Piece | str) -> None:
        """Something happened now: without a terminal the line begins with the time in UTC."""
        stamp = "" if self.is_terminal else self.now().strftime("%Y-%m-%dT%H:%M:%SZ ")
        self.err(line(Piece(stamp, "dim"), *pieces) if stamp else line(*pieces))

    def note(self, *pieces: Piece | str) -> None:
        if not self.quiet:
            self.err(line(*pieces))

    def error(self, message: str, hint: str | None = None) -> None:
        first, *rest = self._wrapped(f"Error: {message}")
        self.err(line(Piece("Error: ", "bold red"), data(first.removeprefix("Error:").lstrip())))
        self.err(*(line(data(one)) for one in rest))
        if hint:
            self.err(*(line(data(one)) for one in self._wrapped(f"  {hint}")))

    def details(self, texts: Iterable[str]) -> None:
        """Lines that belong to an error."""
        for text in texts:
            self.err(*(line(data(one)) for one in self._wrapped(f"  {text}")))

    def _wrapped(self, text: str) -> list[str]:
        """On a terminal, broken at words; elsewhere one line, so that it can be searched for."""
        if not self.is_terminal:
            return [text]
        return textwrap.wrap(
            text,
            max(40, self._err.width),
            subsequent_indent="  ",
            break_long_words=False,
            break_on_hyphens=False,
        )


def close_stdout() -> None:
    """Discards further output to stdout, also at exit."""
    _mute(sys.stdout)


def _mute(stream: TextIO) -> None:
    """Discards what is still buffered, which Python would fail to flush at exit."""
    try:
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, stream.fileno())
        os.close(nowhere)
    except (OSError, ValueError):
        return  # it has no file descriptor


def _is_nowhere(stream: _Stream) -> bool:
    try:
        return os.path.samestat(os.fstat(stream.fileno()), Path(os.devnull).stat())
    except (OSError, ValueError):
        return False  # it has no file descriptor


def _nowhere() -> TextIO:
    return Path(os.devnull).open("w")


def _print(console: RichConsole, lines: Iterable[Line]) -> None:
    """On a terminal lines are wrapped at words; elsewhere they stay as they are, for ``grep``."""
    for one in lines:
        parts = wrapped(one, console.width) if console.file.isatty() else [one]
        for part in parts:
            console.print(_text(part))


def _text(one: Line) -> Text:
    return Text.assemble(*((piece.text, piece.style) for piece in one), end="")


def refused(error: RefusedError, console: Console) -> ExitCode:
    """Prints the error with its diagnostics and details, and returns its exit code."""
    if error.diagnostics:
        console.err(*full(error.diagnostics, error.sources))
        console.error(f"{error.message}: {count(error.diagnostics)}")
    else:
        console.error(error.message)
    console.details(error.details)
    return error.exit_code


def aws_failed(error: AwsError, console: Console) -> ExitCode:
    """Prints the error, and what to do about it if that is known."""
    request = f" (request {error.request_id})" if error.request_id else ""
    needs = f"the calling identity needs permission for {error.call}"
    console.error(f"{error}{request}", needs if error.code in DENIED else error.hint)
    return ExitCode.ERROR
