"""What a resource will be: as the specs want it, with what they leave alone as it is."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from reconciler.model.address import name_key, name_of, same_name
from reconciler.model.ownership import exact
from reconciler.model.resources import InstanceProfile, Policy, Role

_FIELDS = {"max_session_duration": "max_session_seconds", "trust_policy": "trust_policy"}


def keep_live(desired: Any, live: Any, leave: Iterable[str]) -> Any:
    """``desired`` with the attributes in ``leave`` copied from ``live``. ``managed_policies`` and
    ``inline_policies`` are merged; ``tags.KEY`` is that single tag."""
    for name in sorted(leave):
        attribute, _, key = name.partition(".")
        attribute = _FIELDS.get(attribute, attribute)
        if not hasattr(desired, attribute):
            continue
        value = _live_value(desired, live, attribute, key)
        desired = replace(desired, **{attribute: value})
    return desired


def _live_value(
    desired: Policy | Role | InstanceProfile, live: Any, attribute: str, key: str
) -> Any:
    wanted, there = getattr(desired, attribute), getattr(live, attribute)
    match attribute:
        case "tags" if key:
            # AWS takes keys of a role's tags that differ in case for one.
            same_key = name_key if isinstance(live, Role) else exact
            others = {k: v for k, v in wanted.items() if same_key(k) != same_key(key)}
            return {**others, **{k: v for k, v in there.items() if same_key(k) == same_key(key)}}
        case "managed_policies":
            return tuple({*wanted, *(p for p in there if not key or same_name(name_of(p), key))})
        case "inline_policies":
            kept = {name: document for name, document in there if not key or same_name(name, key)}
            others = {name: document for name, document in wanted if not same_name(name, key)}
            return tuple({**kept, **({} if key else dict(wanted)), **others}.items())
        case _:
            return there
