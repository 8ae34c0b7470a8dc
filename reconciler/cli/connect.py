"""The way from flags to AWS. boto3 is imported only by commands that need it."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING

from reconciler.cli.arguments import Login
from reconciler.clock import SystemClock
from reconciler.commands.request import Connect, Connection, RunPorts
from reconciler.ports import Progress
from reconciler.spec.settings import Settings, TargetSpec

if TYPE_CHECKING:
    from reconciler.aws.outputs import Outgoing


def new_run() -> str:
    """The id of a run: in the user agent of every request, and in marks of what it began."""
    return secrets.token_hex(6)


def run_ports(login: Login, progress: Progress, parallelism: int = 10) -> RunPorts:
    """Made once in a command: it has one run id, and one set of connections."""
    run = new_run()
    return RunPorts(connector(login, run, parallelism), SystemClock(), progress, run)


def outgoing_of(login: Login) -> Outgoing:
    """The way to what a drift leaves in AWS."""
    from reconciler.cli.connection import outgoing  # noqa: PLC0415 - it imports boto3

    return outgoing(login, new_run())


def connector(login: Login, run: str, parallelism: int = 10) -> Connect:
    # 0.1 s of 0.4 to start, which validate, schema and --help do not pay.
    from reconciler.cli.connection import open_connection  # noqa: PLC0415 - it imports boto3

    opened: dict[str, Connection] = {}

    def connect(spec: TargetSpec | None, settings: Settings) -> Connection:
        """Once for each target: the plan made after an apply asks through the same clients."""
        name = repr(spec)
        if name not in opened:
            opened[name] = open_connection(login, run, parallelism, spec, settings)
        return opened[name]

    return connect
