"""``reconciler doctor``."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer

from reconciler.cli import arguments as o
from reconciler.cli.panels import SCOPE


class CheckedCommand(StrEnum):
    """Commands whose permissions are asked about."""

    plan = "plan"
    apply = "apply"
    drift = "drift"
    import_ = "import"
    verify = "verify"


ForFlag = Annotated[
    CheckedCommand,
    typer.Option(
        "--for",
        help="The command whose permissions are checked.",
        rich_help_panel=SCOPE,
    ),
]


@o.with_flags
def doctor(
    specs: o.Specs = "specs",
    purpose: ForFlag = CheckedCommand.apply,
    as_json: o.Json = False,
    *,
    common: o.CommonArguments,
) -> None:
    from reconciler.cli.runs.doctor import run

    run(specs, purpose, as_json, common)
