"""``reconciler can``."""

from __future__ import annotations

from typing import Annotated

import typer

from reconciler.cli import arguments as o
from reconciler.cli import completion
from reconciler.cli.panels import ACCESS, SCOPE

Role = Annotated[
    str,
    typer.Argument(
        metavar="ROLE",
        help="A role of the specs, such as web or role/web.",
        autocompletion=completion.addresses,
    ),
]
Words = Annotated[
    list[str],
    typer.Argument(
        metavar="ACTION [RESOURCE]",
        help="Actions such as s3:GetObject or 's3:Get*', then ARNs or '*'; without an ARN, "
        "whether it is allowed on any resource.",
    ),
]
ContextFlag = Annotated[
    list[str] | None,
    typer.Option(
        "--context",
        metavar="KEY=VALUE",
        help="A condition key of the request, such as aws:SourceVpce=vpce-1; repeat for more.",
        rich_help_panel=SCOPE,
    ),
]
Online = Annotated[
    bool,
    typer.Option(
        "--online",
        help="Ask AWS's simulator, and read policies that are not in the specs.",
        rich_help_panel=ACCESS,
    ),
]


@o.with_flags
def can(
    role: Role,
    actions: Words,
    specs: o.SpecsFlag = "specs",
    context: ContextFlag = None,
    online: Online = False,
    as_json: o.Json = False,
    *,
    common: o.CommonArguments,
) -> None:
    from reconciler.cli.runs.can import run

    run(role, actions, specs, context, online, as_json, common)
