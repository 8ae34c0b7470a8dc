"""What ``reconciler apply`` does."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import typer

from reconciler.cli.apply_flow import ApplyOptions, run_apply_flow
from reconciler.cli.arguments import CommonArguments
from reconciler.cli.batch_command import command_check
from reconciler.cli.connection import aws_outputs, run_ports
from reconciler.cli.given import allowances, console_of, duration, login_of, request_of
from reconciler.cli.progress import Quiet, planning
from reconciler.cli.records import RecordWriter, record_places
from reconciler.cli.reports import report_requests
from reconciler.cli.saved_plans import saved_at
from reconciler.commands.planfile import (
    growth,
    refuse_stale,
    refuse_unexpected,
    specs_digest,
)
from reconciler.plan.plan import intended
from reconciler.planner.options import PlanFlags
from reconciler.render import formats


def run(
    context: typer.Context,
    specs: str,
    expect: str | None,
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
    reports = report_requests(report, formats.PLAN, as_json)
    if expect is not None and not DIGEST.fullmatch(expect):
        raise typer.BadParameter(f"--expect takes sha256: and 64 hex digits, not {expect[:80]!r}")
    if check is not None and common.engine is not None:
        raise typer.BadParameter("--check is a command of this machine; with --engine no batch is")
    batch_check, places = command_check(check), record_places(record)
    console = console_of(common)
    login = login_of(common, console, no_input=no_input)
    saved = saved_at(Path(specs), context, allowances(common.allow))
    request = request_of(common, specs) if saved is None else saved.request
    request = replace(request, parallelism=common.parallelism)
    ports = run_ports(login, Quiet(console), request.parallelism)
    # The patterns that a saved plan holds matched when it was made: if they no longer do, it is
    # stale.
    typed = PlanFlags(allow=allowances(common.allow)) if saved else None
    with reports.annotating(console):
        planned = planning(request, ports, console, typed)
    if saved:
        plan = planned.plan
        now = intended(plan.targets, plan.owner)
        refuse_stale(saved, now, plan.digest, specs_digest(planned))
    if expect is not None and (saved is None or expect != saved.file_digest):
        refuse_unexpected(expect, planned.plan)
    asks = not (saved or auto_approve)
    ends = duration(max_time)
    how = ApplyOptions(
        ports,
        "apply",
        as_json,
        asks,
        no_input,
        ends,
        reports,
        max_rps,
        asks_first,
        batch_check=batch_check,
        records=RecordWriter(places, lambda: aws_outputs(login, ports.run).write_object),
    )
    more = tuple(growth(saved, planned, ports.clock.now())) if saved else ()
    raise typer.Exit(run_apply_flow(planned, how, console, more))


DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
