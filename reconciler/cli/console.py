"""Where words go: results to stdout, everything else to stderr."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TextIO

from rich.console import Console as RichConsole
from rich.text import Text

from reconciler.report.json_text import json_text
from reconciler.report.styled import Line, Piece, data, line


@dataclass
class Console:
    """``color`` is ``auto``, ``always`` or ``never``; with ``auto`` rich decides, which honours
    ``NO_COLOR`` and ``FORCE_COLOR``."""

    color: str = "auto"
    quiet: bool = False
    verbose: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def __post_init__(self) -> None:
        # A stream that was closed before we began swallows what is said.
        sys.stdout = sys.stdout or _nowhere()
        sys.stderr = sys.stderr or _nowhere()
        for stream in (sys.stdout, sys.stderr):
            # A terminal that cannot show a character shows its escape, and nothing breaks.
            if hasattr(stream, "reconfigure"):
                stream.reconfigure(errors="backslashreplace")
        self._goes_on = False
        self._unheard: OSError | ValueError | None = None
        self._out = self._console(sys.stdout)
        self._err = self._console(sys.stderr)

    def _console(self, stream: TextIO) -> RichConsole:
        forced = {"always": True, "never": False}.get(self.color)
        return RichConsole(
            file=stream,
            force_terminal=forced,
            no_color=True if self.color == "never" else None,
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
        """Whether a person watches stderr."""
        return self._err.is_terminal

    @property
    def stderr(self) -> RichConsole:
        return self._err

    def out(self, lines: list[Line]) -> None:
        for one in lines:
            self._out.print(_text(one))

    def out_json(self, value: Any, indent: int | None = 2) -> None:
        """Raises ``OSError`` when nobody can hear it, but for what is said ``unheard``."""
        text = json_text(value, indent)
        try:
            with self._lock:
                sys.stdout.write(text + "\n")
                sys.stdout.flush()
        except (OSError, ValueError) as error:
            if not self._goes_on:
                raise
            self._unheard = self._unheard or error

    def out_text(self, text: str) -> None:
        """Raises ``OSError`` when nobody can hear it."""
        with self._lock:
            sys.stdout.write(text)
            sys.stdout.flush()

    def err_text(self, text: str) -> None:
        with self._lock:
            sys.stderr.write(text)
            sys.stderr.flush()

    @contextmanager
    def unheard(self) -> Iterator[None]:
        """What has begun goes on though the disk is full or the reader has gone; when it is over,
        that nobody could hear it is an error."""
        self._goes_on = True
        try:
            yield
        finally:
            self._goes_on = False
        if self._unheard is not None:
            raise self._unheard

    def err(self, *lines: Line) -> None:
        """A stderr that is closed stops nothing: an apply goes on without its words."""
        try:
            for one in lines:
                self._err.print(_text(one))
        except (OSError, ValueError):
            self._err.quiet = True

    def note(self, *pieces: Piece | str) -> None:
        if not self.quiet:
            self.err(line(*pieces))

    def error(self, message: str, hint: str | None = None) -> None:
        self.err(line(Piece("Error: ", "bold red"), data(message)))
        if hint:
            self.err(line(Piece("  ", "dim"), data(hint)))


def close_stdout() -> None:
    """What could not be written stays so; Python would complain once more when it flushes."""
    try:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except (OSError, ValueError):
        return  # no stream of the system's


def _nowhere() -> TextIO:
    return Path(os.devnull).open("w")


def _text(one: Line) -> Text:
    return Text.assemble(*((piece.text, piece.style) for piece in one), end="")
