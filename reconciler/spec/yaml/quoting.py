"""How single values are written in YAML."""

from __future__ import annotations

import re

_INDICATORS = re.compile(r"-(?= |$)|[?:\s,\[\]{}#&*!|>'\"%@`]|=$|~$|<<$")
_INSIDE = re.compile(r": |:$| #|[\x00-\x1f\x7f-\x9f\u2028\u2029\ufeff\ufffe\uffff]|[\ud800-\udfff]")
_IN_FLOW = re.compile(r"[,\[\]{}]|:(?=[,\[\]{}]|$)")
_TYPED = re.compile(
    r"(?:true|false|yes|no|on|off|y|n|null|nan"
    r"|[-+]?\.?(?:inf|nan)"
    r"|[-+]?[0-9][0-9_]*(?:[.:][0-9_.:]*)?(?:[eE][-+]?[0-9]+)?"
    r"|[-+]?\.[0-9][0-9_]*(?:[eE][-+]?[0-9]+)?"
    r"|0[xob][0-9a-fA-F_]+"
    r"|[0-9]{4}-[0-9]{1,2}-[0-9]{1,2}.*)",
    re.IGNORECASE,
)
"""Plain text that some YAML reader does not take for text."""
_LOG_COMMAND = re.compile(r"##([a-z]*)\[", re.IGNORECASE)
"""Text that the runner of a pipeline would obey if it is printed in a diff to its log."""
DATES = frozenset({"2012-10-17", "2008-10-17"})
"""Versions of the policy language: always written plain, and read as text here."""


def is_plain(text: str, in_flow: bool = False) -> bool:
    """Whether the text may stand without quotes and is text to every reader of YAML."""
    if text in DATES:
        return True
    return is_readable(text, in_flow) and not _TYPED.fullmatch(text)


def is_readable(text: str, in_flow: bool = False) -> bool:
    """Whether the text without quotes is read as it is; what type it has is for the schema."""
    if not text or text != text.strip() or _INDICATORS.match(text) or _INSIDE.search(text):
        return False
    if text.startswith(("---", "...")) or _LOG_COMMAND.search(text):
        return False
    return not (in_flow and _IN_FLOW.search(text))


def quoted(text: str) -> str:
    """In double quotes; in single ones where that saves escapes."""
    has_command = _LOG_COMMAND.search(text) is not None
    if text.isprintable() and ('"' in text or "\\" in text) and not has_command:
        return "'" + text.replace("'", "''") + "'"
    plain = '"\\'
    kept = (c if c.isprintable() and c not in plain else _escaped(c) for c in text)
    made = f'"{"".join(kept)}"'
    return _LOG_COMMAND.sub(lambda found: f"##{found[1]}\\x5b", made)


_ESCAPES = {"\n": "\\n", "\t": "\\t", "\r": "\\r", '"': '\\"', "\\": "\\\\"}


def _escaped(character: str) -> str:
    number = ord(character)
    if character in _ESCAPES:
        return _ESCAPES[character]
    if number <= 0xFF:
        return f"\\x{number:02x}"
    return f"\\u{number:04x}" if number <= 0xFFFF else f"\\U{number:08x}"


def scalar(text: str, in_flow: bool = False) -> str:
    return text if is_plain(text, in_flow) else quoted(text)
