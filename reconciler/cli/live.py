"""Progress on a terminal: a line for each completed step, and below them what goes on now."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace

from rich.console import Group, RenderableType
from rich.live import Live as RichLive
from rich.spinner import Spinner
from rich.table import Table
from rich.text import Text

from reconciler.cli.console import Console
from reconciler.cli.told import Told, wait_in_words
from reconciler.model.address import Address
from reconciler.ports import Within
from reconciler.render.escape import printable
from reconciler.render.styled_text import Piece, data

MOST_ROWS = 12
"""Of the table: the rest is a count."""
SPINNER_WIDTH = 2
ECHO_WIDTH = 2
"""Of ``^C``, which the terminal adds: on a line of its own it would move what is to be erased."""
LEFT_WIDTH = 20
"""The end of the status line, such as ``: 119 s of 120 s left``, which is kept."""


@dataclass(frozen=True, slots=True)
class InstanceRow:
    """An instance in a cut-over. ``since`` is when its state began."""

    within: Within
    state: str
    since: float


@dataclass
class Live:
    """A status line, above it a table of the instances that are being cut over, and above that a
    line for each completed step. Status line and table are gone at the end."""

    console: Console
    clock: Callable[[], float] = time.monotonic
    told: Told = field(default_factory=Told)
    _open: dict[Address, str] = field(default_factory=dict)
    """What goes on; the newest last."""
    _rows: dict[Address, InstanceRow] = field(default_factory=dict)
    _lock: threading.RLock = field(default_factory=threading.RLock)
    _live: RichLive | None = None
    _spinner: Spinner = field(default_factory=lambda: Spinner("dots", style="status.spinner"))

    def reading(self, what: str) -> None:
        self._show(Address("reading"), what)

    def entering(self, target: str) -> None:
        self.told.enter(target)

    def target_ended(self, how: str, number: int, of: int) -> None:
        self.console.note(data(f"  {self.told.of_target(how, number, of)}"))

    def started(self, address: Address, what: str, within: Within | None = None) -> None:
        if within is None:
            self._show(self.told.here(address), what)
            return
        step = self.told.here(within.step)
        with self._lock:
            within = replace(within, step=step)
            self._rows[self.told.here(address)] = InstanceRow(within, what, self.clock())
        self._show(step, f"{address.name}: {what}")

    def waiting(self, address: Address, what: str, seconds: float, of: float | None = None) -> None:
        self._show(self.told.here(address), f"waiting for {wait_in_words(what, seconds, of)}")

    def done(self, address: Address, what: str, seconds: float) -> None:
        shown = self.told.here(address)
        self._close(shown)
        ended = f" {seconds:.1f} s" if seconds >= 1 else ""
        self.console.note(Piece("  ✓ ", "green"), data(shown), data(f" {what}{ended}", "dim"))

    def skipped(self, address: Address, what: str, reason: str) -> None:
        shown = self.told.here(address)
        self._close(shown)
        self.told.note(address, what, reason)
        self.console.note(data(f"  - {shown} {what} skipped: {reason}"))

    def failed(self, address: Address, what: str, reason: str, brief: str = "") -> None:
        self._close(self.told.here(address))
        self.told.failed(self.console, address, what, reason, brief)

    def stop(self) -> None:
        with self._lock:
            live, self._live = self._live, None
        # Outside of the lock: rich's thread, which it waits for, may be rendering.
        if live is not None:
            live.stop()

    def _show(self, address: Address, what: str) -> None:
        with self._lock:
            self._open.pop(address, None)
            self._open[address] = what
            if self._live is not None:
                return
            self._live = RichLive(
                console=self.console.stderr,
                get_renderable=self.render,
                refresh_per_second=8,
                transient=True,
                redirect_stdout=False,
                redirect_stderr=False,
            )
            self._live.start()

    def _close(self, address: Address) -> None:
        """With a cut-over its instances are over too."""
        with self._lock:
            self._open.pop(address, None)
            gone = [a for a, row in self._rows.items() if address in (a, row.within.step)]
            for one in gone:
                del self._rows[one]

    def render(self) -> RenderableType:
        with self._lock:
            rows, newest = dict(self._rows), list(self._open.items())[-1:]
            others = len(self._open) - 1
        more = f" and {others} more" if others > 0 else ""
        words = "".join(self._status(address, what, len(more)) for address, what in newest)
        self._spinner.update(text=Text(words + more))
        return Group(self._table(rows), self._spinner) if rows else self._spinner

    def _status(self, address: Address, what: str, others: int) -> str:
        """What is waited for, and how much of it is left, is at the end: where there is no room
        for all, the address goes, then the middle: a second line
        would stay on the screen. ``others`` are the characters that follow."""
        whole, brief = printable(f"{address}: {what}"), printable(what)
        room = self.console.stderr.width - SPINNER_WIDTH - ECHO_WIDTH - others
        if len(whole) <= room:
            return whole
        if len(brief) <= room:
            return brief
        return f"{brief[: max(room - LEFT_WIDTH - 1, 0)]}…{brief[-LEFT_WIDTH:]}"

    def _table(self, rows: dict[Address, InstanceRow]) -> RenderableType:
        table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
        table.add_column("  instance", no_wrap=True)
        table.add_column("region", no_wrap=True)
        # Where there is no room for all, this column is the one that gives way.
        table.add_column("state")
        table.add_column("seconds", justify="right", no_wrap=True)
        now = self.clock()
        for address, row in list(rows.items())[:MOST_ROWS]:
            name, region = Text(printable(f"  {address.name}")), Text(printable(row.within.region))
            state = Text(printable(row.state), no_wrap=True, overflow="ellipsis")
            table.add_row(name, region, state, f"{now - row.since:.0f}")
        if len(rows) > MOST_ROWS:
            table.add_row(Text(f"  and {len(rows) - MOST_ROWS} more", "dim"))
        return table
