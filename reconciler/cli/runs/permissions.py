"""What ``reconciler permissions`` does."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Iterable
from pathlib import Path
from typing import Any

import typer

from reconciler.cli.arguments import Color
from reconciler.cli.commands.permissions import PermissionsFormat, PermittedCommand
from reconciler.cli.console import Console
from reconciler.cli.files import is_saved_plan, saved_plan
from reconciler.cli.given import pairs, typed
from reconciler.cli.sources import SourceName, sources_of
from reconciler.commands.permissions import Wanted, wanted_for, wanted_for_plan
from reconciler.commands.planfile import saved_from
from reconciler.commands.request import Request
from reconciler.errors import RefusedError
from reconciler.exit_codes import ExitCode
from reconciler.permissions.scope import ANY
from reconciler.permissions.statements import MOST_POLICIES, documents
from reconciler.permissions.trusts import Pipeline
from reconciler.plan.authorization import Purpose
from reconciler.render.policies import FORMATS, NamedRole, PolicySet


def run(
    context: typer.Context,
    specs: str,
    purpose: PermittedCommand | None,
    source: list[SourceName] | None,
    output: PermissionsFormat,
    target: list[str] | None,
    region: list[str] | None,
    var: list[str] | None,
    owner: str | None,
    prune: bool | None,
    access_analyzer: bool,
    revoke: bool,
    github: str | None,
    gitlab: str | None,
    gitlab_host: str,
    branch: str,
    environment: str,
    color: Color,
    quiet: bool,
) -> None:
    console = Console(color=color.value, quiet=quiet)
    if source and purpose is not PermittedCommand.verify:
        raise typer.BadParameter("--source goes with --for verify")
    pipeline = _pipeline(github, gitlab, gitlab_host, branch, environment)
    if is_saved_plan(Path(specs)):
        made = _of_plan(Path(specs), context, purpose, pipeline)
    else:
        request = Request(
            path=specs,
            targets=tuple(target or ()),
            regions=tuple(region or ()),
            owner=owner,
            prune=prune,
            variables=pairs(var, "--var"),
        )
        if pipeline is not None:
            if purpose is not None:
                raise typer.BadParameter("--for does not go with the roles of a pipeline")
            made = _roles(request, pipeline, access_analyzer=access_analyzer, revokes=revoke)
        elif purpose is None:
            raise typer.BadParameter(f"--for is missing: {', '.join(PermittedCommand)}")
        elif access_analyzer and purpose is not PermittedCommand.plan:
            raise typer.BadParameter("--access-analyzer is for --for plan")
        elif revoke and purpose is not PermittedCommand.apply:
            raise typer.BadParameter("--revoke is for --for apply")
        else:
            wanted = wanted_for(
                request,
                _purpose(purpose),
                sources_of(source),
                access_analyzer=access_analyzer,
                revokes=revoke,
            )
            made = _policies(wanted, purpose.value)
    _warn(made, console)
    console.out_text(FORMATS[output.value](made))


_OF_SPECS = ("target", "region", "var", "owner", "prune", "access_analyzer", "revoke")


def _of_plan(
    path: Path, context: typer.Context, purpose: PermittedCommand | None, pipeline: Pipeline | None
) -> PolicySet:
    if purpose not in (None, PermittedCommand.apply) or pipeline is not None:
        raise typer.BadParameter("a saved plan is for --for apply alone")
    if typed(context, _OF_SPECS):
        raise typer.BadParameter("planning flags cannot be combined with a saved plan")
    document = saved_plan(path)
    saved = saved_from(document, str(path))
    return _policies(wanted_for_plan(document, saved.request), "apply")


def _purpose(given: PermittedCommand) -> Purpose:
    found: dict[PermittedCommand, Purpose] = {
        PermittedCommand.plan: "plan",
        PermittedCommand.apply: "apply",
        PermittedCommand.destroy: "destroy",
        PermittedCommand.rotate: "rotate",
        PermittedCommand.forget: "forget",
        PermittedCommand.drift: "drift",
        PermittedCommand.import_: "import",
        PermittedCommand.verify: "verify",
    }
    return found[given]


def _pipeline(
    github: str | None, gitlab: str | None, host: str, branch: str, environment: str
) -> Pipeline | None:
    if github is not None and gitlab is not None:
        raise typer.BadParameter("--github and --gitlab are for one pipeline each: pass one")
    try:
        if github is not None:
            return Pipeline.github(github, branch, environment)
        return None if gitlab is None else Pipeline.gitlab(gitlab, branch, host)
    except ValueError as error:
        flag = "--github" if github is not None else "--gitlab"
        raise typer.BadParameter(f"{flag}: {error}") from error


def _policies(wanted: Iterable[Wanted], what: str) -> PolicySet:
    made: dict[str, Any] = {}
    for one in wanted:
        made |= _named(_unused(_name(one, what), made), one)
    return PolicySet(made)


def _unused(name: str, made: Collection[str]) -> str:
    """Names of targets that differ in what IAM's do not take."""
    numbered = (f"{name}-of-target-{n}" for n in range(2, len(made) + 3))
    taken = {_whole(one) for one in made}
    return next(one for one in (name, *numbered) if one not in taken)


def _whole(name: str) -> str:
    """The name of the policy that a document is a part of."""
    return re.sub(r"-[0-9]+$", "", name)


def _name(wanted: Wanted, what: str) -> str:
    """IAM's names take no other characters, and those of targets are anything."""
    if wanted.is_caller:
        return "reconciler-caller"
    target = "".join(c if c.isalnum() or c in "+=,.@_-" else "-" for c in wanted.target or "")
    return f"reconciler-{target}-{what}" if target else f"reconciler-{what}"


def _named(name: str, wanted: Wanted) -> dict[str, Any]:
    found = documents(wanted.statements)
    if len(found) == 1:
        return {name: found[0]}
    return {f"{name}-{n}": document for n, document in enumerate(found, 1)}


def _roles(
    request: Request, pipeline: Pipeline, *, access_analyzer: bool, revokes: bool
) -> PolicySet:
    """A role to plan and to look for drift, and one to apply, for each target."""
    policies: dict[str, Any] = {}
    roles = []
    for purpose, name in (("drift", "plan"), ("apply", "apply")):
        asks = access_analyzer and name == "plan"
        found = wanted_for(
            request,
            _purpose(PermittedCommand(purpose)),
            access_analyzer=asks,
            revokes=revokes and name == "apply",
        )
        for one in found:
            if one.is_caller:
                continue
            account = one.scope.account_id
            if account == ANY:
                message = "the roles of a pipeline need account_id in reconciler.yaml"
                raise RefusedError(message, ExitCode.ERROR)
            role = _unused(_name(one, name), policies)
            made = _named(role, one)
            policies |= made
            trust = pipeline.trust(one.scope.partition, account, writes=name == "apply")
            roles.append(NamedRole(role, trust, tuple(made)))
    return PolicySet(policies, tuple(roles))


def _warn(made: PolicySet, console: Console) -> None:
    """Without roles, each policy is for a role of its own."""
    counts = Counter(_whole(name) for name in made.policies)
    for name, count in counts.items():
        if count > MOST_POLICIES:
            console.note(
                f"{name} is {count} policies; a role takes {MOST_POLICIES} managed policies, "
                "unless AWS raises its quota."
            )
