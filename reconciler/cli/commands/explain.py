"""``reconciler explain``."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated

import typer

from reconciler.cli import arguments as o
from reconciler.cli import completion
from reconciler.cli.connection import run_ports
from reconciler.cli.progress import shown
from reconciler.explain.reading import explain as explained_by
from reconciler.render.json.explain import explain_json
from reconciler.render.json.plan import now_as_text
from reconciler.render.text.explain import explain_lines
from reconciler.render.text.look import Look

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
    request = replace(common.request(specs), prune=None)
    console = common.console()
    login = common.login(console)
    with shown(console) as progress:
        ports = run_ports(login, progress, request.parallelism)
        made = explained_by(address, request, ports)
    if as_json:
        console.out_json(explain_json(made, now_as_text()))
    else:
        console.out(explain_lines(made, Look(console.unicode, console.verbose > 0)))
