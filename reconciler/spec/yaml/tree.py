"""A YAML file as a tree of values that know their place.

Every scalar stays as it was written: whether ``0123`` is text or a number is decided by the schema.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from reconciler.diagnostics import Location


@dataclass(frozen=True, slots=True)
class Scalar:
    """``text`` is ``None`` for null (``~``, ``null`` or nothing, unquoted)."""

    text: str | None
    location: Location


@dataclass(frozen=True, slots=True)
class Sequence:
    items: tuple[Tree, ...]
    location: Location


@dataclass(frozen=True, slots=True)
class Mapping:
    items: dict[str, Tree]
    keys: dict[str, Location] = field(repr=False)
    location: Location = field(default_factory=lambda: Location(""))


@dataclass(frozen=True, slots=True)
class UnreadDocument(Mapping):
    """Stands for a policy document that could not be read, which was reported where it is named."""


Tree = Scalar | Sequence | Mapping
Path = tuple[str | int, ...]


def plain(tree: Tree) -> Any:
    """The tree as dicts, lists, strings and ``None``."""
    match tree:
        case Scalar(text):
            return text
        case Sequence(items):
            return [plain(item) for item in items]
        case Mapping(items):
            return {key: plain(value) for key, value in items.items()}


def locate(tree: Tree, path: Path) -> Location:
    """The place of what ``path`` leads to: a key's for an entry of a mapping.

    Segments that are not in the tree are passed over, so a path to something missing gives the
    place of what should hold it.
    """
    place = tree.location
    for segment in path:
        if isinstance(tree, Mapping) and segment in tree.items:
            place, tree = tree.keys[str(segment)], tree.items[str(segment)]
        elif isinstance(tree, Sequence) and isinstance(segment, int) and segment < len(tree.items):
            tree = tree.items[segment]
            place = tree.location
    return place


def value_location(tree: Tree, path: Path) -> Location:
    """As ``locate``, but the place of the value in place of its key's."""
    found = child(tree, path)
    return found.location if found is not None else locate(tree, path)


def child(tree: Tree, path: Path) -> Tree | None:
    for segment in path:
        match tree:
            case Mapping(items) if segment in items:
                tree = items[str(segment)]
            case Sequence(members) if isinstance(segment, int) and segment < len(members):
                tree = members[segment]
            case _:
                return None
    return tree


def mapped(tree: Tree, change: Callable[[Scalar, Path], Scalar], path: Path = ()) -> Tree:
    """The tree with every scalar changed; keys are left alone."""
    match tree:
        case Scalar():
            return change(tree, path)
        case Sequence(items, location):
            changed = (mapped(item, change, (*path, n)) for n, item in enumerate(items))
            return Sequence(tuple(changed), location)
        case UnreadDocument():
            return tree
        case Mapping(items, keys, location):
            entries = {key: mapped(value, change, (*path, key)) for key, value in items.items()}
            return Mapping(entries, keys, location)


def scalars(tree: Tree, path: Path = ()) -> Iterator[tuple[Path, Scalar]]:
    match tree:
        case Scalar():
            yield path, tree
        case Sequence(items):
            for number, item in enumerate(items):
                yield from scalars(item, (*path, number))
        case Mapping(items):
            for key, value in items.items():
                yield from scalars(value, (*path, key))
