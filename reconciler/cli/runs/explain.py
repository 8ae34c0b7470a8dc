"""What ``reconciler explain`` does."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from reconciler.cli.arguments import CommonArguments
from reconciler.cli.connection import run_ports
from reconciler.cli.given import console_of, login_of, request_of
from reconciler.cli.progress import shown
from reconciler.explain.reading import explain as explained_by
from reconciler.render.json.explain import explain_json
from reconciler.render.json.plan import now_as_text
from reconciler.render.text.explain import explain_lines
from reconciler.render.text.look import Look


def _given(specs: str, common: CommonArguments) -> Iterator[str]:
    """What an apply of the same specs to the same accounts takes, in the order of its help."""
    if specs != "specs":
        yield specs
    several = (("--target", common.targets), ("--region", common.regions))
    for flag, values in (*several, ("--var", common.variables)):
        for value in values or ():
            yield from (flag, value)
    once = (("--owner", common.owner), ("--profile", common.profile))
    for flag, given in (*once, ("--endpoint-url", common.endpoint_url)):
        if given is not None:
            yield from (flag, given)


def run(
    address: str,
    specs: str,
    as_json: bool,
    common: CommonArguments,
) -> None:
    request = replace(request_of(common, specs), prune=None)
    console = console_of(common)
    login = login_of(common, console)
    with shown(console) as progress:
        ports = run_ports(login, progress, request.parallelism)
        made = explained_by(address, request, ports)
    made = replace(made, apply=("reconciler", "apply", *_given(specs, common)))
    if as_json:
        console.out_json(explain_json(made, now_as_text()))
    else:
        console.out(explain_lines(made, Look(console.unicode, console.verbose > 0)))
