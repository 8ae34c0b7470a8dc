"""What a kind of resource answers with. Each module of a kind is one, and here they are listed.

Associations are not among them: which there should be follows from instances, so
``planner/associations.py`` asks ``association.py`` itself.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Protocol

from reconciler.kinds import instance_profile, policy, role
from reconciler.kinds.context import Context, Step
from reconciler.model.address import Address


class Kind(Protocol):
    """Pure: every method answers with values. ``desired``, ``live`` and ``after`` are of the kind's
    own types."""

    def desired_state_of(self, desired: Any, live: Any, leave: frozenset[str]) -> Any:
        """What the resource will be, with what is left alone as it is."""
        ...

    def create(self, after: Any, context: Context) -> Iterator[Step]: ...

    def adopt(self, live: Any, context: Context) -> Iterator[Step]:
        """Writes our tags on what exists."""
        ...

    def update(self, live: Any, after: Any, context: Context) -> Iterator[Step]: ...

    def delete(self, live: Any, context: Context) -> Iterator[Step]: ...

    def replace(self, live: Any, after: Any, context: Context) -> Iterator[Step]:
        """Deletes what is there and makes it again."""
        ...


KINDS: Mapping[str, Kind] = {
    "policy": policy,
    "role": role,
    "instance-profile": instance_profile,
}


def kind_of(address: Address) -> Kind:
    return KINDS[address.kind]
