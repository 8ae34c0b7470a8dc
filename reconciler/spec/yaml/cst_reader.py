"""Reads a YAML file as it is written, with ruamel: it is for what changes or formats files."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError
from ruamel.yaml.events import (
    AliasEvent,
    DocumentStartEvent,
    MappingEndEvent,
    MappingStartEvent,
    ScalarEvent,
    SequenceEndEvent,
    SequenceStartEvent,
)

from reconciler.errors import NotWritableError
from reconciler.spec.yaml.cst import (
    Alias,
    CstMapping,
    CstScalar,
    CstSequence,
    Document,
    Entry,
    Written,
)


def read_written(text: str) -> Document:
    """Raises ``NotWritableError``; invalid YAML is reported by ``parser`` before."""
    reader = YAML(typ="safe", pure=True)
    try:
        events = list(reader.parse(text))
    except YAMLError as error:
        raise NotWritableError("it is not valid YAML") from error
    starts = [e for e in events if isinstance(e, DocumentStartEvent)]
    if len(starts) > 1 or any(e.version or e.tags for e in starts):
        raise NotWritableError("it has directives or more than one document")
    outer = ("Stream", "Document", "Comment")
    nodes = [e for e in events if not type(e).__name__.startswith(outer)]
    stream = iter(nodes)
    first = next(stream, None)
    root = None if first is None else _CstBuilder(text, stream).build(first)
    return Document(text, root, any(e.explicit for e in starts))


class _CstBuilder:
    def __init__(self, text: str, events: Iterator[Any]) -> None:
        self.text = text
        self.events = events

    def build(self, event: Any) -> Written:
        mark = event.start_mark
        place = (mark.index, event.end_mark.index, mark.line, mark.column)
        match event:
            case AliasEvent():
                return Alias(*place, name=str(event.anchor))
            case ScalarEvent():
                return self.scalar(event, place)
            case SequenceStartEvent():
                return self.sequence(event, place)
            case MappingStartEvent():
                return self.mapping(event, place)
            case _:
                raise NotWritableError(f"line {mark.line + 1} is not supported")

    def scalar(self, event: Any, place: tuple[int, int, int, int]) -> CstScalar:
        style = event.style or ""
        made = CstScalar(*place, event.anchor, _tag(event), event.value, style)
        if style in ("|", ">"):
            made.end = self.end_of_block(made)
        return made

    def end_of_block(self, node: CstScalar) -> int:
        """Of the last line of a block scalar that is not blank, but where blank lines count."""
        head = self.text.index(style, node.start) if (style := node.style) else node.start
        header = self.text[head:].split("\n", 1)[0]
        end = at = head + len(header)
        indent: int | None = None
        for line in self.text[at + 1 :].split("\n"):
            bare = line.strip()
            here = len(line) - len(line.lstrip(" "))
            if bare and indent is None:
                indent = here
            if bare and (here < (indent or 0) or at + 1 >= max(node.end, head + 1)):
                break
            at += 1 + len(line)
            end = at if bare or "+" in header.partition("#")[0] else end
        return min(end, len(self.text))

    def sequence(self, event: Any, place: tuple[int, int, int, int]) -> CstSequence:
        made = CstSequence(*place, event.anchor, _tag(event), [], bool(event.flow_style))
        while not isinstance(inner := next(self.events), SequenceEndEvent):
            made.items.append(self.build(inner))
        made.end = _end(made, inner, [item.end for item in made.items])
        return made

    def mapping(self, event: Any, place: tuple[int, int, int, int]) -> CstMapping:
        made = CstMapping(*place, event.anchor, _tag(event), [], bool(event.flow_style))
        while not isinstance(inner := next(self.events), MappingEndEvent):
            key = self.build(inner)
            if (
                not isinstance(key, CstScalar | Alias)
                or self.text[key.start : key.start + 1] == "?"
            ):
                raise NotWritableError(f"line {key.line + 1} has a key that is not plain text")
            made.entries.append(Entry(key, self.build(next(self.events))))
        made.end = _end(made, inner, [e.value.end for e in made.entries])
        return made


def _end(node: CstMapping | CstSequence, event: Any, ends: list[int]) -> int:
    """A block ends where its last value does; ruamel has the start of what follows."""
    if node.is_flow:
        return int(event.end_mark.index)
    return max([node.start, *ends])


def _tag(event: Any) -> str | None:
    """An explicit tag, which ruamel distinguishes from an implied one."""
    tag = event.tag
    return None if tag is None or str(tag) in ("None", "!") else str(tag)
