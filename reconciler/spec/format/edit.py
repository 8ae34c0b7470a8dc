"""Changes a spec where it must change, and leaves every other character as it is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from reconciler.errors import NotWritableError
from reconciler.spec.format.dump import block, inline
from reconciler.spec.format.formatter import INDENT, WIDTH
from reconciler.spec.yaml.cst import (
    Alias,
    CstMapping,
    CstScalar,
    CstSequence,
    Written,
)
from reconciler.spec.yaml.cst_reader import read_written
from reconciler.spec.yaml.quoting import scalar

Keys = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Editing:
    """The text of one file; every method gives the text after the change. Raises
    ``NotWritableError`` where more than this place would change."""

    text: str

    def set(self, keys: Keys, value: Any) -> str:
        """``keys`` lead to an entry; those that are missing are made."""
        *way, name = keys
        parent = self._mapping(tuple(way))
        if parent is None:
            return self.set(tuple(way), {name: value})
        entry = parent.entry(name)
        if entry is None:
            return self._inserted(parent, name, value)
        _refuse_shared(entry.value)
        head = self.text[: entry.key.end]
        colon = self.text.index(":", entry.key.end) + 1
        column = entry.key.column
        shown = self._value(value, column, parent.is_flow, len(name) + column + 2)
        return head + ":" + shown + self.text[max(colon, entry.value.end) :]

    def remove(self, keys: Keys) -> str:
        """The entry with what stands in its lines; comments above it stay."""
        *way, name = keys
        parent = self._mapping(tuple(way))
        entry = parent.entry(name) if parent else None
        if parent is None or entry is None:
            raise NotWritableError(f"there is no {'.'.join(keys)} in this file")
        _refuse_shared(entry.value)
        if len(parent.entries) == 1 and way:
            return self.set(tuple(way), {}) if len(way) == 1 else self.remove(tuple(way))
        places = [(e.key.start, e.value.end) for e in parent.entries]
        return self._without(places, parent.entries.index(entry), parent.is_flow)

    def append(self, keys: Keys, value: str) -> str:
        """To a list, which is made where there is none."""
        node = self._at(keys)
        if node is None or not isinstance(node, CstSequence) or not node.items:
            return self.set(keys, [value])
        _refuse_shared(node)
        last = node.items[-1]
        if node.is_flow:
            return self._put(last.end, f", {scalar(value, in_flow=True)}")
        end = self._end_of_line(last.end)
        return self._put(end, f"\n{' ' * node.column}- {scalar(value)}")

    def discard(self, keys: Keys, number: int) -> str:
        """An item of a list, by its place."""
        node = self._at(keys)
        if not isinstance(node, CstSequence):
            raise NotWritableError(f"{'.'.join(keys)} is not a list in this file")
        _refuse_shared(node)
        if len(node.items) == 1:
            return self.remove(keys)
        places = [(item.start, item.end) for item in node.items]
        if not node.is_flow:
            places = [(self.text.rindex("-", 0, start), end) for start, end in places]
        return self._without(places, number, node.is_flow)

    def names(self, keys: Keys) -> list[str]:
        """The texts of a list; an alias stands for nothing that is known here."""
        node = self._at(keys)
        items = node.items if isinstance(node, CstSequence) else []
        return [item.value if isinstance(item, CstScalar) else "" for item in items]

    def has(self, keys: Keys) -> bool:
        return self._at(keys) is not None

    def _at(self, keys: Keys) -> Written | None:
        node = read_written(self.text).root
        for name in keys:
            if isinstance(node, Alias):
                raise NotWritableError(f"line {node.line + 1} is shared by an alias")
            entry = node.entry(name) if isinstance(node, CstMapping) else None
            if entry is None:
                return None
            node = entry.value
        return node

    def _mapping(self, keys: Keys) -> CstMapping | None:
        """``None`` where there is nothing yet."""
        node = self._at(keys)
        if isinstance(node, Alias):
            raise NotWritableError(f"line {node.line + 1} is shared by an alias")
        return node if isinstance(node, CstMapping) else None

    def _value(self, value: Any, column: int, in_flow: bool, used: int) -> str:
        """What stands behind the colon."""
        line = inline(value, in_flow)
        is_single = not isinstance(value, dict | list) or not value
        is_short = used + len(line) <= WIDTH and "{" not in line.strip("{}")
        if in_flow or is_single or is_short:
            return f" {line}"
        indent = " " * column + INDENT
        return "\n" + "\n".join(block(value, indent, len(indent) // 2))

    def _inserted(self, parent: CstMapping, name: str, value: Any) -> str:
        _refuse_shared(parent)
        if parent.is_flow:
            comma = ", " if parent.entries else ""
            end = parent.entries[-1].value.end if parent.entries else parent.end - 1
            return self._put(end, f"{comma}{scalar(name, True)}: {inline(value, True)}")
        column = parent.entries[0].key.column
        head = f"{' ' * column}{scalar(name)}:"
        end = self._end_of_line(max(e.value.end for e in parent.entries))
        return self._put(end, f"\n{head}{self._value(value, column, False, len(head))}")

    def _put(self, place: int, more: str) -> str:
        return self.text[:place] + more + self.text[place:]

    def _without(self, places: list[tuple[int, int]], number: int, is_flow: bool) -> str:
        start, end = places[number]
        if is_flow:
            if number + 1 < len(places):
                end = places[number + 1][0]
            else:
                start = places[number - 1][1]
            return self.text[:start] + self.text[end:]
        start = self.text.rfind("\n", 0, start) + 1
        if self.text[start : places[number][0]].strip():
            # It is the first in its line, behind a dash or a key: what follows takes its place.
            start, end = places[number][0], places[number + 1][0]
            return self.text[:start] + self.text[end:]
        return self.text[:start] + self.text[self._end_of_line(end) + 1 :]

    def _end_of_line(self, place: int) -> int:
        found = self.text.find("\n", place)
        return len(self.text) if found < 0 else found


def _refuse_shared(node: Written) -> None:
    if node.anchor is not None or any(_anchored(inner) for inner in _inside(node)):
        raise NotWritableError(f"line {node.line + 1} has an anchor that others may use")


def _anchored(node: Written) -> bool:
    return node.anchor is not None or any(_anchored(inner) for inner in _inside(node))


def _inside(node: Written) -> list[Written]:
    if isinstance(node, CstMapping):
        return [part for entry in node.entries for part in (entry.key, entry.value)]
    return list(node.items) if isinstance(node, CstSequence) else []
