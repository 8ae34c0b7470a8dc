"""Python handles signals in the main thread, which waits for threads most of the time: a signal that
another thread receives, or that arrives just before a wait, does not end the wait."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager, suppress
from typing import NoReturn

import pytest

from reconciler.drift.attribution import Attributor
from reconciler.drift.findings import drift_of
from reconciler.executor.interrupt import Interrupt
from reconciler.ports import attempts_so_far, repeating
from reconciler.sandbox.state import Logged
from reconciler.threads import result_of, threads
from tests.rig import Rig


class Signalled(BaseException):
    pass


@contextmanager
def received_elsewhere() -> Iterator[None]:
    """The main thread, and those that it starts, leave the signal to another one."""
    over = threading.Event()
    other = threading.Thread(target=over.wait)
    other.start()
    masked = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGUSR1})
    handled = signal.getsignal(signal.SIGUSR1)
    try:
        yield
    finally:
        signal.signal(signal.SIGUSR1, handled)
        signal.pthread_sigmask(signal.SIG_SETMASK, masked)
        over.set()
        other.join()


def test_a_signal_ends_the_wait_for_a_read() -> None:
    def handle(*_: object) -> NoReturn:
        raise Signalled

    read: Future[None] = Future()
    with received_elsewhere():
        signal.signal(signal.SIGUSR1, handle)
        threading.Timer(0.2, os.kill, (os.getpid(), signal.SIGUSR1)).start()
        threading.Timer(10, read.set_result, (None,)).start()
        with pytest.raises(Signalled):
            result_of(read)
    assert not read.done()


def _is_prompt(aws: Rig, operation: str, command: Callable[[], object]) -> bool:
    """Whether a signal that arrives during the first such call ends the command before the call
    ends."""
    handled, over = threading.Event(), threading.Event()
    seen: list[bool] = []

    def hold(logged: Logged) -> None:
        if logged.operation == operation and not seen:
            seen.append(False)
            os.kill(os.getpid(), signal.SIGUSR1)
            try:
                seen[0] = handled.wait(3)
            finally:
                over.set()

    def handle(*_: object) -> NoReturn:
        handled.set()
        raise Signalled

    there = threading.enumerate()
    with received_elsewhere(), suppress(Signalled):
        signal.signal(signal.SIGUSR1, handle)
        aws.aws.before.append(hold)
        command()
    assert over.wait(10), f"there was no {operation}"
    aws.aws.before.remove(hold)
    for left in threading.enumerate():
        if left not in there:
            left.join(10)
    return seen[0]


def test_a_signal_ends_the_wait_for_any_call(aws: Rig) -> None:
    """Those that a command makes alone too, such as its first."""
    aws.write("roles: {a: {trust: ec2}}\ninstance_profiles: {web: {role: a}}\n")
    aws.settle()
    aws.clock.sleep(60)
    aws.launch(profile="web")
    aws.iam.update_role_description(RoleName="a", Description="by hand")
    aws.write("roles: {b: {trust: ec2}}\ninstance_profiles: {web: {role: b}}\n")
    aws.aws.log.clear()

    def command() -> None:
        planned = aws.plan(for_drift=True)
        Attributor(planned.targets, aws.clock).named(drift_of(planned))

    command()
    made = {logged.operation for logged in aws.aws.log}
    assert made >= {"GetCallerIdentity", "DescribeRegions", "ListRoles", "LookupEvents"}
    assert [name for name in sorted(made) if not _is_prompt(aws, name, command)] == []


def test_a_signal_is_handled_while_a_step_is_in_progress(aws: Rig) -> None:
    aws.write("roles: {a: {trust: ec2}, b: {trust: ec2}}\n")
    stop, seen = Interrupt(), threading.Event()

    def handle(*_: object) -> None:
        stop.set()
        seen.set()

    def slow(logged: Logged) -> None:
        if logged.operation == "CreateRole":
            os.kill(os.getpid(), signal.SIGUSR1)
            assert seen.wait(10)

    with received_elsewhere():
        signal.signal(signal.SIGUSR1, handle)
        aws.aws.before.append(slow)
        assert aws.apply(stop, parallelism=1).exit_code == 130
    assert aws.names()["roles"] == ["a"]


def test_a_thread_knows_what_is_repeated() -> None:
    """The log counts the attempts of a call on, whichever thread makes them."""
    with repeating() as earlier, threads(2) as pool:
        found = [result_of(pool.submit(attempts_so_far)) for _ in range(3)]
    assert all(one is earlier for one in found)
    assert attempts_so_far() is None
