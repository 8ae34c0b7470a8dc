"""How single values and policy documents read: by statement, not by text, as lines of a plan; and
the same differences as a ``diff`` block, in which a code host colours what comes and what goes."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from typing import Any

from reconciler.model.policy_document import as_list, canonical, statements_of
from reconciler.plan.changes import Difference
from reconciler.render.escape import fence_for, printable
from reconciler.render.styled_text import Line, data, line, plain

LONGEST = 88


def difference_lines(difference: Difference) -> Iterator[Line]:
    """One line for a scalar, one for each statement that differs of a document."""
    before, after = difference.before, difference.after
    given = [value for value in (before, after) if value is not None]
    if given and all(map(_is_document, given)):
        yield line("      ~ ", data(difference.path))
        yield from _statements(before, after)
        return
    # A policy's name is the end of its ARN, which stands right beside it.
    attribute, _, _ = difference.path.partition(".")
    path = data(attribute if attribute == "managed_policies" else difference.path)
    if before is None:
        yield line("      + ", path, ": ", data(shown(after), "green"))
    elif after is None:
        yield line("      - ", path, ": ", data(shown(before), "red"), " -> null")
    else:
        yield line(
            "      ~ ", path, ": ", data(shown(before)), " -> ", data(shown(after), "yellow")
        )


def shown(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False) if not isinstance(value, str) else f'"{value}"'
    return text if len(text) <= LONGEST else text[: LONGEST - 1] + "…"


def _is_document(value: Any) -> bool:
    if not isinstance(value, dict) or "Statement" not in value:
        return False
    return all(isinstance(statement, dict) for statement in as_list(value["Statement"]))


def _statements(before: Any, after: Any) -> Iterator[Line]:
    """Statements are the same when they mean the same, wherever they stand."""
    left = {_key(s): s for s in statements_of(before or {})}
    right = {_key(s): s for s in statements_of(after or {})}
    for key in [k for k in left if k not in right]:
        yield line("          - ", data(statement_text(left[key]), "red"))
    for key in [k for k in right if k not in left]:
        yield line("          + ", data(statement_text(right[key]), "green"))
    version = ((before or {}).get("Version"), (after or {}).get("Version"))
    if before and after and version[0] != version[1]:
        yield line("          ~ Version: ", data(version[0]), " -> ", data(version[1], "yellow"))


def _key(statement: Any) -> str:
    meaning = canonical({"Statement": [statement]})["Statement"][0]
    return json.dumps(meaning, sort_keys=True)


_ELEMENTS = (
    ("Action", ""),
    ("NotAction", "not "),
    ("Resource", "on "),
    ("NotResource", "on all but "),
    ("Principal", "to "),
    ("NotPrincipal", "to all but "),
)


def statement_text(statement: Any) -> str:
    """``Read: Allow s3:GetObject on arn:aws:s3:::assets/*``."""
    sid = f"{statement['Sid']}: " if statement.get("Sid") else ""
    words = [str(statement.get("Effect", ""))]
    words.extend(before + _who(statement[name]) for name, before in _ELEMENTS if name in statement)
    if statement.get("Condition"):
        words.append("if " + json.dumps(statement["Condition"], ensure_ascii=False))
    return sid + " ".join(words)


def _listed(value: Any) -> str:
    return ", ".join(str(v) for v in value) if isinstance(value, list) else str(value)


def _who(value: Any) -> str:
    if not isinstance(value, dict):
        return _listed(value)
    return ", ".join(_listed(members) for members in value.values())


_MARKS = {"~": "!", "+": "+", "-": "-"}
"""What stands in the first column: GitHub's and GitLab's ``diff`` colours these."""


def differing(address: str, mark: str, differences: Iterable[tuple[str, Any, Any]]) -> str:
    """Lines of a ``diff``: the address, and below it what differs."""
    lines = [f"{mark} {printable(address)}"]
    for path, before, after in differences:
        shown_lines = difference_lines(Difference(path, before, after))
        lines.extend(_marked(plain([one])) for one in shown_lines)
    return "\n".join(lines)


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
