"""Targets on other machines, through one seam: ``concurrent.futures.Executor``.

Each target is a task (``worker.py``): whose account it is, its plan, its apply. Specs, flags and
settings travel to the workers, credentials do not. What a person approves, what is printed, and the
order of it stay here.
"""

from __future__ import annotations

import pickle
import threading
import zlib
from collections import Counter
from collections.abc import Callable, Mapping
from concurrent.futures import BrokenExecutor, CancelledError, Executor, wait
from dataclasses import dataclass, field, replace
from hashlib import sha256
from typing import ParamSpec, TypeVar

from reconciler import __version__
from reconciler.commands import worker
from reconciler.commands.planned import PlannedTarget
from reconciler.commands.request import Request, RunPorts
from reconciler.commands.worker import Limits, Parcel, WorkerPlan, WorkerResult
from reconciler.errors import AwsError, RefusedError
from reconciler.executor.outcomes import Result
from reconciler.model.address import Address
from reconciler.model.resources import Identity
from reconciler.plan.plan import intended_of
from reconciler.spec.loader import ParsedSet

_P = ParamSpec("_P")
_T = TypeVar("_T")
LOST = "EngineFailed"
"""Our own code for a task that the engine did not carry out."""
ASK_SECONDS = 5.0
"""How often the engine is asked whether a task can still end."""


def _in_words(error: Exception) -> str:
    return f"{type(error).__name__}: {error}" if str(error) else type(error).__name__


@dataclass(frozen=True, slots=True)
class Engine:
    """``site`` makes the ports of a worker on that worker, so it must be picklable. ``lost`` are
    further errors by which the executor says that it has not carried out a task, and ``in_words``
    tells a person of one. ``stands_still`` says why no task will end, if that is so."""

    executor: Executor
    site: Callable[[], RunPorts]
    lost: tuple[type[Exception], ...] = ()
    in_words: Callable[[Exception], str] = _in_words
    stands_still: Callable[[], str | None] = lambda: None

    def crew(self, parsed: ParsedSet, request: Request) -> Crew:
        """Workers for this set."""
        # Without the text of the files: it is for what is printed, and that is done here.
        content = (self.site, request, replace(parsed, sources={}))
        packed = zlib.compress(pickle.dumps(content))
        return Crew(self, Parcel(__version__, sha256(packed).hexdigest(), packed))


@dataclass
class Crew:
    """Has the work of one target done somewhere, and waits for it."""

    engine: Engine
    parcel: Parcel
    calls: Counter[str] = field(default_factory=Counter)
    """Calls to AWS that it took."""
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def identity(self, name: str) -> Identity:
        """Raises ``AwsError``, also where the engine lost the task."""
        found = self._asked(worker.identity, self.parcel, name)
        self._count(found.calls)
        return found.identity

    def read(
        self, name: str, whose: Identity, written: frozenset[Address] | None, *, several: bool
    ) -> WorkerPlan:
        """As ``read_target``. Raises ``AwsError``, also where the engine lost the task, and
        ``RefusedError``."""
        found = self._asked(worker.read, self.parcel, name, whose, written, several)
        self._count(found.calls)
        return found

    def apply(self, target: PlannedTarget, limits: Limits) -> WorkerResult:
        """Applies what is left of the plan. Raises nothing of AWS or the engine: a target that was
        lost has a failed outcome."""
        approved = intended_of(target.plan)
        name, whose = target.account.name, target.account.identity
        try:
            return self._asked(worker.apply, self.parcel, name, whose, approved, limits)
        except AwsError as error:
            return WorkerResult(Result((worker.undone(str(error), "apply again"),)))
        except RefusedError as error:
            return WorkerResult(Result((worker.undone(error.message, ""),)))

    def _asked(self, of: Callable[_P, _T], *args: _P.args, **kwargs: _P.kwargs) -> _T:
        lost: tuple[type[Exception], ...] = (
            BrokenExecutor,
            CancelledError,
            ImportError,
            *self.engine.lost,
        )
        try:
            asked = self.engine.executor.submit(of, *args, **kwargs)
            while not wait([asked], ASK_SECONDS).done:
                if why := self.engine.stands_still():
                    asked.cancel()
                    raise AwsError("", LOST, f"no worker answered: {why}")
            return asked.result()
        except lost as error:
            why = self.engine.in_words(error)
            raise AwsError("", LOST, f"no worker answered: {why}") from error

    def _count(self, calls: Mapping[str, int]) -> None:
        with self._lock:
            self.calls.update(calls)
