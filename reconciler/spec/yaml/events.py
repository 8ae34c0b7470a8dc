"""Two readers of the same YAML: libyaml's, ten times as fast, and ruamel's (``careful.py``), which
knows YAML 1.2.

The fast one is asked for texts that both read alike, which ``tests/spec/test_readers.py`` holds
against each other. Whatever it does not read, the careful one reads, or says what is wrong with it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any, Literal, NamedTuple

import yaml

Kind = Literal["scalar", "alias", "sequence", "mapping", "end", "document"]
"""``end`` is of a sequence or mapping, ``document`` the start of one."""


class YamlEvent(NamedTuple):
    """Lines and columns count from 1."""

    kind: Kind
    line: int
    column: int
    end_line: int
    end_column: int
    text: str = ""
    """Of a scalar; the anchor's name for an alias."""
    is_quoted: bool = False
    """Or a block scalar."""
    anchor: str | None = None
    tag: str | None = None


Reader = Callable[[str], Iterator["YamlEvent"]]


class NotReadError(Exception):
    """The fast reader does not read this text."""


_KINDS: dict[str, Kind] = {
    "ScalarEvent": "scalar",
    "AliasEvent": "alias",
    "SequenceStartEvent": "sequence",
    "MappingStartEvent": "mapping",
    "SequenceEndEvent": "end",
    "MappingEndEvent": "end",
    "DocumentStartEvent": "document",
}

_DIFFERENT = re.compile(
    r"""
    [\t\x85\u2028\u2029\ufeff] | \r(?!\n) | ^%    # white space, line breaks, directives
    | (?: ^ | [\s,\[{] ) [&*] [A-Za-z0-9_-]* [^A-Za-z0-9_\s,\[\]{}-]  # names of anchors
    | (?: ^ | [\s,\[{] ) \? (?= \s | $ )           # a key in its long form
    | ^\.\.\.                                      # the end of a document
    | [|>] [-+\d]* [ ]* (?: \# | \r?\n [ ]* \r?$ )  # a block scalar that begins with a blank line
    """,
    re.MULTILINE | re.VERBOSE,
)
"""What YAML 1.1 and 1.2 read differently."""


def is_plain(text: str) -> bool:
    """Whether both readers read the text alike, if they read it."""
    return bool(yaml.__with_libyaml__) and _DIFFERENT.search(text) is None


def fast(text: str) -> Iterator[YamlEvent]:
    """Raises ``NotReadError``, also for values with tags and for what is no mapping."""
    is_inside = False
    try:
        for event in events_of(yaml.parse(text, Loader=yaml.CLoader)):
            is_inside = is_inside or event.kind == "mapping"
            if event.tag is not None or not (is_inside or event.kind == "document"):
                raise NotReadError
            yield event
    except (yaml.YAMLError, UnicodeError) as error:
        raise NotReadError from error


def events_of(read: Any) -> Iterator[YamlEvent]:
    """Of the events of either library."""
    for event in read:
        kind = _KINDS.get(type(event).__name__)
        if kind is None:
            continue
        start, end = event.start_mark, event.end_mark
        at = (start.line + 1, start.column + 1, end.line + 1, end.column + 1)
        match kind:
            case "scalar":
                yield YamlEvent(
                    kind, *at, event.value, bool(event.style), event.anchor, _tag(event)
                )
            case "alias":
                yield YamlEvent(kind, *at, event.anchor)
            case "sequence" | "mapping":
                yield YamlEvent(kind, *at, "", False, event.anchor, _tag(event))
            case _:
                yield YamlEvent(kind, *at)


def _tag(event: Any) -> str | None:
    return None if event.tag is None else str(event.tag)
