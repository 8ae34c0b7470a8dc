"""What shares targets out among machines: dask. Imported if it is asked for."""

from __future__ import annotations

import threading
from concurrent.futures import CancelledError, Executor
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, cast

from reconciler import __version__
from reconciler.cli.connection import WorkerSite
from reconciler.clock import SystemClock
from reconciler.commands.engine import Engine
from reconciler.errors import RefusedError
from reconciler.exit_codes import ExitCode

if TYPE_CHECKING:
    from distributed import Client

SCHEDULER_SECONDS = 30.0
"""How long the scheduler is waited for."""
WORKER_SECONDS = 120.0
"""How long a first worker is waited for, and another one if there is none any more: a cluster that
grows as it is needed takes minutes."""


def dask_engine(address: str, site: WorkerSite) -> Engine:
    """Raises ``RefusedError`` if dask is not installed, nobody answers, or somebody there has no
    reconciler of this version."""
    try:
        from distributed import Client
        from distributed.scheduler import KilledWorker
    except ImportError as error:
        hint = "pip install 'reconciler[dask]'"
        raise RefusedError("dask is not installed", ExitCode.ERROR, details=(hint,)) from error
    try:
        client = Client(address, timeout=SCHEDULER_SECONDS, set_as_default=False)
    except (OSError, ValueError) as error:
        message = f"the scheduler at {address} cannot be reached: {error}"
        raise RefusedError(message, ExitCode.ERROR) from error
    try:
        client.wait_for_workers(1, timeout=WORKER_SECONDS)
    except OSError as error:
        message = f"the scheduler at {address} has no worker"
        hint = f"start one: dask worker {address}"
        raise RefusedError(message, ExitCode.ERROR, details=(hint,)) from error
    _refuse_others(client, address)

    # Not pure: the same task at another time has another result.
    executor = cast(Executor, client.get_executor(pure=False))
    words = partial(_in_words, client)
    return Engine(executor, site, (KilledWorker, OSError), words, _Watch(client).stands_still)


def _in_words(client: Client, error: Exception) -> str:
    """Why a task was not carried out."""
    from distributed.scheduler import KilledWorker

    if isinstance(error, KilledWorker):
        died, last = error.allowed_failures + 1, error.last_worker.address
        return f"{died} workers died while they worked on it, the last at {last}"
    if isinstance(error, CancelledError):
        return "the scheduler was lost" if client.status != "running" else "it was cancelled"
    return f"{type(error).__name__}: {error}"


def _refuse_others(client: Client, address: str) -> None:
    """The scheduler too unpacks what it is sent. A worker without the package would die of a task,
    and so would the next one that gets it."""
    found = client.get_versions(packages=["reconciler"])
    told = {f"the scheduler at {address}": found["scheduler"]}
    told |= {f"the worker at {where}": one for where, one in found["workers"].items()}
    for who, one in told.items():
        # A worker that ended meanwhile has told nothing.
        version = one["packages"]["reconciler"] if isinstance(one, dict) else __version__
        if version != __version__:
            has = f"reconciler {version}" if version else "no reconciler"
            hint = f"pip install 'reconciler[dask]=={__version__}'"
            message = f"{who} has {has}, and {__version__} is needed"
            raise RefusedError(message, ExitCode.ERROR, details=(hint,))


@dataclass
class _Watch:
    """Whether there is still a worker. Dask waits for one for ever."""

    client: Client
    clock: SystemClock = field(default_factory=SystemClock)
    since: float | None = None
    """When there was none, in seconds of the clock."""
    lock: threading.Lock = field(default_factory=threading.Lock)

    def stands_still(self) -> str | None:
        """Why no task will end, if that is so."""
        with self.lock:
            try:
                has_workers = bool(self.client.nthreads())
            except OSError:
                return None  # the client connects again, or gives all tasks up
            now = self.clock.now()
            if has_workers:
                self.since = None
            elif self.since is None:
                self.since = now
            elif now - self.since >= WORKER_SECONDS:
                return f"the scheduler has had no worker for {WORKER_SECONDS:g} s"
            return None
