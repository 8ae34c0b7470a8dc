"""``reconciler verify``."""

from __future__ import annotations

from typing import Annotated

import typer

from reconciler.cli import arguments as o
from reconciler.cli import completion
from reconciler.cli.panels import RUN
from reconciler.cli.sources import SourceName

Addresses = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="ADDRESS",
        help="A profile, a role or an instance, such as instance-profile/web, 'role/web-*' or "
        "i-0abc1234; without any, all profiles of the specs.",
        autocompletion=completion.addresses,
    ),
]
SourceFlag = Annotated[
    list[SourceName] | None,
    typer.Option(
        "--source",
        help="Where evidence comes from: cloudtrail (the default) looks up calls of the instance; "
        "imds runs a command on it that asks its metadata service; last-used says when roles that "
        "were let go of were last used, which proves nothing by itself. Repeat for more.",
        rich_help_panel=RUN,
    ),
]
WaitFlag = Annotated[
    str | None,
    typer.Option(
        "--wait",
        metavar="DURATION",
        help="Ask again for so long, such as 15m, while something is unknown.",
        rich_help_panel=RUN,
    ),
]


@o.with_flags
def verify(
    addresses: Addresses = None,
    specs: o.SpecsFlag = "specs",
    source: SourceFlag = None,
    wait: WaitFlag = None,
    as_json: o.Json = False,
    *,
    common: o.CommonArguments,
) -> None:
    from reconciler.cli.runs.verify import run

    run(addresses, specs, source, wait, as_json, common)
