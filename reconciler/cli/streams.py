"""stdout and stderr as they may be: closed, broken, or with an encoding that lacks characters.

What prints without colors needs no more than this."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TextIO


class LossyStream:
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


def make_usable() -> None:
    """Makes stdout and stderr take any text."""
    # Python sets a stream to None if it was closed before the start.
    sys.stdout = sys.stdout or _nowhere()
    sys.stderr = sys.stderr or _nowhere()
    for stream in (sys.stdout, sys.stderr):
        # Characters that the terminal's encoding lacks are escaped instead of raising. Once only:
        # it flushes the stream, which may be broken by the next time.
        if hasattr(stream, "reconfigure") and stream.errors != "backslashreplace":
            stream.reconfigure(errors="backslashreplace")


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


def are_one(stream: LossyStream, other: LossyStream) -> bool:
    """Whether both are written to the same place, where somebody can read it."""
    try:
        place = os.fstat(stream.fileno())
        is_one = os.path.samestat(place, os.fstat(other.fileno()))
        return is_one and not os.path.samestat(place, Path(os.devnull).stat())
    except (OSError, ValueError):
        return False  # it has no file descriptor


def _nowhere() -> TextIO:
    return Path(os.devnull).open("w")
