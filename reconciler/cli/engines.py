"""What shares targets out among machines: dask. Imported if it is asked for."""

from __future__ import annotations

from concurrent.futures import Executor
from typing import cast

from reconciler.cli.connection import WorkerSite
from reconciler.commands.engine import Engine
from reconciler.errors import RefusedError
from reconciler.exit_codes import ExitCode

SECONDS = 30
"""How long the scheduler, and a first worker, are waited for."""


def dask_engine(address: str, site: WorkerSite) -> Engine:
    """Raises ``RefusedError`` if dask is not installed, or nobody answers."""
    try:
        from distributed import Client
        from distributed.scheduler import KilledWorker
    except ImportError as error:
        message = "dask is not installed"
        hint = "pip install 'reconciler[dask]'"
        raise RefusedError(message, ExitCode.ERROR, details=(hint,)) from error
    try:
        client = Client(address, timeout=SECONDS, set_as_default=False)
    except (OSError, ValueError) as error:
        message = f"the scheduler at {address} cannot be reached: {error}"
        raise RefusedError(message, ExitCode.ERROR) from error
    try:
        client.wait_for_workers(1, timeout=SECONDS)
    except OSError as error:
        message = f"the scheduler at {address} has no worker: start dask worker {address}"
        raise RefusedError(message, ExitCode.ERROR) from error
    # Not pure: the same task at another time has another result.
    executor = cast(Executor, client.get_executor(pure=False))
    return Engine(executor, site, (KilledWorker, OSError))
