"""The commands of the program, and the one place where exceptions become exit codes."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from itertools import pairwise
from typing import Annotated, NoReturn

import typer
from typer.exceptions import TyperException

from reconciler.cli.arguments import Color, with_flags
from reconciler.cli.commands.apply import apply
from reconciler.cli.commands.comment import comment
from reconciler.cli.commands.demo import demo
from reconciler.cli.commands.destroy import destroy
from reconciler.cli.commands.drift import drift
from reconciler.cli.commands.fmt import fmt
from reconciler.cli.commands.forget import forget
from reconciler.cli.commands.import_ import import_
from reconciler.cli.commands.init import init
from reconciler.cli.commands.plan import plan
from reconciler.cli.commands.sandbox import sandbox
from reconciler.cli.commands.schema import schema
from reconciler.cli.commands.validate import validate
from reconciler.cli.commands.version import version
from reconciler.cli.console import Console, aws_failed, close_stdout, refused
from reconciler.cli.help import HelpCommand, HelpGroup
from reconciler.cli.signals import MEANT_SECONDS, termination_signals
from reconciler.cli.usage import in_words
from reconciler.errors import AwsError, RefusedError
from reconciler.exit_codes import ExitCode

# For the program and for each command: click keeps the help option of the first context in which a
# command is seen, with a parent or without.
SETTINGS = {"help_option_names": ["-h", "--help"]}

app = typer.Typer(
    name="reconciler",
    help="Sync YAML specs of IAM roles, instance profiles and associations to AWS.",
    cls=HelpGroup,
    invoke_without_command=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings=SETTINGS,
)

COMMANDS: Mapping[str, tuple[Callable[..., None], ...]] = {
    "Sync specs to AWS": (validate, plan, apply, drift, destroy, forget),
    "Write specs": (init, import_, fmt, schema),
    "Pipelines": (comment,),
    "Try it": (sandbox, demo),
    "About": (version,),
}
for panel, commands in COMMANDS.items():
    for command in commands:
        name = command.__name__.rstrip("_")
        app.command(name, cls=HelpCommand, rich_help_panel=panel, context_settings=SETTINGS)(
            with_flags(command)
        )


def _show_version(wanted: bool) -> None:
    if wanted:
        version()
        raise typer.Exit(ExitCode.OK)


@app.callback()
def options(
    context: typer.Context,
    show: Annotated[
        bool,
        typer.Option("--version", is_eager=True, callback=_show_version, help="Print versions."),
    ] = False,
) -> None:
    """Sync YAML specs of IAM roles, instance profiles and associations to AWS."""
    if context.invoked_subcommand is None and not show:
        typer.echo(context.get_help())
        raise typer.Exit(ExitCode.OK)


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
    console, interrupt = Console(color=_color(arguments)), _interruption()
    try:
        for name in (signal.SIGINT, *termination_signals()):
            signal.signal(name, interrupt)
        result = app(arguments, standalone_mode=False, prog_name=app.info.name)
    except TyperException as error:
        # A usage error has the context of the command that it is about.
        path = getattr(getattr(error, "ctx", None), "command_path", app.info.name)
        console.error(in_words(error), f"see {path} --help")
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


def _color(arguments: list[str]) -> str:
    """``--color`` for errors, which may come before the command line is understood."""
    given = os.environ.get("RECONCILER_COLOR", "")
    for flag, value in pairwise([*arguments, ""]):
        if flag == "--color":
            given = value
        elif flag.startswith("--color="):
            given = flag.removeprefix("--color=")
    return given if given in set(Color) else Color.auto.value


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
