"""A YAML file as it is written: every node with its place in the text, with aliases and anchors.
``parser`` reads the meaning of a file; ``cst_reader`` its text, in order to change or format it."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(slots=True)
class _Node:
    """``start`` and ``end`` are places in the text; ``column`` counts from 0, as indents do."""

    start: int
    end: int
    line: int
    column: int
    anchor: str | None = None
    tag: str | None = None


@dataclass(slots=True)
class CstScalar(_Node):
    """``style`` is a quote, ``|``, ``>`` or empty for plain text."""

    value: str = ""
    style: str = ""


@dataclass(slots=True)
class Alias(_Node):
    name: str = ""


@dataclass(slots=True)
class Entry:
    """Of a mapping."""

    key: CstScalar | Alias
    value: Written


@dataclass(slots=True)
class CstMapping(_Node):
    entries: list[Entry] = field(default_factory=list)
    is_flow: bool = False

    def entry(self, name: str) -> Entry | None:
        found = (e for e in self.entries if isinstance(e.key, CstScalar) and e.key.value == name)
        return next(found, None)


@dataclass(slots=True)
class CstSequence(_Node):
    items: list[Written] = field(default_factory=list)
    is_flow: bool = False


Written = CstScalar | Alias | CstMapping | CstSequence


@dataclass(frozen=True, slots=True)
class Document:
    """``root`` is ``None`` for a text without a value."""

    text: str
    root: Written | None
    has_marker: bool = False
    """Whether it begins with ``---``."""
