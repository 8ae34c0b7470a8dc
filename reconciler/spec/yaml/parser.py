"""Reads one YAML (or JSON) file into a tree, or reports what is wrong with it and where."""

from __future__ import annotations

import stat
from pathlib import Path as FilePath

from reconciler.diagnostics import Diagnostic, Location
from reconciler.spec.yaml import events
from reconciler.spec.yaml.composer import Composer, unreadable
from reconciler.spec.yaml.tree import Tree

MAX_FILE_BYTES = 10 * 1024 * 1024


MAX_LINES = 1_000_000


def read_text(path: FilePath, name: str, most_bytes: int = MAX_FILE_BYTES) -> str:
    """The text of a regular UTF-8 file. Raises ``UnreadableError``."""
    whole = Location(name)
    try:
        status = path.stat()
        if not stat.S_ISREG(status.st_mode):
            raise unreadable(whole, "not-a-file", "is not a regular file")
        if status.st_size > most_bytes:
            raise unreadable(whole, "file-too-large", _large(status.st_size, most_bytes))
        # It may have grown since, and a file in /proc has no size.
        with path.open("rb") as file:
            data = file.read(most_bytes + 1)
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise unreadable(whole, "unreadable-file", f"cannot be read: {reason}") from error
    if len(data) > most_bytes:
        raise unreadable(whole, "file-too-large", _large(len(data), most_bytes))
    return _decoded(data, whole)


def _large(size: int, most: int) -> str:
    return f"{size / 1024 / 1024:.1f} MiB; at most {most // 1024 // 1024} MiB are read"


def _decoded(data: bytes, whole: Location) -> str:
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise unreadable(whole, "not-utf-8", "is UTF-16; save it as UTF-8")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        column = error.start - (data.rfind(b"\n", 0, error.start) + 1) + 1
        place = Location(whole.file, line, column)
        raise unreadable(place, "not-utf-8", "is not UTF-8 text") from error
    if "\x00" in text:
        raise unreadable(whole, "not-utf-8", "is binary, not YAML")
    return text


def parse(text: str, name: str, problems: list[Diagnostic]) -> Tree | None:
    """The one document of a YAML text; ``None`` when it is empty.

    Raises ``UnreadableError``; what does not stop the reading, such as duplicate keys, is added to
    ``problems``.
    """
    if text.count("\n") > MAX_LINES:
        message = f"has more than {MAX_LINES:,} lines; split it into several files"
        raise unreadable(Location(name), "file-too-large", message)
    if events.is_plain(text):
        found: list[Diagnostic] = []
        try:
            tree = Composer(name, found).document(events.fast(text))
        except events.NotReadError:
            pass  # The careful reader says what is wrong, or reads what the fast one cannot.
        else:
            problems.extend(found)
            return tree
    from reconciler.spec.yaml import careful

    return careful.document(text, name, problems)
