"""How a plan differs from the one that was reviewed, in words."""

from __future__ import annotations

from typing import Any

import pytest

from reconciler.plan.plan_diff import differences


def intended(before: Any, after: Any) -> dict[str, Any]:
    change = {
        "address": "role/web",
        "region": None,
        "actions": ["update"],
        "before": before,
        "after": after,
        "intent": {},
    }
    return {"targets": [{"target": "default", "changes": [change], "rules": [], "settings": {}}]}


MANY = {f"tag-{n}": "x" * 30 for n in range(20)}


@pytest.mark.parametrize(
    ("planned", "now", "told"),
    [
        (
            ({"description": "a"}, {"description": "b"}),
            (
                {"description": "a", "tags": {**MANY, "cost": "1"}},
                {"description": "b", "tags": {**MANY, "cost": "2"}},
            ),
            'tags.cost was as in the specs, is now "1"',
        ),
        (
            ({"tags": {**MANY, "cost": "1"}}, {"tags": {**MANY, "cost": "2"}}),
            ({"tags": {**MANY, "cost": "3"}}, {"tags": {**MANY, "cost": "2"}}),
            'tags.cost was "1", is now "3"',
        ),
        (
            ({"tags": {**MANY, "cost": "1"}}, {"tags": MANY}),
            ({"tags": {**MANY, "cost": "1", "by": "hand"}}, {"tags": MANY}),
            'tags.by was as in the specs, is now "hand"',
        ),
        (
            ({"tags": {"a": "1"}}, {"tags": {"a": "2"}}),
            ({"tags": {}}, {"tags": {"a": "2"}}),
            'tags.a was "1", is now unset',
        ),
        (
            ({"role": None, "path": "/"}, {"role": "a", "path": "/x/"}),
            ({"role": "b", "path": "/"}, {"role": "a", "path": "/x/"}),
            'role was null, is now "b"',
        ),
        (
            ({"inline_policies": {"logs": {"a": 1}}}, {"inline_policies": {"logs": {"a": 2}}}),
            ({"inline_policies": {"logs": {"a": 1}}}, {"inline_policies": {"logs": {"a": 3}}}),
            'inline_policies.logs was planned as {"a": 2}, is now planned as {"a": 3}',
        ),
        (
            ({"description": "a", "path": "/"}, {"description": "b", "path": "/x/"}),
            ({"path": "/"}, {"path": "/x/"}),
            'description was "a", is now as in the specs',
        ),
    ],
)
def test_what_moved_is_told_alone(planned: Any, now: Any, told: str) -> None:
    assert list(differences(intended(*planned), intended(*now))) == [f"role/web: {told}"]
