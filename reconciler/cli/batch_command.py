"""``--check``: a command of the person who applies, run after each batch of a cut-over.

It comes from the command line alone: specs come from pull requests. It is not given to a shell, and
what it is told of the batch stands in its environment, so no name can become a part of it.
"""

from __future__ import annotations

import os
import shlex
import shutil
import signal
import subprocess
import threading
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import IO

import typer

from reconciler.ports import Batch

CHECK_SECONDS = 600.0
"""How long it may take. A batch begins only while credentials last for as long."""
STOP_SECONDS = 5.0
"""From the signal that asks it to end to the one that ends it."""
LOOK_SECONDS = 0.2
END_SECONDS = 0.05
MOST_BYTES = 4096
MOST_TEXT = 400
MOST_LISTED = 100_000
"""Bytes of the list of instances: Linux takes 128 KiB a variable."""


def command_check(command: str | None) -> CommandCheck | None:
    """``None`` where no command is given. Raises ``typer.BadParameter`` for one that cannot be
    run."""
    if command is None:
        return None
    try:
        words = tuple(shlex.split(command))
    except ValueError as error:
        raise typer.BadParameter(f"--check takes a command: {error}") from error
    if not words:
        raise typer.BadParameter("--check takes a command, not an empty text")
    if shutil.which(words[0]) is None:
        raise typer.BadParameter(f"--check: {words[0]!r} is no command on this machine")
    return CommandCheck(words)


def variables_of(batch: Batch) -> dict[str, str]:
    """What the command is told, as variables of its environment."""
    return {
        "RECONCILER_BATCH_NUMBER": str(batch.number),
        "RECONCILER_BATCH_ACCOUNT": batch.account_id,
        "RECONCILER_BATCH_INSTANCE_PROFILE": batch.profile,
        "RECONCILER_BATCH_ROLE": batch.role,
        "RECONCILER_BATCH_ROLE_BEFORE": batch.before or "",
        "RECONCILER_BATCH_COUNT": str(len(batch.instances)),
        "RECONCILER_BATCH_INSTANCES": _listed(batch),
    }


def _listed(batch: Batch) -> str:
    """Whole names, as many as fit."""
    text = " ".join(str(key) for key in batch.instances)
    return text if len(text) <= MOST_LISTED else text[:MOST_LISTED].rpartition(" ")[0]


@dataclass(frozen=True, slots=True)
class CommandCheck:
    """A ``BatchCheck`` that runs a command; it fails with any exit code but 0."""

    command: tuple[str, ...]
    seconds: float = CHECK_SECONDS

    def failure(self, batch: Batch, is_over: Callable[[], bool]) -> str:
        """What went wrong, with the end of what the command wrote; empty for exit code 0."""
        what = f"the check of batch {batch.number}"
        try:
            process = subprocess.Popen(
                self.command,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                env={**os.environ, **variables_of(batch)},
                # Ctrl-C in the terminal is for us: we end it.
                start_new_session=True,
            )
        except (OSError, ValueError) as error:
            return f"{what} cannot be run: {error}"
        written = _Tail(process.stdout)
        ended = self._ended(process, is_over)
        text = written.text()
        more = f": {text}" if text else ""
        if ended is None:
            return f"{what} was ended, since the run was interrupted"
        if ended == _LATE:
            return f"{what} did not end within {self.seconds:.0f} s{more}"
        if ended < 0:
            return f"{what} was killed by signal {-ended}{more}"
        return f"{what} ended with exit code {ended}{more}" if ended else ""

    def _ended(self, process: subprocess.Popen[bytes], is_over: Callable[[], bool]) -> int | None:
        """Its exit code; ``_LATE`` if its time was over, ``None`` if the run is."""
        until = time.monotonic() + self.seconds
        ended: int | None = None
        try:
            while ended is None:
                try:
                    ended = process.wait(LOOK_SECONDS)
                except subprocess.TimeoutExpired:
                    is_late = time.monotonic() > until
                    if is_late or is_over():
                        return _LATE if is_late else None
            return ended
        finally:
            if ended is None:
                _end(process)


_LATE = 1 << 16
"""No exit code is as large."""


def _end(process: subprocess.Popen[bytes]) -> None:
    """It and what it has started, which may live longer than it. Whom we may not end, since it runs
    as somebody else, is left."""
    with suppress(OSError):
        for sign in (signal.SIGTERM, signal.SIGKILL):
            os.killpg(process.pid, sign)
            until = time.monotonic() + STOP_SECONDS
            while time.monotonic() < until:
                # Once it has ended and nothing of its group is left, there is no such group.
                process.poll()
                os.killpg(process.pid, 0)
                time.sleep(END_SECONDS)


class _Tail:
    """The end of what a command writes; the rest is read and forgotten, so that it can go on."""

    def __init__(self, stream: IO[bytes] | None) -> None:
        self._kept: deque[int] = deque(maxlen=MOST_BYTES)
        self._lock = threading.Lock()
        self._thread = threading.Thread(target=self._read, args=(stream,), daemon=True)
        self._thread.start()

    def _read(self, stream: IO[bytes] | None) -> None:
        if stream is None:
            return
        with stream:
            while piece := os.read(stream.fileno(), MOST_BYTES):
                with self._lock:
                    self._kept.extend(piece)

    def text(self) -> str:
        """In one line. Something that the command left running may still hold the stream."""
        self._thread.join(1.0)
        with self._lock:
            kept = bytes(self._kept)
        words = " ".join(kept.decode("utf-8", "replace").split())
        return words if len(words) <= MOST_TEXT else f"...{words[-MOST_TEXT:]}"
