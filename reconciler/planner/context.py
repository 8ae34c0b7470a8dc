"""What all parts of a plan are made from (``PlanContext``, with references spelled in one way and
temporary profiles apart from the others), and what they are made into (``PlanFragment``). The
context of a whole plan is made by ``planner.py: plan_context``."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any, TypeVar

from reconciler.diagnostics import Diagnostic
from reconciler.kinds.context import KindContext
from reconciler.kinds.references import policy_arn
from reconciler.model.address import ROLE, Address, name_key, name_of
from reconciler.model.live import LiveInstance, LiveState
from reconciler.model.ownership import InstanceKey
from reconciler.model.policy_document import with_principals
from reconciler.plan.changes import Change, Conflict, Guard, Kept, Unmet
from reconciler.plan.cut_over import CutOver, Observation, PreviewStep
from reconciler.plan.graph import PendingStep
from reconciler.plan.plan import Work
from reconciler.planner.in_use import InUse
from reconciler.planner.options import Options
from reconciler.spec.desired import DesiredAssociation, DesiredProfile, DesiredRole, DesiredState

PendingWork = PendingStep[Work]
_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class PlanFragment:
    changes: tuple[Change, ...] = ()
    pending: tuple[PendingWork, ...] = ()
    kept: tuple[Kept, ...] = ()
    ignored: tuple[Kept, ...] = ()
    conflicts: tuple[Conflict, ...] = ()
    guards: tuple[Guard, ...] = ()
    diagnostics: tuple[Diagnostic, ...] = ()
    unmet: tuple[Unmet, ...] = ()
    preview: tuple[tuple[CutOver, tuple[PreviewStep, ...]], ...] = ()
    begins: tuple[tuple[CutOver, Observation], ...] = ()


def merged(parts: Iterable[PlanFragment]) -> PlanFragment:
    """All parts as one, each list in the order of the parts."""
    listed = tuple(parts)
    return PlanFragment(
        **{
            column.name: tuple(item for part in listed for item in getattr(part, column.name))
            for column in fields(PlanFragment)
        }
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanContext(KindContext):
    """The input of every part of a plan: live and desired state, options, and what may be in
    use."""

    options: Options
    in_use: InUse
    unmet: tuple[Unmet, ...] = ()
    """Unmet references of roles and profiles."""
    blocked: Mapping[Address, str] = field(default_factory=dict)
    """Resources of the specs that the plan leaves alone because of them, each with the reason."""
    _made: dict[Callable[..., Any], Any] = field(
        default_factory=dict, init=False, repr=False, compare=False
    )

    def once(self, of: Callable[[PlanContext], _T]) -> _T:
        """What the function makes of this context, made once."""
        if of not in self._made:
            self._made[of] = of(self)
        made: _T = self._made[of]
        return made


def profile_named(name: str, desired: DesiredState, live: LiveState) -> str:
    """A profile's name as AWS has it, else as the set defines it, else as it is written."""
    there, wanted = live.profile(name), desired.profile(name)
    return there.resource.name if there else wanted.resource.name if wanted else name


def role_named(name: str, desired: DesiredState, live: LiveState) -> str:
    """A role's name as AWS has it, else as the set defines it, else as it is written."""
    there, wanted = live.role(name), desired.role(name)
    return there.resource.name if there else wanted.resource.name if wanted else name


def resolved(desired: DesiredState, live: LiveState) -> DesiredState:
    """The desired state with every reference spelled in one way: policies by their ARN, roles,
    those in trusts too, and profiles by ``role_named`` and ``profile_named``."""

    def role(entity: DesiredRole) -> DesiredRole:
        wanted = entity.resource
        boundary = wanted.permissions_boundary
        arns = tuple(policy_arn(p, desired, live) for p in wanted.managed_policies)
        bounded = policy_arn(boundary, desired, live) if boundary else None
        resource = replace(
            wanted,
            managed_policies=arns,
            permissions_boundary=bounded,
            trust_policy=with_principals(wanted.trust_policy, principal),
        )
        return replace(entity, resource=resource)

    def principal(arn: str) -> str:
        if not live.identity.arns.has(arn, ROLE):
            return arn
        name = name_of(arn)
        return arn.removesuffix(name) + role_named(name, desired, live)

    def profile(entity: DesiredProfile) -> DesiredProfile:
        held = entity.resource.role
        if held is None:
            return entity
        spelled = replace(entity.resource, role=role_named(held, desired, live))
        return replace(entity, resource=spelled)

    def association(wanted: DesiredAssociation) -> DesiredAssociation:
        return replace(wanted, profile=profile_named(wanted.profile, desired, live))

    return replace(
        desired,
        roles={name: role(entity) for name, entity in desired.roles.items()},
        profiles={name: profile(entity) for name, entity in desired.profiles.items()},
        associations=tuple(association(wanted) for wanted in desired.associations),
    )


def with_temporary_profiles(live: LiveState) -> LiveState:
    """The account as it was read: the opposite of ``without_temporary_profiles``."""
    temporary = {name_key(p.resource.name): p for p in live.shadows.values()}
    return replace(
        live,
        profiles={**live.profiles, **temporary},
        instances={**live.instances, **live.on_temporary_profile},
        shadows={},
        on_temporary_profile={},
    )


def without_temporary_profiles(live: LiveState, owner: str) -> LiveState:
    """The account as it would be after every hop: instances on a temporary profile count for the
    original one. A temporary profile whose original is gone is a profile like any other."""
    shadows = {
        name_key(profile.temporary_of): profile
        for profile in live.profiles.values()
        if profile.owner == owner and live.profile(profile.temporary_of or "") is not None
    }
    if not shadows:
        return live
    on_temporary_profile: dict[InstanceKey, LiveInstance] = {}
    instances = dict(live.instances)
    for name, temporary in shadows.items():
        home = live.profiles[name]
        for instance in live.consumers(temporary.arn):
            on_temporary_profile[instance.key] = instance
            rows = [replace(r, profile_arn=home.arn, profile_id=home.id) for r in instance.rows]
            instances[instance.key] = replace(instance, rows=tuple(rows))
    names = {name_key(temporary.resource.name) for temporary in shadows.values()}
    profiles = {name: profile for name, profile in live.profiles.items() if name not in names}
    return replace(
        live,
        profiles=profiles,
        instances=instances,
        shadows=shadows,
        on_temporary_profile=on_temporary_profile,
    )
