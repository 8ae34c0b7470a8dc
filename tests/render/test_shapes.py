"""Every JSON that is printed is what its JSON Schema says, in every situation that fills it."""

from __future__ import annotations

import json
from typing import Any

import jsonschema
import pytest

from reconciler.diagnostics import Diagnostic, Location
from reconciler.render.json.drift import drift_json
from reconciler.render.json.plan import diagnostics_json, plan_json
from reconciler.render.json.schemas import PRINTED, schema_of
from tests.render.situations import NOW, everything


def valid(name: str, value: object) -> None:
    plain = json.loads(json.dumps(value))
    jsonschema.Draft202012Validator(schema_of(name)).validate(plain)


def test_a_plan_with_something_of_everything() -> None:
    stopped, pruned, _ = everything()
    printed: Any = plan_json(stopped, NOW)
    valid("plan", printed)
    plain = json.dumps(printed)
    target = printed["targets"][0]
    for member in ("changes", "steps", "kept", "ignored", "conflicts", "unread", "rules"):
        assert target[member], member
    printed = plan_json(pruned, NOW)
    valid("plan", printed)
    plain += json.dumps(printed)
    wanted = ["create", "adopt", "update", "delete", "cutover"]
    assert [a for a in wanted if f'"{a}"' not in plain] == []
    assert printed["targets"][0]["guards"]
    assert '"wait": "gone"' in plain


def test_drift() -> None:
    found = everything()[2]
    valid("drift", drift_json(found, NOW))
    assert {f.status for f in found.findings} >= {"modified", "missing", "unadopted", "unknown"}


def test_findings_about_specs() -> None:
    place = Location("a.yaml", 1, 2)
    found = Diagnostic("error", "x", "y", place, "z", (("there", place),))
    valid("diagnostics", diagnostics_json([found]))


@pytest.mark.parametrize("name", PRINTED)
def test_they_are_schemas(name: str) -> None:
    jsonschema.Draft202012Validator.check_schema(schema_of(name))


def spoilt(value: Any) -> list[Any]:
    """The value with a member too many, too few, or of another type."""
    more = {**value, "surprise": 1}
    name = sorted(value)[0]
    fewer = {k: v for k, v in value.items() if k != name}
    return [more, fewer, {**value, name: {"x": []}}]


def test_what_is_not_of_the_shape_is_refused() -> None:
    printed: Any = json.loads(json.dumps(plan_json(everything()[1], NOW)))
    target = printed["targets"][0]
    change, step = target["changes"][0], target["steps"][0]
    for wrong in spoilt(change):
        refused({**printed, "targets": [{**target, "changes": [wrong]}]})
    for wrong in spoilt(step):
        refused({**printed, "targets": [{**target, "steps": [wrong]}]})
    for wrong in spoilt(printed):
        refused(wrong)


def refused(value: object) -> None:
    with pytest.raises(jsonschema.ValidationError):
        valid("plan", value)
