"""The JSON Schema that editors get: every property described, and true to what the loader takes."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from ruamel.yaml import YAML

from reconciler.spec.schema import json_schema

ROOT = Path(__file__).parent.parent.parent


def properties(node: Any, path: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    if isinstance(node, dict):
        for name, value in node.get("properties", {}).items():
            yield f"{path}.{name}", value
        for name, value in node.items():
            yield from properties(value, f"{path}.{name}")
    elif isinstance(node, list):
        for value in node:
            yield from properties(value, path)


def test_every_property_is_described() -> None:
    bare = [name for name, value in properties(json_schema()) if not value.get("description")]
    assert bare == []


def test_it_is_a_schema() -> None:
    jsonschema.Draft7Validator.check_schema(json_schema())


@pytest.mark.parametrize("path", sorted((ROOT / "specs").glob("*.yaml")), ids=lambda p: p.name)
def test_our_own_specs(path: Path) -> None:
    content = YAML(typ="safe", pure=True).load(path.read_text("utf-8"))
    jsonschema.Draft7Validator(json_schema()).validate(content)


WRONG = [
    {"roles": {"a": {"trst": "ec2"}}},
    {"roles": []},
    {"instance_profiles": {"p": {}}},
    {"instance_profiles": {"p": {"role": "r", "cutover": {"strategy": "hope"}}}},
    {"version": 2},
]


@pytest.mark.parametrize("content", WRONG)
def test_what_is_wrong_is_wrong_there_too(content: dict[str, Any]) -> None:
    assert not jsonschema.Draft7Validator(json_schema()).is_valid(content)


def test_forms_that_are_right() -> None:
    content = {
        "version": 1,
        "x-shared": {"a": 1},
        "roles": {
            "r": {
                "trust": ["ec2", "lambda"],
                "managed_policies": {"exclusive": False, "policies": ["a"]},
                "inline_policies": {"a": {"Version": "2012-10-17"}},
                "permissions_boundary": None,
                "max_session_duration": 3600,
                "tags": {"a": 1, "b": True, "c": "x"},
            }
        },
        "instance_profiles": {"p": {"role": None, "cutover": {"max_unavailable": 2}}},
        "associations": {"a": {"instance_profile": "p", "select": {"tags": {"a": ["x", "y"]}}}},
    }
    jsonschema.Draft7Validator(json_schema()).validate(content)
