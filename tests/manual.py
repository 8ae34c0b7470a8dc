"""The manual page, ``man reconciler``, from what ``--help`` and ``docs/reference.md`` are made from."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Any

import typer

import reconciler
from reconciler.cli.app import COMMANDS, NAME, app
from reconciler.cli.examples import EXAMPLES
from reconciler.cli.help import default_of, value_name
from reconciler.exit_codes import ExitCode
from reconciler.planner.options import ALLOW

_WORD = re.compile(r"`([^`]+)`")


def manual() -> str:
    """In roff, for the macros of man(7)."""
    return "\n".join(_page()) + "\n"


def _page() -> Iterator[str]:
    group: Any = typer.main.get_command(app)
    yield rf""".\" Made from the code by `make docs`.
.TH RECONCILER 1 "" "reconciler {reconciler.__version__}" "User Commands"
.nh
.ad l
.SH NAME
{NAME} \- sync YAML specs of IAM roles, instance profiles and associations to AWS
.SH SYNOPSIS
.B {NAME}
.I COMMAND
[\fIFLAGS\fR] [\fIARGUMENTS\fR]
.SH DESCRIPTION
When the role in an instance profile changes, running instances keep receiving credentials of the
old role, for up to an hour and sometimes longer.
.B {NAME}
plans the whole change, carries it out in batches, resumes after a crash, and verifies the result.
Roles, policies, instance profiles and their instances are YAML files.
.B {NAME} plan
only reads; start there.
.SH COMMANDS"""
    for panel, names in COMMANDS.items():
        yield f".SS {_text(panel)}"
        for name in names:
            yield from _command(name, group.commands[name])
    yield ".SH EXIT STATUS"
    for code in ExitCode:
        yield from _entry(rf"\fB{int(code)}\fR", code.meaning)
    yield ".SH GUARDS"
    yield "What stops apply and destroy, and never plan, is lifted by"
    yield r"\fB\-\-allow\fR \fIKEY\fR=\fIVALUE\fR."
    for key, meaning in ALLOW.items():
        yield from _entry(rf"\fB{_text(key)}\fR", meaning)
    yield from _environment(group.commands.values())
    yield ".SH FILES"
    yield from _entry(r"\fIspecs/\fR", "The specs, where no other path is given.")
    yield from _entry(r"\fIspecs/reconciler.yaml\fR", "Settings of the set.")
    yield ".SH SEE ALSO"
    yield r"\fBaws\fR(1)"


def _command(name: str, command: Any) -> Iterator[str]:
    arguments = [p for p in command.params if not p.opts[0].startswith("-")]
    flags = [p for p in command.params if p not in arguments]
    shown = "".join(rf" \fI{_text(value_name(a))}\fR" for a in arguments)
    yield ".PP"
    yield rf"\fB{NAME} {name}\fR{shown}"
    yield ".RS 4"
    yield _text(" ".join(command.help.split()))
    for argument in arguments:
        yield from _entry(rf"\fI{_text(value_name(argument))}\fR", argument.help)
    for panel in dict.fromkeys(flag.rich_help_panel or "Other" for flag in flags):
        yield ".PP"
        yield f"{_text(panel)}:"
        for flag in flags:
            if (flag.rich_help_panel or "Other") == panel:
                yield from _entry(_flag(flag), flag.help, default_of(flag))
    yield ".PP"
    yield "Examples:"
    for example, what in EXAMPLES[name]:
        yield ".PP"
        yield f"{_text(what)}:"
        yield ".PP"
        yield ".nf"
        yield f"    {_text(example)}"
        yield ".fi"
    yield ".RE"


def _flag(flag: Any) -> str:
    names = ", ".join(rf"\fB{_text(name)}\fR" for name in (*flag.opts, *flag.secondary_opts))
    taken = value_name(flag)
    return rf"{names} \fI{_text(taken)}\fR" if taken else names


def _entry(term: str, meaning: str, default: object = None) -> Iterator[str]:
    yield ".TP"
    yield term
    yield _text(" ".join(meaning.split()))
    if default is not None:
        yield rf"Default: \fB{_text(str(default))}\fR"


def _environment(commands: Iterable[Any]) -> Iterator[str]:
    """Variables that stand for flags."""
    meanings: dict[str, str] = {}
    for command in commands:
        for parameter in command.params:
            given = parameter.envvar
            for variable in [given] if isinstance(given, str) else given or []:
                meanings.setdefault(variable, parameter.help)
    yield ".SH ENVIRONMENT"
    yield "Flags count more than variables. The variables of the AWS CLI count as well."
    for variable in sorted(meanings):
        yield from _entry(rf"\fB{_text(variable)}\fR", meanings[variable])


def _text(text: str) -> str:
    """With nothing left in it that roff would read as its own."""
    escaped = text.replace("\\", r"\e").replace("-", r"\-")
    escaped = _WORD.sub(r"\\fB\1\\fR", escaped)
    return rf"\&{escaped}" if escaped.startswith((".", "'")) else escaped
