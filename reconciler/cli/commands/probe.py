"""``reconciler probe``."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from reconciler.cli import arguments as o
from reconciler.cli.panels import ACCESS, OUTPUT, RUN, SCOPE


class Also(StrEnum):
    """Experiments that are made only if they are asked for."""

    restart = "restart"
    trail = "trail"


Owned = Annotated[
    bool,
    typer.Option(
        "--i-own-this-account",
        help="Say that the account is your own, and that nobody else depends on it.",
        rich_help_panel=RUN,
    ),
]
Region = Annotated[
    str | None,
    typer.Option(
        "--region",
        metavar="REGION",
        help="Region of the instance; without it, that of the AWS configuration.",
        rich_help_panel=SCOPE,
    ),
]
Instance = Annotated[
    str | None,
    typer.Option(
        "--instance",
        metavar="ID",
        help="A running instance that is there for this, with the tag reconciler:probe=yes.",
        rich_help_panel=SCOPE,
    ),
]
Role = Annotated[
    list[str] | None,
    typer.Option(
        "--role",
        metavar="NAME",
        help="A role with the same tag that trusts EC2; given twice, for two roles.",
        rich_help_panel=SCOPE,
    ),
]
AlsoFlag = Annotated[
    list[Also] | None,
    typer.Option(
        "--also",
        help="restart: stop the instance and start it, which takes minutes; trail: wait until "
        "CloudTrail tells of a call. Repeat for both.",
        rich_help_panel=RUN,
    ),
]
Only = Annotated[
    list[str] | None,
    typer.Option(
        "--experiment",
        metavar="NAME",
        help="Make this experiment alone, such as replace; repeat for more.",
        rich_help_panel=RUN,
    ),
]
Clean = Annotated[
    bool,
    typer.Option(
        "--clean",
        help="Make no experiment: put right what a probe of this instance has left, and end.",
        rich_help_panel=RUN,
    ),
]
Yes = Annotated[bool, typer.Option("--yes", help="Do not ask for approval.", rich_help_panel=RUN)]
Out = Annotated[
    Path,
    typer.Option("--out", metavar="FILE", help="Where it writes.", rich_help_panel=OUTPUT),
]
Profile = Annotated[
    str | None,
    typer.Option(
        "--profile",
        metavar="NAME",
        help="Profile of the AWS configuration to use.",
        rich_help_panel=ACCESS,
    ),
]
Endpoint = Annotated[
    str | None,
    typer.Option(
        "--endpoint-url",
        metavar="URL",
        help="AWS endpoint URL, such as a sandbox.",
        rich_help_panel=ACCESS,
    ),
]
LogFile = Annotated[
    str | None,
    typer.Option(
        "--log-file",
        metavar="FILE",
        help="Append every AWS call to a file, as JSON lines.",
        envvar="RECONCILER_LOG",
        rich_help_panel=OUTPUT,
    ),
]


def probe(
    owned: Owned = False,
    region: Region = None,
    instance: Instance = None,
    role: Role = None,
    also: AlsoFlag = None,
    experiment: Only = None,
    clean: Clean = False,
    yes: Yes = False,
    no_input: o.NoInput = False,
    out: Out = Path("probe.json"),
    as_json: o.Json = False,
    profile: Profile = None,
    endpoint_url: Endpoint = None,
    log_file: LogFile = None,
    quiet: o.QuietFlag = False,
    color: o.ColorFlag = o.Color.auto,
) -> None:
    from reconciler.cli.runs.probe import Given, run

    run(
        Given(
            region=region,
            instance=instance,
            roles=tuple(role or ()),
            owned=owned,
            also=tuple(one.value for one in also or ()),
            only=tuple(experiment or ()),
            clean=clean,
            yes=yes,
            no_input=no_input or as_json,
            out=out,
            as_json=as_json,
            profile=profile,
            endpoint_url=endpoint_url,
            log_file=log_file,
            quiet=quiet,
            color=color.value,
        )
    )
