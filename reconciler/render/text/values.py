"""How single values and policy documents read: by statement, not by text, as lines of a plan or a
drift; and
the same differences as a ``diff`` block, in which a code host colours what comes and what goes."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from reconciler.model.policy_document import as_list, canonical, statements_of
from reconciler.plan.changes import Difference
from reconciler.render.escape import fence_for, printable, shortened
from reconciler.render.styled_text import Line, Piece, data, line, plain
from reconciler.render.text.direction import HAPPENED, PLANNED, Direction
from reconciler.render.text.policy_effect import effect_lines

LONGEST = 88


def difference_lines(
    difference: Difference,
    direction: Direction = PLANNED,
    indent: int = 6,
    *,
    is_full: bool = False,
) -> Iterator[Line]:
    """One line for a scalar, one for each statement that differs of a document; long values are
    shortened unless ``is_full``."""
    before, after, space = difference.before, difference.after, " " * indent
    given = [value for value in (before, after) if value is not None]
    if given and all(map(_is_document, given)):
        yield line(f"{space}~ ", data(difference.path))
        statements, effect = _document(before, after, direction, is_full=is_full)
        yield from (line(f"{space}    ", *one) for one in (*statements, *effect))
        return
    # A policy's name is the end of its ARN, which stands right beside it.
    attribute, _, _ = difference.path.partition(".")
    path = attribute if attribute == "managed_policies" else difference.path
    if before is None or after is None:
        side = direction.only_after if before is None else direction.only_before
        value = after if before is None else before
        yield line(
            space, *_one_side(side, f"{path}: "), data(shown(value, path, is_full=is_full), side[2])
        )
        return
    texts = (shown(value, path, is_full=is_full) for value in (before, after))
    both = direction.changed.format(*texts)
    yield line(f"{space}~ ", data(f"{path}: "), data(both, "yellow"))


def _one_side(side: tuple[str, str, str], subject: str) -> tuple[Piece | str, ...]:
    sign, word, _ = side
    return (f"{sign} {word} " if word else f"{sign} ", data(subject))


def changed_texts(path: str, before: Any, after: Any) -> list[str]:
    """What happened to AWS, each part in a few words: ``gained managed_policies: Billing``."""
    if _is_document(before) and _is_document(after):
        statements, effect = _document(before, after, HAPPENED, is_full=False)
        told = [plain([one]).strip() for one in effect or statements]
        # A statement that changed is a line of its own, and what changed in it follows.
        shown_parts = [one[2:] for one in told if not one.startswith("~ ") or "AWS has" in one]
        return [f"{path} {one}" for one in shown_parts]
    lines = [plain([one]) for one in difference_lines(Difference(path, before, after), HAPPENED, 0)]
    if len(lines) == 1:
        return [lines[0].removeprefix("~ ").removeprefix("+ ").removeprefix("- ")]
    head, *rest = (one.strip() for one in lines)
    return [f"{head.removeprefix('~ ')} {one[2:]}" for one in rest]


def shown(value: Any, path: str = "", *, is_full: bool = False) -> str:
    """A value on one line, shortened unless ``is_full``; policies of AWS by name, durations as
    specs have them."""
    if path == "max_session_duration" and isinstance(value, int):
        return duration_text(value)
    if path in ("managed_policies", "permissions_boundary") and isinstance(value, str):
        return value.rpartition("/")[2] if ":iam::aws:policy/" in value else value
    text = json.dumps(value, ensure_ascii=False) if not isinstance(value, str) else f'"{value}"'
    return text if is_full else shortened(text, LONGEST)


def duration_text(seconds: int) -> str:
    """``1h``, ``90m``, ``3601s``: as a spec may have it."""
    if seconds % 3600 == 0:
        return f"{seconds // 3600}h"
    return f"{seconds // 60}m" if seconds % 60 == 0 else f"{seconds}s"


def _is_document(value: Any) -> bool:
    if not isinstance(value, dict) or "Statement" not in value:
        return False
    return all(isinstance(statement, dict) for statement in as_list(value["Statement"]))


def _document(
    before: Any, after: Any, direction: Direction, *, is_full: bool
) -> tuple[list[Line], list[Line]]:
    """Lines of the statements that differ, and of what that comes to. Statements are the same when
    they mean the same, wherever they stand. One that changed is shown with what changed in it."""
    left = {_key(s): s for s in statements_of(before or {})}
    right = {_key(s): s for s in statements_of(after or {})}
    gone = [left[key] for key in left if key not in right]
    new = [right[key] for key in right if key not in left]
    lines: list[Line] = []
    for old in list(gone):
        other = next((one for one in new if _is_successor(old, one)), None)
        if other is None:
            lines.append(_whole(direction.only_before, old))
        else:
            gone.remove(old)
            new.remove(other)
            lines.extend(_changed(old, other, direction, is_full=is_full))
    lines.extend(_whole(direction.only_after, one) for one in new)
    if not before or not after:
        return lines, []
    if before.get("Version") != after.get("Version"):
        both = direction.changed.format(before.get("Version"), after.get("Version"))
        lines.append(line("~ Version: ", data(both, "yellow")))
    effect = effect_lines(before, after, (gone, new), direction, is_full=is_full)
    return lines, [*effect]


def _whole(side: tuple[str, str, str], statement: Any) -> Line:
    return line(*_one_side(side, ""), data(statement_text(statement), side[2]))


def _is_successor(old: Any, new: Any) -> bool:
    """Whether the one statement is the other, changed: they have one Sid, or differ in one
    element."""
    if old.get("Sid") or new.get("Sid"):
        return bool(old.get("Sid") == new.get("Sid"))
    return len(_differing(old, new)) == 1


def _differing(old: Any, new: Any) -> list[str]:
    first, second = (canonical({"Statement": [s]})["Statement"][0] for s in (old, new))
    names = dict.fromkeys((*old, *new))
    return [name for name in names if first.get(name) != second.get(name)]


def _changed(old: Any, new: Any, direction: Direction, *, is_full: bool) -> Iterator[Line]:
    names = _differing(old, new)
    rest = {name: value for name, value in new.items() if name not in names}
    yield line("~ ", data(statement_text(rest) or "statement"))
    for name in names:
        before, after = _members(old.get(name)), _members(new.get(name))
        if before is None or after is None:
            texts = (shown(statement.get(name), is_full=is_full) for statement in (old, new))
            both = direction.changed.format(*texts)
            yield line("    ~ ", data(f"{name}: "), data(both, "yellow"))
            continue
        for side, members, others in (
            (direction.only_before, before, after),
            (direction.only_after, after, before),
        ):
            for member in members:
                if member not in others:
                    yield line("    ", *_one_side(side, f"{name}: "), data(member, side[2]))


def _members(value: Any) -> list[str] | None:
    """The values of an element that is a list of texts, or of texts by kind."""
    if value is None:
        return []
    if isinstance(value, dict):
        found = [member for members in value.values() for member in as_list(members)]
        return found if all(isinstance(member, str) for member in found) else None
    return [str(member) for member in as_list(value)]


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
    for name, before in _ELEMENTS:
        if name in statement:
            value = statement[name]
            kinds = value.values() if isinstance(value, dict) else (value,)
            texts = (", ".join(map(str, k)) if isinstance(k, list) else str(k) for k in kinds)
            words.append(before + ", ".join(texts))
    if statement.get("Condition"):
        words.append("if " + json.dumps(statement["Condition"], ensure_ascii=False))
    return sid + " ".join(words)


_SHORT_STATEMENTS = 4
_LONG_STATEMENT = 2 * LONGEST
"""Characters."""
_NOTEWORTHY = ("trust_policy", "permissions_boundary", "managed_policies", "inline_policies")
_EMPTY: tuple[Any, ...] = ("", None, {}, [])
_DEFAULTS: tuple[Any, ...] = (*_EMPTY, "/", 3600)


def made_lines(
    attributes: Mapping[str, Any], sign: str, style: str, *, is_full: bool
) -> Iterator[Line]:
    """What is created or deleted: a line for each statement, the first of them or all; tags and
    policies by name; attributes with a default value are left out."""
    names = [*(n for n in _NOTEWORTHY if n in attributes), *attributes]
    for name in dict.fromkeys(names):
        if attributes[name] not in _DEFAULTS and name not in ("instance_profile", "role"):
            yield from _made(name, attributes[name], sign, style, is_full=is_full)


def _made(name: str, value: Any, sign: str, style: str, *, is_full: bool) -> Iterator[Line]:
    if _is_document(value):
        yield from _made_document(name, value, sign, style, is_full=is_full)
    elif name == "inline_policies":
        for policy, document in sorted(value.items()):
            path = f"inline_policies.{policy}"
            yield from _made_document(path, document, sign, style, is_full=is_full)
    elif name == "managed_policies":
        listed = " ".join(shown(arn, name, is_full=is_full) for _, arn in sorted(value.items()))
        yield line(f"      {sign} ", data(f"{name}: "), data(listed, style))
    elif isinstance(value, dict):
        pairs = " ".join(f"{key}={text}" for key, text in sorted(value.items()))
        yield line(f"      {sign} ", data(f"{name}: "), data(pairs, style))
    else:
        text = shown(value, name, is_full=is_full)
        yield line(f"      {sign} ", data(f"{name}: "), data(text, style))


def unchanged_lines(attributes: Mapping[str, Any], *, is_full: bool) -> Iterator[Line]:
    """How many attributes of a changed resource are hidden, or all of them with their values."""
    noun = "attribute" if len(attributes) == 1 else "attributes"
    if not is_full:
        yield line(Piece(f"      # ({len(attributes)} unchanged {noun} hidden)", "dim"))
        return
    yield line(Piece(f"      # {len(attributes)} unchanged {noun}:", "dim"))
    for name, value in attributes.items():
        if value in _EMPTY:
            yield line("        ", data(f"{name}: none", "dim"))
        else:
            yield from _made(name, value, " ", "dim", is_full=True)


def _made_document(
    path: str, document: Any, sign: str, style: str, *, is_full: bool
) -> Iterator[Line]:
    statements = [statement_text(s) for s in statements_of(document)]
    if not is_full and len(statements) == 1:
        told = shortened(statements[0], _LONG_STATEMENT)
        yield line(f"      {sign} ", data(f"{path}: "), data(told, style))
        return
    yield line(f"      {sign} ", data(path))
    few = statements
    if not is_full:
        few = [shortened(text, _LONG_STATEMENT) for text in statements[:_SHORT_STATEMENTS]]
    yield from (line("          ", data(text, style)) for text in few)
    if len(few) < len(statements):
        yield line(Piece(f"          and {len(statements) - len(few)} more (-v)", "dim"))


_MARKS = {"~": "!", "+": "+", "-": "-"}
"""What stands in the first column: GitHub's and GitLab's ``diff`` colours these."""


def differing(
    address: str,
    mark: str,
    differences: Iterable[tuple[str, Any, Any]],
    direction: Direction = PLANNED,
) -> str:
    """Lines of a ``diff``: the address, and below it what differs."""
    lines = [f"{mark} {printable(address)}"]
    for path, before, after in differences:
        for one in difference_lines(Difference(path, before, after), direction):
            # The sign of a line in its first column, and the line where it was.
            text = plain([one])
            bare = text.lstrip()
            sign, rest = bare[:1], bare[1:]
            indent = " " * (len(text) - len(bare) - 2)
            is_signed = sign in _MARKS
            lines.append(f"{_MARKS[sign]}{indent}{rest}" if is_signed else f" {indent}{bare}")
    return "\n".join(lines)


def fenced(parts: list[str]) -> str:
    text = "\n".join(parts)
    fence = fence_for(text, 3)
    return f"{fence}diff\n{text}\n{fence}"
