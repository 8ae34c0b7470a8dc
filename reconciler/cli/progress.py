"""Progress of a run: a status line for a terminal, plain lines for a log, JSON events for a
program."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

from rich.status import Status
from rich.text import Text

from reconciler.cli.console import Console
from reconciler.commands.plan import Planned, make_plan
from reconciler.commands.request import Request, RunPorts
from reconciler.model.address import Address
from reconciler.planner.options import PlanFlags
from reconciler.render.escape import printable
from reconciler.render.styled_text import Piece, data, line
from reconciler.render.text.diagnostics import full

HEARTBEAT_SECONDS = 10.0


@dataclass
class Quiet:
    """Prints failures only."""

    console: Console

    def reading(self, what: str) -> None: ...

    def entering(self, target: str) -> None: ...

    def started(self, address: Address, what: str) -> None: ...

    def waiting(self, address: Address, what: str, seconds: float) -> None: ...

    def done(self, address: Address, what: str, seconds: float) -> None: ...

    def skipped(self, address: Address, what: str, reason: str) -> None: ...

    def failed(self, address: Address, what: str, reason: str, brief: str = "") -> None:
        self.console.err(
            line(Piece("failed ", "bold red"), data(f"{address} {what}: {brief or reason}"))
        )


@dataclass
class Lines:
    """Prints a line when a step starts and when it ends, and one every ``HEARTBEAT_SECONDS`` while
    it waits. Moves no cursor."""

    console: Console
    _told: dict[tuple[Address, str], float] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def reading(self, what: str) -> None:
        self.console.note(data(f"reading {what} ..."))

    def entering(self, target: str) -> None:
        self.console.note("target ", data(target))

    def started(self, address: Address, what: str) -> None:
        self.console.note(data(f"{address}: {what} ..."))

    def waiting(self, address: Address, what: str, seconds: float) -> None:
        now = time.monotonic()
        with self._lock:
            last = self._told.get((address, what))
            if last is not None and now - last < HEARTBEAT_SECONDS:
                return
            self._told[address, what] = now
        self.console.note(data(f"{address}: waiting for {what} ({seconds:.0f} s)"))

    def done(self, address: Address, what: str, seconds: float) -> None:
        self.console.note(data(f"{address}: {what} done after {seconds:.1f} s"))

    def skipped(self, address: Address, what: str, reason: str) -> None:
        self.console.note(data(f"{address}: {what} skipped: {reason}"))

    def failed(self, address: Address, what: str, reason: str, brief: str = "") -> None:
        self.console.err(
            line(Piece("failed ", "bold red"), data(f"{address} {what}: {brief or reason}"))
        )


@dataclass
class Live:
    """A status line, and above it a line for each completed step."""

    console: Console
    _open: dict[Address, str] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _status: Status | None = None

    def reading(self, what: str) -> None:
        self._show(Address("reading"), what)

    def entering(self, target: str) -> None:
        self.console.note("Target ", data(target, "bold"))

    def started(self, address: Address, what: str) -> None:
        self._show(address, what)

    def waiting(self, address: Address, what: str, seconds: float) -> None:
        self._show(address, f"waiting for {what} ({seconds:.0f} s)")

    def done(self, address: Address, what: str, seconds: float) -> None:
        self._close(address)
        ended = f" {seconds:.1f} s" if seconds >= 1 else ""
        self.console.note(Piece("  ✓ ", "green"), data(address), data(f" {what}{ended}", "dim"))

    def skipped(self, address: Address, what: str, reason: str) -> None:
        self._close(address)
        self.console.note(data(f"  - {address} {what} skipped: {reason}"))

    def failed(self, address: Address, what: str, reason: str, brief: str = "") -> None:
        self._close(address)
        self.console.err(
            line(Piece("  ✗ ", "bold red"), data(f"{address} {what}: {brief or reason}"))
        )

    def stop(self) -> None:
        with self._lock:
            if self._status is not None:
                self._status.stop()
                self._status = None

    def _show(self, address: Address, what: str) -> None:
        with self._lock:
            self._open[address] = what
            if self._status is None:
                self._status = Status("", console=self.console.stderr, spinner="dots")
                self._status.start()
            self._status.update(self._words())

    def _close(self, address: Address) -> None:
        with self._lock:
            self._open.pop(address, None)
            if self._status is not None:
                self._status.update(self._words())

    def _words(self) -> Text:
        newest = list(self._open.items())[-1:]
        more = f" and {len(self._open) - 1} more" if len(self._open) > 1 else ""
        return Text("".join(printable(f"{a}: {w}") for a, w in newest) + more)


@dataclass
class Events:
    """JSON lines on stdout, in the envelope that ``docs/commands.md`` describes."""

    console: Console
    now: Callable[[], datetime] = lambda: datetime.now(UTC)
    target: str | None = None
    """Target of the events; ``None`` if there is only one."""

    def reading(self, what: str) -> None: ...

    def entering(self, target: str) -> None:
        self.target = target

    def started(self, address: Address, what: str) -> None:
        self.emit("apply_start", f"{address}: {what}", {"address": str(address), "what": what})

    def waiting(self, address: Address, what: str, seconds: float) -> None:
        message = f"{address}: waiting for {what}"
        self.emit("apply_progress", message, _timed(address, what, seconds))

    def done(self, address: Address, what: str, seconds: float) -> None:
        message = f"{address}: {what} done"
        self.emit("apply_complete", message, _timed(address, what, seconds))

    def skipped(self, address: Address, what: str, reason: str) -> None:
        message = f"{address}: {what} skipped: {reason}"
        self.emit("apply_progress", message, _timed(address, what, 0.0))

    def failed(
        self,
        address: Address,
        what: str,
        reason: str,
        brief: str = "",  # noqa: ARG002 - a program is told the whole
    ) -> None:
        message = f"{address}: {what} failed: {reason}"
        more = {"address": str(address), "what": what, "reason": reason}
        self.emit("apply_errored", message, more, "error")

    def emit(self, kind: str, message: str, more: Mapping[str, Any], level: str = "info") -> None:
        stamp = self.now().strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        envelope = {"@level": level, "@message": printable(message), "@timestamp": stamp}
        where = {"target": self.target} if self.target else {}
        self.console.out_json({**envelope, "type": kind, **where, **more}, indent=None)


def _timed(address: Address, what: str, seconds: float) -> dict[str, Any]:
    return {"address": str(address), "what": what, "seconds": round(seconds, 1)}


Shown = Quiet | Lines | Live | Events


def progress_for(console: Console) -> Quiet | Lines | Live:
    """Progress for people: a status line only on a terminal."""
    if console.quiet:
        return Quiet(console)
    return Live(console) if console.is_terminal else Lines(console)


def planning(
    request: Request, ports: RunPorts, console: Console, typed: PlanFlags | None = None
) -> Planned:
    """The plan. Shows progress while AWS is read, then the warnings about the specs. ``typed`` is
    as for ``make_plan``, and it raises as that does."""
    progress = progress_for(console)
    try:
        planned = make_plan(request, replace(ports, progress=progress), typed)
    finally:
        if isinstance(progress, Live):
            progress.stop()
    console.err(*full(planned.diagnostics, planned.sources))
    return planned
