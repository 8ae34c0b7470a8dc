"""Values of AWS as a spec has to write them, in short where that says the same."""

from __future__ import annotations

from typing import Any

from reconciler.model.policy_document import PolicyDocument
from reconciler.spec.build.variables import escaped


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
