"""``reconciler apply``."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer

from reconciler import __version__
from reconciler.cli import options as o
from reconciler.cli.connect import world
from reconciler.cli.console import Console
from reconciler.cli.plan import planning
from reconciler.cli.progress import Events, Live, Shown, progress_for
from reconciler.commands.apply import Applied, Apply
from reconciler.commands.plan import Planned
from reconciler.commands.request import Request
from reconciler.commands.saved import (
    Saved,
    load_saved,
    refuse_stale,
    refuse_unexpected,
    specs_digest,
)
from reconciler.plan import Plan, intended, summary
from reconciler.report.apply_text import result_lines
from reconciler.report.plan_json import change_json
from reconciler.report.plan_text import Look, plan_lines, summary_line
from reconciler.report.styled import Piece, line, plain

SpecsOrPlan = Annotated[
    str,
    typer.Argument(
        help="File or folder of specs, or a plan that was saved.", envvar="RECONCILER_SPECS"
    ),
]
Expect = Annotated[
    str | None, typer.Option("--expect", help="Digest of the plan that was approved: sha256:...")
]
AutoApprove = Annotated[bool, typer.Option("--auto-approve", help="Do not ask.")]


def apply(
    specs: SpecsOrPlan = "specs",
    expect: Expect = None,
    auto_approve: AutoApprove = False,
    no_input: o.NoInput = False,
    as_json: o.Json = False,
    target: o.Target = None,
    only: o.Only = None,
    exclude: o.Exclude = None,
    region: o.Region = None,
    profile: o.Profile = None,
    endpoint_url: o.EndpointUrl = None,
    owner: o.Owner = None,
    prune: o.Prune = None,
    adopt: o.Adopt = False,
    take_over: o.TakeOver = False,
    refresh_adopted: o.RefreshAdopted = False,
    allow: o.Allow = None,
    var: o.Var = None,
    parallelism: o.Parallelism = 10,
    quiet: o.QuietFlag = False,
    verbose: o.Verbose = 0,
    color: o.ColorFlag = o.Color.auto,
) -> None:
    """Plan, ask, apply, and plan again: what is left is reported."""
    request, login = o.request_of(locals()), o.Login(profile, endpoint_url, tuple(region or ()))
    console = Console(color.value, quiet, verbose)
    saved = _saved(request)
    planned = planning(saved.request if saved else request, login, console)
    if saved:
        now = intended(planned.plan.targets, planned.plan.owner)
        refuse_stale(saved, now, planned.plan.digest, specs_digest(planned.spec))
    if expect is not None:
        refuse_unexpected(expect, planned.plan.digest)
    _show(planned.plan, console, as_json)
    if planned.plan.conflicts or planned.plan.guards:
        console.error("apply stops here: a decision of yours is missing, as shown above")
        raise typer.Exit(4)
    if planned.plan.is_empty:
        _summary(console, as_json, 0, 0, 0, 0)
        raise typer.Exit(1 if planned.plan.unread else 0)
    if not (saved or auto_approve) and not _approved(console, no_input or as_json):
        raise typer.Exit(1)
    applied = _run(planned, login, console, as_json)
    _report(applied, console, as_json)
    raise typer.Exit(applied.exit_code)


def _saved(request: Request) -> Saved | None:
    """The saved plan, where one is given in place of specs. It holds its own flags."""
    path = Path(request.path)
    if path.suffix != ".json" or not path.is_file():
        return None
    if request != Request(path=request.path, parallelism=request.parallelism):
        raise typer.BadParameter("a saved plan holds its flags; give it none but how to reach AWS")
    return load_saved(path)


def _show(plan: Plan, console: Console, as_json: bool) -> None:
    if not as_json:
        console.out(plan_lines(plan, Look(console.unicode, console.verbose > 0)))
        return
    events = Events(console)
    events.emit("version", f"reconciler {__version__}", {"reconciler": __version__, "ui": "1.0"})
    for change in plan.changes:
        what = ", ".join(change_json(change)["actions"])
        events.emit("planned_change", f"{change.address}: {what}", {"change": change_json(change)})
    more = {"changes": summary(plan), "digest": plan.digest}
    events.emit("change_summary", plain([summary_line(plan)]), more)


def _approved(console: Console, no_input: bool) -> bool:
    """Asks on the terminal. Without one, refuses and says which flag answers."""
    if no_input or not sys.stdin.isatty():
        console.error("there is no terminal to ask at", "give --auto-approve to apply unasked")
        return False
    console.out(
        [
            (),
            line(Piece("Do you want to perform these actions?", "bold")),
            line("  Only 'yes' will be accepted to approve."),
            (),
        ]
    )
    try:
        answer = input("  Enter a value: ")
    except EOFError:
        answer = ""
    if answer.strip() != "yes":
        console.err(line("Apply cancelled: nothing was changed."))
        return False
    return True


def _run(planned: Planned, login: o.Login, console: Console, as_json: bool) -> Applied:
    progress: Shown = Events(console) if as_json else progress_for(console)
    stop = threading.Event()
    try:
        with _signals(stop, console):
            return Apply(planned, world(login, progress), stop).execute()
    finally:
        if isinstance(progress, Live):
            progress.stop()


@contextmanager
def _signals(stop: threading.Event, console: Console) -> Iterator[None]:
    """The first signal finishes what is half done, the second stops at once."""

    def handle(_number: int, _frame: Any) -> None:
        if stop.is_set():
            os._exit(130)
        stop.set()
        console.err(
            line(
                Piece("Stopping: ", "bold yellow"),
                "nothing new starts; what is in flight is put right. Again to stop at once.",
            )
        )

    kept = {name: signal.getsignal(name) for name in (signal.SIGINT, signal.SIGTERM)}
    for name in kept:
        signal.signal(name, handle)
    try:
        yield
    finally:
        for name, value in kept.items():
            signal.signal(name, value)


def _report(applied: Applied, console: Console, as_json: bool) -> None:
    result = applied.result
    if as_json:
        left = len(applied.left.changes) if applied.left else 0
        failed, skipped = result.count("failed"), result.count("skipped")
        _summary(console, True, result.count("applied"), failed, skipped, left)
        return
    console.out(result_lines(applied.planned.plan, result, applied.left))
    if result.interrupted:
        put_right = "instances in flight got their profile back; apply again to go on."
        not_all = "not all could be put right, as shown above; apply again."
        console.out([line("Interrupted: ", not_all if result.count("failed") else put_right)])


def _summary(
    console: Console, as_json: bool, applied: int, failed: int, skipped: int, remaining: int
) -> None:
    if not as_json:
        return
    counts = {"applied": applied, "failed": failed, "skipped": skipped, "remaining": remaining}
    message = ", ".join(f"{number} {name}" for name, number in counts.items())
    Events(console).emit("apply_summary", message, counts)
