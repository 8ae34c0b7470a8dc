"""``${name}``: ours where the name is a plain identifier, IAM's where it has a colon."""

from __future__ import annotations

import re
from collections.abc import Mapping

from reconciler.diagnostics import Diagnostic, nearest
from reconciler.spec.tree import Path, Scalar, Tree, mapped

_TOKEN = re.compile(r"\$\$\{|\$\{([^{}]*)\}")
_IAM = re.compile(r"[*?$]|.*:.*", re.DOTALL)


def substituted(tree: Tree, variables: Mapping[str, str], problems: list[Diagnostic]) -> Tree:
    """The tree with our variables filled in. ``${region}`` stays where associations are, since
    they are read once for each region."""

    def change(scalar: Scalar, path: Path) -> Scalar:
        if scalar.text is None or "${" not in scalar.text:
            return scalar
        known = {**variables, "region": "${region}"} if path[:1] == ("associations",) else variables
        return Scalar(_filled(scalar, known, problems), scalar.location)

    return mapped(tree, change)


def _filled(scalar: Scalar, variables: Mapping[str, str], problems: list[Diagnostic]) -> str:
    def value(match: re.Match[str]) -> str:
        name = match[1]
        if name is None:
            return "${"
        if _IAM.fullmatch(name):
            return match[0]
        if name in variables:
            return variables[name]
        problems.append(_unknown(name, scalar, variables))
        return match[0]

    return _TOKEN.sub(value, scalar.text or "")


def _unknown(name: str, scalar: Scalar, variables: Mapping[str, str]) -> Diagnostic:
    close = nearest(name, variables)
    hint = f"did you mean ${{{close}}}?" if close else "write $${ for a literal ${"
    message = f"there is no variable {name!r}"
    return Diagnostic("error", "unknown-variable", message, scalar.location, hint)


def escaped(text: str) -> str:
    """The text as it must be written to come out as it is: ``${`` is ours, but for IAM's own."""

    def kept(match: re.Match[str]) -> str:
        is_iams = match[1] is not None and _IAM.fullmatch(match[1])
        return match[0] if is_iams else f"${match[0]}"

    return _TOKEN.sub(kept, text)
