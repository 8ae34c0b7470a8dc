"""What ``reconciler rotate`` does."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import typer

from reconciler.cli.apply_flow import ApplyOptions, run_apply_flow
from reconciler.cli.arguments import CommonArguments
from reconciler.cli.batch_command import command_check
from reconciler.cli.connection import aws_outputs, run_ports
from reconciler.cli.files import write_whole
from reconciler.cli.given import console_of, duration, login_of, request_of
from reconciler.cli.progress import Quiet, planning
from reconciler.cli.records import RecordWriter, record_places
from reconciler.cli.reports import report_requests
from reconciler.exit_codes import ExitCode
from reconciler.model.address import PROFILE, ROLE
from reconciler.planner.options import Rotation
from reconciler.render import formats
from reconciler.render.formats import as_text
from reconciler.render.json.plan import now_as_text, plan_json
from reconciler.render.text.look import Look
from reconciler.render.text.plan import plan_lines


def run(
    addresses: list[str],
    revoke: bool,
    revoke_first: bool,
    specs: str,
    out: Path | None,
    asks_first: bool,
    auto_approve: bool,
    no_input: bool,
    as_json: bool,
    report: list[str] | None,
    max_time: str | None,
    max_rps: float | None,
    check: str | None,
    record: list[str] | None,
    common: CommonArguments,
) -> None:
    if revoke and revoke_first:
        raise typer.BadParameter("--revoke and --revoke-first exclude each other")
    rotation: Rotation = "revoke-first" if revoke_first else "revoke" if revoke else "fresh"
    for address in addresses:
        if address.partition("/")[0] not in (PROFILE, ROLE):
            message = f"rotate takes instance-profile/NAME or role/NAME, not {address[:80]!r}"
            raise typer.BadParameter(message)
    reports = report_requests(report, formats.PLAN, as_json)
    batch_check, places = command_check(check), record_places(record)
    console = console_of(common)
    login = login_of(common, console, no_input=no_input)
    request = replace(request_of(common, specs), rotate=tuple(addresses), rotation=rotation)
    ports = run_ports(login, Quiet(console), request.parallelism)
    with reports.annotating(console):
        planned = planning(request, ports, console)
    if out is not None:
        document = plan_json(planned, now_as_text())
        if as_json:
            console.out_json(document)
        elif reports.shows_text:
            console.out(plan_lines(planned.plan, Look(console.unicode, console.verbose > 0)))
        write_whole(out, as_text(document))
        reports.write_plan(planned, console, document=document)
        if planned.plan.conflicts:
            raise typer.Exit(ExitCode.UNDECIDED)
        raise typer.Exit(ExitCode.OK if planned.plan.is_whole else ExitCode.ERROR)
    how = ApplyOptions(
        ports,
        "rotate",
        as_json,
        not auto_approve,
        no_input,
        duration(max_time),
        reports,
        max_rps,
        asks_first,
        batch_check=batch_check,
        records=RecordWriter(places, lambda: aws_outputs(login, ports.run).write_object),
    )
    raise typer.Exit(run_apply_flow(planned, how, console, ()))
