"""Names what differs between two unequal resources."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from deepdiff import DeepDiff

from reconciler.model.resources import Resource
from reconciler.plan.changes import Difference

_NESTED = ("tags", "managed_policies", "inline_policies")
"""Attributes that are mappings, whose entries are named one by one."""


def differences(before: Resource, after: Resource) -> tuple[Difference, ...]:
    """Sorted by path. Policy documents are compared as the model compares them: by meaning."""
    left, right = before.attributes(), after.attributes()
    named: list[Difference] = []
    for name in sorted(left.keys() | right.keys()):
        if name in _NESTED:
            named.extend(_entries(name, left[name], right[name]))
        elif left[name] != right[name]:
            named.append(Difference(name, left[name], right[name]))
    return tuple(d for d in named if not _same_meaning(d, before, after))


def _entries(name: str, before: Mapping[str, Any], after: Mapping[str, Any]) -> list[Difference]:
    # Two mappings with little in common would otherwise be shown as one change of the whole.
    tree = DeepDiff(dict(before), dict(after), view="tree", threshold_to_diff_deeper=0)
    # The first step below the root is the entry; what lies deeper is the document inside it.
    keys = {level.path(output_format="list")[0] for group in tree.values() for level in group}
    return [Difference(f"{name}.{key}", before.get(key), after.get(key)) for key in sorted(keys)]


def _same_meaning(difference: Difference, before: Resource, after: Resource) -> bool:
    return _document(before, difference.path) is not None and (
        _document(before, difference.path) == _document(after, difference.path)
    )


def _document(resource: Resource, path: str) -> object:
    attribute, _, name = path.partition(".")
    if attribute == "inline_policies":
        return dict(getattr(resource, attribute)).get(name)
    if attribute in ("document", "trust_policy"):
        return getattr(resource, attribute)
    return None


def changed_attributes(found: tuple[Difference, ...], resource: Resource) -> dict[str, Any]:
    """The attributes of ``resource`` that some difference lies in."""
    touched = {difference.path.partition(".")[0] for difference in found}
    return {name: value for name, value in resource.attributes().items() if name in touched}
