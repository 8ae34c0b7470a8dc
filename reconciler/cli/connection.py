"""The way from flags to AWS. What imports boto3 is imported when it is used: it takes 0.1 s of the
0.4 s of a start, which ``validate``, ``schema`` and ``--help`` do not pay."""

from __future__ import annotations

import secrets
import sys
from typing import TYPE_CHECKING

from reconciler.cli.arguments import AccessFlags
from reconciler.clock import SystemClock
from reconciler.commands.request import Connection, RunPorts
from reconciler.ports import Clock, Progress
from reconciler.spec.settings import Settings, TargetSpec

if TYPE_CHECKING:
    from reconciler.aws.outputs import AwsOutputs
    from reconciler.aws.session import Session


def run_ports(
    login: AccessFlags, progress: Progress, parallelism: int = 10, clock: Clock | None = None
) -> RunPorts:
    """Made once in a command: it has one run id, which is in the user agent of every request and in
    marks of what it began, and one connection for each target."""
    run = secrets.token_hex(6)
    opened: dict[str, Connection] = {}

    def connect(spec: TargetSpec | None, settings: Settings) -> Connection:
        name = repr(spec)
        if name not in opened:
            opened[name] = _open(login, run, parallelism, spec, settings)
        return opened[name]

    return RunPorts(connect, clock or SystemClock(), progress, run)


def outgoing_of(login: AccessFlags, run: str) -> AwsOutputs:
    """The way to what a drift leaves in AWS, with the caller's own credentials."""
    from reconciler.aws.outputs import AwsOutputs  # noqa: PLC0415 - it imports boto3

    return AwsOutputs(_session(login, run))


def _open(
    login: AccessFlags, run: str, parallelism: int, spec: TargetSpec | None, settings: Settings
) -> Connection:
    from reconciler.aws import cloudtrail, reader, writer  # noqa: PLC0415 - they import boto3
    from reconciler.aws.session import reading, writing  # noqa: PLC0415 - as those

    regions = (spec.regions if spec else None) or settings.regions
    session = _session(
        login,
        run,
        fallback_region=regions[0] if regions else None,
        role_arn=spec.role_arn if spec else None,
        external_id=spec.external_id if spec else None,
    )
    return Connection(
        reader.AwsReader(reading(session), settings.tag_prefix, parallelism),
        lambda: writer.AwsWriter(writing(session)),
        session.region,
        session.outlives,
        lambda clock: cloudtrail.AwsTrail(reading(session), clock),
        session.doubts,
    )


def _session(login: AccessFlags, run: str, **more: str | None) -> Session:
    from reconciler.aws import session  # noqa: PLC0415 - it imports boto3

    way = session.Login(
        run=run,
        profile=login.profile,
        region=login.regions[0] if login.regions else None,
        endpoint_url=login.endpoint_url,
        may_ask=not login.no_input and sys.stdin is not None and sys.stdin.isatty(),
        **more,
    )
    return session.Session(way)
