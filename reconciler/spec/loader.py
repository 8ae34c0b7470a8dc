"""Loads a spec set: every file, every mistake in one run.

Reading is split from interpreting because variables such as ``${account_id}`` are known only after
AWS was asked who we are: a set is read once and interpreted when its caller is known.
"""

from __future__ import annotations

import re
from collections.abc import Mapping as MappingType
from dataclasses import dataclass, field
from pathlib import Path as FilePath
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from reconciler.diagnostics import Diagnostic, Location, in_order, nearest
from reconciler.spec import assembly, checks
from reconciler.spec.desired import Place, SpecSet
from reconciler.spec.files import Found, display_name, find, is_inside
from reconciler.spec.models import FileSpec
from reconciler.spec.settings import SETTINGS_FILE, Settings
from reconciler.spec.source import Unreadable, parse, read_text
from reconciler.spec.tree import Mapping, Path, Scalar, Tree, child, locate, plain, value_location
from reconciler.spec.variables import substituted

_M = TypeVar("_M", bound=BaseModel)
_Schema = dict[str, Any]

PLACEHOLDER_ACCOUNT = "000000000000"
"""Stands for the account where none is known, so that sizes can be counted offline."""


@dataclass(frozen=True, slots=True)
class Caller:
    """What variables are filled from."""

    account_id: str = PLACEHOLDER_ACCOUNT
    partition: str = "aws"
    variables: MappingType[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ParsedFile:
    path: FilePath
    name: str
    tree: Mapping


@dataclass(frozen=True, slots=True)
class ParsedSet:
    """A set that was read but not interpreted."""

    found: Found
    files: tuple[ParsedFile, ...]
    settings: Settings
    settings_place: Place | None
    diagnostics: tuple[Diagnostic, ...]
    sources: MappingType[str, str]


def load(path: str, caller: Caller | None = None) -> SpecSet:
    return interpret(read(path), caller or Caller())


def read(path: str) -> ParsedSet:
    found = find(path)
    problems = list(found.diagnostics)
    sources: dict[str, str] = {}
    parsed = [_parse_file(file, sources, problems) for file in found.files]
    files = tuple(file for file in parsed if file is not None)
    settings, place = Settings(), None
    resources = []
    for file in files:
        if file.path == found.root / SETTINGS_FILE:
            settings = _validated(Settings, file.tree, problems) or Settings()
            place = Place(file.tree, ())
        else:
            resources.append(file)
    return ParsedSet(found, tuple(resources), settings, place, tuple(problems), sources)


def interpret(parsed: ParsedSet, caller: Caller) -> SpecSet:
    """The desired state for this caller, with every finding."""
    problems = list(parsed.diagnostics)
    variables = {
        "account_id": caller.account_id,
        "partition": caller.partition,
        **parsed.settings.variables,
        **caller.variables,
    }
    builder = assembly.Assembly(problems)
    for file in parsed.files:
        tree = substituted(file.tree, variables, problems)
        spec = _validated(FileSpec, tree, problems) if isinstance(tree, Mapping) else None
        if spec is not None:
            builder.add(spec, tree, _is_chosen(parsed, file))
    desired = builder.state()
    problems.extend(checks.check(desired, parsed.settings, parsed.settings_place))
    return SpecSet(
        root=str(parsed.found.root),
        settings=parsed.settings,
        desired=desired,
        diagnostics=in_order(problems),
        sources=parsed.sources,
        chosen=None if parsed.found.part is None else builder.chosen(),
        settings_place=parsed.settings_place,
    )


def _is_chosen(parsed: ParsedSet, file: ParsedFile) -> bool:
    part = parsed.found.part
    return part is None or is_inside(file.path, part)


def _parse_file(
    path: FilePath, sources: dict[str, str], problems: list[Diagnostic]
) -> ParsedFile | None:
    name = display_name(path)
    try:
        sources[name] = read_text(path, name)
        tree = parse(sources[name], name, problems)
        if tree is None:
            message = "holds no resources: it is empty"
            problems.append(Diagnostic("warning", "empty-file", message, Location(name)))
            return None
        if not isinstance(tree, Mapping):
            message = "a spec is a mapping with keys such as roles and instance_profiles"
            problems.append(Diagnostic("error", "wrong-type", message, tree.location))
            return None
        return ParsedFile(path, name, _included(_without_extensions(tree), path, sources, problems))
    except Unreadable as error:
        problems.append(error.diagnostic)
        return None


def _without_extensions(tree: Mapping) -> Mapping:
    """Keys at the top that begin with ``x-`` are there for anchors alone."""
    items = {key: value for key, value in tree.items.items() if not key.startswith("x-")}
    return Mapping(items, tree.keys, tree.location)


def _included(
    tree: Mapping, path: FilePath, sources: dict[str, str], problems: list[Diagnostic]
) -> Mapping:
    """Every ``{file: NAME.json}`` that stands for a policy document, replaced by the document."""

    def walk(node: Tree, where: Path) -> Tree:
        if not isinstance(node, Mapping):
            return node
        if _is_document(where) and node.items.keys() == {"file"}:
            return _document_file(node, path, sources, problems)
        items = {key: walk(value, (*where, key)) for key, value in node.items.items()}
        return Mapping(items, node.keys, node.location)

    result = walk(tree, ())
    return result if isinstance(result, Mapping) else tree


def _is_document(path: Path) -> bool:
    match path:
        case ("policies", _, "document") | ("roles", _, "trust_policy"):
            return True
        case ("roles", _, "inline_policies", _) | ("roles", _, "inline_policies", "policies", _):
            return True
        case _:
            return False


def _document_file(
    node: Mapping, path: FilePath, sources: dict[str, str], problems: list[Diagnostic]
) -> Tree:
    value = node.items["file"]
    text = value.text if isinstance(value, Scalar) else None
    if text is None or FilePath(text).is_absolute() or ".." in FilePath(text).parts:
        message = "must name a file beside this one"
        problems.append(Diagnostic("error", "bad-file", message, value.location))
        return Mapping({}, {}, node.location)
    target = path.parent / text
    name = display_name(target)
    try:
        sources[name] = read_text(target, name)
        return parse(sources[name], name, problems) or Mapping({}, {}, Location(name, 1, 1))
    except Unreadable as error:
        related = (("named here", value.location),)
        found = error.diagnostic
        problems.append(
            Diagnostic("error", found.code, found.message, found.location, related=related)
        )
        return Mapping({}, {}, node.location)


def _validated(model: type[_M], tree: Mapping, problems: list[Diagnostic]) -> _M | None:
    """The model without the parts that are wrong, so that the rest is checked in the same run."""
    data = plain(tree)
    try:
        return model.model_validate(data)
    except ValidationError as error:
        found = error.errors()
    problems.extend(_diagnostic(details, tree, model) for details in found)
    for details in found:
        _drop(data, details["loc"])
    try:
        return model.model_validate(data)
    except ValidationError:
        return None


def _drop(data: dict[str, Any], path: Path) -> None:
    """Takes out the resource, or the setting, that ``path`` leads into."""
    section = data.get(str(path[0])) if path else None
    if len(path) > 1 and isinstance(section, dict):
        section.pop(str(path[1]), None)
    elif path:
        data.pop(str(path[0]), None)


_CODES = {
    "extra_forbidden": "unknown-key",
    "missing": "missing-key",
    "value_error": "invalid-value",
}


def _diagnostic(details: ErrorDetails, tree: Tree, model: type[BaseModel]) -> Diagnostic:
    path: Path = details["loc"]
    kind = details["type"]
    code = _CODES.get(kind, kind if "-" in kind else "wrong-type")
    if code == "unknown-key":
        return _unknown_key(path, tree, model)
    if code == "missing-key":
        return Diagnostic("error", code, f"{path[-1]!r} is missing", locate(tree, path))
    name = next((str(p) for p in reversed(path) if isinstance(p, str)), "the file")
    message = f"{name}: {_lowered(details['msg'])}{_given(tree, path)}"
    return Diagnostic("error", code, message, value_location(tree, path))


def _given(tree: Tree, path: Path) -> str:
    value = child(tree, path)
    if isinstance(value, Scalar):
        return f", not {value.text!r}" if value.text is not None else ", not null"
    return ""


def _lowered(message: str) -> str:
    text = message.removeprefix("Input should be ").removeprefix("Value error, ")
    text = text.replace("a valid dictionary", "a mapping").replace("a valid string", "text")
    text = text.replace("a valid list", "a list")
    text = re.sub(r" or instance of \w+", "", text)
    return f"must be {text}" if text != message else text[:1].lower() + text[1:]


def _unknown_key(path: Path, tree: Tree, model: type[BaseModel]) -> Diagnostic:
    key = str(path[-1])
    known = known_keys(model, path[:-1])
    close = nearest(key, known)
    hint = f"did you mean {close!r}?" if close else f"known keys: {', '.join(known)}"
    message = f"there is no key {key!r} here"
    return Diagnostic("error", "unknown-key", message, locate(tree, path), hint)


def known_keys(model: type[BaseModel], path: Path) -> tuple[str, ...]:
    """The keys that the schema has at ``path``, names of resources passed over."""
    schema = model.model_json_schema()
    node = schema
    for segment in path:
        node = _schema_child(node, segment, schema.get("$defs", {}))
    return tuple(_resolved(node, schema.get("$defs", {})).get("properties", {}))


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
