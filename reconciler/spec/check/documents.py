"""All policy documents of a set as they are written, each with its place."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from reconciler.model.address import Address
from reconciler.model.policy_document import PolicyDocument, PolicyUse
from reconciler.spec.check.checks import is_unread
from reconciler.spec.check.spots import Spot
from reconciler.spec.desired import Desired, DesiredPolicy, DesiredRole, DesiredState
from reconciler.spec.yaml.policy_documents import place_of_inline


@dataclass(frozen=True, slots=True)
class Written:
    """``name`` is that of an inline policy."""

    address: Address
    use: PolicyUse
    document: PolicyDocument
    spot: Spot
    name: str | None = None


def documents(desired: DesiredState) -> Iterator[Written]:
    """Without those that could not be read, which was reported, and without trusts in the short
    form."""
    for entity in desired.entities():
        for written in _of(entity):
            if not is_unread(written.spot.place, *written.spot.path):
                yield written


def _of(entity: Desired) -> Iterator[Written]:
    place = entity.place
    match entity:
        case DesiredPolicy():
            policy = entity.resource
            yield Written(policy.address, "managed", policy.document, Spot(place, ("document",)))
        case DesiredRole():
            role = entity.resource
            if place.at("trust_policy") != place.here:
                yield Written(
                    role.address, "trust", role.trust_policy, Spot(place, ("trust_policy",))
                )
            for name, document in role.inline_policies:
                spot = Spot(place, place_of_inline(place.tree, role.name, name))
                yield Written(role.address, "inline", document, spot, name)
        case _:
            return
