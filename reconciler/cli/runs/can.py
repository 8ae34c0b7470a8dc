"""What ``reconciler can`` does."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import replace

import typer

from reconciler.cli.arguments import CommonArguments
from reconciler.cli.connection import run_ports
from reconciler.cli.given import console_of, login_of, request_of
from reconciler.cli.progress import shown
from reconciler.commands.can import CanRequest, can, exit_code, role_named
from reconciler.diagnostics import meant
from reconciler.errors import RefusedError
from reconciler.lint.catalog import catalog
from reconciler.lint.statements import unlisted
from reconciler.model.policy_decision import Context
from reconciler.render.json.can import can_json
from reconciler.render.json.plan import now_as_text
from reconciler.render.styled_text import data
from reconciler.render.text.can import can_lines

_ACTION = re.compile(r"[A-Za-z0-9*?-]+:[A-Za-z0-9*?]+|\*")
_ARN = re.compile(r"arn:[^:]+:[^:]*:[^:]*:[^:]*:.+|\*")


def run(
    role: str,
    words: list[str],
    specs: str,
    context: list[str] | None,
    online: bool,
    as_json: bool,
    common: CommonArguments,
) -> None:
    actions, resources = parted(words)
    if online and (wild := [a for a in actions if "*" in a or "?" in a]):
        message = (
            f"--online takes actions without wildcards, as AWS's simulator does, not {wild[0]!r}"
        )
        raise typer.BadParameter(message)
    asked = CanRequest(role_named(role), actions, resources, context_of(context), online)
    request = replace(request_of(common, specs), prune=None)
    console = console_of(common)
    if online:
        login = login_of(common, console)
        with shown(console) as progress:
            found = can(asked, request, run_ports(login, progress, request.parallelism))
    else:
        found = can(asked, request, None)
    for told in _unlisted(actions):
        console.note(data(told))
    if as_json:
        console.out_json(can_json(found, now_as_text()))
    else:
        console.out(can_lines(found))
    raise typer.Exit(exit_code(found))


def _unlisted(actions: Iterable[str]) -> list[str]:
    """That AWS lists no such action, with the nearest name: the answer about a misspelt one reads
    as if the role lacked it. Nothing without the list, which is an extra."""
    named = [action for action in actions if action != "*"]
    try:
        known = catalog()
    except RefusedError:
        return []
    found = [one for action in named if (one := unlisted(action, known)) is not None]
    return [
        message + (meant(near.word, near.known) if near is not None else "")
        for _, message, near in found
    ]


def parted(words: list[str]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Actions, and the resources after them. Raises a usage error for what is neither."""
    first, *rest = words
    actions = [first, *(word for word in rest if not _ARN.fullmatch(word))]
    resources = [word for word in rest if _ARN.fullmatch(word)]
    for action in actions:
        if not _ACTION.fullmatch(action):
            message = f"an action is SERVICE:ACTION, such as s3:GetObject, not {action!r}"
            if action.startswith("arn:"):
                message = (
                    f"{action!r} is no whole ARN: arn:PARTITION:SERVICE:REGION:ACCOUNT:RESOURCE"
                )
            raise typer.BadParameter(message)
    if words[: len(actions)] != actions:
        raise typer.BadParameter("actions come first, then resources")
    return tuple(dict.fromkeys(actions)), tuple(dict.fromkeys(resources))


def context_of(given: list[str] | None) -> Context:
    """``KEY=VALUE`` flags by key in lower case; a key may occur more than once. Raises a usage
    error for any other form."""
    found: dict[str, tuple[str, ...]] = {}
    for text in given or ():
        key, equals, value = text.partition("=")
        if not equals or ":" not in key:
            message = f"--context takes KEY=VALUE, such as aws:SourceVpce=vpce-1, not {text!r}"
            raise typer.BadParameter(message)
        found[key.casefold()] = (*found.get(key.casefold(), ()), value)
    return found
