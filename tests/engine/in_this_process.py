"""What is said of a scheduler and its workers that cannot be worked with. They are in this process,
as far as they need not lack anything; so ``test_dask.py`` runs this file in a process of its own."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from concurrent.futures import CancelledError, Executor, Future
from functools import partial
from types import SimpleNamespace
from typing import Any

import pytest
from distributed import Client, LocalCluster
from distributed.scheduler import KilledWorker

from reconciler.cli import engines
from reconciler.cli.connection import WorkerSite
from reconciler.cli.engines import dask_engine
from reconciler.cli.given import AccessFlags
from reconciler.commands import engine
from reconciler.commands.engine import Engine
from reconciler.commands.worker import Parcel
from reconciler.errors import AwsError, RefusedError

SITE = WorkerSite(AccessFlags(None, None, ("us-east-1",)), 10, "0123456789ab")


@pytest.fixture(scope="module")
def nobody() -> Iterator[str]:
    """The address of a scheduler without workers."""
    with LocalCluster(n_workers=0, processes=False, protocol="tcp", dashboard_address=None) as made:
        yield made.scheduler_address


def test_it_is_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(RefusedError, match="dask is not installed") as refused:
        dask_engine("tcp://127.0.0.1:1", SITE)
    assert refused.value.details == ("pip install 'reconciler[dask]'",)


def test_nobody_is_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engines, "SCHEDULER_SECONDS", 0.1)
    with pytest.raises(
        RefusedError, match=r"the scheduler at tcp://127\.0\.0\.1:1 cannot be reached"
    ):
        dask_engine("tcp://127.0.0.1:1", SITE)


def test_it_has_no_worker(nobody: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engines, "WORKER_SECONDS", 0.1)
    with pytest.raises(RefusedError, match=f"the scheduler at {nobody} has no worker") as refused:
        dask_engine(nobody, SITE)
    assert refused.value.details == (f"start one: dask worker {nobody}",)


def test_all_workers_are_gone(nobody: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engines, "WORKER_SECONDS", 0.1)
    monkeypatch.setattr(engine, "ASK_SECONDS", 0.05)
    with Client(nobody, set_as_default=False) as client:
        watch = engines._Watch(client)
        assert watch.stands_still() is None
        made = Engine(client.get_executor(pure=False), SITE, stands_still=watch.stands_still)
        with pytest.raises(AwsError, match=r"the scheduler has had no worker for 0\.1 s"):
            engine.Crew(made, Parcel("", "", b"")).identity("t1")


@pytest.mark.parametrize(
    ("scheduler", "worker", "said"),
    [
        (None, "0.1.0", "the scheduler at tcp://s has no reconciler, and 0.1.0 is needed"),
        ("0.1.0", None, "the worker at tcp://w has no reconciler, and 0.1.0 is needed"),
        ("0.1.0", "9.9", r"the worker at tcp://w has reconciler 9\.9, and 0.1.0 is needed"),
    ],
)
def test_another_version(scheduler: str | None, worker: str | None, said: str) -> None:
    found = {
        "scheduler": {"packages": {"reconciler": scheduler}},
        "workers": {"tcp://w": {"packages": {"reconciler": worker}}, "tcp://gone": OSError()},
    }
    client: Any = SimpleNamespace(get_versions=lambda packages: found)
    with pytest.raises(RefusedError, match=said):
        engines._refuse_others(client, "tcp://s")


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (
            KilledWorker("apply-1", SimpleNamespace(address="tcp://w"), 3),
            "no worker answered: 4 workers died while they worked on it, the last at tcp://w",
        ),
        (CancelledError(), "no worker answered: it was cancelled"),
        (OSError("timed out"), "no worker answered: OSError: timed out"),
    ],
)
def test_what_is_said_of_a_lost_task(nobody: str, error: Exception, said: str) -> None:
    class Loses(Executor):
        def submit(self, *_: Any, **__: Any) -> Future[Any]:
            future: Future[Any] = Future()
            future.set_exception(error)
            return future

    with Client(nobody, set_as_default=False) as client:
        made = Engine(Loses(), SITE, (KilledWorker, OSError), partial(engines._in_words, client))
        with pytest.raises(AwsError) as lost:
            engine.Crew(made, Parcel("", "", b"")).identity("t1")
    assert str(lost.value).endswith(said)
