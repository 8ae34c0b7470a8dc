"""Makes a tree of the events of a YAML text: aliases followed, merge keys applied, duplicates
found, and everything bounded."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace

from reconciler.diagnostics import Diagnostic, Location
from reconciler.errors import UnreadableError
from reconciler.spec.yaml.events import YamlEvent
from reconciler.spec.yaml.tree import Mapping, Scalar, Sequence, Tree

MAX_NODES = 200_000
"""Most values of a file with its aliases expanded: an alias bomb has billions."""


MAX_CHARACTERS = 20 * 1024 * 1024
"""Most characters of all values with aliases expanded: one long text can be a bomb as well."""


MAX_DEPTH = 100
"""Most mappings and sequences inside each other; a policy needs about ten."""


_HALVES = re.compile("[\ud800-\udfff]")


_NULLS = frozenset({"", "~", "null", "Null", "NULL"})


_CORE_TAGS = {
    f"tag:yaml.org,2002:{name}"
    for name in ("map", "seq", "str", "int", "float", "bool", "null", "timestamp", "merge", "value")
} | {"!", None}


def unreadable(place: Location, code: str, message: str) -> UnreadableError:
    return UnreadableError(Diagnostic("error", code, message, place))


@dataclass(slots=True)
class _Anchored:
    """What an anchor stands for. ``tree`` is ``None`` while it is read: an alias inside itself."""

    event: YamlEvent
    tree: Tree | None = None
    count: int = 0
    size: int = 0


class Composer:
    def __init__(self, name: str, problems: list[Diagnostic]) -> None:
        self.name = name
        self.problems = problems
        self.written = 0
        self.count = 0
        self.size = 0
        self.depth = 0
        self.anchors: dict[str, _Anchored] = {}

    def document(self, events: Iterator[YamlEvent]) -> Tree | None:
        """Raises ``UnreadableError``, and what ``events`` raises."""
        self.events = events
        tree: Tree | None = None
        documents = 0
        for event in events:
            if event.kind == "document":
                documents += 1
                if documents > 1:
                    message = "a spec file holds one document; this is the second"
                    raise unreadable(self.place(event), "yaml-syntax", message)
            else:
                tree = self.build(event)
        return tree

    def place(self, event: YamlEvent) -> Location:
        return Location(self.name, event.line, event.column)

    def build(self, event: YamlEvent) -> Tree:
        if event.kind == "alias":
            return self.aliased(event)
        place = self.place(event)
        self.written += 1
        if self.written > MAX_NODES:
            message = f"has more than {MAX_NODES:,} values; split it into several files"
            raise unreadable(Location(self.name, event.line), "file-too-large", message)
        self.add(1, len(event.text), place)
        if event.tag not in _CORE_TAGS:
            message = f"the YAML tag {event.tag} is not supported"
            raise unreadable(place, "unknown-tag", message)
        if event.anchor is None:
            return self.value(event, place)
        anchored = _Anchored(event, None, self.count - 1, self.size - len(event.text))
        # YAML allows an anchor twice: the last one before an alias counts.
        self.anchors[event.anchor] = anchored
        anchored.tree = self.value(event, place)
        anchored.count = self.count - anchored.count
        anchored.size = self.size - anchored.size
        return anchored.tree

    def aliased(self, event: YamlEvent) -> Tree:
        found = self.anchor(event)
        if found.tree is None:
            message = "an alias refers to a value that contains it"
            raise unreadable(self.place(event), "recursive-alias", message)
        self.add(found.count, found.size, self.place(event))
        # What it stands for as a whole is wrong here; what is wrong inside of that is wrong there.
        return replace(found.tree, location=self.place(event))

    def anchor(self, event: YamlEvent) -> _Anchored:
        try:
            return self.anchors[event.text]
        except KeyError:
            message = f"found undefined alias {event.text!r}"
            raise unreadable(self.place(event), "yaml-syntax", message) from None

    def add(self, count: int, size: int, place: Location) -> None:
        self.count += count
        self.size += size
        if self.count > MAX_NODES:
            raise unreadable(place, "alias-bomb", f"expands to more than {MAX_NODES:,} values")
        if self.size > MAX_CHARACTERS:
            message = f"expands to more than {MAX_CHARACTERS:,} characters"
            raise unreadable(place, "alias-bomb", message)

    def value(self, event: YamlEvent, place: Location) -> Tree:
        if event.kind == "scalar":
            self.check_text(event.text, place)
            is_null = not event.is_quoted and event.text in _NULLS
            return Scalar(None if is_null else event.text, place)
        self.depth += 1
        if self.depth > MAX_DEPTH:
            raise unreadable(place, "yaml-syntax", "is nested too deeply to be a spec")
        made = self.mapping(place) if event.kind == "mapping" else self.sequence(place)
        self.depth -= 1
        return made

    def check_text(self, text: str, place: Location) -> None:
        if _HALVES.search(text):
            raise unreadable(place, "yaml-syntax", "has half of a surrogate pair")

    def sequence(self, place: Location) -> Sequence:
        items: list[Tree] = []
        while (event := next(self.events)).kind != "end":
            items.append(self.build(event))
        return Sequence(tuple(items), place)

    def mapping(self, place: Location) -> Mapping:
        items: dict[str, Tree] = {}
        keys: dict[str, Location] = {}
        merged: list[Mapping] = []
        while (event := next(self.events)).kind != "end":
            here = self.place(event)
            key = self.key(event, here)
            value = next(self.events)
            is_left_out = value.kind == "scalar" and not value.text and not value.is_quoted
            if is_left_out and value.anchor is None and value.tag is None:
                # It stands behind the colon of its key.
                value = value._replace(line=event.end_line, column=event.end_column + 1)
            if key.text == "<<" and not key.is_quoted:
                merged.extend(self.merged(value))
            elif key.text in items:
                self.report_duplicate(key.text, here, keys[key.text])
                self.build(value)
            else:
                items[key.text] = self.build(value)
                keys[key.text] = here
        for other in merged:
            for name, inherited in other.items.items():
                if name not in items:
                    items[name], keys[name] = inherited, other.keys[name]
        return Mapping(items, keys, place)

    def key(self, event: YamlEvent, place: Location) -> YamlEvent:
        """The scalar of a key, which may be an alias of one."""
        found = self.anchor(event).event if event.kind == "alias" else event
        if found.kind != "scalar":
            raise unreadable(place, "bad-key", "a key must be plain text")
        self.add(0, len(found.text), place)
        self.check_text(found.text, place)
        if event.anchor is not None:
            anchored = _Anchored(event, count=1, size=len(event.text))
            anchored.tree = self.value(event, place)
            self.anchors[event.anchor] = anchored
        return found

    def report_duplicate(self, name: str, place: Location, first: Location) -> None:
        message = f"{name!r} is given twice"
        related = (("first given here", first),)
        found = Diagnostic("error", "duplicate-key", message, place, related=related)
        self.problems.append(found)

    def merged(self, event: YamlEvent) -> list[Mapping]:
        tree = self.build(event)
        listed = list(tree.items) if isinstance(tree, Sequence) else [tree]
        mappings = [item for item in listed if isinstance(item, Mapping)]
        if len(mappings) != len(listed):
            message = "<< takes a mapping, or a list of them"
            raise unreadable(self.place(event), "bad-merge", message)
        return mappings
