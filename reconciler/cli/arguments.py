"""The common flags, said once. Order: flags, ``RECONCILER_*``, settings, defaults."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated, Any

import typer

from reconciler.commands.request import Request
from reconciler.model.ownership import OWNER_PATTERN
from reconciler.planner.options import allowance
from reconciler.spec.build.scalars import seconds_of


class Color(StrEnum):
    """When to colour."""

    auto = "auto"
    always = "always"
    never = "never"


Specs = Annotated[str, typer.Argument(help="File or folder of specs.", envvar="RECONCILER_SPECS")]
Target = Annotated[
    list[str] | None,
    typer.Option("--target", help="Target of the settings.", envvar="RECONCILER_TARGET"),
]
Only = Annotated[
    list[str] | None, typer.Option("--only", help="Glob of addresses to plan; repeat for more.")
]
Exclude = Annotated[
    list[str] | None, typer.Option("--exclude", help="Glob of addresses to leave out.")
]
Region = Annotated[
    list[str] | None,
    typer.Option("--region", help="Where associations are planned; repeat for more."),
]
Profile = Annotated[
    str | None, typer.Option("--profile", help="Profile of the AWS configuration to use.")
]
EndpointUrl = Annotated[
    str | None, typer.Option("--endpoint-url", help="Endpoint of AWS, such as a sandbox.")
]
Owner = Annotated[
    str | None,
    typer.Option("--owner", help="Owner of the set.", envvar="RECONCILER_OWNER"),
]
Prune = Annotated[
    bool | None, typer.Option("--prune/--no-prune", help="Delete what left the specs.")
]
Adopt = Annotated[bool, typer.Option("--adopt", help="Take over what exists unmanaged.")]
TakeOver = Annotated[
    bool, typer.Option("--take-over", help="With --adopt: also what has another owner.")
]
RefreshAdopted = Annotated[
    bool, typer.Option("--refresh-adopted", help="With --adopt: cut consumers over as well.")
]
Allow = Annotated[
    list[str] | None,
    typer.Option("--allow", metavar="KEY=VALUE", help="Lift a guard, as the plan says it."),
]
Var = Annotated[
    list[str] | None, typer.Option("--var", metavar="NAME=VALUE", help="Set a variable.")
]
Parallelism = Annotated[
    int,
    typer.Option(
        "--parallelism", min=1, max=50, help="Calls at a time.", envvar="RECONCILER_PARALLELISM"
    ),
]
Json = Annotated[bool, typer.Option("--json", help="JSON on stdout.")]
Report = Annotated[
    list[str] | None,
    typer.Option(
        "--report",
        metavar="FORMAT=PATH",
        help="Write a report as well; PATH - is stdout. Repeat for more.",
    ),
]
QuietFlag = Annotated[bool, typer.Option("--quiet", "-q", help="No progress.")]
Verbose = Annotated[int, typer.Option("--verbose", "-v", count=True, help="More of it.")]
ColorFlag = Annotated[
    Color, typer.Option("--color", help="When to colour.", envvar="RECONCILER_COLOR")
]
MaxTime = Annotated[
    str | None,
    typer.Option("--max-time", metavar="DURATION", help="Begin nothing new after 90s, 30m, 2h."),
]
AutoApprove = Annotated[bool, typer.Option("--auto-approve", help="Do not ask.")]
NoInput = Annotated[bool, typer.Option("--no-input", help="Never ask; refuse where it must.")]


@dataclass(frozen=True, slots=True)
class Login:
    """Whose credentials, and where."""

    profile: str | None
    endpoint_url: str | None
    regions: tuple[str, ...]
    no_input: bool = False
    """Nobody is asked for anything, not for an MFA code either."""


def request_of(flags: Mapping[str, Any]) -> Request:
    """The request that a command's own arguments make, by their names; what a command has no flag
    for is as it is without one. Raises a usage error for a flag of the wrong form."""
    given = {name: flags[name] for name in _AS_GIVEN if name in flags}
    owner = flags["owner"]
    if owner is not None and not OWNER_PATTERN.fullmatch(owner):
        form = "up to 64 letters, digits, dots, dashes and underscores"
        raise typer.BadParameter(f"--owner takes {form}, not {owner!r}")
    return Request(
        path=flags["specs"],
        targets=tuple(flags["target"] or ()),
        only=tuple(flags["only"] or ()),
        exclude=tuple(flags["exclude"] or ()),
        regions=tuple(flags["region"] or ()),
        allow=allowances(flags.get("allow")),
        variables=pairs(flags["var"], "--var"),
        **given,
    )


_AS_GIVEN = ("owner", "prune", "adopt", "take_over", "refresh_adopted", "parallelism")


def duration(given: str | None) -> float | None:
    """Seconds. Raises a usage error for what is none."""
    if given is None:
        return None
    try:
        return float(seconds_of(given))
    except ValueError as error:
        message = f"--max-time takes a duration such as 90s, 30m or 2h, not {given!r}"
        raise typer.BadParameter(message) from error


def pairs(given: list[str] | None, flag: str) -> dict[str, str]:
    """``NAME=VALUE`` flags as a mapping. Raises a usage error for another form."""
    found: dict[str, str] = {}
    for text in given or ():
        name, equals, value = text.partition("=")
        if not equals or not name:
            raise typer.BadParameter(f"{flag} takes NAME=VALUE, not {text!r}")
        found[name] = value
    return found


def allowances(given: list[str] | None) -> frozenset[tuple[str, str]]:
    """``--allow KEY=VALUE`` flags. A key may be given more than once."""
    try:
        return frozenset(allowance(text) for text in given or ())
    except ValueError as error:
        raise typer.BadParameter(str(error)) from error


def typed(context: typer.Context, names: Iterable[str]) -> list[str]:
    """Those of a command's arguments that were given on its command line: variables that a job has
    for all its commands, and defaults, do not count."""
    return [
        name
        for name in names
        if (source := context.get_parameter_source(name)) and source.name == "COMMANDLINE"
    ]
