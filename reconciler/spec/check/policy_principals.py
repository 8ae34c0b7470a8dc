"""Principals of trust policies: what AWS could resolve at all. Whether a role is there is found by
plan.

Source: docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_principal.html
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from reconciler.diagnostics import Diagnostic, Near
from reconciler.model.partitions import DNS_SUFFIXES
from reconciler.model.policy_document import is_unique_id
from reconciler.spec.check.policy_arns import is_partition, unknown_partition
from reconciler.spec.check.service_principals import unknown
from reconciler.spec.check.spots import Spot, members

_KINDS = ("AWS", "Service", "Federated", "CanonicalUser")
_ACCOUNT = re.compile(r"[0-9]{12}")
_HOST = re.compile(r"[A-Za-z0-9*-]+(\.[A-Za-z0-9*-]+)+")
_SERVICE_SUFFIXES = tuple(f".{suffix}" for suffix in {*DNS_SUFFIXES.values(), "amazon.com"})
_IAM_NAMES = re.compile(r"root|(user|role)/.+")
_STS_NAMES = re.compile(r"(assumed-role/[^/]+/.+|federated-user/.+)")
_PROVIDERS = re.compile(r"(saml-provider|oidc-provider)/.+")


def principals(statement: dict[str, Any], spot: Spot) -> Iterator[Diagnostic]:
    if "NotPrincipal" in statement and statement.get("Effect") == "Allow":
        message = "NotPrincipal goes with Effect: Deny alone"
        yield spot.inside("NotPrincipal").key_error("policy-principal", message)
    for name in ("Principal", "NotPrincipal"):
        if statement.get(name, "*") not in ("*", None):
            yield from _element(name, statement[name], spot.inside(name))


def _element(name: str, value: Any, spot: Spot) -> Iterator[Diagnostic]:
    if not isinstance(value, dict) or not value:
        message = f'{name} is "*" or a mapping with {", ".join(_KINDS)}'
        yield spot.value_error("policy-principal", message)
        return
    for kind, named in value.items():
        at = spot.inside(kind)
        if kind not in _KINDS:
            near = Near(kind, _KINDS, otherwise=f"known keys: {', '.join(_KINDS)}")
            yield at.key_error("unknown-key", f"unknown key {kind!r}", near=near)
        elif named == []:
            message = f"{kind} is empty: AWS wants one at least"
            yield at.value_error("policy-principal", message)
        else:
            for member, inner in members(named, at):
                yield from _member(kind, member, inner)


def _member(kind: str, member: Any, spot: Spot) -> Iterator[Diagnostic]:
    if member is None or member == "*" or (isinstance(member, str) and "${" in member):
        return
    if not isinstance(member, str):
        yield spot.value_error("policy-principal", f"{kind} is text, or a list of texts")
    elif kind == "Service":
        yield from _service(member, spot)
    elif kind == "AWS":
        yield from _aws(member, spot)
    elif kind == "Federated":
        yield from _federated(member, spot)


def _service(member: str, spot: Spot) -> Iterator[Diagnostic]:
    if not _HOST.fullmatch(member):
        message = f"{member!r} is not the host of a service, such as ec2.amazonaws.com"
        is_name = re.fullmatch(r"[a-z0-9-]+", member)
        hint = f"did you mean {member + '.amazonaws.com'!r}?" if is_name else None
        yield spot.value_error("policy-principal", message, hint)
    elif not member.endswith(_SERVICE_SUFFIXES):
        message = f"{member!r} does not look like a service of AWS, such as ec2.amazonaws.com"
        yield spot.value_warning("policy-principal", message)
    elif (wrong := unknown(member)) is not None and wrong.hint is not None:
        yield spot.value_warning("policy-principal", wrong.message, wrong.hint)


def _aws(member: str, spot: Spot) -> Iterator[Diagnostic]:
    if _ACCOUNT.fullmatch(member) or is_unique_id(member):
        return
    parts = member.split(":", 5)
    if parts[0] != "arn" or len(parts) < 6:
        message = f'{member!r} is no principal: an ARN, an account of 12 digits, or "*"'
        yield spot.value_error("policy-principal", message)
    elif not is_partition(parts[1]):
        yield unknown_partition(parts[1], member, spot)
    elif "*" in member or "?" in member:
        message = f'a principal has no wildcards, but for "*" alone: {member!r}'
        hint = "trust the account, with a condition on aws:PrincipalArn"
        yield spot.value_error("policy-principal", message, hint)
    elif not _is_name(parts):
        message = f"{member!r} is not the ARN of an account, user, role or session"
        yield spot.value_error("policy-principal", message)


def _is_name(parts: list[str]) -> bool:
    _, _, service, region, account, name = parts
    names = {"iam": _IAM_NAMES, "sts": _STS_NAMES}.get(service)
    is_placed = not region and _ACCOUNT.fullmatch(account) is not None
    return names is not None and is_placed and names.fullmatch(name) is not None


def _federated(member: str, spot: Spot) -> Iterator[Diagnostic]:
    parts = member.split(":", 5)
    if parts[0] != "arn":
        is_host = re.fullmatch(r"[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)+(/\S*)?", member)
        is_known = is_host is not None
    elif len(parts) > 1 and not is_partition(parts[1]):
        yield unknown_partition(parts[1], member, spot)
        return
    else:
        is_known = len(parts) == 6 and parts[2] == "iam" and bool(_PROVIDERS.fullmatch(parts[5]))
    if not is_known:
        message = f"{member!r} is neither the ARN of a SAML or OIDC provider nor its host"
        yield spot.value_error("policy-principal", message)
