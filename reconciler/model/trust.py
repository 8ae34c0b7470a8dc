"""Whether EC2 may take a role, decided by what its trust policy means.

Source: docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_principal.html
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

from reconciler.model.partitions import DNS_SUFFIXES
from reconciler.model.policy_document import Json, as_list, statements_of

_EC2_HOSTS = frozenset(f"ec2.{suffix}" for suffix in DNS_SUFFIXES.values())
_ASSUME = "sts:assumerole"


def trusts_ec2(document: Json) -> bool:
    """Whether a statement allows EC2 to assume the role, under whatever condition, and none denies
    it without one."""
    about = [s for s in statements_of(document) if _is_about_ec2(s)]
    is_denied = any(s.get("Effect") == "Deny" and not s.get("Condition") for s in about)
    return not is_denied and any(s.get("Effect") == "Allow" for s in about)


def matches(pattern: str, text: str) -> bool:
    """Whether IAM's pattern, with ``*`` and ``?``, covers the text; case does not count."""
    if "*" not in pattern and "?" not in pattern:
        return pattern.casefold() == text.casefold()
    return matcher(pattern).fullmatch(text) is not None


def matcher(pattern: str) -> re.Pattern[str]:
    """What texts that IAM's pattern covers match in full."""
    parts = {"*": ".*", "?": "."}
    # Stars in a row mean one, and would take the matcher forever.
    shortened = re.sub(r"\*+", "*", pattern)
    expression = "".join(parts.get(c) or re.escape(c) for c in shortened)
    return re.compile(expression, re.IGNORECASE | re.DOTALL)


def _is_about_ec2(statement: Mapping[str, Json]) -> bool:
    return _has(statement, "Action", _is_assume) and _has(statement, "Principal", _names_ec2)


def _has(statement: Mapping[str, Json], element: str, covers: Callable[[Json], bool]) -> bool:
    if element in statement:
        return covers(statement[element])
    opposite = f"Not{element}"
    return opposite in statement and not covers(statement[opposite])


def _is_assume(actions: Json) -> bool:
    return any(matches(str(action), _ASSUME) for action in as_list(actions))


def _names_ec2(principal: Json) -> bool:
    if principal == "*":
        return True
    if not isinstance(principal, Mapping):
        return False
    if "*" in as_list(principal.get("AWS", [])):
        return True
    services = [str(service) for service in as_list(principal.get("Service", []))]
    return any(matches(service, host) for service in services for host in _EC2_HOSTS)
