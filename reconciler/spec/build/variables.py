"""``${name}``: ours where the name is a plain identifier, IAM's where it has a colon."""

from __future__ import annotations

import re
from collections.abc import Iterator
from collections.abc import Mapping as MappingType
from dataclasses import dataclass

from reconciler.diagnostics import Diagnostic, Near
from reconciler.spec.yaml.tree import Mapping, Path, Scalar, Sequence, Tree, mapped

_TOKEN = re.compile(r"\$\$\{|\$\{([^{}]*)\}")
_IAM = re.compile(r"[*?$]|.*:.*", re.DOTALL)


MOST_CHARACTERS = 10 * 1024 * 1024
"""What the values of a set with variables in them may come to, together."""


@dataclass(slots=True)
class CharactersLeft:
    """How many characters are left for values with variables in them."""

    left: int = MOST_CHARACTERS


def substituted(
    tree: Tree, variables: MappingType[str, str], problems: list[Diagnostic], room: CharactersLeft
) -> Tree:
    """The tree with our variables filled in, the very same where it has none. ``${region}`` stays
    where associations are, since they are read once for each region. Nothing more is filled in once
    there is no room."""
    if not any("${" in (scalar.text or "") for scalar in _scalars(tree)):
        return tree
    regional = {**variables, "region": "${region}"}

    def change(scalar: Scalar, path: Path) -> Scalar:
        if scalar.text is None or "${" not in scalar.text or room.left < 0:
            return scalar
        known = regional if path[:1] == ("associations",) else variables
        # The size of the text once it is filled, or a little more.
        filled = sum(len(known.get(m[1] or "", "")) for m in _TOKEN.finditer(scalar.text))
        room.left -= len(scalar.text) + filled
        if room.left < 0:
            message = f"variables expand to more than {MOST_CHARACTERS:,} characters"
            code = "variables-too-large"
            problems.append(Diagnostic("error", code, message, scalar.location))
            return scalar
        return Scalar(_filled(scalar, known, problems), scalar.location)

    return mapped(tree, change)


def _scalars(root: Tree) -> Iterator[Scalar]:
    """In no order. To go through a tree by hand takes a third of the time of making it again."""
    left = [root]
    while left:
        match left.pop():
            case Scalar() as scalar:
                yield scalar
            case Sequence(items):
                left.extend(items)
            case Mapping(entries):
                left.extend(entries.values())


def _filled(scalar: Scalar, variables: MappingType[str, str], problems: list[Diagnostic]) -> str:
    def value(match: re.Match[str]) -> str:
        name = match[1]
        if name is None:
            return "${"
        if _IAM.fullmatch(name):
            return match[0]
        if name in variables:
            return variables[name]
        otherwise = "write $${ for a literal ${"
        near = Near(name, tuple(variables), "did you mean ${{{}}}?", otherwise)
        message, place = f"unknown variable {name!r}", scalar.location
        problems.append(Diagnostic("error", "unknown-variable", message, place, near=near))
        return match[0]

    return _TOKEN.sub(value, scalar.text or "")


def escaped(text: str) -> str:
    """The text as it must be written to come out as it is: ``${`` is ours, but for IAM's own."""

    def kept(match: re.Match[str]) -> str:
        is_iams = match[1] is not None and _IAM.fullmatch(match[1])
        return match[0] if is_iams else f"${match[0]}"

    return _TOKEN.sub(kept, text)
