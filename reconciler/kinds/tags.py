"""Tags of any kind, from those that are there to those that are wanted."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from reconciler.kinds.context import iam, tag_list
from reconciler.model.ownership import exact
from reconciler.model.resources import Tags
from reconciler.plan.calls import ApiCall


def tag_calls(
    kind: str,
    target: dict[str, str],
    before: Tags,
    after: Tags,
    same_key: Callable[[str], str] = exact,
) -> Iterator[ApiCall]:
    """Calls that change tags from ``before`` to ``after``.

    ``kind`` is the suffix of the operations' names, ``target`` the parameter that names the
    resource. Stale keys are removed first, since a resource may have reached its limit of tags; a
    changed tag is overwritten and never absent. ``same_key`` folds keys that AWS treats as equal:
    removing ``team`` would remove the ``Team`` that replaces it.
    """
    wanted = {same_key(key) for key in after}
    if stale := sorted(key for key in before if same_key(key) not in wanted):
        yield iam(f"Untag{kind}", **target, TagKeys=stale)
    if wrong := {key: value for key, value in after.items() if before.get(key) != value}:
        yield iam(f"Tag{kind}", **target, Tags=tag_list(wrong))
