"""What comes from AWS or YAML, made harmless for where it goes."""

from __future__ import annotations

import unicodedata

_SPOKEN = {"\n": "\\n", "\r": "\\r", "\t": "\\t"}


def printable(text: object) -> str:
    """One line that a terminal shows as it is: control, format and private characters (among
    them those that reverse the direction of text) are written as escapes."""
    return "".join(c if _is_plain(c) else _SPOKEN.get(c, f"\\u{ord(c):04x}") for c in str(text))


def _is_plain(character: str) -> bool:
    return unicodedata.category(character) not in ("Cc", "Cf", "Co", "Cs", "Cn", "Zl", "Zp")
