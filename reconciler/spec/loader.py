"""Loads a spec set: every file, every mistake in one run.

Reading is separate from interpreting because variables such as ``${account_id}`` are known only
after AWS has been asked for the identity: a set is read once, and interpreted again where it names
what was not known.
"""

from __future__ import annotations

import gc
from collections.abc import Callable, Hashable, Iterable, Iterator
from collections.abc import Mapping as MappingType
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path as FilePath

from reconciler.diagnostics import Diagnostic, Location, in_order
from reconciler.errors import UnreadableError
from reconciler.spec.build import builder
from reconciler.spec.build.validation import validated_model
from reconciler.spec.build.variables import CharactersLeft, substituted
from reconciler.spec.check import account_checks, checks
from reconciler.spec.desired import DesiredState, Place, SpecSet
from reconciler.spec.files import (
    YAML_SUFFIXES,
    Found,
    display_name,
    find,
    is_inside,
    stays_within,
)
from reconciler.spec.models import FileSpec
from reconciler.spec.settings import SETTINGS_FILE, Settings, TargetSpec
from reconciler.spec.yaml.parser import parse, read_text
from reconciler.spec.yaml.policy_documents import mapped_documents
from reconciler.spec.yaml.tree import Mapping, Scalar, Tree, UnreadDocument, scalars

PLACEHOLDER_ACCOUNT = "000000000000"
"""Placeholder for an unknown account, so that sizes can be counted offline."""


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


@contextmanager
def _collector_paused() -> Iterator[None]:
    """Specs become many small objects that are in no cycles: to look for cycles among them takes as
    long as to read them."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


def load(path: str, caller: Caller | None = None) -> SpecSet:
    return interpret(read(path), caller or Caller())


@_collector_paused()
def read(path: str) -> ParsedSet:
    found = find(path)
    problems = list(found.diagnostics)
    sources: dict[str, str] = {}
    documents: set[FilePath] = set()
    parsed = [_parse_file(file, found.bound, sources, problems, documents) for file in found.files]
    # A document that was named though it is YAML was reported, and is no spec.
    files = tuple(file for file in parsed if file is not None and file.path not in documents)
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


def validated(
    parsed: ParsedSet,
    variables: MappingType[str, str],
    more: Callable[[DesiredState], Iterable[Diagnostic]] | None = None,
) -> SpecSet:
    """The findings of the set as every one of its targets would have it, with ``more`` of each."""
    sets = []
    interpreter = Interpreter()
    targets = list(parsed.settings.targets.values())
    if source := parsed.settings.targets_from:
        # Which accounts there are is not known here; what they have in common is.
        targets.append(source.organizations.target())
    for target in targets or (None,):
        account = (target.account_id if target else None) or parsed.settings.account_id
        own = target.variables if target else {}
        caller = Caller(account or PLACEHOLDER_ACCOUNT, "aws", {**own, **variables})
        made = interpreter.of(for_target(parsed, target), caller)
        other = account_checks.of_account(made.desired, account, None)
        further = more(made.desired) if more is not None else ()
        sets.append(replace(made, diagnostics=(*made.diagnostics, *other, *further)))
    together = in_order(d for one in sets for d in one.diagnostics)
    return replace(sets[0], diagnostics=together)


@_collector_paused()
def interpret(parsed: ParsedSet, caller: Caller) -> SpecSet:
    """The desired state for this caller, with every finding."""
    problems = list(parsed.diagnostics)
    variables = {
        "account_id": caller.account_id,
        "partition": caller.partition,
        **parsed.settings.variables,
        **caller.variables,
    }
    made, part = builder.Assembly(problems), parsed.found.part
    room = CharactersLeft()
    for file in parsed.files:
        tree = substituted(file.tree, variables, problems, room)
        spec = validated_model(FileSpec, tree, problems) if isinstance(tree, Mapping) else None
        if spec is not None:
            made.add(spec, tree, part is None or is_inside(file.path, part))
    desired = made.state()
    problems.extend(checks.check(desired, parsed.settings, parsed.settings_place))
    return SpecSet(
        root=str(parsed.found.root),
        settings=parsed.settings,
        desired=desired,
        diagnostics=in_order(problems),
        sources=parsed.sources,
        chosen=None if part is None else made.chosen(),
        settings_place=parsed.settings_place,
    )


@dataclass
class Interpreter:
    """Interprets a set for many callers. Those whom nothing in it tells apart share one result:
    they have the same variables, and nothing is filled from what else they differ in."""

    _made: dict[Hashable, SpecSet] = field(default_factory=dict)
    _filled: dict[Hashable, frozenset[str]] = field(default_factory=dict)

    def of(self, parsed: ParsedSet, caller: Caller) -> SpecSet:
        """As ``interpret``. The settings of ``parsed`` are always the same."""
        files = tuple(id(file) for file in parsed.files)
        if files not in self._filled:
            texts = [s.text or "" for file in parsed.files for _, s in scalars(file.tree)]
            named = ("${account_id}", "${partition}")
            self._filled[files] = frozenset(n for n in named if any(n in text for text in texts))
        filled = self._filled[files]
        about = (
            files,
            parsed.diagnostics,
            frozenset(caller.variables.items()),
            caller.account_id if "${account_id}" in filled else None,
            caller.partition if "${partition}" in filled else None,
        )
        if about not in self._made:
            self._made[about] = interpret(parsed, caller)
        return self._made[about]


def _parse_file(
    path: FilePath,
    bound: FilePath,
    sources: dict[str, str],
    problems: list[Diagnostic],
    documents: set[FilePath],
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
        including = _Including(path, bound, sources, problems, documents)
        # Keys at the top that begin with x- are there for anchors alone.
        items = {key: value for key, value in tree.items.items() if not key.startswith("x-")}
        resources = Mapping(items, tree.keys, tree.location)
        return ParsedFile(path, name, including.included(resources))
    except UnreadableError as error:
        problems.append(error.diagnostic)
        return None


@dataclass(frozen=True, slots=True)
class _Including:
    """Puts the documents in their places that ``{file: NAME.json}`` of one spec stands for."""

    path: FilePath
    bound: FilePath
    sources: dict[str, str]
    problems: list[Diagnostic]
    documents: set[FilePath]
    """YAML files that were named: they would be read as specs as well."""

    def included(self, tree: Mapping) -> Mapping:
        found = mapped_documents(tree, self._document)
        return found if isinstance(found, Mapping) else tree

    def _document(self, node: Tree) -> Tree:
        if not isinstance(node, Mapping) or node.items.keys() != {"file"}:
            return node
        value = node.items["file"]
        if (target := self._target(value)) is None:
            return UnreadDocument({}, {}, node.location)
        name = display_name(target)
        try:
            self.sources[name] = read_text(target, name)
            read = parse(self.sources[name], name, self.problems)
            return read or Mapping({}, {}, Location(name, 1, 1))
        except UnreadableError as error:
            related = (("named here", value.location),)
            self.problems.append(replace(error.diagnostic, related=related))
            return UnreadDocument({}, {}, node.location)

    def _target(self, value: Tree) -> FilePath | None:
        """The file that is named, if it may be read: beside the spec or below, not hidden, and not
        outside of the set by way of a link."""
        named = FilePath((isinstance(value, Scalar) and value.text) or "..")
        if named.is_absolute() or any(part.startswith(".") for part in named.parts):
            message = "must name a file in the same folder"
            self.problems.append(Diagnostic("error", "bad-file", message, value.location))
            return None
        target = self.path.parent / named
        if named.suffix in YAML_SUFFIXES:
            message = "must name a .json file: every YAML file of the set is read as a spec"
            self.problems.append(Diagnostic("error", "bad-file", message, value.location))
            self.documents.add(target)
            return None
        if stays_within(target, self.bound):
            return target
        message = f"{display_name(target)} is a link to a place outside of the set"
        self.problems.append(Diagnostic("error", "link-outside", message, value.location))
        return None
