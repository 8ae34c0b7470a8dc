"""From Pydantic's errors to diagnostics: a code, a place, a suggestion."""

from __future__ import annotations

import re
from functools import cache
from typing import Any, Final, TypeVar

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from reconciler.diagnostics import Diagnostic, Near
from reconciler.spec.yaml.tree import (
    Mapping,
    Path,
    Scalar,
    Tree,
    child,
    locate,
    plain,
    value_location,
)

_M = TypeVar("_M", bound=BaseModel)
_Schema = dict[str, Any]


def validated_model(model: type[_M], tree: Mapping, problems: list[Diagnostic]) -> _M | None:
    """The model without the parts that are wrong, so that the rest is checked in the same run."""
    data = plain(tree)
    try:
        return model.model_validate(data)
    except ValidationError as error:
        found = error.errors(include_url=False, include_input=False, include_context=False)
    problems.extend(_diagnostic(details, tree, model) for details in found)
    wrong = [_written(tree, details["loc"]) for details in found]
    for drop in (_drop_attribute, _drop_resource):
        for path in wrong:
            drop(data, path)
        try:
            return model.model_validate(data)
        except ValidationError as error:
            # What is missing now was there, and was wrong.
            wrong = [details["loc"] for details in error.errors(include_url=False)]
    return None


_MAKING: Final = frozenset(
    {"trust", "trust_policy", "instance_profile", "role", "document", "select", "instances"}
)
"""A resource that lacks one of these is another one, of which other things would be wrong."""
_ONE_OF: Final = {"roles": {"trust", "trust_policy"}, "associations": {"select", "instances"}}
"""Keys of which a resource has one, by section; an unknown key may be meant to be it."""


def _drop_attribute(data: dict[str, Any], path: Path) -> None:
    """Removes the attribute that ``path`` leads into, so that the rest of the resource is checked;
    of a mapping such as tags, or of inline policies, the entry alone."""
    if len(path) < 3 or path[2] in _MAKING:
        _drop_resource(data, path)
        return
    section, name, *inner = path
    node: Any = data.get(str(section))
    for key in (name, inner[0]):
        if not isinstance(node, dict) or key not in node:
            return
        node, held = node[key], node
    if len(inner) > 1 and isinstance(node, dict) and inner[1] in node:
        del node[inner[1]]
    else:
        del held[inner[0]]
        if _ONE_OF.get(str(section), held.keys()).isdisjoint(held):
            _drop_resource(data, path)


def _drop_resource(data: dict[str, Any], path: Path) -> None:
    """Removes the resource, or the setting, that ``path`` leads into."""
    section = data.get(str(path[0])) if path else None
    if len(path) > 1 and isinstance(section, dict):
        section.pop(str(path[1]), None)
    elif path:
        data.pop(str(path[0]), None)


_CODES = {
    "extra_forbidden": "unknown-key",
    "missing": "missing-key",
}


def _diagnostic(details: ErrorDetails, tree: Tree, model: type[BaseModel]) -> Diagnostic:
    path, kind = _written(tree, details["loc"]), details["type"]
    code = _CODES.get(kind, kind)
    if "-" not in code:
        # Our own kinds of error are codes; pydantic's are about the type, or about the value.
        code = "wrong-type" if kind.endswith("_type") else "invalid-value"
    if code == "unknown-key":
        key, known = str(path[-1]), known_keys(model, path[:-1])
        near = Near(key, known, otherwise=f"known keys: {', '.join(known)}")
        return Diagnostic("error", code, f"unknown key {key!r}", locate(tree, path), near=near)
    if code == "missing-key":
        return Diagnostic("error", code, f"{path[-1]!r} is missing", locate(tree, path))
    name = next((str(p) for p in reversed(path) if isinstance(p, str)), "the file")
    value, given = child(tree, path), ""
    if isinstance(value, Scalar):
        given = f", not {value.text!r}" if value.text is not None else ", not null"
    message = f"{name}: {_lowered(details['msg'])}{given}"
    return Diagnostic("error", code, message, value_location(tree, path))


def _written(tree: Tree, path: Path) -> Path:
    """The path without the keys that a short form leaves out, such as ``policies`` of a list."""
    kept: list[str | int] = []
    for number, segment in enumerate(path):
        is_last = number == len(path) - 1
        if is_last or child(tree, (*kept, segment)) is not None:
            kept.append(segment)
    return tuple(kept)


def _lowered(message: str) -> str:
    text = message.removeprefix("Input should be ").removeprefix("Value error, ")
    text = text.replace("a valid dictionary", "a mapping").replace("a valid string", "text")
    text = text.replace("a valid list", "a list")
    text = re.sub(r"a valid integer\b.*", "a whole number", text)
    text = re.sub(r"a valid number\b.*", "a number", text)
    text = re.sub(r"a valid boolean\b.*", "true or false", text)
    text = re.sub(r" or instance of \w+", "", text)
    return f"must be {text}" if text != message else text[:1].lower() + text[1:]


def known_keys(model: type[BaseModel], path: Path) -> tuple[str, ...]:
    """The keys that the schema has at ``path``, names of resources passed over."""
    schema = node = _schema(model)
    for segment in path:
        node = _schema_child(node, segment, schema.get("$defs", {}))
    return tuple(_resolved(node, schema.get("$defs", {})).get("properties", {}))


@cache
def _schema(model: type[BaseModel]) -> _Schema:
    return model.model_json_schema()


def _schema_child(node: _Schema, segment: str | int, definitions: _Schema) -> _Schema:
    resolved = _resolved(node, definitions)
    if isinstance(segment, int):
        inner = resolved.get("items")
    else:
        inner = resolved.get("properties", {}).get(segment) or resolved.get("additionalProperties")
    return inner if isinstance(inner, dict) else {}


def _resolved(node: _Schema, definitions: _Schema) -> _Schema:
    """The object schema behind ``$ref`` and ``anyOf``."""
    for option in node.get("anyOf") or node.get("allOf") or [node]:
        found = definitions.get(str(option.get("$ref", "")).rpartition("/")[2], option)
        if "properties" in found or "additionalProperties" in found:
            return dict(found)
    return node
