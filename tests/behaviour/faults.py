"""What can be done to a run from the side of AWS: refusals, crashes, a watch over the fleet."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from moto.ec2.exceptions import EC2ClientError
from moto.iam.exceptions import IAMException

from reconciler.sandbox.state import Logged
from tests.rig import ACCOUNT, Rig


class Crash(BaseException):
    """The process is gone: nothing catches this."""


def is_write(logged: Logged) -> bool:
    return not logged.is_read


@contextmanager
def refusing(
    aws: Rig, operation: str, code: str, times: int = 10**9, *, asked: bool = False, **about: str
) -> Iterator[list[Logged]]:
    """Calls of ``operation`` with the parameters ``about`` are refused, the first ``times`` of
    them; with ``asked`` also when EC2 is only asked whether it would do it."""
    refused: list[Logged] = []

    def listen(logged: Logged) -> None:
        is_meant = all(logged.params.get(name) == value for name, value in about.items())
        if logged.is_dry_run and not asked:
            return
        if logged.operation == operation and is_meant and len(refused) < times:
            refused.append(logged)
            error = EC2ClientError if logged.service == "ec2" else IAMException
            raise error(code, f"refused by the test: {code}")

    with listening(aws.aws.before, listen):
        yield refused


@contextmanager
def crashing(aws: Rig, at: int, *, after: bool) -> Iterator[None]:
    """The process dies at its write number ``at``, before or after it took effect; from then on
    nothing more of it reaches AWS."""
    count = 0

    def listen(logged: Logged) -> None:
        nonlocal count
        if is_write(logged):
            count += 1
            if count > at:
                raise Crash

    def listen_after(logged: Logged) -> None:
        if is_write(logged) and count == at:
            raise Crash

    where = aws.aws.after if after else aws.aws.before
    with listening(aws.aws.before, listen):
        if after:
            with listening(where, listen_after):
                yield
        else:
            at -= 1
            yield


@contextmanager
def dying(aws: Rig, operation: str) -> Iterator[None]:
    """The process dies when its first call of ``operation`` has taken effect."""
    dead: list[Logged] = []

    def before(logged: Logged) -> None:
        if dead and is_write(logged):
            raise Crash

    def after(logged: Logged) -> None:
        if logged.operation == operation:
            dead.append(logged)
            raise Crash

    with listening(aws.aws.before, before), listening(aws.aws.after, after):
        yield


@contextmanager
def listening(
    listeners: list[Callable[[Logged], None]], listen: Callable[[Logged], None]
) -> Iterator[None]:
    listeners.append(listen)
    try:
        yield
    finally:
        listeners.remove(listen)


@dataclass
class Watch:
    """At every request, which running instances have no profile."""

    aws: Rig
    instances: tuple[tuple[str, str], ...]
    most: int = 0
    emptied: list[str] = field(default_factory=list)

    def __call__(self, logged: Logged) -> None:
        bare = 0
        for region, instance in self.instances:
            if self.aws.aws.staying(ACCOUNT, region, instance) is None:
                bare += 1
        self.most = max(self.most, bare)
