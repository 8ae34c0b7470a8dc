"""Least policies for a set of specs, or for a saved plan. Needs no credentials and no network."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from reconciler.commands.plan import ADJUSTABLE, interpreted_offline, refuse_invalid, targets_of
from reconciler.commands.request import Request
from reconciler.model.partitions import partition_of
from reconciler.permissions.of_plan import applying_plan
from reconciler.permissions.of_specs import applying
from reconciler.permissions.reading import reading
from reconciler.permissions.scope import ANY, Scope
from reconciler.permissions.statements import Statement
from reconciler.plan.authorization import Purpose
from reconciler.spec.desired import DesiredState, SpecSet
from reconciler.spec.loader import for_target, read
from reconciler.spec.settings import TargetSpec, account_of


@dataclass(frozen=True, slots=True)
class Wanted:
    """The statements of one target; ``target`` is ``None`` for the caller's own account."""

    target: str | None
    scope: Scope
    statements: tuple[Statement, ...]


def wanted_for(request: Request, purpose: Purpose) -> tuple[Wanted, ...]:
    """One for each target. Raises ``RefusedError`` for invalid specs and unknown targets."""
    return tuple(
        Wanted(name, scope, tuple(_statements(spec, scope, request, purpose)))
        for name, scope, spec in _targets(request)
    )


def wanted_for_plan(document: Mapping[str, Any], request: Request) -> tuple[Wanted, ...]:
    """For plan JSON, and the request that it was made with. Raises as ``wanted_for``."""
    specs = {name or "default": spec for name, _, spec in _targets(request)}
    made = []
    for target in document["targets"]:
        name, settings = target["target"], target["settings"]
        spec = specs[name]

        def role_in(profile: str, spec: SpecSet = spec) -> str | None:
            found = spec.desired.profile(profile)
            return found.resource.role if found else None

        given = settings.get("consumer_regions")
        also = () if given in (None, "all") else given
        regions = None if given == "all" else tuple(sorted({*target["regions"], *also}))
        scope = Scope(
            target["partition"],
            target["account_id"],
            regions or None,
            document["owner"],
            settings["tag_prefix"],
        )
        is_only = len(document["targets"]) == 1
        statements = tuple(applying_plan(target, scope, role_in))
        made.append(Wanted(None if is_only else name, scope, statements))
    return tuple(made)


def _targets(request: Request) -> Iterator[tuple[str | None, Scope, SpecSet]]:
    parsed = read(request.path)
    settings = parsed.settings
    chosen = targets_of(request, settings)
    # Which accounts an organization has is known only from AWS; their targets are alike.
    source = settings.targets_from
    unnamed = source.organizations.target() if source is not None else None
    for name, one in chosen.items():
        target = one or unnamed
        spec = interpreted_offline(for_target(parsed, target), request, target).spec
        refuse_invalid((d for d in spec.diagnostics if d.code not in ADJUSTABLE), parsed.sources)
        yield None if len(chosen) == 1 else name, _scope(request, spec, target), spec


def _scope(request: Request, spec: SpecSet, target: TargetSpec | None) -> Scope:
    settings = spec.settings
    account = (target.account_id if target else None) or settings.account_id
    if account is None and target is not None:
        account = account_of(target.role_arn)
    own = request.regions or (target.regions if target else None) or settings.regions
    regions = _regions(spec, tuple(own or ()))
    named = next(iter(regions or own or ()), None)
    return Scope(
        partition_of(named),
        account or ANY,
        regions,
        request.owner or settings.owner,
        settings.tag_prefix,
    )


def _regions(spec: SpecSet, own: tuple[str, ...]) -> tuple[str, ...] | None:
    """Where instances are read and changed; ``None`` for every region, since consumers are searched
    for in all, or no region is named and the session's counts."""
    settings, desired = spec.settings, spec.desired
    searches = desired.profiles and settings.consumer_regions is None
    if not own or searches or (settings.prune and settings.consumer_regions is None):
        return None
    named = {region for one in desired.associations for region in one.regions or ()}
    return tuple(sorted({*own, *named, *(settings.consumer_regions or ())}))


def _statements(
    spec: SpecSet, scope: Scope, request: Request, purpose: Purpose
) -> Iterator[Statement]:
    if purpose != "apply":
        return reading(scope, purpose)
    prunes = spec.settings.prune if request.prune is None else request.prune
    # A part of a set prunes nothing.
    return applying(_chosen(spec), scope, prunes=prunes and spec.chosen is None)


def _chosen(spec: SpecSet) -> DesiredState:
    """What is in the selected part of the set."""
    desired, chosen = spec.desired, spec.chosen
    if chosen is None:
        return desired
    return DesiredState(
        {k: v for k, v in desired.policies.items() if v.resource.address in chosen},
        {k: v for k, v in desired.roles.items() if v.resource.address in chosen},
        {k: v for k, v in desired.profiles.items() if v.resource.address in chosen},
        tuple(one for one in desired.associations if one.is_chosen),
    )
