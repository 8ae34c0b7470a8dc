"""``reconciler forget``."""

from __future__ import annotations

from typing import Annotated

import typer

from reconciler.cli import arguments as o
from reconciler.cli import completion

Addresses = Annotated[
    list[str],
    typer.Argument(
        metavar="ADDRESS",
        help="What to forget, such as role/web or 'association/*'.",
        autocompletion=completion.addresses,
    ),
]


@o.with_flags
def forget(
    addresses: Addresses,
    specs: o.SpecsFlag = "specs",
    auto_approve: o.AutoApprove = False,
    no_input: o.NoInput = False,
    as_json: o.Json = False,
    report: o.Report = None,
    *,
    common: o.CommonArguments,
) -> None:
    from reconciler.cli.runs.forget import run

    run(addresses, specs, auto_approve, no_input, as_json, report, common)
