"""Conditions of policy documents: operators and the form of values. Of dates AWS takes many forms:
they are left alone, but for what has no digit, and seconds beyond its numbers.

Source: reference_policies_elements_condition_operators.html of docs.aws.amazon.com/IAM/latest
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from reconciler.diagnostics import Diagnostic, Near
from reconciler.spec.check.spots import Spot, members

_OPERATORS = (
    *("StringEquals", "StringNotEquals", "StringEqualsIgnoreCase", "StringNotEqualsIgnoreCase"),
    *("StringLike", "StringNotLike"),
    *("NumericEquals", "NumericNotEquals", "NumericLessThan", "NumericLessThanEquals"),
    *("NumericGreaterThan", "NumericGreaterThanEquals"),
    *("DateEquals", "DateNotEquals", "DateLessThan", "DateLessThanEquals"),
    *("DateGreaterThan", "DateGreaterThanEquals"),
    *("Bool", "BinaryEquals", "IpAddress", "NotIpAddress"),
    *("ArnEquals", "ArnLike", "ArnNotEquals", "ArnNotLike", "Null"),
)
"""AWS compares their case: it answers ``Invalid Condition type : stringEquals``."""
_SETS = ("", "ForAllValues:", "ForAnyValue:")
_IF_EXISTS = ("", "IfExists")
OPERATORS = frozenset(s + o + e for s in _SETS for o in _OPERATORS for e in _IF_EXISTS)
_NUMBER = re.compile(r"[+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]+)?")
_MOST_SECONDS = str(2**63 - 1)
_DOTTED = re.compile(r"([0-9]+)\.([0-9]+)\.([0-9]+)\.([0-9]+)(?:/([0-9]+))?")


def conditions(value: Any, spot: Spot) -> Iterator[Diagnostic]:
    """Of a ``Condition`` that is not null."""
    if not isinstance(value, dict):
        message = "Condition maps an operator to a mapping of keys to values"
        yield spot.value_error("policy-condition", message)
        return
    for operator, keys in value.items():
        here = spot.inside(operator)
        # An operator with nothing to compare is taken, whatever its name.
        if operator not in OPERATORS and keys != {}:
            by_case = {known.casefold(): known for known in OPERATORS}
            exact = by_case.get(operator.casefold())
            near = Near(
                operator,
                (exact,) if exact else tuple(sorted(OPERATORS)),
                otherwise="such as StringEquals",
            )
            message = f"there is no operator {operator!r}"
            yield here.key_error("policy-condition", message, near=near)
        elif isinstance(keys, dict):
            for key, values in keys.items():
                yield from _key(operator, key, values, here.inside(key))
        elif keys is not None:
            message = f"{operator} has a mapping of keys to values"
            yield here.value_error("policy-condition", message)


def _key(operator: str, key: str, values: Any, spot: Spot) -> Iterator[Diagnostic]:
    if ":" not in key:
        message = f"the condition key {key!r} has no prefix such as aws:, so it is never there"
        yield Diagnostic("warning", "policy-condition", message, spot.place.at(*spot.path))
    if values == []:
        message = f"{key} has no value: AWS wants one at least"
        yield spot.value_error("policy-condition", message)
    for value, here in members(values, spot):
        if isinstance(value, str):
            if why := _malformed(operator, value):
                yield here.value_error("policy-condition", f"{operator} takes {why}, not {value!r}")
        elif value is not None:
            message = f"the value of {key} is text, or a list of texts"
            yield here.value_error("policy-condition", message)


def _malformed(operator: str, value: str) -> str | None:
    """What the operator takes, where the value is certainly not that."""
    if "${" in value:
        return None
    name = operator.rpartition(":")[2]
    if name.startswith("Numeric") and not _NUMBER.fullmatch(value):
        return "a number"
    if name.startswith("Date") and not _may_be_date(value):
        return "a date such as 2026-01-01T00:00:00Z"
    if "IpAddress" in name and not _may_be_address(value):
        return "an address, or a range such as 10.0.0.0/8"
    is_pattern = "*" in value or "?" in value
    if name.startswith("Arn") and not is_pattern and not re.match(r"arn:([^:]*:){4}", value):
        return "an ARN"
    return None


def _may_be_date(value: str) -> bool:
    if re.fullmatch(r"[0-9]+", value):
        # As text of one length: a number of many digits takes long to be made.
        width = max(len(value), len(_MOST_SECONDS))
        return value.zfill(width) <= _MOST_SECONDS.zfill(width)
    return any(c.isdigit() for c in value)


def _may_be_address(value: str) -> bool:
    """AWS takes more spellings of IPv6 than others do, so that only IPv4 is looked at closely."""
    if ":" in value:
        return re.fullmatch(r"[0-9A-Fa-f:.]+(/[0-9]+)?", value) is not None
    found = _DOTTED.fullmatch(value)
    return (
        found is not None
        and all(int(part) <= 255 for part in found.groups()[:4])
        and int(found[5] or 0) <= 32
    )
