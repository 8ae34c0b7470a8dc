"""Where the log of AWS calls goes: stderr with ``-vv``, JSON lines with ``--log-file``."""

from __future__ import annotations

import os
import select
import threading
import weakref
from dataclasses import dataclass, field

import typer

from reconciler.cli.console import Console
from reconciler.errors import RefusedError
from reconciler.exit_codes import ExitCode
from reconciler.ports import Attempt, CallLog
from reconciler.render.json.encode import json_text
from reconciler.render.json.log import log_json
from reconciler.render.styled_text import Piece, data, line
from reconciler.render.text.log import log_line

PATIENCE_SECONDS = 1.0
"""How long one line waits for the reader of a full pipe."""


class LogFile:
    """Appends whole lines. Other processes may append to the same file.

    Raises ``OSError`` if it cannot be opened or written; a pipe that nobody reads is no reason to
    wait for ever."""

    def __init__(self, path: str) -> None:
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | getattr(os, "O_NONBLOCK", 0)
        self.path = path
        self._handle = os.open(path, flags, 0o666)
        self._lock = threading.Lock()
        weakref.finalize(self, os.close, self._handle)

    def write(self, text: str) -> None:
        rest = text.encode()
        with self._lock:
            while rest:
                try:
                    rest = rest[os.write(self._handle, rest) :]
                except BlockingIOError:
                    if not select.select([], [self._handle], [], PATIENCE_SECONDS)[1]:
                        raise


@dataclass
class CallSinks:
    """A ``CallLog``. A file that can no longer be written is told once, and stops nothing."""

    console: Console
    file: LogFile | None = None
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def attempted(self, attempt: Attempt) -> None:
        if self.console.verbose > 1:
            self.console.err(log_line(attempt))
        file = self.file
        if file is None:
            return
        try:
            file.write(json_text(log_json(attempt), None) + "\n")
        except OSError as error:
            self._lose(file, error)

    def _lose(self, file: LogFile, error: OSError) -> None:
        with self._lock:
            if self.file is None:
                return
            self.file = None
        why = f"{file.path} cannot be written ({_reason(error)}): the log ends here"
        self.console.err(line(Piece("Warning: ", "bold yellow"), data(why)))


def opened(path: str | None, console: Console) -> CallLog | None:
    """The log, or ``None`` if nobody wants one. Raises a usage error, or ``RefusedError`` if the
    file cannot be opened."""
    if path is None:
        return CallSinks(console) if console.verbose > 1 else None
    if path == "-":
        raise typer.BadParameter("--log-file takes a file; -vv logs to stderr")
    try:
        return CallSinks(console, LogFile(path))
    except (OSError, ValueError) as error:
        message = f"the log file {path!r} cannot be opened: {_reason(error)}"
        hint = "it comes from --log-file, or from RECONCILER_LOG"
        raise RefusedError(message, ExitCode.ERROR, details=(hint,)) from error


def _reason(error: Exception) -> str:
    return str(getattr(error, "strerror", None) or error)
