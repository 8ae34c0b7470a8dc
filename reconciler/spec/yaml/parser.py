"""Reads one YAML (or JSON) file into a tree, or reports what is wrong with it and where."""

from __future__ import annotations

import re
import stat
from pathlib import Path as FilePath
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode
from ruamel.yaml.reader import ReaderError

from reconciler.diagnostics import Diagnostic, Location
from reconciler.errors import UnreadableError
from reconciler.spec.yaml.tree import Mapping, Scalar, Sequence, Tree

MAX_FILE_BYTES = 10 * 1024 * 1024


MAX_NODES = 200_000
"""Most values of a file with its aliases expanded: an alias bomb has billions."""


MAX_CHARACTERS = 2 * MAX_FILE_BYTES
"""Most characters of all values with aliases expanded: one long text can be a bomb as well."""


MAX_LINES = 1_000_000


_HALVES = re.compile("[\ud800-\udfff]")


_NULLS = frozenset({"", "~", "null", "Null", "NULL"})


_CORE_TAGS = frozenset(
    f"tag:yaml.org,2002:{name}"
    for name in ("map", "seq", "str", "int", "float", "bool", "null", "timestamp", "merge", "value")
)


def read_text(path: FilePath, name: str) -> str:
    """The text of a regular UTF-8 file. Raises ``UnreadableError``."""
    whole = Location(name)
    try:
        status = path.stat()
        if not stat.S_ISREG(status.st_mode):
            raise _unreadable(whole, "not-a-file", "is not a regular file")
        if status.st_size > MAX_FILE_BYTES:
            raise _unreadable(whole, "file-too-large", _large(status.st_size))
        # It may have grown since, and a file in /proc has no size.
        with path.open("rb") as file:
            data = file.read(MAX_FILE_BYTES + 1)
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise _unreadable(whole, "unreadable-file", f"cannot be read: {reason}") from error
    if len(data) > MAX_FILE_BYTES:
        raise _unreadable(whole, "file-too-large", _large(len(data)))
    return _decoded(data, whole)


def _large(size: int) -> str:
    return f"{size / 1024 / 1024:.1f} MiB; a spec has at most 10 MiB"


def _decoded(data: bytes, whole: Location) -> str:
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise _unreadable(whole, "not-utf-8", "is UTF-16; save it as UTF-8")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        column = error.start - (data.rfind(b"\n", 0, error.start) + 1) + 1
        place = Location(whole.file, line, column)
        raise _unreadable(place, "not-utf-8", "is not UTF-8 text") from error
    if "\x00" in text:
        raise _unreadable(whole, "not-utf-8", "is binary, not YAML")
    return text


def parse(text: str, name: str, problems: list[Diagnostic]) -> Tree | None:
    """The one document of a YAML text; ``None`` when it is empty.

    Raises ``UnreadableError``; what does not stop the reading, such as duplicate keys, is added to
    ``problems``.
    """
    if text.count("\n") > MAX_LINES:
        message = f"has more than {MAX_LINES:,} lines; split it into several files"
        raise _unreadable(Location(name), "file-too-large", message)
    try:
        node = _reader(name).compose(text)
        return None if node is None else _Builder(name, problems).build(node)
    except ReaderError as error:
        head = text[: error.position]
        column = error.position - (head.rfind("\n") + 1) + 1
        place = Location(name, head.count("\n") + 1, column)
        message = f"the character U+{ord(text[error.position]):04X} is not allowed in YAML"
        raise _unreadable(place, "yaml-syntax", message) from error
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        place = Location(name, mark.line + 1, mark.column + 1) if mark else Location(name)
        raise _unreadable(place, "yaml-syntax", _problem(error)) from error
    except YAMLError as error:
        raise _unreadable(Location(name), "yaml-syntax", "is not valid YAML") from error
    except RecursionError as error:
        message = "is nested too deeply to be a spec"
        raise _unreadable(Location(name), "yaml-syntax", message) from error


def _reader(name: str) -> YAML:
    """Refuses a file with millions of values before it takes minutes and gigabytes."""
    reader = YAML(typ="safe", pure=True)

    class Counting(reader.Composer):  # type: ignore[misc, name-defined]
        count = 0

        def __init__(self, *given: Any, **named: Any) -> None:
            super().__init__(*given, **named)
            # YAML allows it: the last one before an alias counts.
            self.warn_double_anchors = False

        def compose_node(self, parent: Any, index: Any) -> Any:
            self.count += 1
            if self.count > MAX_NODES:
                place = Location(name, self.parser.peek_event().start_mark.line + 1)
                message = f"has more than {MAX_NODES:,} values; split it into several files"
                raise _unreadable(place, "file-too-large", message)
            return super().compose_node(parent, index)

    reader.Composer = Counting
    return reader


def _unreadable(place: Location, code: str, message: str) -> UnreadableError:
    return UnreadableError(Diagnostic("error", code, message, place))


def _problem(error: MarkedYAMLError) -> str:
    if error.problem == "but found another document":
        return "a spec file holds one document; this is the second"
    return ", ".join(p for p in (error.context, error.problem) if p) or "is not valid YAML"


class _Builder:
    """Turns ruamel's nodes into a tree: aliases followed, merge keys applied, duplicates found."""

    def __init__(self, name: str, problems: list[Diagnostic]) -> None:
        self.name = name
        self.problems = problems
        self.count = 0
        self.size = 0
        self.open: set[int] = set()

    def place(self, node: Node) -> Location:
        return Location(self.name, node.start_mark.line + 1, node.start_mark.column + 1)

    def build(self, node: Node) -> Tree:
        self.count += 1
        place = self.place(node)
        if self.count > MAX_NODES:
            raise _unreadable(place, "alias-bomb", f"expands to more than {MAX_NODES:,} values")
        if id(node) in self.open:
            raise _unreadable(
                place, "recursive-alias", "an alias refers to a value that contains it"
            )
        if str(node.tag) not in _CORE_TAGS:
            raise _unreadable(place, "unknown-tag", f"the YAML tag {node.tag} is not supported")
        self.open.add(id(node))
        try:
            return self.value(node, place)
        finally:
            self.open.discard(id(node))

    def value(self, node: Node, place: Location) -> Tree:
        match node:
            case MappingNode():
                return self.mapping(node, place)
            case SequenceNode():
                return Sequence(tuple(self.build(item) for item in node.value), place)
            case ScalarNode():
                self.count_text(node.value, place)
                is_null = node.style is None and node.value in _NULLS
                return Scalar(None if is_null else node.value, place)
            case _:
                raise _unreadable(place, "yaml-syntax", "is not valid YAML")

    def count_text(self, text: str, place: Location) -> None:
        self.size += len(text)
        if self.size > MAX_CHARACTERS:
            message = f"expands to more than {MAX_CHARACTERS:,} characters"
            raise _unreadable(place, "alias-bomb", message)
        if _HALVES.search(text):
            message = "has half of a surrogate pair"
            raise _unreadable(place, "yaml-syntax", message)

    def mapping(self, node: MappingNode, place: Location) -> Mapping:
        items: dict[str, Tree] = {}
        keys: dict[str, Location] = {}
        merged: list[Mapping] = []
        for key_node, value_node in node.value:
            here = self.place(key_node)
            if not isinstance(key_node, ScalarNode):
                raise _unreadable(here, "bad-key", "a key must be plain text")
            self.count_text(key_node.value, here)
            if key_node.value == "<<" and key_node.style is None:
                merged.extend(self.merged(value_node))
                continue
            if key_node.value in items:
                message = f"{key_node.value!r} is given twice"
                related = (("first given here", keys[key_node.value]),)
                self.problems.append(
                    Diagnostic("error", "duplicate-key", message, here, related=related)
                )
                continue
            items[key_node.value] = self.build(value_node)
            keys[key_node.value] = here
        for other in merged:
            for key, value in other.items.items():
                if key not in items:
                    items[key], keys[key] = value, other.keys[key]
        return Mapping(items, keys, place)

    def merged(self, node: Node) -> list[Mapping]:
        tree = self.build(node)
        listed = list(tree.items) if isinstance(tree, Sequence) else [tree]
        mappings = [item for item in listed if isinstance(item, Mapping)]
        if len(mappings) != len(listed):
            raise _unreadable(
                self.place(node), "bad-merge", "<< takes a mapping, or a list of them"
            )
        return mappings
