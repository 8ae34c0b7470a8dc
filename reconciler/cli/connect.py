"""The way from flags to AWS. boto3 is imported only by commands that need it."""

from __future__ import annotations

import secrets

from reconciler.cli.options import Login
from reconciler.commands.request import Connect, Connection, World
from reconciler.executor.clock import SystemClock
from reconciler.ports import Clock, Progress, Writer
from reconciler.spec.settings import Settings, TargetSpec


def new_run() -> str:
    """The id of a run: in the user agent of every request, and in marks of what it began."""
    return secrets.token_hex(6)


def world(
    login: Login, progress: Progress, parallelism: int = 10, clock: Clock | None = None
) -> World:
    run = new_run()
    return World(
        connect=connector(login, run, parallelism),
        clock=clock or SystemClock(),
        progress=progress,
        run=run,
    )


def _fallback(spec: TargetSpec | None, settings: Settings) -> str | None:
    regions = (spec.regions if spec else None) or settings.regions
    return regions[0] if regions else None


def connector(login: Login, run: str, parallelism: int = 10) -> Connect:
    from reconciler.aws.reader import AwsReader  # noqa: PLC0415 - 0.2 s that validate does not pay
    from reconciler.aws.session import Login as AwsLogin  # noqa: PLC0415
    from reconciler.aws.session import Session, reading, writing  # noqa: PLC0415
    from reconciler.aws.writer import AwsWriter  # noqa: PLC0415

    opened: dict[str, Connection] = {}

    def connect(spec: TargetSpec | None, settings: Settings) -> Connection:
        """Once for each target: the plan made after an apply asks through the same clients."""
        name = repr(spec)
        if name not in opened:
            opened[name] = _open(spec, settings)
        return opened[name]

    def _open(spec: TargetSpec | None, settings: Settings) -> Connection:
        way = AwsLogin(
            run=run,
            profile=login.profile,
            region=login.regions[0] if login.regions else None,
            fallback_region=_fallback(spec, settings),
            endpoint_url=login.endpoint_url,
            role_arn=spec.role_arn if spec else None,
            external_id=spec.external_id if spec else None,
        )
        session = Session(way)
        reader = AwsReader(reading(session), settings.tag_prefix, parallelism)

        def make_writer() -> Writer:
            return AwsWriter(writing(session))

        return Connection(reader, make_writer, session.region, session.outlives)

    return connect
