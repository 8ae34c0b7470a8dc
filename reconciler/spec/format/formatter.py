"""``fmt``: one layout for all specs.

Keys in the order of the format, two blanks of indent, quotes only where they are needed, at most
one empty line; comments stay with their subject. A node on one line stays on one line, if it fits.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator

from reconciler.errors import NotWritableError, UnreadableError
from reconciler.spec.format.comments import Comments, Place, comments_of
from reconciler.spec.format.key_order import rank
from reconciler.spec.yaml.cst import (
    Alias,
    CstMapping,
    CstScalar,
    CstSequence,
    Document,
    Entry,
    Written,
)
from reconciler.spec.yaml.cst_reader import read_written
from reconciler.spec.yaml.parser import parse
from reconciler.spec.yaml.policy_documents import Path, inside
from reconciler.spec.yaml.quoting import is_plain, is_readable, quoted
from reconciler.spec.yaml.tree import plain

WIDTH = 100
INDENT = "  "


def formatted(text: str) -> str:
    """The same specs in the one layout. Raises ``NotWritableError`` for a file that is left to its
    author."""
    document = read_written(text)
    comments = comments_of(document)
    made = _Layout(document, comments, in_order=True).text()
    if not _says_the_same(text, made):
        # An alias must come after its anchor, so not every file can be put in order.
        made = _Layout(document, comments, in_order=False).text()
    if not _says_the_same(text, made):
        raise NotWritableError("formatting would change its meaning")
    return made


def _says_the_same(before: str, after: str) -> bool:
    """Values and comments alike; the order of keys says nothing."""
    try:
        left, right = parse(before, "", []), parse(after, "", [])
    except UnreadableError:
        return False
    if (left and plain(left)) != (right and plain(right)):
        return False
    words = (_words(text) for text in (before, after))
    return next(words) == next(words)


def _words(text: str) -> Counter[str]:
    document = read_written(text)
    made = comments_of(document)
    inside = [text[n.start : n.end] for n in _all(document.root) if id(n) in made.inside]
    found = [w for part in inside for w in re.findall(r"(?:^|[ \t])(#.*)", part, re.M)]
    return Counter([*made.texts, *(w.rstrip() for w in found)])


def _all(node: Written | None) -> Iterator[Written]:
    if node is not None:
        yield node
    for inner in _inner(node):
        yield from _all(inner)


def _inner(node: Written | None) -> Iterator[Written]:
    if isinstance(node, CstMapping):
        for entry in node.entries:
            yield entry.key
            yield entry.value
    elif isinstance(node, CstSequence):
        yield from node.items


class _Layout:
    def __init__(self, document: Document, comments: Comments, in_order: bool) -> None:
        self.document = document
        self.comments = comments
        self.in_order = in_order

    def text(self) -> str:
        lines = [*(["---"] if self.document.has_marker else []), *self.comments.head]
        root = self.document.root
        if root is not None:
            body = self.block(root, "", ())
            lines += [*([""] if self.comments.head and body else []), *body]
        while lines and not lines[-1]:
            lines.pop()
        return "".join(f"{line}\n" for line in lines)

    def block(self, node: Written, indent: str, path: Path) -> list[str]:
        """The lines of a value that stands by itself."""
        match node:
            case CstMapping(is_flow=False):
                return self.mapping(node, indent, path)
            case CstSequence(is_flow=False):
                return self.sequence(node, indent, path)
            case _:
                return [f"{indent}{self.inline(node, path)}"]

    def mapping(self, node: CstMapping, indent: str, path: Path) -> list[str]:
        lines: list[str] = []
        here = _inside(node, path)
        for entry in self.ordered(node, path):
            lines += self.above(entry, indent, is_first=not lines)
            lines += self.entry(entry, indent, (*here, _name(entry)))
        return lines + self.below(node, indent)

    def sequence(self, node: CstSequence, indent: str, path: Path) -> list[str]:
        lines: list[str] = []
        for item in node.items:
            lines += self.above(item, indent, is_first=not lines)
            lines += self.item(item, indent, (*path, "*"))
        return lines + self.below(node, indent)

    def above(self, place: Place, indent: str, *, is_first: bool) -> list[str]:
        blank = [""] if id(place) in self.comments.spaced and not is_first else []
        lines = self.comments.above.get(id(place), [])
        return blank + [f"{indent}{line}" if line else "" for line in lines]

    def below(self, node: CstMapping | CstSequence, indent: str) -> list[str]:
        lines = self.comments.below.get(id(node), [])
        return [f"{indent}{line}" if line else "" for line in lines]

    def behind(self, place: Place) -> str:
        text = self.comments.behind.get(id(place))
        return f"  {text}" if text else ""

    def entry(self, entry: Entry, indent: str, path: Path) -> list[str]:
        head = f"{indent}{self.inline(entry.key, ())}:"
        return self.valued(entry, entry.value, head, indent, path)

    def item(self, item: Written, indent: str, path: Path) -> list[str]:
        is_bare = item.anchor is None and item.tag is None
        if (
            isinstance(item, CstMapping | CstSequence)
            and is_bare
            and not self.is_short(item, f"{indent}- ", path)
        ):
            # What stands above the first of its lines goes above the dash.
            inner = self.opened(item, indent + INDENT, path)
            texts = enumerate(line.strip() for line in inner)
            count = next((n for n, text in texts if text and not text.startswith("#")), None)
            if count is not None:
                first = inner[count][len(indent) + len(INDENT) :]
                above = [f"{indent}{line.strip()}".rstrip() for line in inner[:count]]
                # So does what stands behind the dash: a line has one comment.
                above += [f"{indent}{self.behind(item).strip()}"] if self.behind(item) else []
                return [*above, f"{indent}- {first}", *inner[count + 1 :]]
        return self.valued(item, item, f"{indent}-", indent, path)

    def valued(self, place: Place, value: Written, head: str, indent: str, path: Path) -> list[str]:
        behind = self.behind(place)
        if isinstance(value, CstScalar) and value.style in ("|", ">"):
            return self.literal(value, head, indent, behind)
        if isinstance(value, CstMapping | CstSequence) and not self.is_short(
            value, f"{head} ", path
        ):
            opening = f"{head}{_prefix(value)}{behind}"
            return [opening, *self.opened(value, indent + INDENT, path)]
        text = self.inline(value, path)
        return [f"{head}{' ' if text else ''}{text}{behind}"]

    def opened(self, node: CstMapping | CstSequence, indent: str, path: Path) -> list[str]:
        """A collection in block form, whatever it was written in."""
        if id(node) in self.comments.inside:
            raise NotWritableError(f"line {node.line + 1} has a comment inside of brackets")
        if isinstance(node, CstMapping):
            return self.mapping(node, indent, path)
        return self.sequence(node, indent, path)

    def is_short(self, node: CstMapping | CstSequence, head: str, path: Path) -> bool:
        """Whether it is to stand in one line: empty, or written so and not too long."""
        if not list(_inner(node)):
            return True
        if not node.is_flow or id(node) in self.comments.inside:
            return False
        return len(head) + len(self.inline(node, path)) <= WIDTH

    def literal(self, node: CstScalar, head: str, indent: str, behind: str) -> list[str]:
        raw = self.document.text[node.start : node.end]
        header, *lines = raw.split("\n")
        mark = re.search(r"[|>]([-+0-9]*)(\s+#.*)?$", header.rstrip())
        if mark is None or re.search("[0-9]", mark[1]) or not any(map(str.strip, lines)):
            return [f"{head} {_prefix(node, quoted(node.value))}{behind}"]
        least = min(len(line) - len(line.lstrip(" ")) for line in lines if line.strip())
        opening = f"{head}{_prefix(node)} {node.style}{mark[1]}{mark[2] or behind}"
        deeper = indent + INDENT
        body = [f"{deeper}{line[least:]}".rstrip() if line.strip() else "" for line in lines]
        return [opening, *body]

    def inline(self, node: Written, path: Path, in_flow: bool = False) -> str:
        match node:
            case Alias():
                return f"*{node.name}"
            case CstScalar():
                return _prefix(node, _scalar(node, in_flow)).lstrip()
            case CstMapping():
                pairs = []
                here = _inside(node, path)
                for entry in self.ordered(node, path):
                    inner = self.inline(entry.value, (*here, _name(entry)), True)
                    pairs.append(f"{self.inline(entry.key, (), True)}: {inner}".rstrip())
                return _prefix(node, "{" + ", ".join(pairs) + "}").lstrip()
            case CstSequence():
                items = [self.inline(item, (*path, "*"), True) for item in node.items]
                return _prefix(node, "[" + ", ".join(items) + "]").lstrip()

    def ordered(self, node: CstMapping, path: Path) -> list[Entry]:
        if not self.in_order:
            return node.entries
        here = _inside(node, path)
        return sorted(node.entries, key=lambda entry: rank(here, _name(entry)))


def _inside(node: CstMapping, path: Path) -> Path:
    return inside(path, {_name(entry): entry.value for entry in node.entries})


def _name(entry: Entry) -> str:
    return entry.key.value if isinstance(entry.key, CstScalar) else ""


def _scalar(node: CstScalar, in_flow: bool) -> str:
    if not node.style and not node.value:
        return ""
    if not node.style and "\n" not in node.value and is_readable(node.value, in_flow):
        return node.value
    if not node.style and node.value in ("~", "null", "<<", "="):
        return node.value
    return node.value if is_plain(node.value, in_flow) else quoted(node.value)


def _prefix(node: Written, text: str = "") -> str:
    """Anchor and tag in front of a value."""
    words = [f"&{node.anchor}"] if node.anchor else []
    if node.tag:
        short = node.tag.removeprefix("tag:yaml.org,2002:")
        words.append(f"!!{short}" if short != node.tag else f"!<{node.tag}>")
    made = " ".join([*words, *([text] if text else [])])
    return f" {made}" if words and not text else made
