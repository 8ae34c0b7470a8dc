"""Least policies for a set of specs, or for a saved plan. Needs no credentials and no network."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from reconciler.commands.request import Request
from reconciler.commands.selection import (
    ADJUSTABLE,
    interpreted_offline,
    refuse_invalid,
    targets_of,
)
from reconciler.model.evidence import Source
from reconciler.model.partitions import partition_of
from reconciler.permissions.assuming import assuming
from reconciler.permissions.of_plan import applying_plan
from reconciler.permissions.of_specs import applying, destroying, forgetting, rotating
from reconciler.permissions.reading import analyzing, asking_instances, reading
from reconciler.permissions.scope import ANY, PermissionScope
from reconciler.permissions.statements import Statement
from reconciler.plan.authorization import Purpose
from reconciler.spec.desired import DesiredState, SpecSet
from reconciler.spec.loader import ParsedSet, for_target, read
from reconciler.spec.settings import Settings, TargetSpec, account_of


@dataclass(frozen=True, slots=True)
class Wanted:
    """The statements of one target; ``target`` is ``None`` for the caller's own account. With
    ``is_caller`` those of the identity that assumes the roles of the targets."""

    target: str | None
    scope: PermissionScope
    statements: tuple[Statement, ...]
    is_caller: bool = False


def wanted_for(
    request: Request,
    purpose: Purpose,
    sources: Collection[Source] = (),
    *,
    access_analyzer: bool = False,
    revokes: bool = False,
) -> tuple[Wanted, ...]:
    """One for each target, and one for who assumes their roles, if they have any. ``sources`` are
    those of evidence, beyond what the purpose needs anyway; with ``access_analyzer`` it may be
    asked about policies, and with ``revokes`` an apply may end a ``rotate --revoke``. Raises
    ``RefusedError`` for invalid specs and unknown targets."""
    # To forget takes addresses, and the policy is the same for all of them.
    asked = replace(request, destroy=purpose == "destroy", forget=("*",) * (purpose == "forget"))
    parsed = read(request.path)
    targets = _targets(parsed, asked)
    specs = _interpreted(parsed, asked, targets)
    made = []
    for name, target in targets.items():
        scope = scope_of_specs(asked, specs[name], target)
        shown = None if len(targets) == 1 else name
        statements = tuple(_statements(specs[name], scope, asked, purpose, revokes=revokes))
        statements += tuple(analyzing(scope)) if access_analyzer else ()
        statements += tuple(asking_instances(scope)) if "imds" in sources else ()
        made.append(Wanted(shown, scope, statements))
    return (*made, *_caller(parsed.settings, targets, made))


def wanted_for_plan(document: Mapping[str, Any], request: Request) -> tuple[Wanted, ...]:
    """For plan JSON, and the request that it was made with. Raises as ``wanted_for``."""
    parsed = read(request.path)
    targets = _targets(parsed, request)
    specs = _interpreted(parsed, request, targets)
    made = []
    for target in document["targets"]:
        name, settings = target["target"], target["settings"]
        spec = specs[name if name in specs else MEMBERS]

        def role_in(profile: str, spec: SpecSet = spec) -> str | None:
            found = spec.desired.profile(profile)
            return found.resource.role if found else None

        scope = scope_of_plan(
            target["partition"],
            target["account_id"],
            target["regions"],
            document["owner"],
            settings,
        )
        scope = replace(scope, asks_impact=_asks_impact(request, spec.settings))
        is_only = len(document["targets"]) == 1
        statements = tuple(applying_plan(target, scope, role_in))
        made.append(Wanted(None if is_only else name, scope, statements))
    return (*made, *_caller(parsed.settings, targets, made))


def scope_of_plan(
    partition: str,
    account_id: str,
    regions: Collection[str],
    owner: str,
    settings: Mapping[str, Any],
) -> PermissionScope:
    """Of a target; ``settings`` are those that are part of its intent."""
    given = settings.get("consumer_regions")
    also = () if given in (None, "all") else given
    everywhere = given == "all"
    named = None if everywhere else tuple(sorted({*regions, *also}))
    return PermissionScope(partition, account_id, named or None, owner, settings["tag_prefix"])


MEMBERS = "members"
"""In place of the names of targets that only AWS knows: accounts of an organization."""


def _targets(parsed: ParsedSet, request: Request) -> dict[str, TargetSpec | None]:
    settings = parsed.settings
    chosen = targets_of(request, settings)
    if settings.targets_from is None or request.targets:
        return chosen
    named = chosen if settings.targets else {}
    return {**named, MEMBERS: settings.targets_from.organizations.target()}


def _interpreted(
    parsed: ParsedSet, request: Request, targets: Mapping[str, TargetSpec | None]
) -> dict[str, SpecSet]:
    """The specs of each target. Raises ``RefusedError`` if they are invalid."""
    made = {
        name: interpreted_offline(for_target(parsed, target), request, target).spec
        for name, target in targets.items()
    }
    found = (d for spec in made.values() for d in spec.diagnostics if d.code not in ADJUSTABLE)
    refuse_invalid(found, parsed.sources)
    return made


def _caller(
    settings: Settings, targets: Mapping[str, TargetSpec | None], made: Sequence[Wanted]
) -> Iterator[Wanted]:
    """What the identity that assumes the roles of the targets needs; nothing if it needs none."""
    scope = made[0].scope
    roles = {t.role_arn for n, t in targets.items() if t and t.role_arn and n != MEMBERS}
    source = settings.targets_from if MEMBERS in targets else None
    if source is not None:
        roles.add(source.organizations.role_arn(ANY, scope.partition))
    found = tuple(assuming(roles, source.organizations if source else None))
    if found:
        yield Wanted(None, scope, found, is_caller=True)


def scope_of_specs(request: Request, spec: SpecSet, target: TargetSpec | None) -> PermissionScope:
    """Where a target is, as far as its specs and the request say."""
    settings = spec.settings
    account = (target.account_id if target else None) or settings.account_id
    if account is None and target is not None:
        account = account_of(target.role_arn)
    own = request.regions or (target.regions if target else None) or settings.regions
    regions = _regions(spec, request, tuple(own or ()))
    named = next(iter(regions or own or ()), None)
    return PermissionScope(
        partition_of(named),
        account or ANY,
        regions,
        request.owner or settings.owner,
        settings.tag_prefix,
        asks_impact=_asks_impact(request, settings),
    )


def _asks_impact(request: Request, settings: Settings) -> bool:
    return request.impact or settings.impact != "off"


def _regions(spec: SpecSet, request: Request, own: tuple[str, ...]) -> tuple[str, ...] | None:
    """Where instances are read and changed; ``None`` for every region, since consumers are searched
    for in all, or no region is named and the session's counts."""
    settings, desired = spec.settings, spec.desired
    takes_all = request.destroy or request.forget or settings.prune
    searches = (desired.profiles or takes_all) and settings.consumer_regions is None
    if not own or searches:
        return None
    named = {region for one in desired.associations for region in one.regions or ()}
    return tuple(sorted({*own, *named, *(settings.consumer_regions or ())}))


def _statements(
    spec: SpecSet, scope: PermissionScope, request: Request, purpose: Purpose, *, revokes: bool
) -> Iterator[Statement]:
    if purpose == "destroy":
        return destroying(scope)
    if purpose == "forget":
        return forgetting(scope)
    if purpose == "rotate":
        return rotating(_chosen(spec), scope)
    if purpose != "apply":
        return reading(scope, purpose)
    prunes = spec.settings.prune if request.prune is None else request.prune
    # A part of a set prunes nothing.
    prunes = prunes and spec.chosen is None
    return applying(_chosen(spec), scope, prunes=prunes, revokes=revokes)


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
