"""ARNs in policy documents, as far as AWS reads them when it saves a policy.

AWS completes an ARN of fewer than six parts with ``*``, and takes a ``*`` for the partition; it
wants the service in full. Source: docs.aws.amazon.com/IAM/latest/UserGuide/reference-arns.html
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from reconciler.diagnostics import Diagnostic, Near
from reconciler.model.partitions import DNS_SUFFIXES
from reconciler.model.trust import matches
from reconciler.spec.check.spots import Spot

PARTITIONS = tuple(DNS_SUFFIXES)
_PARTS = 6
_OPEN = re.compile(r"[*?]|\$\{")
"""A wildcard or a variable: what follows may be anything."""
_UNFILLED = re.compile(r"\$\{[^{}:*?$]+\}")
"""A variable of ours that is unknown, which is reported by itself."""
_IAM_TYPES = (
    "access-report",
    "federated-user",
    "group",
    "instance-profile",
    "mfa",
    "oidc-provider",
    "policy",
    "report",
    "role",
    "saml-provider",
    "server-certificate",
    "sms-mfa",
    "user",
)


def resource(text: str, spot: Spot) -> Iterator[Diagnostic]:
    """A ``Resource`` or ``NotResource``."""
    if text == "*" or _UNFILLED.search(text):
        return
    parts = text.split(":", _PARTS - 1)
    if parts[0] != "arn" or len(parts) == 1:
        message = f'a resource is an ARN or "*", not {text!r}'
        yield spot.value_error("policy-resource", message)
    elif not is_partition(parts[1]):
        yield unknown_partition(parts[1], text, spot)
    elif len(parts) == 2 or not parts[2] or _OPEN.search(parts[2]):
        message = f"an ARN names its service in full, such as s3, not {text!r}"
        yield spot.value_error("policy-resource", message)
    elif len(parts) < _PARTS and "::" in text:
        yield spot.value_error("policy-resource", _too_short(parts, text))
    elif len(parts) < _PARTS:
        if not parts[-1].endswith("*"):
            hint = "AWS reads each missing part as *"
            yield spot.value_warning("policy-resource", _too_short(parts, text), hint)
    elif parts[2] == "iam":
        yield from _iam(parts, text, spot)
    elif parts[2] == "s3" and _is_literal(parts[3]) and not parts[4]:
        message = f"an ARN of a bucket has no region, this has {parts[3]!r}"
        yield spot.value_error("policy-resource", message, f"write arn:{parts[1]}:s3:::{parts[5]}")


def is_partition(text: str) -> bool:
    return any(matches(text, known) for known in PARTITIONS)


def unknown_partition(partition: str, arn: str, spot: Spot) -> Diagnostic:
    near = Near(partition, PARTITIONS, otherwise="write arn:${partition}:…")
    message = f"there is no partition {partition!r} (in {arn!r})"
    return spot.value_error("policy-resource", message, near=near)


def _is_literal(text: str) -> bool:
    return bool(text) and not _OPEN.search(text)


def _too_short(parts: list[str], text: str) -> str:
    return f"an ARN has {_PARTS} parts, this has {len(parts)}: {text!r}"


def _iam(parts: list[str], text: str, spot: Spot) -> Iterator[Diagnostic]:
    if _is_literal(parts[3]):
        message = f"an ARN of IAM has no region, this has {parts[3]!r}"
        hint = f"write {':'.join([*parts[:3], '', *parts[4:]])}"
        yield spot.value_error("policy-resource", message, hint)
        return
    # Only what is a misspelt type for certain: AWS adds types.
    kind, slash, _ = parts[5].partition("/")
    if _OPEN.search(kind) or kind in ("root", "") or (slash and kind in _IAM_TYPES):
        return
    if not slash:
        message = f"an ARN of IAM ends in TYPE/NAME, such as role/web, not {text!r}"
        yield spot.value_error("policy-resource", message)
    elif kind.casefold() in _IAM_TYPES or kind.rstrip("s").casefold() in _IAM_TYPES:
        near = Near(kind, _IAM_TYPES)
        yield spot.value_error("policy-resource", f"IAM has no {kind!r}: {text!r}", near=near)
