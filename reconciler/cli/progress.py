"""Progress of a run: a status line for a terminal (``cli/live.py``), lines with a time for a log,
JSON events for a program."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, TypeAlias

from reconciler.cli.console import Console
from reconciler.cli.told import Told, wait_in_words
from reconciler.commands.plan import make_plan
from reconciler.commands.planned import Planned
from reconciler.commands.recorder import Silent
from reconciler.commands.request import Request, RunPorts
from reconciler.model.address import Address
from reconciler.planner.options import PlanFlags
from reconciler.ports import Progress, Within
from reconciler.render.escape import printable
from reconciler.render.styled_text import data
from reconciler.render.text.diagnostics import full

if TYPE_CHECKING:
    from reconciler.cli.live import Live

HEARTBEAT_SECONDS = 20.0
"""So often, at least, something is said of what is waited for; a runner may take half a minute of
silence for a hang."""
LOOK_SECONDS = 1.0
SILENCE_SECONDS = HEARTBEAT_SECONDS + 4
"""After which something is said of what no wait tells of; later than ``HEARTBEAT_SECONDS``, so that
not both speak of one wait."""


@dataclass
class Quiet(Silent):
    """Prints failures only."""

    console: Console
    told: Told = field(default_factory=Told)

    def entering(self, target: str) -> None:
        self.told.enter(target)

    def failed(self, address: Address, what: str, reason: str, brief: str = "") -> None:
        self.told.failed(self.console, address, what, reason, brief)

    def stop(self) -> None: ...


@dataclass
class Pulse:
    """When something that is told again and again is printed: at first, and then every
    ``HEARTBEAT_SECONDS``. Times are in seconds of any steady clock."""

    _printed: dict[tuple[Address, str], float] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def is_due(self, address: Address, what: str, now: float) -> bool:
        with self._lock:
            last = self._printed.get((address, what))
            if last is not None and now - last < HEARTBEAT_SECONDS:
                return False
            self._printed[address, what] = now
            return True


@dataclass
class Lines:
    """Prints a line when a step starts and when it ends, and one about every ``HEARTBEAT_SECONDS``
    while anything is waited for, be it an answer of AWS. Moves no cursor."""

    console: Console
    clock: Callable[[], float] = time.monotonic
    told: Told = field(default_factory=Told)
    _pulse: Pulse = field(default_factory=Pulse)
    _open: dict[Address, tuple[str, float]] = field(default_factory=dict)
    """What goes on, and since when; the newest last."""
    _last: float = 0.0
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _ended: threading.Event | None = None

    def reading(self, what: str) -> None:
        self._opened(Address("reading"), f"reading {what}")
        self._print(f"reading {what} ...")

    def entering(self, target: str) -> None:
        self.told.enter(target)

    def target_ended(self, how: str, number: int, of: int) -> None:
        self._print(self.told.of_target(how, number, of))

    def started(self, address: Address, what: str, within: Within | None = None) -> None:
        shown = self.told.here(address)
        self._opened(self.told.here(within.step if within else address), f"{shown}: {what}")
        self._print(f"{shown}: {what} ...")

    def waiting(self, address: Address, what: str, seconds: float, of: float | None = None) -> None:
        shown = self.told.here(address)
        with self._lock:
            if shown in self._open:
                self._open[shown] = (f"{shown}: waiting for {what}", self.clock() - seconds)
        is_new = of is None and seconds < LOOK_SECONDS  # the step that waits has just been told
        if self._pulse.is_due(shown, what, self.clock()) and not is_new:
            self._print(f"{shown}: waiting for {wait_in_words(what, seconds, of)}")

    def done(self, address: Address, what: str, seconds: float) -> None:
        shown = self.told.here(address)
        self._closed(shown)
        self._print(f"{shown}: {what} done after {seconds:.1f} s")

    def skipped(self, address: Address, what: str, reason: str) -> None:
        shown = self.told.here(address)
        self._closed(shown)
        self.told.note(address, what, reason)
        self._print(f"{shown}: {what} skipped: {reason}")

    def failed(self, address: Address, what: str, reason: str, brief: str = "") -> None:
        self._closed(self.told.here(address))
        self._last = self.clock()
        self.told.failed(self.console, address, what, reason, brief)

    def beat(self) -> None:
        """Says what goes on if nothing was said for a while."""
        with self._lock:
            now = self.clock()
            if not self._open or now - self._last < SILENCE_SECONDS:
                return
            what, since = list(self._open.values())[-1]
            others = len(self._open) - 1
        more = f", and {others} more" if others else ""
        self._print(f"{what} ... {now - since:.0f} s so far{more}")

    def stop(self) -> None:
        with self._lock:
            self._open.clear()
            if self._ended is not None:
                self._ended.set()
                self._ended = None

    def _print(self, text: str) -> None:
        self._last = self.clock()
        self.console.event(data(text))

    def _opened(self, address: Address, what: str) -> None:
        with self._lock:
            self._open.pop(address, None)
            self._open[address] = (what, self.clock())
            if self._ended is None:
                self._ended = threading.Event()
                threading.Thread(target=self._watch, args=(self._ended,), daemon=True).start()

    def _closed(self, address: Address) -> None:
        with self._lock:
            self._open.pop(address, None)

    def _watch(self, ended: threading.Event) -> None:
        while not ended.wait(LOOK_SECONDS):
            self.beat()


@dataclass
class Events:
    """JSON lines on stdout, in the envelope that ``docs/commands.md`` describes."""

    console: Console
    now: Callable[[], datetime] = lambda: datetime.now(UTC)
    target: str | None = None
    """Target of the events, where it is not that of the thread; ``None`` if there is only one."""
    told: Told = field(default_factory=Told)
    """Nothing: it is a program that is told."""
    _pulse: Pulse = field(default_factory=Pulse)

    def reading(self, what: str) -> None: ...

    def entering(self, target: str) -> None:
        self.told.enter(target)

    def target_ended(self, how: str, number: int, of: int) -> None: ...

    def started(
        self,
        address: Address,
        what: str,
        within: Within | None = None,
    ) -> None:
        where = {"region": within.region} if within else {}
        more = {"address": str(address), "what": what, **where}
        self.emit("apply_start", f"{address}: {what}", more)

    def waiting(self, address: Address, what: str, seconds: float, of: float | None = None) -> None:
        if not self._pulse.is_due(self.told.here(address), what, time.monotonic()):
            return
        left = {} if of is None else {"left": round(max(of - seconds, 0.0), 1)}
        message = f"{address}: waiting for {wait_in_words(what, seconds, of)}"
        self.emit("apply_progress", message, {**_timed(address, what, seconds), **left})

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

    def stop(self) -> None: ...

    def emit(self, kind: str, message: str, more: Mapping[str, Any], level: str = "info") -> None:
        stamp = self.now().strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        envelope = {"@level": level, "@message": printable(message), "@timestamp": stamp}
        target = self.target or self.told.target
        where = {"target": target} if target else {}
        self.console.out_json({**envelope, "type": kind, **where, **more}, indent=None)


def _timed(address: Address, what: str, seconds: float) -> dict[str, Any]:
    return {"address": str(address), "what": what, "seconds": round(seconds, 1)}


Shown: TypeAlias = "Quiet | Lines | Live | Events"


def progress_for(console: Console) -> Quiet | Lines | Live:
    """Progress for people: a status line only on a terminal."""
    if console.quiet:
        return Quiet(console)
    if not console.is_terminal:
        return Lines(console)
    from reconciler.cli.live import Live

    return Live(console)


@contextmanager
def shown(console: Console) -> Iterator[Quiet | Lines | Live]:
    """Progress for people, for as long as the block lasts."""
    progress = progress_for(console)
    try:
        yield progress
    finally:
        progress.stop()


def planning(
    request: Request,
    ports: RunPorts,
    console: Console,
    typed: PlanFlags | None = None,
    *,
    keeps_context: bool = False,
    then: Callable[[Planned, Progress], Planned] | None = None,
) -> Planned:
    """The plan. Shows progress while AWS is read, then the warnings about the specs. Takes the
    rest as ``make_plan``, and raises as that does; ``then`` asks more of AWS about the plan."""
    with shown(console) as progress:
        reading = replace(ports, progress=progress)
        planned = make_plan(request, reading, typed, keeps_context=keeps_context)
        if then is not None:
            planned = then(planned, progress)
    if request.shard is not None:
        whole = len(set(planned.request.targets) or planned.parsed.settings.targets) or 1
        here = f"{len(planned.targets)} of {whole} target{'' if whole == 1 else 's'}"
        console.note(data(f"Shard {request.shard}: {here}."))
    console.err(*full(planned.diagnostics, planned.sources))
    return planned
