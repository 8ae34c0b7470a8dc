"""Where in the specs the parts of a resource stand, for what is told of them later."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from reconciler.diagnostics import Location
from reconciler.model.address import name_key, name_of
from reconciler.spec.desired import Desired, DesiredAssociation, DesiredRole
from reconciler.spec.yaml.policy_documents import place_of_inline, place_of_managed
from reconciler.spec.yaml.tree import Scalar, Sequence, child

_WRITTEN = {"trust": "trust_policy"}
"""Attributes that a spec may write in another way."""
_SINGLE = (
    "document",
    "trust",
    "trust_policy",
    "permissions_boundary",
    "description",
    "max_session_duration",
    "role",
    "tags",
)


def places_of(entity: Desired) -> Mapping[str, Location]:
    """By attribute as in the plan, those that the spec has; entries of ``inline_policies`` and
    ``managed_policies`` by their names in lower case."""
    place = entity.place
    found = {
        _WRITTEN.get(key, key): place.at(key)
        for key in _SINGLE
        if child(place.tree, (*place.path, key)) is not None
    }
    if isinstance(entity, DesiredRole):
        role = str(place.path[-1])
        for name, _ in entity.resource.inline_policies:
            at = place_of_inline(place.tree, role, name)
            found[f"inline_policies.{name_key(name)}"] = place.at(*at)
        found |= _managed(entity)
    return found


def _managed(entity: DesiredRole) -> Iterator[tuple[str, Location]]:
    place = entity.place
    at = place_of_managed(place.tree, str(place.path[-1]))
    listed = child(place.tree, (*place.path, *at))
    for item in listed.items if isinstance(listed, Sequence) else ():
        if isinstance(item, Scalar) and item.text is not None:
            yield f"managed_policies.{name_key(name_of(item.text))}", item.location


def place_of_instance(association: DesiredAssociation, instance: str) -> Mapping[str, Location]:
    """Of an instance that the association names by its id."""
    if instance not in association.instances:
        return {}
    number = association.instances.index(instance)
    return {"instances": association.place.at("instances", number)}
