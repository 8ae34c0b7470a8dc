"""What ``reconciler doctor`` does."""

from __future__ import annotations

import typer

from reconciler.cli.arguments import CommonArguments
from reconciler.cli.commands.doctor import CheckedCommand
from reconciler.cli.connection import run_ports
from reconciler.cli.given import console_of, login_of, request_of
from reconciler.cli.progress import shown
from reconciler.cli.versions import versions
from reconciler.doctor.examination import Examination, exit_code
from reconciler.plan.authorization import Reading
from reconciler.render.json.doctor import doctor_json
from reconciler.render.json.plan import now_as_text
from reconciler.render.text.doctor import doctor_lines

_PURPOSES: dict[CheckedCommand, Reading] = {
    CheckedCommand.plan: "plan",
    CheckedCommand.apply: "apply",
    CheckedCommand.drift: "drift",
    CheckedCommand.import_: "import",
    CheckedCommand.verify: "verify",
}


def run(
    specs: str,
    purpose: CheckedCommand,
    as_json: bool,
    common: CommonArguments,
) -> None:
    request = request_of(common, specs)
    console = console_of(common)
    login = login_of(common, console)
    examination = Examination(request, _PURPOSES[purpose], versions())
    with shown(console) as progress:
        ports = run_ports(login, progress, request.parallelism)
        checks = examination.checks(ports)
    if as_json:
        console.out_json(doctor_json(checks, examination.purpose, now_as_text()))
    else:
        console.out(doctor_lines(checks, is_whole=console.verbose > 0))
    raise typer.Exit(exit_code(checks))
