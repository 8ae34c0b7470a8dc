"""What was given on the command line, as values."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, fields
from typing import Any

import typer

from reconciler.cli.arguments import CommonArguments, TagSource
from reconciler.cli.call_log import opened
from reconciler.cli.console import Console
from reconciler.commands.request import Request
from reconciler.commands.shard import Shard
from reconciler.model.ownership import OWNER_PATTERN
from reconciler.planner.options import allowance
from reconciler.ports import CallLog
from reconciler.spec.build.scalars import seconds_of


@dataclass(frozen=True, slots=True)
class AccessFlags:
    """Which credentials to use, which endpoint and regions, and how tags are read."""

    profile: str | None
    endpoint_url: str | None
    regions: tuple[str, ...]
    uses_tag_index: bool = True
    no_input: bool = False
    """Never prompt, not even for an MFA code."""
    log: CallLog | None = None
    """Is told of every call."""
    target_parallelism: int = 8
    max_failures: int | None = None
    scheduler: str | None = None
    """Of dask, if targets are worked on on other machines."""


OF_REQUEST = {flag.name for flag in fields(CommonArguments)} & {f.name for f in fields(Request)}
"""Names of the flags that go into a request."""


def request_of(common: CommonArguments, path: str) -> Request:
    """The request for the specs at ``path``. Raises a usage error for an invalid flag."""
    if common.owner is not None and not OWNER_PATTERN.fullmatch(common.owner):
        form = "up to 64 letters, digits, dots, dashes and underscores"
        raise typer.BadParameter(f"--owner takes {form}, not {common.owner!r}")
    given = {name: getattr(common, name) for name in OF_REQUEST}
    known: dict[str, Any] = {
        name: tuple(value) if isinstance(value, list) else value
        for name, value in given.items()
        if value is not None
    }
    read = {"allow": allowances(common.allow), "variables": pairs(common.variables, "--var")}
    if common.shard is not None:
        try:
            known["shard"] = str(Shard.parse(common.shard))
        except ValueError as error:
            raise typer.BadParameter(f"--shard: {error}") from error
    return Request(**{**known, **read}, path=path)


def login_of(common: CommonArguments, console: Console, *, no_input: bool = False) -> AccessFlags:
    """Opens the log. Raises a usage error, or ``RefusedError`` if it cannot be opened."""
    log = opened(common.log_file, console)
    if (common.engine is None) != (common.scheduler is None):
        raise typer.BadParameter("--engine dask and --scheduler ADDRESS go together")
    if common.scheduler is not None and common.log_file is not None:
        raise typer.BadParameter("--log-file is of this machine; with --engine the calls are not")
    regions = tuple(common.regions or ())
    is_auto = common.tag_source is TagSource.auto
    return AccessFlags(
        common.profile,
        common.endpoint_url,
        regions,
        is_auto,
        no_input,
        log,
        common.target_parallelism,
        common.max_failures,
        common.scheduler,
    )


def console_of(common: CommonArguments) -> Console:
    return Console(common.color.value, common.quiet, common.verbose)


def duration(given: str | None, flag: str = "--max-time") -> float | None:
    """In seconds. Raises a usage error if it is not a duration."""
    if given is None:
        return None
    try:
        return float(seconds_of(given))
    except ValueError as error:
        message = f"{flag} takes a duration such as 90s, 30m or 2h, not {given!r}"
        raise typer.BadParameter(message) from error


def pairs(given: list[str] | None, flag: str) -> dict[str, str]:
    """``NAME=VALUE`` flags as a mapping. Raises a usage error for any other form."""
    found: dict[str, str] = {}
    for text in given or ():
        name, equals, value = text.partition("=")
        if not equals or not name:
            raise typer.BadParameter(f"{flag} takes NAME=VALUE, not {text!r}")
        found[name] = value
    return found


def allowances(given: list[str] | None) -> frozenset[tuple[str, str]]:
    """``--allow KEY=VALUE`` flags as pairs; a key may occur more than once. Raises a usage error
    for an unknown key."""
    try:
        return frozenset(allowance(text) for text in given or ())
    except ValueError as error:
        raise typer.BadParameter(str(error)) from error


def typed(context: typer.Context, names: Iterable[str]) -> list[str]:
    """Those of ``names`` that are on the command line. Defaults do not count, nor do environment
    variables, which a CI job may set for all commands."""
    return [
        name
        for name in names
        if (source := context.get_parameter_source(name)) and source.name == "COMMANDLINE"
    ]
