"""What a kind of resource answers with. Each module of a kind is one, and here they are listed.

Associations are not among them: which there should be follows from instances, so
``planner/associations.py`` asks ``association.py`` itself.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Protocol, TypeVar

from reconciler.kinds import instance_profile, policy, role
from reconciler.kinds.context import KindContext, Step
from reconciler.model.address import POLICY, PROFILE, ROLE, Address
from reconciler.model.live import LivePolicy, LiveProfile, LiveRole
from reconciler.model.resources import InstanceProfile, Policy, Role
from reconciler.spec.desired import DesiredPolicy, DesiredProfile, DesiredRole

D_contra = TypeVar("D_contra", contravariant=True)
L_contra = TypeVar("L_contra", contravariant=True)
R = TypeVar("R")


class Kind(Protocol[D_contra, L_contra, R]):
    """Pure: every function answers with values. The parameters are the kind's desired entity, its
    live entity, and its resource."""

    def desired_state_of(self, desired: D_contra, live: L_contra, leave: frozenset[str]) -> R:
        """The resource as it will be, with the attributes in ``leave`` as they are."""
        ...

    def create(self, after: R, context: KindContext) -> Iterator[Step]: ...

    def adopt(self, live: L_contra, context: KindContext) -> Iterator[Step]:
        """Writes our tags on what exists."""
        ...

    def update(self, live: L_contra, after: R, context: KindContext) -> Iterator[Step]: ...

    def delete(self, live: L_contra, context: KindContext) -> Iterator[Step]: ...

    def forget(self, live: L_contra, context: KindContext) -> Iterator[Step]:
        """Removes our tags, and nothing else."""
        ...

    def replace(self, live: L_contra, after: R, context: KindContext) -> Iterator[Step]:
        """Deletes what exists and makes it again."""
        ...


# The assignments make mypy compare each module with the protocol, in the kind's own types.
_POLICY: Kind[DesiredPolicy, LivePolicy, Policy] = policy
_ROLE: Kind[DesiredRole, LiveRole, Role] = role
_PROFILE: Kind[DesiredProfile, LiveProfile, InstanceProfile] = instance_profile

_KINDS: Mapping[str, Kind[Any, Any, Any]] = {
    POLICY: _POLICY,
    ROLE: _ROLE,
    PROFILE: _PROFILE,
}


def kind_of(address: Address) -> Kind[Any, Any, Any]:
    """Of an entity; which of them it is, only its address says."""
    return _KINDS[address.kind]
