"""Loads a spec set: every file, every mistake in one run.

Reading is split from interpreting because variables such as ``${account_id}`` are known only after
AWS was asked who we are: a set is read once and interpreted when its caller is known.
"""

from __future__ import annotations

from collections.abc import Mapping as MappingType
from dataclasses import dataclass, field, replace
from pathlib import Path as FilePath

from reconciler.diagnostics import Diagnostic, Location, in_order
from reconciler.spec import assembly, checks
from reconciler.spec.desired import Place, SpecSet
from reconciler.spec.files import Found, display_name, find, is_inside
from reconciler.spec.mistakes import validated_model
from reconciler.spec.models import FileSpec
from reconciler.spec.settings import SETTINGS_FILE, Settings, TargetSpec
from reconciler.spec.source import Unreadable, parse, read_text
from reconciler.spec.tree import Mapping, Path, Scalar, Tree
from reconciler.spec.variables import substituted

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
            settings = validated_model(Settings, file.tree, problems) or Settings()
            place = Place(file.tree, ())
        else:
            resources.append(file)
    return ParsedSet(found, tuple(resources), settings, place, tuple(problems), sources)


def for_target(parsed: ParsedSet, target: TargetSpec | None) -> ParsedSet:
    """The set with those files alone that make up the target's part of it."""
    if target is None or target.specs is None:
        return parsed
    root = parsed.found.root
    parts = {name: root / name for name in target.specs}
    place = parsed.settings_place.at("targets") if parsed.settings_place else Location(str(root))
    missing = [
        Diagnostic("error", "no-such-path", f"there is no {name!r} in this set", place)
        for name, path in parts.items()
        if not path.exists()
    ]
    chosen = [f for f in parsed.files if any(is_inside(f.path, p) for p in parts.values())]
    return replace(parsed, files=tuple(chosen), diagnostics=(*parsed.diagnostics, *missing))


def validated(parsed: ParsedSet, variables: MappingType[str, str]) -> SpecSet:
    """The findings of the set as every one of its targets would have it."""
    sets = []
    for target in (*parsed.settings.targets.values(),) or (None,):
        account = (target.account_id if target else None) or parsed.settings.account_id
        own = target.variables if target else {}
        caller = Caller(account or PLACEHOLDER_ACCOUNT, "aws", {**own, **variables})
        sets.append(interpret(for_target(parsed, target), caller))
    found = in_order(d for one in sets for d in one.diagnostics)
    return replace(sets[0], diagnostics=found)


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
        spec = validated_model(FileSpec, tree, problems) if isinstance(tree, Mapping) else None
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
