"""Reads YAML with ruamel, which knows YAML 1.2 and says what is wrong. Imported for texts that the
fast reader does not read."""

from __future__ import annotations

from collections.abc import Iterator

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.reader import ReaderError

from reconciler.diagnostics import Diagnostic, Location
from reconciler.spec.yaml.composer import Composer, unreadable
from reconciler.spec.yaml.events import YamlEvent, events_of
from reconciler.spec.yaml.tree import Tree


def read(text: str) -> Iterator[YamlEvent]:
    """Raises ruamel's ``YAMLError``."""
    return events_of(YAML(typ="safe", pure=True).parse(text))


def document(text: str, name: str, problems: list[Diagnostic]) -> Tree | None:
    """As ``parser.parse``, whatever the text. Raises ``UnreadableError``."""
    try:
        return Composer(name, problems).document(read(text))
    except ReaderError as error:
        head = text[: error.position]
        column = error.position - (head.rfind("\n") + 1) + 1
        place = Location(name, head.count("\n") + 1, column)
        message = f"the character U+{ord(text[error.position]):04X} is not allowed in YAML"
        raise unreadable(place, "yaml-syntax", message) from error
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        place = Location(name, mark.line + 1, mark.column + 1) if mark else Location(name)
        problem = ", ".join(p for p in (error.context, error.problem) if p)
        raise unreadable(place, "yaml-syntax", problem or "is not valid YAML") from error
    except YAMLError as error:
        raise unreadable(Location(name), "yaml-syntax", "is not valid YAML") from error
