"""What ``reconciler verify`` does."""

from __future__ import annotations

from dataclasses import replace

import typer

from reconciler.cli.arguments import CommonArguments
from reconciler.cli.connection import run_ports
from reconciler.cli.given import console_of, duration, login_of, request_of
from reconciler.cli.progress import shown
from reconciler.cli.sources import SourceName, sources_of
from reconciler.commands.verify import VerifyRequest
from reconciler.commands.verify import verify as verified_by
from reconciler.render.json.plan import now_as_text
from reconciler.render.json.verify import verify_json
from reconciler.render.text.look import Look
from reconciler.render.text.verify import verify_lines


def run(
    addresses: list[str] | None,
    specs: str,
    source: list[SourceName] | None,
    wait: str | None,
    as_json: bool,
    common: CommonArguments,
) -> None:
    request = replace(request_of(common, specs), prune=None)
    seconds = duration(wait, "--wait") or 0.0
    question = VerifyRequest(tuple(addresses or ()), sources_of(source), seconds)
    console = console_of(common)
    login = login_of(common, console)
    with shown(console) as progress:
        ports = run_ports(login, progress, request.parallelism)
        made = verified_by(question, request, ports)
    if as_json:
        console.out_json(verify_json(made, now_as_text()))
    else:
        console.out(verify_lines(made, Look(console.unicode, console.verbose > 0)))
    raise typer.Exit(made.exit_code)
