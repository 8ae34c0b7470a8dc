"""IAM policy documents, compared by meaning.

Two documents are equal when AWS would evaluate them alike; what differs in spelling alone (order, a
string for a list of one, the case of an action) is no difference.
Source: docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements.html
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

Json = Any
"""A value as ``json.loads`` gives it."""
PolicyUse = Literal["managed", "inline", "trust"]

_ACCOUNT_ROOT = re.compile(r"arn:[a-z0-9-]+:iam::([0-9]{12}):root")
_UNIQUE_ID = re.compile(r"A(?:ROA|IDA)[A-Z0-9]{12,}")


@dataclass(frozen=True, slots=True)
class PolicyDocument:
    """A policy document. ``text`` is the document as written, without white space and with
    ``Version`` first: it is sent to AWS and counted against its quotas. Equality compares only
    ``canonical``."""

    text: str = field(compare=False)
    canonical: str

    @classmethod
    def of(cls, document: Json) -> PolicyDocument:
        """From a decoded document; one that AWS holds but that is no JSON stays a string."""
        return cls(text=minified(_version_first(document)), canonical=_dump(canonical(document)))

    @property
    def value(self) -> Json:
        return json.loads(self.text)

    @property
    def size(self) -> int:
        """Characters that count against a quota: all but white space."""
        return len(re.sub(r"[ \t\r\n]", "", self.text))


def _version_first(document: Json) -> Json:
    """AWS refuses a ``Statement`` that is a mapping and comes before ``Version``."""
    if not isinstance(document, Mapping) or "Version" not in document:
        return document
    return {"Version": document["Version"], **document}


def minified(document: Json) -> str:
    return json.dumps(document, separators=(",", ":"), ensure_ascii=False)


def _dump(value: Json) -> str:
    return json.dumps(value, separators=(",", ":"), sort_keys=True, ensure_ascii=False)


def canonical(document: Json) -> Json:
    """The one spelling of all documents that mean the same."""
    if not isinstance(document, Mapping):
        return document
    rest = {k: v for k, v in document.items() if k not in ("Version", "Statement")}
    statements = [_statement(s) for s in as_list(document.get("Statement", []))]
    version = document.get("Version") or "2008-10-17"
    return {**rest, "Version": version, "Statement": sorted(statements, key=_dump)}


def as_list(value: Json) -> list[Json]:
    if isinstance(value, Sequence) and not isinstance(value, str):
        return list(value)
    return [value]


def _statement(statement: Json) -> Json:
    if not isinstance(statement, Mapping):
        return statement
    result = {k: _element(k, v) for k, v in statement.items()}
    return {k: v for k, v in result.items() if v not in ("", {}, None)}


def _element(name: str, value: Json) -> Json:
    match name:
        case "Action" | "NotAction":
            # AWS matches actions without regard to case.
            return _unique(str(v).casefold() for v in as_list(value))
        case "Resource" | "NotResource":
            return _unique(as_list(value))
        case "Principal" | "NotPrincipal":
            return _principal(value)
        case "Condition" if isinstance(value, Mapping):
            return {op: _condition_keys(keys) for op, keys in value.items() if keys != {}}
        case _:
            return value


def _principal(value: Json) -> Json:
    if value == "*":
        value = {"AWS": "*"}
    if not isinstance(value, Mapping):
        return value
    listed = {k: _unique(_account(v) for v in as_list(values)) for k, values in value.items()}
    return {k: values for k, values in listed.items() if values}


def _account(principal: Json) -> Json:
    """An account is named by its number or by its root's ARN; both mean the account."""
    found = _ACCOUNT_ROOT.fullmatch(principal) if isinstance(principal, str) else None
    return found[1] if found else principal


def _condition_keys(keys: Json) -> Json:
    if not isinstance(keys, Mapping):
        return keys
    pairs = [[k.casefold(), _unique(_scalar(v) for v in as_list(vs))] for k, vs in keys.items()]
    return sorted(pairs, key=_dump)


def _scalar(value: Json) -> Json:
    """AWS takes ``true`` for ``"true"`` and ``3600`` for ``"3600"``."""
    return json.dumps(value) if isinstance(value, bool | int | float) else value


def _unique(values: Any) -> list[Json]:
    return [value for _, value in sorted({_order(v): v for v in values}.items())]


def _order(value: Json) -> tuple[bool, str]:
    """Equal for equal values alone. Nearly all are text, and to write that as JSON takes long."""
    is_text = isinstance(value, str)
    return is_text, value if is_text else _dump(value)


def principals(document: Json) -> tuple[str, ...]:
    """Every AWS principal that a trust policy names, sorted."""
    return tuple(sorted({principal for principal, _ in named_principals(document)}))


def named_principals(document: Json) -> Iterator[tuple[str, tuple[str | int, ...]]]:
    """The same as they stand in the document, each with its path."""
    held = document.get("Statement", []) if isinstance(document, Mapping) else []
    for number, statement in enumerate(as_list(held)):
        start = ("Statement", number) if isinstance(held, list) else ("Statement",)
        for element in ("Principal", "NotPrincipal"):
            principal = statement.get(element) if isinstance(statement, Mapping) else None
            named = principal.get("AWS", []) if isinstance(principal, Mapping) else []
            for place, one in enumerate(as_list(named)):
                inside = (place,) if isinstance(named, list) else ()
                yield str(one), (*start, element, "AWS", *inside)


def with_principals(document: PolicyDocument, spelled: Callable[[str], str]) -> PolicyDocument:
    """The document with every AWS principal as ``spelled`` has it; the very same where that changes
    none."""
    if all(spelled(principal) == principal for principal in principals(document.value)):
        return document

    def named(principal: Json) -> Json:
        if not isinstance(principal, Mapping) or "AWS" not in principal:
            return principal
        held = principal["AWS"]
        listed = [spelled(str(one)) for one in as_list(held)]
        return {**principal, "AWS": listed if isinstance(held, list) else listed[0]}

    def statement(value: Json) -> Json:
        if not isinstance(value, Mapping):
            return value
        elements = ("Principal", "NotPrincipal")
        return {k: named(v) if k in elements else v for k, v in value.items()}

    whole = dict(document.value)
    held = whole["Statement"]
    whole["Statement"] = [statement(s) for s in held] if isinstance(held, list) else statement(held)
    return PolicyDocument.of(whole)


def dangling_principals(document: Json) -> tuple[str, ...]:
    """Principals that IAM shows by unique id because the role or user they named is gone.

    Source: docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_principal.html
    """
    return tuple(p for p in principals(document) if is_unique_id(p))


def is_unique_id(principal: str) -> bool:
    """Whether it is the id of a role or a user, in place of its ARN."""
    return _UNIQUE_ID.fullmatch(principal) is not None


def statements_of(document: Json) -> list[Mapping[str, Json]]:
    if not isinstance(document, Mapping):
        return []
    listed = as_list(document.get("Statement", []))
    return [s for s in listed if isinstance(s, Mapping)]
