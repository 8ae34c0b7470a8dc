"""The commands of the program, and the one place where exceptions become exit codes."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Annotated, NoReturn

import typer
from typer.exceptions import TyperException

from reconciler.cli.arguments import with_flags
from reconciler.cli.commands.apply import apply
from reconciler.cli.commands.comment import comment
from reconciler.cli.commands.demo import demo
from reconciler.cli.commands.destroy import destroy
from reconciler.cli.commands.drift import drift
from reconciler.cli.commands.fmt import fmt
from reconciler.cli.commands.import_ import import_
from reconciler.cli.commands.plan import plan
from reconciler.cli.commands.sandbox import sandbox
from reconciler.cli.commands.schema import schema
from reconciler.cli.commands.validate import validate
from reconciler.cli.commands.version import version
from reconciler.cli.console import Console, aws_failed, close_stdout, refused
from reconciler.cli.signals import MEANT_SECONDS, termination_signals
from reconciler.errors import AwsError, RefusedError
from reconciler.exit_codes import ExitCode

app = typer.Typer(
    name="reconciler",
    help="Sync YAML specs of IAM roles, instance profiles and associations to AWS.",
    no_args_is_help=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)

COMMANDS = (
    validate,
    plan,
    apply,
    drift,
    destroy,
    comment,
    fmt,
    schema,
    sandbox,
    demo,
    version,
)
for command in COMMANDS:
    app.command()(with_flags(command))
app.command("import")(with_flags(import_))


def _show_version(wanted: bool) -> None:
    if wanted:
        version()
        raise typer.Exit(ExitCode.OK)


@app.callback()
def options(
    show: Annotated[
        bool,
        typer.Option("--version", is_eager=True, callback=_show_version, help="Print versions."),
    ] = False,
) -> None:
    """Sync YAML specs of IAM roles, instance profiles and associations to AWS."""


class _Interrupted(BaseException):
    """A signal arrived while no plan was being applied.

    Not ``KeyboardInterrupt``: typer catches that one, and ends without a message."""


def _interruption() -> Callable[..., None]:
    """A signal handler. The first signal ends the command. The next ones would end its way out, so
    they are ignored for ``MEANT_SECONDS``; after that, one ends the process."""
    began: list[float] = []

    def interrupt(*_: object) -> None:
        now = time.monotonic()
        if not began:
            began.append(now)
            raise _Interrupted
        if now - began[0] >= MEANT_SECONDS:
            os._exit(ExitCode.INTERRUPTED)

    return interrupt


def run(arguments: list[str]) -> int:
    """Runs a command and returns its exit code. A traceback from here is a bug."""
    console, interrupt = Console(), _interruption()
    try:
        for name in (signal.SIGINT, *termination_signals()):
            signal.signal(name, interrupt)
        result = app(arguments, standalone_mode=False)
    except TyperException as error:
        console.error(error.format_message(), "see reconciler --help")
        return ExitCode.USAGE
    except RefusedError as error:
        return refused(error, console)
    except AwsError as error:
        return aws_failed(error, console)
    except BrokenPipeError:
        close_stdout()
        return ExitCode.ERROR
    except OSError as error:
        console.error(f"{error.filename or 'output'}: {error.strerror or type(error).__name__}")
        close_stdout()
        return ExitCode.ERROR
    except (_Interrupted, typer.Abort):
        console.error("interrupted")
        return ExitCode.INTERRUPTED
    return result if isinstance(result, int) else 0


def main() -> None:
    """The entry point: runs the command line and exits."""
    code = run(sys.argv[1:])
    # The output and the exit code are final: a signal during the shutdown must not change them.
    for name in (signal.SIGINT, *termination_signals()):
        signal.signal(name, signal.SIG_IGN)
    if code == ExitCode.INTERRUPTED:
        _leave_reads_behind(code)
    sys.exit(code)


def _leave_reads_behind(code: int) -> NoReturn:
    """Python would wait for threads, which may wait minutes for a response to a read."""
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError):  # closed, or nobody reads it
            stream.flush()
    os._exit(code)
