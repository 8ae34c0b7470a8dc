"""Puts the files of a set together into one desired state."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, TypeVar

from reconciler.diagnostics import Diagnostic, Location
from reconciler.model.address import Address, name_key
from reconciler.model.checks import Checks, DeniedLimit, Verify
from reconciler.model.policy_document import PolicyDocument
from reconciler.model.resources import InstanceProfile, Policy, Role, RollOut
from reconciler.spec.check.aws_limits import SERVICE
from reconciler.spec.desired import (
    Desired,
    DesiredAssociation,
    DesiredPolicy,
    DesiredProfile,
    DesiredRole,
    DesiredState,
    Place,
)
from reconciler.spec.models import (
    AssociationSpec,
    ChecksSpec,
    CutOverSpec,
    Defaults,
    FileSpec,
    PolicySpec,
    RoleSpec,
)
from reconciler.spec.yaml.tree import Tree

_D = TypeVar("_D", bound=Desired)
_Related = tuple[tuple[str, Location], ...]


class Assembly:
    """Takes files one by one; a name that comes twice is a finding that shows both places."""

    def __init__(self, problems: list[Diagnostic]) -> None:
        self._problems = problems
        self._policies: dict[str, DesiredPolicy] = {}
        self._roles: dict[str, DesiredRole] = {}
        self._profiles: dict[str, DesiredProfile] = {}
        self._associations: dict[str, DesiredAssociation] = {}
        self._chosen: set[Address] = set()

    def add(self, spec: FileSpec, tree: Tree, is_chosen: bool) -> None:
        defaults = spec.defaults
        for name, policy in spec.policies.items():
            place = Place(tree, ("policies", name))
            self._add(self._policies, _policy(name, policy, defaults, place), is_chosen)
        for name, role in spec.roles.items():
            place = Place(tree, ("roles", name))
            made = _role(name, role, defaults, place)
            self._add(self._roles, made, is_chosen)
            if role.instance_profile:
                # What the AWS console makes beside a role for EC2.
                tags, leave = made.resource.tags, made.leave & {"path"}
                beside = InstanceProfile(name, name, made.resource.path, tags)
                self._add(self._profiles, DesiredProfile(beside, leave, place), is_chosen)
        for name, profile in spec.instance_profiles.items():
            place = Place(tree, ("instance_profiles", name))
            path, leave = _path(profile.path, defaults)
            wanted = InstanceProfile(name, profile.role, path, _tags(profile.tags, defaults))
            limits = _limits(profile.cutover)
            self._add(self._profiles, DesiredProfile(wanted, leave, place, limits), is_chosen)
        for name, association in spec.associations.items():
            self._associate(_association(name, association, tree), is_chosen)

    def state(self) -> DesiredState:
        associations = tuple(self._associations[name] for name in sorted(self._associations))
        return DesiredState(self._policies, self._roles, self._profiles, associations)

    def chosen(self) -> frozenset[Address]:
        return frozenset(self._chosen)

    def _add(self, part: dict[str, _D], desired: _D, is_chosen: bool) -> None:
        key = name_key(desired.resource.name)
        if is_chosen:
            self._chosen.add(desired.resource.address)
        if key not in part:
            part[key] = desired
            return
        first = part[key]
        message = f"{desired.resource.address} is given twice"
        if first.resource.name != desired.resource.name:
            message = f"{desired.resource.address} differs from another name only in case"
        related = (("first given here", first.place.here),)
        self._report("duplicate-name", message, desired.place, related)

    def _associate(self, desired: DesiredAssociation, is_chosen: bool) -> None:
        made = replace(desired, is_chosen=is_chosen)
        first = self._associations.setdefault(desired.name, made)
        if first is not made:
            message = f"the association {desired.name!r} is given twice"
            related = (("first given here", first.place.here),)
            self._report("duplicate-name", message, desired.place, related)

    def _report(self, code: str, message: str, place: Place, related: _Related) -> None:
        self._problems.append(Diagnostic("error", code, message, place.here, related=related))


def _path(given: str | None, defaults: Defaults) -> tuple[str, frozenset[str]]:
    """The path, and whether a path that is there stays."""
    stated = given or defaults.path
    return (stated, frozenset()) if stated else ("/", frozenset({"path"}))


def _tags(own: Mapping[str, str], defaults: Defaults) -> dict[str, str]:
    return {**defaults.tags, **own}


def _policy(name: str, spec: PolicySpec, defaults: Defaults, place: Place) -> DesiredPolicy:
    path, leave = _path(spec.path, defaults)
    if spec.description is None:
        leave |= {"description"}
    resource = Policy(
        name=name,
        document=PolicyDocument.of(spec.document),
        path=path,
        description=spec.description or "",
        tags=_tags(spec.tags, defaults),
    )
    return DesiredPolicy(resource, leave, place)


def _role(name: str, spec: RoleSpec, defaults: Defaults, place: Place) -> DesiredRole:
    path, leave = _path(spec.path, defaults)
    if "permissions_boundary" not in spec.model_fields_set:
        leave |= {"permissions_boundary"}
    if not spec.managed_policies.exclusive:
        leave |= {"managed_policies"}
    if not spec.inline_policies.exclusive:
        leave |= {"inline_policies"}
    inline = spec.inline_policies.policies.items()
    # Keys of role tags are compared without regard to case, so ``Team`` is over ``team``.
    own = {name_key(key) for key in spec.tags}
    under = {key: value for key, value in defaults.tags.items() if name_key(key) not in own}
    resource = Role(
        name=name,
        trust_policy=PolicyDocument.of(_trust(spec)),
        path=path,
        description=spec.description,
        managed_policies=tuple(spec.managed_policies.policies),
        inline_policies=tuple((key, PolicyDocument.of(document)) for key, document in inline),
        permissions_boundary=spec.permissions_boundary,
        max_session_seconds=spec.max_session_duration,
        tags={**under, **spec.tags},
    )
    return DesiredRole(resource, leave, place)


def _trust(spec: RoleSpec) -> object:
    """``trust: ec2`` written out; the checks say where neither or both forms are given."""
    if spec.trust is None:
        return _with_aws_for_all(spec.trust_policy or {})
    services = [s if "." in s else f"{s}.amazonaws.com" for s in spec.trust if SERVICE.fullmatch(s)]
    principal = services[0] if len(services) == 1 else services
    statement = {
        "Effect": "Allow",
        "Principal": {"Service": principal},
        "Action": "sts:AssumeRole",
    }
    return {"Version": "2012-10-17", "Statement": [statement]}


def _with_aws_for_all(document: dict[str, Any]) -> dict[str, Any]:
    """``Principal: "*"`` as ``{AWS: "*"}``: they mean the same, and AWS takes only the latter in a
    trust policy."""

    def spelled(statement: Any) -> Any:
        if not isinstance(statement, dict) or statement.get("Principal") != "*":
            return statement
        return {**statement, "Principal": {"AWS": "*"}}

    held = document.get("Statement")
    if isinstance(held, list):
        return {**document, "Statement": [spelled(one) for one in held]}
    return {**document, "Statement": spelled(held)} if isinstance(held, dict) else document


def _limits(spec: CutOverSpec) -> RollOut:
    return RollOut(
        max_unavailable=spec.max_unavailable,
        canary=spec.canary,
        pause_seconds=spec.pause,
        on_failure=spec.on_failure,
        strategy=spec.strategy,
        bake_seconds=spec.bake,
        checkpoints=tuple(spec.checkpoints),
        checks=_checks(spec.checks),
        verify=Verify(
            sources=tuple(dict.fromkeys(spec.verify.source)),
            timeout_seconds=spec.verify.timeout,
            on_unknown=spec.verify.on_unknown,
        ),
    )


def _checks(spec: ChecksSpec) -> Checks:
    denied = spec.denied
    return Checks(
        alarms=tuple(spec.alarms),
        target_groups=tuple(spec.target_groups),
        denied=None if denied is None else DeniedLimit(denied.max, denied.window),
    )


def _association(name: str, spec: AssociationSpec, tree: Tree) -> DesiredAssociation:
    wanted = spec.select.tags if spec.select else None
    return DesiredAssociation(
        name=name,
        profile=spec.instance_profile,
        place=Place(tree, ("associations", name)),
        instances=tuple(spec.instances or ()),
        select=None if wanted is None else {key: tuple(v) for key, v in wanted.items()},
        regions=None if spec.regions is None else tuple(spec.regions),
    )
