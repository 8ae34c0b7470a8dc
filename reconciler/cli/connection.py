"""Opens the way to one target. It imports boto3, so ``connect`` imports it when it is used."""

from __future__ import annotations

import sys

from reconciler.aws.cloudtrail import AwsTrail
from reconciler.aws.outputs import Outgoing
from reconciler.aws.reader import AwsReader
from reconciler.aws.session import Login as AwsLogin
from reconciler.aws.session import Session, reading, writing
from reconciler.aws.writer import AwsWriter
from reconciler.cli.arguments import Login
from reconciler.commands.request import Connection
from reconciler.ports import Clock, Trail, Writer
from reconciler.spec.settings import Settings, TargetSpec


def open_connection(
    login: Login, run: str, parallelism: int, spec: TargetSpec | None, settings: Settings
) -> Connection:
    way = AwsLogin(
        run=run,
        profile=login.profile,
        region=login.regions[0] if login.regions else None,
        fallback_region=_fallback(spec, settings),
        endpoint_url=login.endpoint_url,
        role_arn=spec.role_arn if spec else None,
        external_id=spec.external_id if spec else None,
        may_ask=_may_ask(login),
    )
    session = Session(way)
    reader = AwsReader(reading(session), settings.tag_prefix, parallelism)

    def make_writer() -> Writer:
        return AwsWriter(writing(session))

    def make_trail(clock: Clock) -> Trail:
        return AwsTrail(reading(session), clock)

    return Connection(
        reader, make_writer, session.region, session.outlives, make_trail, session.doubts
    )


def outgoing(login: Login, run: str) -> Outgoing:
    """The way to what a drift leaves in AWS, with the caller's own credentials."""
    region = login.regions[0] if login.regions else None
    way = AwsLogin(
        run, login.profile, region, endpoint_url=login.endpoint_url, may_ask=_may_ask(login)
    )
    return Outgoing(Session(way))


def _may_ask(login: Login) -> bool:
    return not login.no_input and sys.stdin is not None and sys.stdin.isatty()


def _fallback(spec: TargetSpec | None, settings: Settings) -> str | None:
    regions = (spec.regions if spec else None) or settings.regions
    return regions[0] if regions else None
