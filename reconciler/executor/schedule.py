"""Which work of a plan begins next. Pure: without threads, time or calls.

Each piece of work is looked at when it becomes ready and when it ends, so the whole takes time in
proportion to the work and its edges.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from heapq import heappop, heappush

from reconciler.executor.outcomes import Status
from reconciler.model.address import Address
from reconciler.plan.cut_over import CutOver
from reconciler.plan.graph import OrderedStep
from reconciler.plan.plan import Work


@dataclass
class Schedule:
    """Work is named by its place in the plan. Work begins in the plan's order, as soon as all
    before it has been applied, one thing at a time per address, and no more than ``most_cutovers``
    cut-overs at a time."""

    work: Sequence[OrderedStep[Work]]
    most_cutovers: int = 10
    _left: list[int] = field(default_factory=list)
    """How many predecessors have not ended, by place."""
    _next: dict[int, list[int]] = field(default_factory=dict)
    """What comes directly after a place."""
    _ready: list[int] = field(default_factory=list)
    _cutovers: list[int] = field(default_factory=list)
    """Cut-overs that could begin if there were fewer."""
    _held: dict[Address, list[int]] = field(default_factory=dict)
    """Work whose address is busy."""
    _busy: set[Address] = field(default_factory=set)
    _running: set[int] = field(default_factory=set)
    _over: set[int] = field(default_factory=set)
    """What has ended, or will never begin."""
    _begun: set[int] = field(default_factory=set)
    """What has begun, but for what a person stopped before it did anything."""
    _groups: Counter[str] = field(default_factory=Counter)
    """How much of each group has begun."""
    _open_cutovers: int = 0

    def __post_init__(self) -> None:
        self._left = [len(ordered.after) for ordered in self.work]
        for place, ordered in enumerate(self.work):
            for before in ordered.after:
                self._next.setdefault(before, []).append(place)
            if not ordered.after:
                heappush(self._ready, place)

    @property
    def is_over(self) -> bool:
        return len(self._over) == len(self.work)

    @property
    def running(self) -> int:
        return len(self._running)

    def begin(self) -> int | None:
        """The next piece of work, which begins now; ``None`` if nothing can."""
        while (place := self._take()) is not None:
            pending = self.work[place].pending
            if pending.address in self._busy:
                heappush(self._held.setdefault(pending.address, []), place)
                continue
            if self._must_wait(place):
                heappush(self._cutovers, place)
                continue
            self._busy.add(pending.address)
            self._running.add(place)
            self._begun.add(place)
            self._open_cutovers += isinstance(pending.action, CutOver)
            if pending.group is not None:
                self._groups[pending.group] += 1
            return place
        return None

    def ended(self, place: int, status: Status) -> Iterator[tuple[int, int]]:
        """Yields what is never going to begin since ``place`` was not applied, each with the work
        that it would have come after."""
        pending = self.work[place].pending
        self._over.add(place)
        self._running.discard(place)
        self._open_cutovers -= isinstance(pending.action, CutOver)
        self._busy.discard(pending.address)
        for held in self._held.pop(pending.address, ()):
            heappush(self._ready, held)
        if status == "skipped":
            self._begun.discard(place)
            if pending.group is not None:
                self._groups[pending.group] -= 1
        if status == "applied":
            for following in self._next.get(place, ()):
                self._left[following] -= 1
                if not self._left[following] and following not in self._over:
                    heappush(self._ready, following)
            return
        yield from self._after(place)

    def close(self) -> Iterator[tuple[int, int | None]]:
        """From now on only cleanup begins. Yields what is never going to, with the work that it
        would have come after if that is the reason."""
        dropped = [
            place
            for place in range(len(self.work))
            if place not in self._over and place not in self._running and not self.is_cleanup(place)
        ]
        self._over.update(dropped)
        yield from ((place, None) for place in dropped)
        # Cleanup of what has not begun.
        for place in dropped:
            yield from self._after(place)

    def _after(self, place: int) -> Iterator[tuple[int, int]]:
        """All that comes after it, directly or not, which is dropped now."""
        waiting = deque([place])
        while waiting:
            cause = waiting.popleft()
            for following in self._next.get(cause, ()):
                if following not in self._over:
                    self._over.add(following)
                    waiting.append(following)
                    yield following, cause

    def is_cleanup(self, place: int) -> bool:
        """Whether a cleanup step must run although something failed, since what it restores is done
        or in progress: its predecessors have begun, or wait for the same step; or part of its
        group has."""
        pending, after = self.work[place].pending, self.work[place].after
        if pending.group is not None:
            return self._groups[pending.group] > 0
        return pending.is_cleanup and all(
            before in self._begun or self.work[before].pending.is_cleanup for before in after
        )

    def _take(self) -> int | None:
        """The first that is ready, in the plan's order."""
        while True:
            heaps = [heap for heap in (self._ready, self._cutovers) if heap]
            if self._open_cutovers >= self.most_cutovers:
                heaps = [self._ready] if self._ready else []
            if not heaps:
                return None
            place = heappop(min(heaps, key=lambda heap: heap[0]))
            if place not in self._over:
                return place

    def _must_wait(self, place: int) -> bool:
        """The second half of a pair gives instances what the first half took, so it never waits."""
        is_cutover = isinstance(self.work[place].pending.action, CutOver)
        is_full = self._open_cutovers >= self.most_cutovers
        return is_cutover and is_full and not self.is_cleanup(place)
