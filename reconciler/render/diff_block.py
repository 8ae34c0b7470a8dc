"""Differences as text in which a hoster colours what comes and what goes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from reconciler.plan.changes import Difference
from reconciler.render.escape import fence_for, printable
from reconciler.render.styled_text import plain
from reconciler.render.text.values import difference_lines

_MARKS = {"~": "!", "+": "+", "-": "-"}
"""What stands in the first column: GitHub's and GitLab's ``diff`` colours these."""


def differing(address: str, mark: str, differences: Iterable[tuple[str, Any, Any]]) -> str:
    """Lines of a ``diff``: the address, and below it what differs."""
    lines = [f"{mark} {printable(address)}"]
    for path, before, after in differences:
        lines.extend(_marked(plain([one])) for one in _shown(path, before, after))
    return "\n".join(lines)


def _shown(path: str, before: Any, after: Any) -> Iterator[Any]:
    return difference_lines(Difference(path, before, after))


def _marked(text: str) -> str:
    """The sign of a line in its first column, and the line where it was."""
    bare = text.lstrip()
    sign, rest = bare[:1], bare[1:]
    indent = " " * (len(text) - len(bare) - 2)
    return f"{_MARKS.get(sign, ' ')}{indent}{rest}" if sign in _MARKS else f" {indent}{bare}"


def fenced(parts: list[str]) -> str:
    text = "\n".join(parts)
    fence = fence_for(text, 3)
    return f"{fence}diff\n{text}\n{fence}"
