"""What ``apply`` and ``destroy`` have in common: show the plan, ask for approval, apply it, and
report the outcome."""

from __future__ import annotations

import sys
from dataclasses import dataclass, field, replace

from reconciler import __version__
from reconciler.cli.console import Console
from reconciler.cli.progress import Events, Shown, progress_for, shown
from reconciler.cli.records import RecordWriter
from reconciler.cli.reports import NONE, ReportRequests
from reconciler.cli.signals import handled_signals
from reconciler.cli.streams import close_stdout
from reconciler.commands.apply import Applied, Apply
from reconciler.commands.planned import Planned
from reconciler.commands.preflight import preflight
from reconciler.commands.request import RunPorts
from reconciler.executor.interrupt import BATCH_SECONDS, Interrupt
from reconciler.exit_codes import ExitCode
from reconciler.plan.changes import CutOverInstance, Guard
from reconciler.plan.plan import Plan, summary
from reconciler.planner.revocations import REVOKES
from reconciler.ports import BatchCheck
from reconciler.render.json.apply import summary_json
from reconciler.render.json.plan import change_json
from reconciler.render.json.preflight import preflight_json
from reconciler.render.phrases import few, lacking
from reconciler.render.styled_text import Piece, data, line, plain
from reconciler.render.text.apply import nothing_told, result_lines, stranded_lines
from reconciler.render.text.header import account_in_words
from reconciler.render.text.look import Look
from reconciler.render.text.plan import guard_line, plan_lines, summary_line
from reconciler.render.text.preflight import counts, preflight_lines


@dataclass(frozen=True, slots=True)
class ApplyOptions:
    """``run_ports`` are those that made the plan, ``verb`` names the operation in messages,
    ``asks`` says whether approval is needed."""

    run_ports: RunPorts
    verb: str = "apply"
    as_json: bool = False
    asks: bool = True
    no_input: bool = False
    max_seconds: float | None = None
    reports: ReportRequests = NONE
    max_rps: float | None = None
    asks_first: bool = False
    """Whether permissions and quotas are asked about before the first write."""
    batch_check: BatchCheck | None = None
    records: RecordWriter = field(default_factory=RecordWriter)


def run_apply_flow(
    planned: Planned, how: ApplyOptions, console: Console, more: tuple[Guard, ...]
) -> ExitCode:
    """Shows the plan, asks for approval, applies it, and reports. ``more`` are guards besides those
    of the plan.

    Raises ``OSError``, when everything else is done, if a report or the result could not be
    written."""
    stopped = _stopped(planned, how, console, more)
    if stopped is not None:
        how.reports.write_plan(planned, console, (None, stopped))
        return stopped
    stop = Interrupt()

    def say(words: str) -> None:
        console.event(Piece("Stopping: ", "bold yellow"), words)

    progress: Shown = Events(console) if how.as_json else progress_for(console)
    with handled_signals(stop, say), console.lossy_stdout():
        applied = _run(planned, how, progress, stop)
        is_recorded = how.records.write(applied, how.run_ports.run, console)
        _report(applied, console, how, progress)
        ended = (applied, applied.exit_code)
        text = [*result_lines(applied, how.verb), *stranded_lines(applied)]
        how.reports.write_plan(planned, console, ended, text)
    if console.lost is not None:
        if applied.exit_code is ExitCode.OK:
            raise console.lost
        close_stdout()
    if applied.exit_code is ExitCode.OK and not is_recorded:
        return ExitCode.ERROR
    return applied.exit_code


def _stopped(
    planned: Planned, how: ApplyOptions, console: Console, more: tuple[Guard, ...]
) -> ExitCode | None:
    """Shows the plan and asks for approval. Returns the exit code if the plan is not applied."""
    plan = planned.plan
    _show(plan, console, how)
    for guard in more:
        console.err(guard_line(guard))
    if plan.conflicts or plan.guards or more:
        _summary(console, how.as_json, plan, None, more)
        console.error(f"{how.verb} blocked: resolve the conflicts and guards listed above")
        return ExitCode.UNDECIDED
    if why := how.run_ports.failures.why:
        _summary(console, how.as_json, plan, None)
        console.error(f"nothing was applied: {why} while AWS was read")
        return ExitCode.ERROR
    if plan.is_empty:
        _summary(console, how.as_json, plan, None)
        if not plan.is_whole:
            return ExitCode.ERROR
        return ExitCode.PARTLY_APPLIED if plan.held else ExitCode.OK
    _warn_of_expiry(planned, console)
    if how.asks_first and _is_refused(planned, console, how):
        _summary(console, how.as_json, plan, None)
        return ExitCode.ERROR
    if how.asks and not _approved(plan, console, how):
        _summary(console, how.as_json, plan, None)
        return ExitCode.ERROR
    return None


def _show(plan: Plan, console: Console, how: ApplyOptions) -> None:
    if not how.as_json:
        if not how.reports.shows_text and not how.asks:
            return
        console.out(plan_lines(plan, Look(console.unicode, console.verbose > 0)))
        return
    events = Events(console)
    events.emit("version", f"reconciler {__version__}", {"reconciler": __version__, "ui": "1.0"})
    for target in plan.targets:
        events.target = target.target if len(plan.targets) > 1 else None
        for change in target.changes:
            made = change_json(change)
            what = ", ".join(made["actions"])
            events.emit("planned_change", f"{change.address}: {what}", {"change": made})
    events.target = None
    more = {"changes": summary(plan), "digest": plan.digest}
    events.emit("change_summary", plain([summary_line(plan)]), more)


def _is_refused(planned: Planned, console: Console, how: ApplyOptions) -> bool:
    """Asks AWS whether the plan can be carried out, and says what was found."""
    with shown(console) as progress:
        found = preflight(planned, progress)
    if how.as_json:
        events = Events(console)
        for one in found:
            events.target = one.target if len(planned.targets) > 1 else None
            level = "error" if one.is_refused else "info"
            message = f"preflight of account {one.account_id}: {counts(one)}"
            events.emit("preflight", message, dict(preflight_json(one)), level)
    else:
        console.err(*preflight_lines(found))
    is_refused = any(one.is_refused for one in found)
    if is_refused:
        console.error(
            f"{how.verb} blocked before anything was changed: see the preflight above",
            "reconciler permissions prints the policy that a plan needs",
        )
    return is_refused


def _warn_of_expiry(planned: Planned, console: Console) -> None:
    """Warns if a cut-over is planned, but the credentials expire before its first batch."""
    for target in planned.targets:
        if target.plan.preview and not target.connection.outlives(BATCH_SECONDS):
            minutes = f"{BATCH_SECONDS / 60:.0f} minutes"
            text = f"the credentials expire within {minutes}, so no instance will be cut over"
            console.err(line(Piece("Warning: ", "bold yellow"), text))
            return


_ASKED = {
    "destroy": "destroy these resources",
    "forget": "stop managing these resources",
}


def question(plan: Plan, verb: str) -> str:
    """Where it would happen, and to how many running instances."""
    accounts = " and ".join(account_in_words(t) for t in plan.targets if not t.is_empty)
    what = _ASKED.get(verb, "perform these actions")
    if verb == "rotate":
        revoked = [str(one.address) for one in plan.changes if one.intent.get(REVOKES)]
        parts = [f"deny everything to the older sessions of {few(revoked)}"] if revoked else []
        if any(isinstance(one, CutOverInstance) for one in plan.changes):
            parts.insert(0, "give these instances fresh sessions")
        what = " and ".join(parts) or what
    really = "really " if verb == "destroy" else ""
    running = {i for change in plan.changes for i in change.consumers}
    running |= {c.name for c in plan.changes if isinstance(c, CutOverInstance)}
    noun = "instance" if len(running) == 1 else "instances"
    affected = f" {len(running)} running {noun} will be affected." if running else ""
    return f"Do you {really}want to {what} in account {accounts}?{affected}"


def _approved(plan: Plan, console: Console, how: ApplyOptions) -> bool:
    """Asks on the terminal. Without one, returns false and names the flag that approves."""
    if how.no_input or how.as_json or not sys.stdin.isatty():
        hint = f"pass --auto-approve to {how.verb} without a prompt"
        console.error("there is no terminal for the prompt", hint)
        return False
    console.out(
        [
            (),
            line(data(question(plan, how.verb), "bold")),
            line("  Only 'yes' will be accepted to approve."),
            (),
        ]
    )
    try:
        answer = input("  Enter a value: ")
    except EOFError:
        answer = ""
    if answer.strip() != "yes":
        console.err(line(f"{how.verb.capitalize()} cancelled: nothing was changed."))
        return False
    return True


def _run(planned: Planned, how: ApplyOptions, progress: Shown, stop: Interrupt) -> Applied:
    run_ports = replace(how.run_ports, progress=progress)
    try:
        return Apply(
            planned, run_ports, stop, how.max_seconds, how.max_rps, how.batch_check
        ).execute()
    finally:
        progress.stop()


def _report(applied: Applied, console: Console, how: ApplyOptions, progress: Shown) -> None:
    result, lost = applied.result, stranded_lines(applied)
    if how.as_json:
        _summary(console, True, applied.planned.plan, applied)
        return
    if how.reports.shows_text:
        told = progress.told.has if console.shows_stderr else nothing_told
        console.out(result_lines(applied, how.verb, told))
    if result.interrupted:
        put_right = "all instances in flight were restored."
        not_all = "not everything could be restored, see below."
        is_all = not lost and not result.count("failed")
        console.out([line("Interrupted: ", put_right if is_all else not_all)])
    if how.reports.shows_text:
        console.out(lost)
    else:
        console.err(*lost)


def _summary(
    console: Console,
    as_json: bool,
    plan: Plan,
    applied: Applied | None,
    more: tuple[Guard, ...] = (),
) -> None:
    if not as_json:
        return
    told = summary_json(plan, applied, more)
    words = [f"{told[name]} {name}" for name in ("applied", "failed", "skipped", "remaining")]
    words += [lacking(one) for one in told["stranded"]]
    level = "error" if told["stranded"] else "info"
    Events(console).emit("apply_summary", ", ".join(words), told, level)
