"""Targets that the settings do not name: accounts of an organization."""

from __future__ import annotations

from dataclasses import replace

from reconciler.commands.request import Request, RunPorts
from reconciler.diagnostics import Diagnostic, Location
from reconciler.errors import RefusedError
from reconciler.exit_codes import ExitCode
from reconciler.spec.loader import ParsedSet
from reconciler.spec.settings import account_of


def with_members(parsed: ParsedSet, request: Request, ports: RunPorts) -> ParsedSet:
    """The set with the accounts of ``targets_from`` among its targets, each by its id. An account
    that a target names is that target. AWS is not asked if the request names targets of the
    settings alone. Raises ``RefusedError`` and ``AwsError``."""
    settings = parsed.settings
    is_named = request.targets and settings.targets.keys() >= set(request.targets)
    if settings.targets_from is None or is_named:
        return parsed
    source = settings.targets_from.organizations
    ports.progress.reading("the accounts of the organization")
    members = ports.connect(None, settings).members(source.units, source.tags)
    named = {t.account_id or account_of(t.role_arn) for t in settings.targets.values()}
    others = named | set(source.exclude)
    found = {
        one.id: source.target(one.id, one.partition) for one in members if one.id not in others
    }
    if not found and not settings.targets:
        raise _refused(parsed, "targets_from matches no active account of the organization")
    if taken := sorted(found.keys() & settings.targets.keys()):
        message = f"the target {taken[0]} has the id of an account of the organization as its name"
        raise _refused(parsed, f"{message}, and is for another")
    whole = settings.model_copy(update={"targets": {**settings.targets, **found}})
    return replace(parsed, settings=whole)


def _refused(parsed: ParsedSet, message: str) -> RefusedError:
    place = parsed.settings_place
    where = place.at("targets_from") if place else Location(str(parsed.found.root))
    found = (Diagnostic("error", "bad-targets", message, where),)
    return RefusedError("the targets cannot be told", ExitCode.ERROR, found, parsed.sources)
