"""From values of AWS to the text of a spec, in the layout that ``fmt`` gives: values as a spec has
to write them, in short where that says the same, and then lines. Which attributes of a resource are
written is decided in ``importer/`` and ``drift/accept.py``."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from reconciler.model.policy_document import PolicyDocument
from reconciler.spec.build.variables import escaped
from reconciler.spec.format.formatter import INDENT, WIDTH, formatted
from reconciler.spec.yaml.quoting import scalar

_ALWAYS_OPEN = 3
"""Down to this depth a mapping is written line by line: sections, names, attributes."""
MOST_IN_A_LINE = 4


def rendered(value: dict[str, Any]) -> str:
    """A whole file; an empty line in front of each section."""
    lines: list[str] = []
    for key, inner in value.items():
        part = entry(key, inner, "", 1)
        lines += [*([""] if lines and len(part) > 1 else []), *part]
    return formatted("\n".join(lines) + "\n")


def entry(key: str, value: Any, indent: str, depth: int) -> list[str]:
    """The lines of one entry of a mapping."""
    head = f"{indent}{scalar(key)}:"
    line = f"{head} {inline(value)}".rstrip()
    if _is_short(value, line, depth):
        return [line]
    return [head, *block(value, indent + INDENT, depth)]


def block(value: Any, indent: str, depth: int) -> list[str]:
    if isinstance(value, dict):
        return [line for k, v in value.items() for line in entry(k, v, indent, depth + 1)]
    lines: list[str] = []
    for item in value:
        line = f"{indent}- {inline(item)}"
        if _is_short(item, line, max(depth, _ALWAYS_OPEN) + 1):
            lines.append(line)
        else:
            inner = block(item, indent + INDENT, depth + 1)
            lines += [f"{indent}- {inner[0].lstrip()}", *inner[1:]]
    return lines


def _is_short(value: Any, line: str, depth: int) -> bool:
    """Whether it stands in one line: a single value, or a few that are single themselves."""
    if not isinstance(value, dict | list) or not value:
        return True
    if len(line) > WIDTH or (isinstance(value, dict) and depth < _ALWAYS_OPEN):
        return False
    return len(value) <= MOST_IN_A_LINE and all(_is_single(v) for v in _inner(value))


def _is_single(value: Any) -> bool:
    """A value in a line of others: text, a list of texts, or next to nothing."""
    if isinstance(value, dict):
        return len(value) <= 1 and not any(isinstance(v, dict) for v in _inner(value))
    return not isinstance(value, list) or not any(isinstance(v, dict | list) for v in value)


def _inner(value: dict[str, Any] | list[Any]) -> Iterator[Any]:
    yield from value.values() if isinstance(value, dict) else value


def inline(value: Any, in_flow: bool = False) -> str:
    match value:
        case dict():
            pairs = (f"{scalar(k, True)}: {inline(v, True)}".rstrip() for k, v in value.items())
            return "{" + ", ".join(pairs) + "}"
        case list():
            return "[" + ", ".join(inline(v, True) for v in value) + "]"
        case None:
            return "null"
        case bool():
            return "true" if value else "false"
        case int() | float():
            return str(value)
        case _:
            return scalar(str(value), in_flow)


def document_as_spec(document: PolicyDocument) -> Any:
    return as_spec(document.value)


def as_spec(value: Any) -> Any:
    """A value of AWS as a spec has to write it."""
    match value:
        case dict():
            return {key: as_spec(inner) for key, inner in value.items()}
        case list():
            return [as_spec(inner) for inner in value]
        case str():
            return escaped(value)
        case _:
            return value


def trust_as_spec(document: PolicyDocument) -> dict[str, Any]:
    """``trust: ec2`` where that says the same."""
    if services := _services(document):
        short = [s.removesuffix(".amazonaws.com") for s in services]
        made = [s if "." not in s else f"{s}.amazonaws.com" for s in short]
        return {"trust": made[0] if len(made) == 1 else made}
    return {"trust_policy": document_as_spec(document)}


def _services(document: PolicyDocument) -> list[str]:
    """The services of a trust that names nothing else."""
    value = document.value
    statements = value.get("Statement") if isinstance(value, dict) else None
    listed = statements if isinstance(statements, list) else [statements]
    if len(listed) != 1 or not isinstance(listed[0], dict):
        return []
    principal = listed[0].get("Principal")
    named = principal.get("Service") if isinstance(principal, dict) else None
    services = sorted(named) if isinstance(named, list) else [named] if named else []
    if not all(s.endswith((".amazonaws.com", ".amazonaws.com.cn")) for s in services):
        return []
    statement = {"Effect": "Allow", "Principal": {"Service": services}, "Action": "sts:AssumeRole"}
    meant = PolicyDocument.of({"Version": "2012-10-17", "Statement": [statement]})
    return services if meant == document else []


def duration_as_spec(seconds: int) -> str:
    return f"{seconds // 3600}h" if seconds % 3600 == 0 else f"{seconds}s"
