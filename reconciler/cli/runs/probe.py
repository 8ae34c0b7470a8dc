"""What ``reconciler probe`` does."""

from __future__ import annotations

import secrets
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from reconciler.cli.call_log import opened
from reconciler.cli.connection import run_ports
from reconciler.cli.console import Console
from reconciler.cli.files import write_whole
from reconciler.cli.given import AccessFlags
from reconciler.cli.progress import Quiet
from reconciler.cli.signals import handled_signals
from reconciler.clock import SystemClock
from reconciler.commands.request import Connection
from reconciler.errors import AwsError, StoppedError
from reconciler.executor.interrupt import Interrupt
from reconciler.exit_codes import ExitCode
from reconciler.plan.calls import ApiCall
from reconciler.ports import Clock
from reconciler.render.json.encode import json_text
from reconciler.render.json.plan import now_as_text
from reconciler.render.styled_text import data, line
from reconciler.spec.settings import Settings

if TYPE_CHECKING:
    from reconciler.probe.lab import Lab
    from reconciler.probe.telling import Probed

STOPPING = (
    "no further experiment; the instance gets its profile back. Press Ctrl-C again to stop at once."
)
AT_ONCE = b"""
Stopped at once: the instance may be without its profile. \
Run probe again with --clean to restore it.
"""
WHY = (
    "probe takes the profile of an instance away and gives it others; on an account that others "
    "depend on, it must not be run"
)
HOW = "if the account is your own, and may be broken, add --i-own-this-account"
BEAT_SECONDS = 30.0
LASTING_SECONDS = 45 * 60.0
"""For which the credentials must be good: longer than a probe usually takes."""
_TWO = 2


@dataclass(frozen=True, slots=True)
class Given:
    """The flags."""

    region: str | None
    instance: str | None
    roles: tuple[str, ...]
    owned: bool
    also: tuple[str, ...]
    only: tuple[str, ...]
    clean: bool
    yes: bool
    no_input: bool
    out: Path
    as_json: bool
    profile: str | None
    endpoint_url: str | None
    log_file: str | None
    quiet: bool
    color: str


def run(given: Given) -> None:
    console = Console(given.color, given.quiet)
    if not given.owned:
        console.error(WHY, HOW)
        raise typer.Exit(ExitCode.USAGE)
    instance, roles = _needed(given)
    try:
        from reconciler.probe import running  # noqa: PLC0415 - moto is an extra
        from reconciler.probe.lab import ProbeClock, ProbeLimits  # noqa: PLC0415 - moto is an extra
        from reconciler.probe.on_instance import EXPERIMENTS  # noqa: PLC0415 - moto is an extra
        from reconciler.probe.subject import subject_of  # noqa: PLC0415 - moto is an extra
        from reconciler.probe.telling import Probed, intention_lines  # noqa: PLC0415 - moto is an extra
    except ImportError as error:
        console.error("the sandbox is not installed", "pip install 'reconciler[sandbox]'")
        raise typer.Exit(ExitCode.ERROR) from error
    known = [one.name for one in EXPERIMENTS]
    if unknown := [name for name in given.only if name not in known]:
        raise typer.BadParameter(f"--experiment {unknown[0]}: there are {', '.join(known)}")
    experiments = () if given.clean else running.chosen(given.also, given.only)

    def ports(clock: Clock) -> Connection:
        access = AccessFlags(None, None, ())
        return run_ports(access, Quiet(console), clock=clock).connect(None, Settings())

    connection = _connection(given, console)
    send = connection.writer().send
    who = send(ApiCall("sts", "GetCallerIdentity"))
    region = given.region or connection.default_region
    if region is None:
        raise typer.BadParameter("--region is needed, with the region of the instance")
    partition, home = running.place(str(who["Arn"]), region)
    subject = subject_of(send, region, partition, home, instance, roles)
    limits = ProbeLimits()
    sandbox = {}
    if experiments:
        console.note("the same experiments on a sandbox in this process first ...")
        found = running.on_sandbox(subject, ports, experiments, limits)
        sandbox = {result.experiment: result for result in found}
    probed = Probed(subject, experiments, {}, sandbox, not connection.is_remote(), 0.0)
    if not given.as_json:
        console.out(intention_lines(subject, str(who["Account"]), experiments))
    if not given.clean and not connection.outlives(LASTING_SECONDS):
        minutes = f"{LASTING_SECONDS / 60:.0f} minutes"
        what = f"the credentials expire within {minutes}, maybe before the instance is put right"
        console.error(what, "sign in again, for longer")
        raise typer.Exit(ExitCode.ERROR)
    if not _approved(given, console):
        raise typer.Exit(ExitCode.ERROR)

    def lab(clock: ProbeClock) -> Lab:
        number = secrets.token_hex(4)
        restarts = any(one.name == "restart" for one in experiments)
        return running.lab_of(connection, clock, subject, number, limits, may_restart=restarts)

    raise typer.Exit(ProbeRun(given, console, probed).to_the_end(lab))


def _needed(given: Given) -> tuple[str, tuple[str, str]]:
    """Raises a usage error if something is missing."""
    if given.instance is None:
        raise typer.BadParameter("--instance is needed, with the id of a running instance")
    if len(given.roles) != _TWO:
        raise typer.BadParameter("--role is needed twice, for two roles")
    one, other = given.roles
    return given.instance, (one, other)


def _connection(given: Given, console: Console) -> Connection:
    log = opened(given.log_file, console)
    regions = (given.region,) if given.region else ()
    access = AccessFlags(
        given.profile, given.endpoint_url, regions, no_input=given.no_input, log=log
    )
    return run_ports(access, Quiet(console)).connect(None, Settings())


def _approved(given: Given, console: Console) -> bool:
    if given.yes:
        return True
    if given.no_input or not sys.stdin.isatty():
        console.error("there is no terminal for the prompt", "pass --yes to probe without one")
        return False
    console.out([(), line("Only 'yes' will be accepted to approve."), ()])
    try:
        answer = input("  Enter a value: ")
    except EOFError:
        answer = ""
    if answer.strip() != "yes":
        console.err(line("Probe cancelled: nothing was changed."))
        return False
    return True


@dataclass
class ProbeRun:
    """From the first change to what is put right after the last one."""

    given: Given
    console: Console
    probed: Probed
    stop: Interrupt = field(default_factory=Interrupt)
    _doing: str = "beginning"
    _said_at: float = field(default_factory=time.monotonic)

    def to_the_end(self, make: Callable[..., Lab]) -> ExitCode:
        from reconciler.probe.lab import ProbeClock  # noqa: PLC0415 - moto is an extra

        clock = ProbeClock(SystemClock(), self.stop, self._beat)
        lab = make(clock)
        began = clock.now()
        say = lambda words: self.console.err(line(words))  # noqa: E731
        failure: AwsError | None = None
        with handled_signals(self.stop, say, STOPPING, AT_ONCE):
            try:
                self._probe(lab)
            except StoppedError:
                pass
            except AwsError as error:
                failure = error
            finally:
                self.probed = replace(self.probed, seconds=clock.now() - began)
                self._put_right(lab)
        self._report()
        if failure is not None:
            raise failure
        return self._code()

    def _probe(self, lab: Lab) -> None:
        from reconciler.probe.running import results  # noqa: PLC0415 - moto is an extra

        self._tell("putting right what an earlier probe has left, if any")
        lab.begin()
        began = lab.clock.now()
        for result in results(lab, self.probed.experiments, self._tell):
            aws = {**self.probed.aws, result.experiment: result}
            self.probed = replace(self.probed, aws=aws, seconds=lab.clock.now() - began)
            self._write()
        self.probed = replace(self.probed, is_complete=True)

    def _put_right(self, lab: Lab) -> None:
        """Whatever ended it."""
        lab.clock.is_closing = True
        self._tell("giving the instance back what it had")
        try:
            lab.restore()
        except AwsError as error:
            self.probed = replace(self.probed, restored=False, trouble=str(error))
        else:
            self.probed = replace(self.probed, restored=True)
        self._write()

    def _write(self) -> None:
        if self.probed.experiments:
            write_whole(self.given.out, json_text(self._document(), 2) + "\n")

    def _document(self) -> object:
        from reconciler.probe.telling import probe_json  # noqa: PLC0415 - moto is an extra

        return probe_json(self.probed, now_as_text())

    def _tell(self, what: str) -> None:
        self._doing, self._said_at = what, time.monotonic()
        if not self.given.quiet:
            self.console.event(data(what), " ...")

    def _beat(self) -> None:
        now = time.monotonic()
        if now - self._said_at >= BEAT_SECONDS and not self.given.quiet:
            self._said_at = now
            self.console.event("still: ", data(self._doing))

    def _report(self) -> None:
        from reconciler.probe.telling import probe_lines  # noqa: PLC0415 - moto is an extra

        if self.given.as_json:
            self.console.out_json(self._document())
            return
        self.console.out([(), *probe_lines(self.probed)])
        if self.probed.experiments:
            self.console.out([line("Written to ", data(self.given.out), ".")])

    def _code(self) -> ExitCode:
        if not self.probed.restored:
            return ExitCode.ERROR
        if self.stop.is_set():
            return ExitCode.INTERRUPTED
        is_whole = all(one.status == "done" for one in self.probed.aws.values())
        return ExitCode.OK if is_whole else ExitCode.PARTLY_APPLIED
