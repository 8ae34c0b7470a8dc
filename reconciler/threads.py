"""Calls in parallel, and what a signal does to those who wait for them."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from contextvars import copy_context
from functools import wraps
from typing import ParamSpec, TypeVar

_P = ParamSpec("_P")
_T = TypeVar("_T")
_A = TypeVar("_A")
LOOK_SECONDS = 0.5


class _Pool(ThreadPoolExecutor):
    """Its threads work in the context of whom they work for: what is repeated there is repeated
    here."""

    def submit(self, fn: Callable[_P, _T], /, *args: _P.args, **kwargs: _P.kwargs) -> Future[_T]:
        context = copy_context()
        return super().submit(lambda: context.run(fn, *args, **kwargs))


@contextmanager
def threads(number: int) -> Iterator[ThreadPoolExecutor]:
    """Threads that have ended after the block; but not where a signal ends it: a call without
    a response takes botocore eight minutes to give up."""
    # False until proven otherwise: a second signal may arrive anywhere on the way out.
    pool, is_wait = _Pool(number), False
    try:
        yield pool
        is_wait = True
    except Exception:
        # An error of a call: the others end as well. A signal is no ``Exception``.
        is_wait = True
        raise
    finally:
        pool.shutdown(wait=is_wait, cancel_futures=True)


def result_of(future: Future[_T]) -> _T:
    """The result, once there is one. Python handles signals in the main thread alone, between two
    steps of its own: one that arrives in the moment before a wait would be handled after it, so no
    wait is long."""
    while not wait([future], LOOK_SECONDS).done:
        pass
    return future.result()


def each(of: Callable[[_A], _T], items: Iterable[_A], number: int) -> list[_T]:
    """What ``of`` makes of each item, ``number`` of them at a time; in the order of the items."""
    listed = list(items)
    if len(listed) == 1:
        return [of(listed[0])]
    with threads(number) as pool:
        return [result_of(future) for future in [pool.submit(of, item) for item in listed]]


def interruptible(call: Callable[_P, _T]) -> Callable[_P, _T]:
    """Runs in a thread of its own if it is called in the main one, whose wait a signal can end: no
    signal is handled while a name is resolved, or a lock of another library is waited for."""

    @wraps(call)
    def called(*args: _P.args, **kwargs: _P.kwargs) -> _T:
        if threading.current_thread() is not threading.main_thread():
            return call(*args, **kwargs)
        context, found = copy_context(), Future[_T]()

        def run() -> None:
            try:
                found.set_result(context.run(call, *args, **kwargs))
            except BaseException as error:  # noqa: BLE001 - it is raised where the result is asked for
                found.set_exception(error)

        threading.Thread(target=run, daemon=True).start()
        return result_of(found)

    return called
