"""``reconciler rotate``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from reconciler.cli import arguments as o
from reconciler.cli import completion
from reconciler.cli.panels import OUTPUT, RUN

Addresses = Annotated[
    list[str],
    typer.Argument(
        metavar="ADDRESS",
        help="Whose consumers get fresh sessions: instance-profile/web, or role/web for each "
        "profile of yours that has it.",
        autocompletion=completion.addresses,
    ),
]
Revoke = Annotated[
    bool,
    typer.Option(
        "--revoke",
        help="Once all of them have fresh sessions, deny everything to those issued before.",
        rich_help_panel=RUN,
    ),
]
RevokeFirst = Annotated[
    bool,
    typer.Option(
        "--revoke-first",
        help="Deny everything to the sessions issued until now at once, whatever breaks, and then "
        "give fresh ones.",
        rich_help_panel=RUN,
    ),
]
Out = Annotated[
    Path | None,
    typer.Option(
        "--out",
        metavar="FILE",
        help="Save the plan as JSON for `apply FILE`, and change nothing.",
        rich_help_panel=OUTPUT,
    ),
]


@o.with_flags
def rotate(
    addresses: Addresses,
    revoke: Revoke = False,
    revoke_first: RevokeFirst = False,
    specs: o.SpecsFlag = "specs",
    out: Out = None,
    asks_first: o.PreflightFlag = False,
    auto_approve: o.AutoApprove = False,
    no_input: o.NoInput = False,
    as_json: o.Json = False,
    report: o.Report = None,
    max_time: o.MaxTime = None,
    max_rps: o.MaxRps = None,
    check: o.Check = None,
    record: o.Record = None,
    *,
    common: o.CommonArguments,
) -> None:
    from reconciler.cli.runs.rotate import run

    run(
        addresses,
        revoke,
        revoke_first,
        specs,
        out,
        asks_first,
        auto_approve,
        no_input,
        as_json,
        report,
        max_time,
        max_rps,
        check,
        record,
        common,
    )
