"""``reconciler doctor``."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer

from reconciler.cli import arguments as o
from reconciler.cli.connection import run_ports
from reconciler.cli.panels import SCOPE
from reconciler.cli.progress import shown
from reconciler.cli.versions import versions
from reconciler.doctor.examination import Examination, exit_code
from reconciler.plan.authorization import Reading
from reconciler.render.json.doctor import doctor_json
from reconciler.render.json.plan import now_as_text
from reconciler.render.text.doctor import doctor_lines


class For(StrEnum):
    """Commands whose permissions are asked about."""

    plan = "plan"
    apply = "apply"
    drift = "drift"
    import_ = "import"


ForFlag = Annotated[
    For,
    typer.Option(
        "--for",
        help="The command whose permissions are checked.",
        rich_help_panel=SCOPE,
    ),
]
_PURPOSES: dict[For, Reading] = {
    For.plan: "plan",
    For.apply: "apply",
    For.drift: "drift",
    For.import_: "import",
}


@o.with_flags
def doctor(
    specs: o.Specs = "specs",
    purpose: ForFlag = For.apply,
    as_json: o.Json = False,
    *,
    common: o.CommonArguments,
) -> None:
    request = common.request(specs)
    console = common.console()
    login = common.login(console)
    examination = Examination(request, _PURPOSES[purpose], versions())
    with shown(console) as progress:
        ports = run_ports(login, progress, request.parallelism)
        checks = examination.checks(ports)
    if as_json:
        console.out_json(doctor_json(checks, examination.purpose, now_as_text()))
    else:
        console.out(doctor_lines(checks, is_whole=console.verbose > 0))
    raise typer.Exit(exit_code(checks))
