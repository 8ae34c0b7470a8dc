"""The comments of a YAML file, each with what it is about."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass, field

from reconciler.spec.yaml.cst import CstMapping, CstScalar, CstSequence, Document, Entry, Written

_MODELINE = re.compile(r"#\s*(?:yaml-language-server\s*:|\$schema\s*:)")

Place = Entry | Written
"""An entry of a block mapping, or an item of a block sequence."""


@dataclass(frozen=True, slots=True)
class YamlComment:
    index: int
    column: int
    text: str
    is_alone: bool
    after_blank: bool


@dataclass
class Comments:
    """By the ``id`` of what they are about: lines above it, words behind it, lines below the last
    entry of a collection. An empty line is kept as an empty text."""

    head: list[str] = field(default_factory=list)
    above: dict[int, list[str]] = field(default_factory=dict)
    behind: dict[int, str] = field(default_factory=dict)
    below: dict[int, list[str]] = field(default_factory=dict)
    spaced: set[int] = field(default_factory=set)
    """Nodes with an empty line before them."""
    inside: set[int] = field(default_factory=set)
    """Flow collections that have a comment inside."""

    @property
    def texts(self) -> list[str]:
        lists = [self.head, *self.above.values(), *self.below.values(), [*self.behind.values()]]
        return [text for lines in lists for text in lines if text]


@dataclass(frozen=True, slots=True)
class _Start:
    """Where an entry or an item begins, and the block collections that it stands in, the outermost
    first."""

    index: int
    column: int
    place: Place
    within: tuple[CstMapping | CstSequence, ...]


def comments_of(document: Document) -> Comments:
    made = Comments()
    starts = list(_starts(document.root, ()))
    indexes = [start.index for start in starts]
    collections = [n for n in _nodes(document.root) if isinstance(n, CstMapping | CstSequence)]
    flows = [node for node in collections if node.is_flow]
    for comment in _found(document):
        around = [n for n in flows if n.start < comment.index < n.end]
        if around:
            made.inside.add(id(around[0]))
            continue
        number = bisect_right(indexes, comment.index)
        before = starts[number - 1] if number else None
        after = starts[number] if number < len(starts) else None
        _attach(made, comment, before, after, document)
    for start in starts:
        if _has_blank_above(document.text, start.index) and id(start.place) not in made.above:
            made.spaced.add(id(start.place))
    return made


def _attach(
    made: Comments,
    comment: YamlComment,
    before: _Start | None,
    after: _Start | None,
    document: Document,
) -> None:
    if not comment.is_alone and before is not None:
        made.behind[id(before.place)] = comment.text
        return
    if after is not None and (comment.column <= after.column or before is None):
        if before is None and _is_head(comment, document.text):
            _add(made.head, comment)
            return
        lines = made.above.setdefault(id(after.place), [])
        if not lines and comment.after_blank:
            made.spaced.add(id(after.place))
        _add(lines, comment, is_first=not lines)
        if _has_blank_above(document.text, after.index):
            # The empty line is between the last comment and what it stands above.
            end = document.text.find("\n", comment.index)
            following = document.text[end + 1 :].split("\n", 1)[0] if end >= 0 else ""
            if not following.strip():
                lines.append("")
        return
    if before is None:
        made.head.append(comment.text)
        return
    fitting = [c for c in before.within if _column(c) <= comment.column]
    owner = fitting[-1] if fitting else before.within[0]
    _add(made.below.setdefault(id(owner), []), comment)


def _add(lines: list[str], comment: YamlComment, is_first: bool = False) -> None:
    if comment.after_blank and not is_first and (not lines or lines[-1]):
        lines.append("")
    lines.append(comment.text)


def _is_head(comment: YamlComment, text: str) -> bool:
    """A comment about the file: a modeline, or a paragraph that an empty line ends."""
    if _MODELINE.match(comment.text):
        return True
    for line in text[comment.index :].split("\n")[1:]:
        if not line.strip():
            return True
        if not line.lstrip().startswith("#"):
            return False
    return False


def _found(document: Document) -> Iterator[YamlComment]:
    """Every ``#`` that stands outside of values, at the head of a line or behind a blank."""
    scalars = [(n.start, n.end) for n in _nodes(document.root) if isinstance(n, CstScalar)]
    scalars = [span for span in scalars if span[0] < span[1]]
    begins = [span[0] for span in scalars]
    at, is_after_blank = 0, False
    for line in document.text.split("\n"):
        for found in re.finditer(r"(?:(?<=[ \t])|^)#", line):
            index = at + found.start()
            number = bisect_right(begins, index) - 1
            if number >= 0 and index < scalars[number][1]:
                continue
            is_alone = not line[: found.start()].strip()
            words = line[found.start() :].rstrip()
            yield YamlComment(index, found.start(), words, is_alone, is_after_blank)
            break
        is_after_blank = not line.strip()
        at += len(line) + 1


def _nodes(node: Written | None) -> Iterator[Written]:
    """In the order of the text."""
    if node is None:
        return
    yield node
    if isinstance(node, CstMapping):
        for entry in node.entries:
            yield from _nodes(entry.key)
            yield from _nodes(entry.value)
    elif isinstance(node, CstSequence):
        for item in node.items:
            yield from _nodes(item)


def _starts(node: Written | None, within: tuple[CstMapping | CstSequence, ...]) -> Iterator[_Start]:
    if not isinstance(node, CstMapping | CstSequence) or node.is_flow:
        return
    inner = (*within, node)
    if isinstance(node, CstMapping):
        for entry in node.entries:
            yield _Start(entry.key.start, entry.key.column, entry, inner)
            yield from _starts(entry.value, inner)
        return
    for item in node.items:
        yield _Start(item.start, node.column, item, inner)
        yield from _starts(item, inner)


def _column(node: CstMapping | CstSequence) -> int:
    """Where the entries stand: an anchor may stand before them on another line."""
    if isinstance(node, CstMapping) and node.entries:
        return node.entries[0].key.column
    return node.column


def _has_blank_above(text: str, index: int) -> bool:
    head = text[: text.rfind("\n", 0, index) + 1]
    return head.endswith("\n\n") or bool(re.search(r"\n[ \t]+\n$", head))
