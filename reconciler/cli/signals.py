"""Signals, while a plan is applied and otherwise.

People press Ctrl-C, and again if they want to stop at once. Machines follow fixed rules: GitHub
sends SIGINT, SIGTERM 7.5 s later, and SIGKILL 2.5 s after that; GNU ``timeout`` sends SIGTERM
twice at once, to its child and to the group; systemd sends SIGTERM and SIGHUP together; a closing
terminal sends SIGHUP.
Source: github.com/actions/runner, src/Runner.Sdk/ProcessInvoker.cs
"""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from reconciler.exit_codes import ExitCode

if TYPE_CHECKING:
    from reconciler.executor.interrupt import Interrupt

MEANT_SECONDS = 2.0
"""A second SIGINT stops at once if it comes at least this long after the first."""
SAME_SECONDS = 1.0
"""Two signals within this time count as one that was sent twice."""


def termination_signals() -> tuple[signal.Signals, ...]:
    """Signals besides SIGINT that ask the program to end. Without SIGHUP if that is ignored, as
    under ``nohup``."""
    named = [signal.SIGTERM]
    hangup = getattr(signal, "SIGHUP", None)  # Windows has none
    if hangup is not None and signal.getsignal(hangup) is not signal.SIG_IGN:
        named.append(hangup)
    return tuple(named)


class Interrupted(BaseException):
    """A signal arrived while no plan was being applied.

    Not ``KeyboardInterrupt``: typer catches that one, and ends without a message."""


def interruption() -> Callable[..., None]:
    """A signal handler. The first signal ends the command. The next ones would end its way out, so
    they are ignored for ``MEANT_SECONDS``; after that, one ends the process."""
    began: list[float] = []

    def interrupt(*_: object) -> None:
        now = time.monotonic()
        if not began:
            began.append(now)
            raise Interrupted
        if now - began[0] >= MEANT_SECONDS:
            os._exit(ExitCode.INTERRUPTED)

    return interrupt


AT_ONCE = b"""
Stopped at once: instances may be without their profile, and profiles without their role. \
Run apply again to restore them.
"""


STOPPING = (
    "nothing new starts; instances in flight are restored. Press Ctrl-C again to stop at once."
)


def _leave(words: bytes = AT_ONCE) -> None:
    # Not through the stream: the signal may have interrupted a write to it.
    with suppress(OSError):
        os.write(2, words)
    os._exit(ExitCode.INTERRUPTED)


@dataclass
class SignalHandler:
    """``say`` prints what a signal does, ``leave`` ends the process at once."""

    stop: Interrupt
    say: Callable[[str], None]
    leave: Callable[[], None] = _leave
    now: Callable[[], float] = time.monotonic
    stopping: str = STOPPING
    """Said at the first signal."""
    _interrupted_at: float | None = None
    _asked_at: float | None = None
    """Time of the last signal other than SIGINT."""

    def receive(self, number: int) -> None:
        """The first signal stops gracefully, a second one without waits; a second SIGINT after
        ``MEANT_SECONDS`` stops at once."""
        now, is_interrupt = self.now(), number == signal.SIGINT
        asked, interrupted = self._asked_at, self._interrupted_at
        if is_interrupt:
            self._interrupted_at = now if interrupted is None else interrupted
        else:
            self._asked_at = now
        if not self.stop.is_set():
            self.stop.set()
            self.say(self.stopping)
        elif is_interrupt and interrupted is not None:
            if now - interrupted >= MEANT_SECONDS:
                self.leave()
        elif (asked is None or now - asked >= SAME_SECONDS) and not self.stop.hurries:
            self.stop.hurry()
            self.say("second signal: profiles are restored at once, without any other wait.")


@contextmanager
def handled_signals(
    stop: Interrupt,
    say: Callable[[str], None],
    stopping: str = STOPPING,
    at_once: bytes = AT_ONCE,
) -> Iterator[None]:
    """Within the block, signals set ``stop``. ``stopping`` is said at the first one, ``at_once``
    where one ends the process."""

    def say_in_thread(words: str) -> None:
        # The handler may have interrupted a write, and streams are not reentrant.
        threading.Thread(target=say, args=(words,), daemon=True).start()

    leave = partial(_leave, at_once)
    handler = SignalHandler(stop, say_in_thread, leave, stopping=stopping)

    def handle(number: int, _frame: Any) -> None:
        handler.receive(number)

    kept = {name: signal.getsignal(name) for name in (signal.SIGINT, *termination_signals())}
    for name in kept:
        signal.signal(name, handle)
    try:
        yield
    finally:
        for name, value in kept.items():
            signal.signal(name, value)
