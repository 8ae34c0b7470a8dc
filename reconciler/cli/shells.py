"""``--show-completion [SHELL]`` and ``--install-completion [SHELL]``. typer's take no name: they
ask which shell has started the program, and that is another one, or none, where the script is made
for a package, an image or somebody else."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from typing import NoReturn

import typer
from typer._completion_shared import Shells, _get_shell_name, get_completion_script, install

from reconciler.diagnostics import meant
from reconciler.errors import RefusedError
from reconciler.exit_codes import ExitCode

SHELLS = tuple(shell.value for shell in Shells)


def complete(name: str, arguments: Sequence[str]) -> NoReturn:
    """Does what the first argument says. Raises ``RefusedError`` (``USAGE``) for a shell that is
    not known."""
    flag, is_joined, joined = arguments[0].partition("=")
    rest = [joined, *arguments[1:]] if is_joined else [*arguments[1:]]
    if len(rest) > 1:
        raise RefusedError(f"{flag} takes one shell", ExitCode.USAGE, details=(_NAMED,))
    shell = _known(rest[0]) if rest else _of_caller(flag)
    _DOES[flag](name, shell)
    sys.exit(ExitCode.OK)


def _known(given: str) -> str:
    shell = given.casefold()
    if shell not in SHELLS:
        message = f"there is no completion for {given!r}{meant(given, SHELLS)}"
        raise RefusedError(message, ExitCode.USAGE, details=(_NAMED,))
    return shell


def _of_caller(flag: str) -> str:
    shell = _get_shell_name()
    if shell not in SHELLS:
        told = f"{shell} is the shell, and has" if shell else "the shell is not known, so there is"
        message = f"{told} no completion: name one, as {flag} bash"
        raise RefusedError(message, ExitCode.USAGE, details=(_NAMED,))
    return shell


_NAMED = f"the shell is one of {', '.join(SHELLS)}"


def _variable(name: str) -> str:
    return f"_{name.upper()}_COMPLETE"


def _show(name: str, shell: str) -> None:
    typer.echo(get_completion_script(prog_name=name, complete_var=_variable(name), shell=shell))


def _install(name: str, shell: str) -> None:
    _, path = install(shell, name, _variable(name))
    typer.echo(f"{shell} completion installed in {path}")
    typer.echo("Completion will take effect once you restart the terminal")


_DOES: dict[str, Callable[[str, str], None]] = {
    "--show-completion": _show,
    "--install-completion": _install,
}
