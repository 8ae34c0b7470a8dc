"""What ``reconciler rehearse`` does."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import typer

from reconciler.cli.arguments import CommonArguments
from reconciler.cli.connection import run_ports
from reconciler.cli.console import Console
from reconciler.cli.files import STDIN, read_given
from reconciler.cli.given import AccessFlags, allowances, console_of, login_of, request_of
from reconciler.cli.progress import Quiet, planning, shown
from reconciler.cli.saved_plans import saved_at
from reconciler.commands.planfile import refuse_stale, specs_digest
from reconciler.commands.planned import Planned
from reconciler.commands.request import Connection, RunPorts
from reconciler.errors import RefusedError
from reconciler.exit_codes import ExitCode
from reconciler.plan.plan import intended
from reconciler.planner.options import PlanFlags
from reconciler.ports import Clock, Writer
from reconciler.render.json.plan import now_as_text
from reconciler.render.text.look import Look
from reconciler.render.text.plan import plan_lines
from reconciler.spec.policy_file import policies_in
from reconciler.spec.settings import Settings, TargetSpec


def run(
    context: typer.Context,
    specs: str,
    crash: bool,
    as_policy: list[str] | None,
    as_json: bool,
    common: CommonArguments,
) -> None:
    console = console_of(common)
    try:
        from reconciler.rehearsal import access, copying, rehearsing, telling  # noqa: PLC0415 - moto is an extra
    except ImportError as error:
        console.error("the sandbox is not installed", "pip install 'reconciler[sandbox]'")
        raise typer.Exit(ExitCode.ERROR) from error
    policies = access.Policies(*_policies(as_policy)) if as_policy else None
    login = login_of(common, console)
    saved = saved_at(Path(specs), context, allowances(common.allow))
    request = request_of(common, specs) if saved is None else saved.request
    request = replace(request, parallelism=common.parallelism)
    ports = _reading(run_ports(login, Quiet(console), request.parallelism))
    typed = PlanFlags(allow=allowances(common.allow)) if saved else None
    planned = planning(request, ports, console, typed, keeps_context=True)
    if saved:
        now = intended(planned.plan.targets, planned.plan.owner)
        refuse_stale(saved, now, planned.plan.digest, specs_digest(planned))
    if not as_json:
        console.out(plan_lines(planned.plan, Look(console.unicode, console.verbose > 0)))
    _refuse_what_apply_refuses(planned, console)

    def on_copy(clock: Clock) -> RunPorts:
        return run_ports(AccessFlags(None, None, ()), Quiet(console), request.parallelism, clock)

    def say(what: str) -> None:
        console.event(what, " ...")

    made = []
    for target in planned.targets:
        if target.plan.is_empty:
            continue
        with shown(console) as progress:
            copy = copying.copy_of(target, progress.reading)
        stage = rehearsing.Stage(planned, target, copy, on_copy, say, policies)
        made.append(stage.rehearse(with_crashes=crash))
    if as_json:
        console.out_json(telling.rehearsal_json(made, now_as_text()))
    else:
        console.out(telling.rehearsal_lines(made, console.unicode))
    is_well = all(one.is_well for one in made)
    raise typer.Exit(ExitCode.OK if is_well else ExitCode.PARTLY_APPLIED)


def _policies(files: Sequence[str]) -> tuple[str, tuple[dict[str, Any], ...]]:
    """The names of the files, and the policies in all of them: they are one identity's. Raises
    ``OSError``, and ``RefusedError`` for what is no policy."""
    if files.count(STDIN) > 1:
        raise typer.BadParameter("--as-policy - is given twice: there is one standard input")
    read = [read_given(file) for file in files]
    found = tuple(document for text, name in read for document in policies_in(text, name))
    return ", ".join(name for _, name in read), found


def _reading(ports: RunPorts) -> RunPorts:
    """The ports of a command that cannot write to AWS."""

    def connect(spec: TargetSpec | None, settings: Settings) -> Connection:
        return replace(ports.connect(spec, settings), writer=_no_writer)

    return replace(ports, connect=connect)


def _no_writer() -> Writer:
    raise AssertionError("a rehearsal writes nothing to the account")


def _refuse_what_apply_refuses(planned: Planned, console: Console) -> None:
    if planned.plan.conflicts or planned.plan.guards:
        console.error("nothing to rehearse: resolve the conflicts and guards listed above")
        raise typer.Exit(ExitCode.UNDECIDED)
    if not planned.plan.is_whole:
        raise RefusedError("not everything could be planned", ExitCode.ERROR)
