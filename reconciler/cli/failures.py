"""What is said of an error that ends the program, and its exit code. Imported only then: it takes
longer than ``--help``."""

from __future__ import annotations

import os
from itertools import pairwise

from typer.exceptions import TyperException

from reconciler.cli.arguments import Color
from reconciler.cli.console import Console
from reconciler.cli.streams import close_stdout
from reconciler.cli.usage import in_words
from reconciler.errors import DENIED, AwsError, RefusedError
from reconciler.exit_codes import ExitCode
from reconciler.render.text.diagnostics import count, full


def failed(error: BaseException, arguments: list[str], program: str) -> ExitCode:
    """Prints the error. Any that is none of those below is an interruption."""
    console = Console(color=_color(arguments))
    match error:
        case TyperException():
            # A usage error has the context of the command that it is about.
            path = getattr(getattr(error, "ctx", None), "command_path", program)
            console.error(in_words(error), f"see {path} --help")
            return ExitCode.USAGE
        case RefusedError():
            return _refused(error, console)
        case AwsError():
            request = f" (request {error.request_id})" if error.request_id else ""
            needs = f"the calling identity needs permission for {error.call}"
            console.error(f"{error}{request}", needs if error.code in DENIED else error.hint)
            return ExitCode.ERROR
        case BrokenPipeError():
            close_stdout()
            return ExitCode.ERROR
        case OSError():
            console.error(f"{error.filename or 'output'}: {error.strerror or type(error).__name__}")
            close_stdout()
            return ExitCode.ERROR
    console.error("interrupted")
    return ExitCode.INTERRUPTED


def _color(arguments: list[str]) -> str:
    """``--color``, for an error may come before the command line is understood."""
    given = os.environ.get("RECONCILER_COLOR", "")
    for flag, value in pairwise([*arguments, ""]):
        if flag == "--color":
            given = value
        elif flag.startswith("--color="):
            given = flag.removeprefix("--color=")
    return given if given in set(Color) else Color.auto.value


def _refused(error: RefusedError, console: Console) -> ExitCode:
    """Prints the error with its diagnostics and details, and returns its exit code."""
    if error.diagnostics:
        console.err(*full(error.diagnostics, error.sources))
        console.error(f"{error.message}: {count(error.diagnostics)}")
    else:
        console.error(error.message)
    console.details(error.details)
    return error.exit_code
