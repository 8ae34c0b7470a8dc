"""A part of a plan, and the view that all parts are made from."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, fields, replace

from reconciler.changes import Change, Conflict, Guard, Kept
from reconciler.cutover.rehearsal import Printed
from reconciler.cutover.value import CutOver, Seen
from reconciler.diagnostics import Diagnostic
from reconciler.graph import Draft
from reconciler.kinds.context import Context
from reconciler.kinds.references import policy_arn
from reconciler.live import LiveState
from reconciler.model import Role
from reconciler.plan import Work
from reconciler.planner.options import Options
from reconciler.spec.desired import DesiredRole, DesiredState

WorkDraft = Draft[Work]


@dataclass(frozen=True, slots=True)
class Part:
    changes: tuple[Change, ...] = ()
    drafts: tuple[WorkDraft, ...] = ()
    kept: tuple[Kept, ...] = ()
    ignored: tuple[Kept, ...] = ()
    conflicts: tuple[Conflict, ...] = ()
    guards: tuple[Guard, ...] = ()
    diagnostics: tuple[Diagnostic, ...] = ()
    printed: tuple[tuple[CutOver, tuple[Printed, ...]], ...] = ()
    begins: tuple[tuple[CutOver, Seen], ...] = ()


def together(parts: Iterable[Part]) -> Part:
    """All parts as one, each list in the order of the parts."""
    listed = tuple(parts)
    return Part(
        **{
            column.name: tuple(item for part in listed for item in getattr(part, column.name))
            for column in fields(Part)
        }
    )


@dataclass(frozen=True, slots=True)
class View:
    """``desired`` names policies by ARN."""

    desired: DesiredState
    live: LiveState
    options: Options
    context: Context


def policies_of(role: Role) -> frozenset[str]:
    """ARNs of every managed policy that the role has, as its boundary too."""
    boundary = () if role.permissions_boundary is None else (role.permissions_boundary,)
    return frozenset((*role.managed_policies, *boundary))


def resolved(desired: DesiredState, live: LiveState) -> DesiredState:
    """The desired state with every policy named by its ARN."""

    def role(entity: DesiredRole) -> DesiredRole:
        wanted = entity.resource
        boundary = wanted.permissions_boundary
        arns = tuple(policy_arn(p, desired, live) for p in wanted.managed_policies)
        bounded = policy_arn(boundary, desired, live) if boundary else None
        resource = replace(wanted, managed_policies=arns, permissions_boundary=bounded)
        return replace(entity, resource=resource)

    return replace(desired, roles={name: role(entity) for name, entity in desired.roles.items()})
