"""Whether policy documents allow a request: identity policies, as IAM evaluates them.

Permission boundaries, session policies and the policies of an organization are documents of their
own: each has to allow the request as well, so each is asked by itself.
Source: docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_evaluation-logic.html
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import lru_cache
from ipaddress import ip_address, ip_network
from typing import Any, Literal

from reconciler.model.policy_document import as_list

Context = Mapping[str, tuple[str, ...]]
"""Values by condition key, in lower case. A key that the request has not is left out."""
Outcome = Literal["allowed", "implicitDeny", "explicitDeny"]
"""As AWS's simulator calls them, from the best to the worst."""
NO_ACTION = "no statement allows the action"
NO_RESOURCE = "the action is allowed on other resources only"
_ARN_PARTS = 6
_VARIABLES_SINCE = "2012-10-17"
"""In documents of an older version, ``${...}`` is plain text."""
_VARIABLE = re.compile(r"\$\{([^{}]*)\}")
_STAR, _MARK = "\ue000", "\ue001"
"""A ``*`` and a ``?`` that stand for themselves, in a pattern."""
_PLAIN = str.maketrans({"*": _STAR, "?": _MARK})
_BACK = str.maketrans({_STAR: "*", _MARK: "?"})
_SPECIAL = {"*": _STAR, "?": _MARK, "$": "$"}


@dataclass(frozen=True, slots=True)
class PolicyQuestion:
    """One question of AWS: may the caller do the action on the resource."""

    action: str
    resource: str
    context: Context = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Decision:
    """``by`` are the statements that allow it, or those that deny it."""

    outcome: Outcome
    by: tuple[Mapping[str, Any], ...] = ()

    @property
    def is_allowed(self) -> bool:
        return self.outcome == "allowed"


def decide(documents: Iterable[Mapping[str, Any]], asked: PolicyQuestion) -> Decision:
    """What the documents answer together. Raises ``ValueError`` for an operator that IAM has not.

    A condition whose key the request has not is met by what negates and by ``IfExists`` alone. A
    statement with a variable that has no value is about nothing."""
    met = [s for d in documents for s in statements(d) if _Statement.of(d, s).is_met_by(asked)]
    denying = tuple(one for one in met if one["Effect"] == "Deny")
    if denying:
        return Decision("explicitDeny", denying)
    return Decision("allowed" if met else "implicitDeny", tuple(met))


def why_not(documents: Iterable[Mapping[str, Any]], asked: PolicyQuestion) -> str:
    """In words, what the nearest statement lacks to allow what nothing allows and nothing denies:
    ``NO_ACTION``, ``NO_RESOURCE``, or the conditions that are not met."""
    found = NO_ACTION
    for document in documents:
        for one in (_Statement.of(document, s) for s in statements(document)):
            if one.value["Effect"] != "Allow" or not one.names_action(asked):
                continue
            if one.names_resource(asked):
                return f"a condition is not met: {', '.join(dict.fromkeys(one.unmet(asked)))}"
            found = NO_RESOURCE
    return found


def statements(document: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    return as_list(document["Statement"])


def keys_of(document: Mapping[str, Any]) -> Iterator[str]:
    """The condition keys that a document names, as they are written: in conditions, and in
    variables."""
    for value in statements(document):
        one = _Statement.of(document, value)
        texts = [*_listed(value.get("Resource", ())), *_listed(value.get("NotResource", ()))]
        for keys in value.get("Condition", {}).values():
            yield from keys
            texts += [text for wanted in keys.values() for text in _listed(wanted)]
        if one.has_variables:
            names = (_variable(v)[0] for text in texts for v in _VARIABLE.findall(text))
            yield from (name for name in names if name not in _SPECIAL)


@dataclass(frozen=True, slots=True)
class _Statement:
    value: Mapping[str, Any]
    has_variables: bool

    @classmethod
    def of(cls, document: Mapping[str, Any], value: Mapping[str, Any]) -> _Statement:
        return cls(value, document.get("Version") == _VARIABLES_SINCE)

    def is_met_by(self, asked: PolicyQuestion) -> bool:
        return (
            self.names_action(asked) and self.names_resource(asked) and not any(self.unmet(asked))
        )

    def names_action(self, asked: PolicyQuestion) -> bool:
        # AWS matches actions without regard to case.
        action = asked.action.casefold()
        return self._names("Action", lambda one: _like(action, one.casefold()))

    def names_resource(self, asked: PolicyQuestion) -> bool:
        """A ``*`` goes beyond a colon where it ends a part, and parts that are missing are ``*``.
        Source: docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_resource.html
        """

        def fits(pattern: str) -> bool:
            filled = self._filled(pattern, asked.context)
            if filled is None:
                return False
            missing = _ARN_PARTS - 1 - filled.count(":")
            whole = filled if filled == "*" or missing <= 0 else filled + ":*" * missing
            return _form(whole, within_parts=True).fullmatch(asked.resource) is not None

        return self._names("Resource", fits)

    def _names(self, element: str, fits: Callable[[str], bool]) -> bool:
        if f"Not{element}" in self.value:
            return not any(map(fits, _listed(self.value[f"Not{element}"])))
        return any(map(fits, _listed(self.value.get(element, ()))))

    def unmet(self, asked: PolicyQuestion) -> Iterator[str]:
        """The keys of the conditions that the request does not meet."""
        for name, keys in self.value.get("Condition", {}).items():
            for key, wanted in keys.items():
                filled = [self._filled(one, asked.context) for one in _listed(wanted)]
                given = asked.context.get(key.casefold())
                if None in filled or not _holds(name, given, [f for f in filled if f is not None]):
                    yield key

    def _filled(self, text: str, context: Context) -> str | None:
        """A pattern without variables; ``None`` if one of them has no value, or several."""
        if not self.has_variables or "${" not in text:
            return text
        made, end = [], 0
        for found in _VARIABLE.finditer(text):
            name, default = _variable(found[1])
            values = context.get(name.casefold(), () if default is None else (default,))
            if name not in _SPECIAL and len(values) != 1:
                return None
            value = _SPECIAL.get(name) or values[0].translate(_PLAIN)
            made += [text[end : found.start()], value]
            end = found.end()
        return "".join([*made, text[end:]])


def _variable(text: str) -> tuple[str, str | None]:
    """The key and the default of ``key, 'default'``."""
    name, comma, default = text.partition(",")
    return name.strip(), default.strip().strip("'") if comma else None


def _listed(value: Any) -> list[str]:
    return [str(v).lower() if isinstance(v, bool) else str(v) for v in as_list(value)]


def _holds(name: str, given: tuple[str, ...] | None, wanted: list[str]) -> bool:
    scope, _, kind = name.rpartition(":")
    is_optional = kind.endswith("IfExists")
    kind = kind.removesuffix("IfExists")
    if kind == "Null":
        return (given is None) == (wanted == ["true"])
    is_negated = "Not" in kind
    compare = _compared(kind.replace("Not", ""))
    if given is None:
        return is_optional or scope == "ForAllValues" or (is_negated and scope != "ForAnyValue")
    met = [any(compare(one, other) for other in wanted) != is_negated for one in given]
    is_of_all = scope == "ForAllValues" or (is_negated and scope != "ForAnyValue")
    return all(met) if is_of_all else any(met)


def _compared(kind: str) -> Callable[[str, str], bool]:
    """Compares a value of the request with a pattern."""
    if (how := _BY_NAME.get(kind)) is not None:
        return how
    read = _moment if kind.startswith("Date") else float
    sign = _SIGNS.get(re.sub("^(Date|Numeric)", "", kind))
    if sign is None:
        raise ValueError(f"Invalid condition operator: {kind}")

    def compared(one: str, other: str) -> bool:
        try:
            return sign(read(one), read(other))
        except ValueError:  # neither a number nor a date, so nothing compares with it
            return False

    return compared


def _equal(value: str, pattern: str) -> bool:
    return value == pattern.translate(_BACK)


def _like(value: str, pattern: str) -> bool:
    return _form(pattern, within_parts=False).fullmatch(value) is not None


def _arn_like(value: str, pattern: str) -> bool:
    """Each of the six parts by itself."""
    given, wanted = value.split(":", _ARN_PARTS - 1), pattern.split(":", _ARN_PARTS - 1)
    return len(given) == len(wanted) and all(map(_like, given, wanted))


@lru_cache(maxsize=4096)
def _form(pattern: str, *, within_parts: bool) -> re.Pattern[str]:
    any_text = r"(?s:.*)"
    made = []
    for place, char in enumerate(pattern):
        ends_part = pattern[place + 1 : place + 2] in ("", ":")
        if char == "*":
            made.append(any_text if ends_part or not within_parts else "[^:]*")
        elif char == "?":
            made.append("[^:]" if within_parts else "(?s:.)")
        else:
            made.append(re.escape(char.translate(_BACK)))
    return re.compile("".join(made))


def _is_in_network(value: str, pattern: str) -> bool:
    try:
        return ip_address(value) in ip_network(pattern, strict=False)
    except ValueError:
        return False


def _moment(text: str) -> float:
    if text.isdigit():
        return float(text)
    read = datetime.fromisoformat(text)
    return (read if read.tzinfo else read.replace(tzinfo=UTC)).timestamp()


_SIGNS: Mapping[str, Callable[[float, float], bool]] = {
    "Equals": operator.eq,
    "LessThan": operator.lt,
    "LessThanEquals": operator.le,
    "GreaterThan": operator.gt,
    "GreaterThanEquals": operator.ge,
}
_BY_NAME: Mapping[str, Callable[[str, str], bool]] = {
    "StringEquals": _equal,
    "StringEqualsIgnoreCase": lambda one, other: _equal(one.casefold(), other.casefold()),
    "StringLike": _like,
    "ArnEquals": _arn_like,
    "ArnLike": _arn_like,
    "Bool": lambda one, other: _equal(one.casefold(), other.casefold()),
    "BinaryEquals": _equal,
    "IpAddress": _is_in_network,
}
