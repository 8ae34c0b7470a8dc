"""A reader for many cut-overs and waits at a time: what they ask of one region is asked together.

One request at a time; who comes meanwhile shares the next. So an answer is never older than its
question, or than the questioner said that it may be, and the number of calls does not grow with the
number of those who wait.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field, replace
from typing import Generic, TypeVar

from reconciler.executor.places import Places
from reconciler.model.address import Address
from reconciler.model.launch_sources import LaunchSources
from reconciler.model.live import (
    AssociationRow,
    LiveEntity,
    LiveInstance,
    LivePrincipal,
    LiveProfile,
    LiveState,
)
from reconciler.model.ownership import InstanceKey
from reconciler.model.resources import Identity
from reconciler.ports import Clock, Facts, LaunchQuery, Reader, Scope

POLL_TICK_SECONDS = 0.2
"""The shortest time between two requests about instances of a region."""
LIST_TICK_SECONDS = 0.5
"""The same for a listing of whole regions."""

_Rows = Mapping[InstanceKey, tuple[AssociationRow, ...]]
_K = TypeVar("_K")
_A = TypeVar("_A")


@dataclass
class _Request(Generic[_K, _A]):
    """What is asked next, and its answer."""

    about: set[_K] = field(default_factory=set)
    began: float = float("-inf")
    is_over: threading.Event = field(default_factory=threading.Event)
    answer: _A | None = None
    error: BaseException | None = None

    def serves(self, about: Collection[_K], since: float) -> bool:
        return self.began >= since and self.about.issuperset(about)


@dataclass
class Together(Generic[_K, _A]):
    """``ask`` is called by one thread at a time, at most once in ``tick`` seconds, with all that is
    asked about since. All who asked have the whole answer."""

    ask: Callable[[frozenset[_K]], _A]
    clock: Clock
    places: Places
    tick: float
    _next: _Request[_K, _A] | None = None
    _last: _Request[_K, _A] | None = None
    """The last one that was made, or is being made; not one that failed."""
    _asked_at: float = float("-inf")
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _turn: threading.Lock = field(default_factory=threading.Lock)

    def __call__(self, about: Collection[_K], since: float | None = None) -> _A:
        """Raises what ``ask`` raises, to each who shares the request. One that began at ``since``
        or later serves as well as a new one."""
        with self._lock:
            request, is_first = self._last, False
            if since is None or request is None or not request.serves(about, since):
                is_first = self._next is None
                request = self._next = self._next or _Request()
                request.about.update(about)
        if is_first:
            self._make(request)
        else:
            with self.places.left():
                request.is_over.wait()
        if request.error is not None:
            raise request.error
        assert request.answer is not None
        return request.answer

    def _make(self, request: _Request[_K, _A]) -> None:
        with self.places.left():
            self._turn.acquire()
        try:
            if (early := self._asked_at + self.tick - self.clock.now()) > 0:
                self.clock.sleep(early)
            with self._lock:
                self._next, self._last = None, request
                request.began = self._asked_at = self.clock.now()
            request.answer = self.ask(frozenset(request.about))
        except BaseException as error:
            request.error = error
            raise
        finally:
            with self._lock:
                if self._next is request:
                    self._next = None
                if self._last is request and request.error is not None:
                    self._last = None
            self._turn.release()
            request.is_over.set()


@dataclass
class SharedReader:
    """A ``Reader`` in which the same questions about instances are asked once."""

    reader: Reader
    clock: Clock
    places: Places
    usual: frozenset[str] = frozenset()
    """ARNs of profiles whose consumers somebody will ask for."""
    _polls: dict[str, Together[InstanceKey, tuple[LiveInstance, ...]]] = field(default_factory=dict)
    _rows: dict[str, Together[InstanceKey, _Rows]] = field(default_factory=dict)
    _listings: dict[frozenset[str], Together[str, LiveState]] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def calls(self) -> Mapping[str, int]:
        return self.reader.calls

    def identity(self) -> Identity:
        return self.reader.identity()

    def read(self, identity: Identity, scope: Scope) -> LiveState:
        return self.reader.read(identity, scope)

    def enabled_regions(self, near: str) -> tuple[str, ...]:
        return self.reader.enabled_regions(near)

    def quotas(self) -> Mapping[str, int]:
        return self.reader.quotas()

    def users_and_groups(self) -> tuple[LivePrincipal, ...]:
        return self.reader.users_and_groups()

    def read_regions(self, identity: Identity, regions: Collection[str]) -> LiveState:
        return self.reader.read_regions(identity, regions)

    def consumers(
        self,
        identity: Identity,
        regions: Collection[str],
        arns: Collection[str],
        since: float | None = None,
    ) -> LiveState:
        """Those of ``usual`` are asked for as well, so that one listing serves all."""
        wanted = frozenset(regions)

        def ask(about: frozenset[str]) -> LiveState:
            began = self.clock.now()
            found = self.reader.consumers(identity, wanted, about | self.usual)
            return replace(found, listed_at=began)

        with self._lock:
            made = Together(ask, self.clock, self.places, LIST_TICK_SECONDS)
            listing = self._listings.setdefault(wanted, made)
        return listing({*arns} - self.usual, since)

    def entity(self, address: Address, arn: str) -> LiveEntity | None:
        return self.reader.entity(address, arn)

    def profile(self, name: str) -> LiveProfile | None:
        return self.reader.profile(name)

    def role(self, name: str) -> Facts | None:
        return self.reader.role(name)

    def role_names(self) -> Mapping[str, str]:
        return self.reader.role_names()

    def policy(self, arn: str) -> Facts | None:
        return self.reader.policy(arn)

    def profiles_with(self, role: str) -> tuple[str, ...]:
        return self.reader.profiles_with(role)

    def instances(self, keys: Collection[InstanceKey]) -> tuple[LiveInstance, ...]:
        found: list[LiveInstance] = []
        for region, wanted in _by_region(keys):
            with self._lock:
                made = Together(self.reader.instances, self.clock, self.places, POLL_TICK_SECONDS)
                poll = self._polls.setdefault(region, made)
            found.extend(i for i in poll(wanted) if i.key in wanted)
        return tuple(found)

    def associations(self, keys: Collection[InstanceKey]) -> _Rows:
        found: dict[InstanceKey, tuple[AssociationRow, ...]] = {}
        for region, wanted in _by_region(keys):
            with self._lock:
                ask = self.reader.associations
                made = Together(ask, self.clock, self.places, POLL_TICK_SECONDS)
                poll = self._rows.setdefault(region, made)
            found.update((key, rows) for key, rows in poll(wanted).items() if key in wanted)
        return found

    def launch_sources(self, queries: Collection[LaunchQuery]) -> LaunchSources:
        return self.reader.launch_sources(queries)


def _by_region(keys: Collection[InstanceKey]) -> list[tuple[str, set[InstanceKey]]]:
    by_region: dict[str, set[InstanceKey]] = {}
    for key in keys:
        by_region.setdefault(key.region, set()).add(key)
    return sorted(by_region.items())
