"""The commands of the program. Each is imported when it is needed: to run it, or for its flags."""

from __future__ import annotations

import gc
import os
import signal
import sys
from collections.abc import Mapping
from contextlib import suppress
from importlib import import_module
from keyword import iskeyword
from typing import Annotated, Any

import typer
from typer._click.core import ParameterSource
from typer.exceptions import TyperException

from reconciler.cli.help import HelpCommand, HelpGroup
from reconciler.cli.signals import Interrupted, interruption, termination_signals
from reconciler.cli.streams import make_usable
from reconciler.cli.versions import as_text, versions
from reconciler.errors import AwsError, RefusedError
from reconciler.exit_codes import ExitCode

NAME = "reconciler"
# For the program and for each command: click keeps the help option of the first context in which a
# command is seen, with a parent or without.
SETTINGS = {"help_option_names": ["-h", "--help"]}

COMMANDS: Mapping[str, Mapping[str, str]] = {
    "Sync specs to AWS": {
        "validate": "Check the specs. Needs no credentials and no network.",
        "plan": "Show what apply would do. Reads only.",
        "apply": "Plan, ask for approval, and apply. Then plan again to report what remains.",
        "rehearse": "Apply the plan to a copy of the account, in a sandbox in this process. "
        "Reads the account, and writes nothing to it. "
        "Shows in which order instances change, and for how long each is without its profile. "
        "Needs reconciler[sandbox] to be installed.",
        "drift": "Report differences between the specs and AWS. Exits with 0 for none, 2 for some.",
        "destroy": "Delete every resource of the owner. Has a plan and guards, as apply does.",
        "rotate": "Give running instances fresh sessions of the role that they have, as when "
        "credentials leaked. With --revoke: deny everything to the sessions that they had.",
        "forget": "Stop managing resources: remove the tags of reconciler, and nothing else.",
    },
    "Understand": {
        "explain": "Explain one resource or instance: which role's credentials it holds and how "
        "that is known, its policies, what the next apply does and why, and what new instances of "
        "its group get. Reads only.",
        "graph": "Draw which instance gets which role through which profile, and what apply "
        "changes there. Reads only.",
        "verify": "Say of every running consumer whether it is served the role that its profile "
        "holds: what its association says, what the mark says, and what evidence says. "
        "Exits with 0 if all of it is proved, 1 if something is unknown, 2 if something is "
        "contradicted. Reads only.",
        "can": "Say whether the specs allow a role an action, and by which statement. Exits with 0 "
        "if they do, 2 if not, 1 if that is not known. Needs no credentials and no network, unless "
        "--online is given.",
    },
    "Write specs": {
        "init": "Write a first set of specs, with comments. Overwrites nothing.",
        "import": "Write specs from AWS. Then `plan --adopt` shows adoptions and nothing else.",
        "fmt": "Format specs: key order, quotes only where needed, comments kept.",
        "schema": "Print the JSON Schema of the spec format. With --of: of a JSON output.",
    },
    "Pipelines": {
        "permissions": "Print the least IAM policy that a command needs. "
        "Takes specs, or a saved plan for the policy of that plan alone. "
        "Needs no credentials and no network.",
        "comment": "Post a plan, result or drift on a pull or merge request. "
        "Takes what `plan`, `apply` and `drift` wrote. Edits what it posted before. "
        "Makes one comment of each kind for each account, or one for all with --together. "
        "Reads the token from GITHUB_TOKEN or GITLAB_TOKEN.",
        "merge": "Put the plans, results or drifts of shards together. "
        "Prints one document as a run of all targets would write it, unless --out or --report is "
        "given. Refuses documents that do not belong together, and shards that are missing.",
    },
    "Try it": {
        "sandbox": "Run a local AWS on 127.0.0.1 until Ctrl-C. "
        "Needs reconciler[sandbox] to be installed.",
        "probe": "Find out what AWS does, on an account of your own, with one instance and two "
        "roles that are there for this, and compare it with the sandbox. Changes the profile of "
        "that instance, and profiles that it makes and deletes. "
        "Needs reconciler[sandbox] to be installed.",
        "demo": "Show the whole workflow on an AWS in this process. "
        "Needs no account and no network.",
    },
    "About": {
        "doctor": "Check credentials, clock, regions, permissions and quotas. Says what to do for "
        "each failure, and changes nothing.",
        "version": "Print the versions of the program, Python and botocore.",
    },
}
"""The help of each command, by panel. The function of the same name in ``commands/`` has no second
one."""


class Command(HelpCommand):
    """A command whose module is imported when its parameters are asked for."""

    def __init__(self, name: str, text: str, panel: str) -> None:
        super().__init__(name, help=text, rich_help_panel=panel, context_settings=SETTINGS)
        del self.params, self.callback  # none yet: the first look at either imports the module

    def __getattr__(self, name: str) -> Any:
        if name not in ("params", "callback"):
            raise AttributeError(f"{type(self).__name__} has no {name}")
        # What typer makes of the function of the command.
        function = str(self.name)
        if iskeyword(function):
            function += "_"
        module = import_module(f"reconciler.cli.commands.{function}")
        alone = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
        alone.command()(getattr(module, function))
        made = typer.main.get_command(alone)
        self.params, self.callback = made.params, made.callback
        return getattr(self, name)

    def parse_args(self, ctx: Any, args: list[str]) -> Any:
        """For completion the words before are only told apart: typer would check them, for which
        it imports pydantic."""
        if not ctx.resilient_parsing:
            return super().parse_args(ctx, args)
        parser = self.make_parser(ctx)
        given, rest, _ = parser.parse_args(args=args)
        for name, value in given.items():
            ctx.set_parameter_source(name, ParameterSource.COMMANDLINE)
            ctx.params[name] = value
        ctx.args = rest
        ctx._opt_prefixes.update(parser._opt_prefixes)
        return rest


class Program(HelpGroup):
    """The group of all commands."""

    def __init__(self, **given: Any) -> None:
        super().__init__(**given)
        for panel, commands in COMMANDS.items():
            for name, text in commands.items():
                self.add_command(Command(name, text, panel))

    def get_params(self, ctx: Any) -> Any:
        """typer imports pydantic to check a switch without a default. Its own get one: --help,
        --install-completion and --show-completion."""
        parameters: list[Any] = super().get_params(ctx)
        for parameter in parameters:
            if getattr(parameter, "is_flag", False) and parameter.default is None:
                parameter.default = False
            if parameter.opts[0] in _COMPLETION:
                parameter.metavar = "[SHELL]"
                parameter.help = _COMPLETION[parameter.opts[0]]
        return parameters

    def parse_args(self, ctx: Any, args: list[str]) -> Any:
        """Completion is for any shell, by name."""
        if args and args[0].partition("=")[0] in _COMPLETION:
            from reconciler.cli.shells import complete

            complete(NAME, args)
        return super().parse_args(ctx, args)


_SHELLS = "bash, zsh, fish, powershell or pwsh; without SHELL for the current one."
_COMPLETION = {
    "--install-completion": f"Install completion for {_SHELLS}",
    "--show-completion": f"Print the completion script for {_SHELLS}",
}


app = typer.Typer(
    name=NAME,
    help="Sync YAML specs of IAM roles, instance profiles and associations to AWS.",
    cls=Program,
    invoke_without_command=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings=SETTINGS,
)


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(as_text(versions()))
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


def run(arguments: list[str]) -> int:
    """Runs a command and returns its exit code: the one place where exceptions become one. A
    traceback from here is a bug."""
    make_usable()
    interrupt = interruption()
    try:
        for name in (signal.SIGINT, *termination_signals()):
            signal.signal(name, interrupt)
        try:
            result = app(arguments, standalone_mode=False, prog_name=NAME)
        except (TyperException, RefusedError, AwsError, OSError, typer.Abort) as error:
            return _failed(error, arguments)
    except Interrupted as error:  # also while another error was being printed
        return _failed(error, arguments)
    return result if isinstance(result, int) else 0


def _failed(error: BaseException, arguments: list[str]) -> ExitCode:
    from reconciler.cli.failures import failed

    return failed(error, arguments, NAME)


def main() -> None:
    """Runs the command line and exits."""
    # What a plan reads stays until its end: hundreds of thousands of objects, through which Python
    # would look for garbage again and again, for a third of its time.
    gc.set_threshold(50_000, 20, 20)
    code = run(sys.argv[1:])
    # The output and the exit code are final: a signal during the shutdown must not change them.
    for name in (signal.SIGINT, *termination_signals()):
        signal.signal(name, signal.SIG_IGN)
    if code == ExitCode.INTERRUPTED:
        # Python would wait for threads, which may wait minutes for a response to a read.
        for stream in (sys.stdout, sys.stderr):
            with suppress(OSError, ValueError):  # closed, or nobody reads it
                stream.flush()
        os._exit(code)
    sys.exit(code)
