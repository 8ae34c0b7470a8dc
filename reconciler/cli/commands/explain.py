"""``reconciler explain``."""

from __future__ import annotations

from typing import Annotated

import typer

from reconciler.cli import arguments as o
from reconciler.cli import completion

Asked = Annotated[
    str,
    typer.Argument(
        metavar="ADDRESS",
        help="What to explain: KIND/NAME, such as role/web, or the id of an instance.",
        autocompletion=completion.addresses,
    ),
]


@o.with_flags
def explain(
    address: Asked,
    specs: o.Specs = "specs",
    as_json: o.Json = False,
    *,
    common: o.CommonArguments,
) -> None:
    from reconciler.cli.runs.explain import run

    run(address, specs, as_json, common)
