"""What ``reconciler drift`` does."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import typer

from reconciler.cli.arguments import CommonArguments
from reconciler.cli.connection import aws_outputs, run_ports
from reconciler.cli.console import Console
from reconciler.cli.files import write_whole
from reconciler.cli.given import console_of, login_of, request_of
from reconciler.cli.notifications import Notifier, notifier_of
from reconciler.cli.progress import Quiet, planning, shown
from reconciler.cli.reports import ReportRequests, report_requests
from reconciler.commands.planned import Planned, refuse_unmatched
from reconciler.commands.request import Request, RunPorts
from reconciler.commands.verify import Verification, VerifyRequest, verify_planned
from reconciler.drift.accept import accept as accept_findings
from reconciler.drift.accept import patch
from reconciler.drift.attribution import Attributor
from reconciler.drift.baseline import compared, coverage
from reconciler.drift.evidence import with_evidence
from reconciler.drift.findings import Drift, drift_of
from reconciler.drift.severity import Severity
from reconciler.exit_codes import ExitCode
from reconciler.planner.patterns import AddressPattern
from reconciler.render import formats
from reconciler.render.json.drift import drift_json
from reconciler.render.json.plan import now_as_text
from reconciler.render.styled_text import data, line
from reconciler.render.text.drift import drift_lines
from reconciler.render.text.look import Look


def run(
    specs: str,
    as_json: bool,
    report: list[str] | None,
    unmanaged: bool,
    who: bool,
    evidence: bool,
    baseline: str | None,
    notify: list[str] | None,
    metrics: str | None,
    fail_on: Severity,
    accept: list[str] | None,
    write: bool,
    common: CommonArguments,
) -> None:
    request = replace(request_of(common, specs), prune=False, for_drift=True, unmanaged=unmanaged)
    reports = report_requests(report, formats.DRIFT, as_json)
    console = console_of(common)
    login = login_of(common, console)
    ports = run_ports(login, Quiet(console), request.parallelism)
    notifier = notifier_of(baseline, notify, metrics, aws_outputs(login, ports.run), console)
    if accept:
        raise typer.Exit(_accept(planning(request, ports, console), console, accept, write))
    with notifier.writing_metrics():
        found = _found(request, ports, notifier, reports, who=who, evidence=evidence)
    raise typer.Exit(notifier.exit_code(found, fail_on))


def _found(
    request: Request,
    ports: RunPorts,
    notifier: Notifier,
    reports: ReportRequests,
    *,
    who: bool,
    evidence: bool,
) -> Drift:
    """Finds the drift, prints and reports it, and sends the notifications."""
    before = notifier.stored_baseline()
    with reports.annotating(notifier.console):
        planned = planning(request, ports, notifier.console, keeps_context=evidence)
    now = now_as_text()
    found = drift_of(planned)
    verified: Verification | None = None
    if evidence:
        with shown(notifier.console) as progress:
            asking = replace(ports, progress=progress)
            verified = verify_planned(VerifyRequest(), planned, asking)
        found = with_evidence(found, verified)
    covers = coverage(planned, verified)
    if before is not None:
        found = compared(found, before, covers, now)
    if who:
        with shown(notifier.console) as progress:
            progress.reading("CloudTrail")
            found = Attributor(planned.targets, ports.clock).named(found)
    notifier.drift = found
    document = drift_json(found, now)
    with notifier.reporting_errors():
        if reports.as_json:
            notifier.console.out_json(document)
        elif reports.shows_text:
            console = notifier.console
            console.out(drift_lines(found, Look(console.unicode, console.verbose > 0)))
    with notifier.reporting_errors():
        reports.write_drift(found, document, notifier.console)
    if before is not None:
        notifier.notify(found, document, before, covers)
    return found


def _accept(planned: Planned, console: Console, patterns: list[str], write: bool) -> ExitCode:
    """Prints the patch to stdout, or with ``write`` edits the files. ``ERROR`` if a finding was not
    accepted."""
    refuse_unmatched([AddressPattern("--accept ", glob) for glob in patterns], planned.targets)
    made = accept_findings(planned, drift_of(planned), patterns)
    if write:
        for name, text in made.files.items():
            write_whole(Path(name), text)
            console.out([line("Changed ", data(name))])
    else:
        console.out_text("".join(patch(planned.sources, made.files)))
    for address, name in made.addresses:
        done = f"accepted in {name}" if write else "in the patch"
        console.note(data(f"{address}: {done}"))
    for what, why in made.refused.items():
        console.err(line(data(f"{what}: not accepted: {why}")))
    return ExitCode.ERROR if made.refused else ExitCode.OK
