"""Output: results go to stdout, everything else to stderr."""

from __future__ import annotations

import sys
import textwrap
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, TextIO, cast

from rich.console import Console as RichConsole
from rich.text import Text

from reconciler.cli.streams import LossyStream, are_one, make_usable
from reconciler.render.json.encode import json_text
from reconciler.render.styled_text import Line, Piece, data, line, wrapped


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
        make_usable()
        self._stdout = LossyStream(sys.stdout, is_vital=True)
        # A closed stderr must not stop an apply.
        self._stderr = LossyStream(sys.stderr, is_vital=False)
        self._out = self._console(self._stdout)
        self._err = self._console(self._stderr)

    def _console(self, stream: LossyStream) -> RichConsole:
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
        """Whether who reads stdout has read stderr as well: both are one terminal or one file."""
        return self._stderr.lost is None and are_one(self._stdout, self._stderr)

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


def _print(console: RichConsole, lines: Iterable[Line]) -> None:
    """On a terminal lines are wrapped at words; elsewhere they stay as they are, for ``grep``."""
    if console.color_system is None and not console.file.isatty():
        # As rich prints them, which takes a millisecond for each.
        console.file.write("".join(f"{_text(one).plain}\n" for one in lines))
        console.file.flush()
        return
    for one in lines:
        parts = wrapped(one, console.width) if console.file.isatty() else [one]
        for part in parts:
            console.print(_text(part))


def _text(one: Line) -> Text:
    return Text.assemble(*((piece.text, piece.style) for piece in one), end="")
