"""From flags to AWS: ports, sessions and connections.

Modules that import boto3 are imported in functions: boto3 takes 0.1 s of a start of 0.4 s, and
``validate``, ``schema`` and ``--help`` do not need it.
"""

from __future__ import annotations

import secrets
import sys
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from reconciler.cli.given import AccessFlags
from reconciler.clock import SystemClock
from reconciler.commands.failures import FailureLimit
from reconciler.commands.recorder import FailureRecorder
from reconciler.commands.request import Connection, RunPorts
from reconciler.ports import Clock, Progress
from reconciler.spec.settings import Settings, TargetSpec

if TYPE_CHECKING:
    from reconciler.aws.outputs import AwsOutputs
    from reconciler.aws.session import Session
    from reconciler.commands.engine import Engine


def run_ports(
    login: AccessFlags,
    progress: Progress,
    parallelism: int = 10,
    clock: Clock | None = None,
    run: str | None = None,
) -> RunPorts:
    """The ports of a command. Call it once: its run id is part of the user agent of every request
    and of the marks in AWS, and it opens one connection for each target. ``run`` is given where
    another process began the run."""
    run = run or secrets.token_hex(6)
    opened: dict[str, Connection] = {}
    callers: list[Session] = []

    def connect(spec: TargetSpec | None, settings: Settings) -> Connection:
        name = repr(spec)
        if name not in opened:
            if not callers:
                callers.append(_session(login, run, parallelism))
            opened[name] = _open(login, run, parallelism, spec, settings, callers[0])
        return opened[name]

    return RunPorts(
        connect,
        clock or SystemClock(),
        progress,
        run,
        login.target_parallelism,
        FailureLimit(login.max_failures),
        _engine(login, parallelism, run),
    )


def _engine(login: AccessFlags, parallelism: int, run: str) -> Engine | None:
    """Raises ``RefusedError`` if it cannot be reached."""
    if login.scheduler is None:
        return None
    from reconciler.cli.engines import dask_engine

    # Without the log of calls, which is a file and a terminal of this machine.
    elsewhere = replace(login, scheduler=None, log=None, no_input=True)
    return dask_engine(login.scheduler, WorkerSite(elsewhere, parallelism, run))


@dataclass(frozen=True, slots=True)
class WorkerSite:
    """Makes the ports of a worker, with the credentials that are found there."""

    login: AccessFlags
    parallelism: int
    run: str
    """The id of the run, also in the names of its sessions."""

    def __call__(self) -> RunPorts:
        return run_ports(self.login, FailureRecorder(), self.parallelism, run=self.run)


def aws_outputs(login: AccessFlags, run: str) -> AwsOutputs:
    """S3, SNS and EventBridge for the results of ``drift``, with the caller's own credentials."""
    from reconciler.aws.outputs import AwsOutputs  # noqa: PLC0415 - wrong specs need no boto3

    return AwsOutputs(_session(login, run))


def _open(
    login: AccessFlags,
    run: str,
    parallelism: int,
    spec: TargetSpec | None,
    settings: Settings,
    caller: Session,
) -> Connection:
    from reconciler.aws import (  # noqa: PLC0415 - `can` and wrong specs need no boto3
        access_analyzer,
        cloudtrail,
        evidence,
        examiner,
        gates,
        organizations,
        reader,
        writer,
    )
    from reconciler.aws.session import examining, reading, writing  # noqa: PLC0415 - `can` and wrong specs need no boto3

    regions = tuple((spec.regions if spec else None) or settings.regions or ())
    session = _session(
        login,
        run,
        parallelism,
        caller,
        settings_regions=regions,
        role_arn=spec.role_arn if spec else None,
        external_id=spec.external_id if spec else None,
    )
    reads = reading(session)
    return Connection(
        reader.AwsReader(
            reads,
            settings.tag_prefix,
            parallelism,
            uses_index=login.uses_tag_index,
        ),
        lambda: writer.AwsWriter(writing(session)),
        session.region,
        session.outlives,
        lambda clock: cloudtrail.AwsTrail(reading(session), clock),
        lambda clock: evidence.AwsEvidence(reading(session), clock),
        lambda: examiner.AwsExaminer(examining(session), reading(session)),
        lambda region: access_analyzer.AwsPolicyAnalyzer(reads, region),
        session.doubts,
        organizations.AwsOrganization(reading(session), parallelism).members,
        lambda clock: gates.AwsGates(reading(session), clock),
        session.is_remote,
        session.release,
    )


def _session(
    login: AccessFlags,
    run: str,
    most_calls: int = 10,
    caller: Session | None = None,
    **more: Any,
) -> Session:
    from reconciler.aws import session  # noqa: PLC0415 - `can` and wrong specs need no boto3

    way = session.Login(
        run=run,
        profile=login.profile,
        region=login.regions[0] if login.regions else None,
        regions=login.regions,
        endpoint_url=login.endpoint_url,
        may_ask=not login.no_input and sys.stdin is not None and sys.stdin.isatty(),
        **more,
    )
    return session.Session(way, log=login.log, most_calls=most_calls, caller=caller)
