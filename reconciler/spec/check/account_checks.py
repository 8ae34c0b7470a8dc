"""What AWS would refuse in one account and accept in another: ARNs of another partition, policies
of another account. Found once the account is known."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from reconciler.diagnostics import Diagnostic
from reconciler.model.partitions import DNS_SUFFIXES
from reconciler.model.policy_document import PolicyDocument, as_list
from reconciler.spec.check.checks import is_unread, policies_of
from reconciler.spec.check.spots import Spot, members
from reconciler.spec.desired import DesiredPolicy, DesiredProfile, DesiredRole, DesiredState
from reconciler.spec.yaml.policy_documents import place_of_inline

_ARN = re.compile(r"arn:([a-z-]+):")


def of_account(
    desired: DesiredState, account_id: str | None, partition: str | None
) -> Iterator[Diagnostic]:
    """Findings for this account; ``None`` for what is not known."""
    for entity in desired.entities():
        match entity:
            case DesiredRole():
                yield from _references(entity, account_id, partition)
                role, place = entity.resource, entity.place
                yield from _document(role.trust_policy, Spot(place, ("trust_policy",)), partition)
                for name, document in role.inline_policies:
                    spot = Spot(place, place_of_inline(place.tree, role.name, name))
                    yield from _document(document, spot, partition)
            case DesiredPolicy():
                document = entity.resource.document
                yield from _document(document, Spot(entity.place, ("document",)), partition)
            case DesiredProfile():
                yield from _watched(entity, account_id, partition)


def _watched(
    entity: DesiredProfile, account_id: str | None, partition: str | None
) -> Iterator[Diagnostic]:
    """Alarms and target groups are asked in the account of the instances."""
    checks = entity.limits.checks
    for key, arns in (("alarms", checks.alarms), ("target_groups", checks.target_groups)):
        for number, arn in enumerate(arns):
            parts, spot = arn.split(":"), Spot(entity.place, ("cutover", "checks", key, number))
            if len(parts) < 6 or parts[0] != "arn":
                continue
            if partition is not None and parts[1] != partition:
                yield _other_partition(parts[1], arn, partition, spot)
            elif account_id is not None and parts[4] != account_id:
                message = f"{arn} is in account {parts[4]}, and the instances are in {account_id}"
                yield spot.value_error("other-account", message, "write ${account_id}")


def _references(
    entity: DesiredRole, account_id: str | None, partition: str | None
) -> Iterator[Diagnostic]:
    for reference, at in policies_of(entity):
        parts = reference.split(":")
        if len(parts) < 6 or parts[0] != "arn":
            continue
        spot = Spot(entity.place, at)
        if partition is not None and parts[1] != partition and parts[1] in DNS_SUFFIXES:
            yield _other_partition(parts[1], reference, partition, spot)
        elif account_id is not None and parts[4] not in ("aws", account_id):
            message = f"{reference} is in account {parts[4]}, and the role is in {account_id}"
            hint = "AWS attaches policies of the same account: write ${account_id}"
            yield spot.value_error("other-account", message, hint)


def _document(document: PolicyDocument, spot: Spot, partition: str | None) -> Iterator[Diagnostic]:
    found = set(_ARN.findall(document.text))
    if partition is None or not (found & DNS_SUFFIXES.keys()) - {partition}:
        return
    if not is_unread(spot.place, *spot.path):
        value = document.value.get("Statement", [])
        for statement, here in members(value, spot.inside("Statement")):
            if isinstance(statement, dict):
                yield from _statement(statement, here, partition)


def _statement(statement: dict[str, Any], spot: Spot, partition: str) -> Iterator[Diagnostic]:
    for element in ("Resource", "NotResource"):
        for arn, here in members(statement.get(element, []), spot.inside(element)):
            yield from _arn(arn, here, partition)
    for element in ("Principal", "NotPrincipal"):
        kinds = statement.get(element)
        for kind, named in kinds.items() if isinstance(kinds, dict) else ():
            for arn, here in members(named, spot.inside(element, kind)):
                yield from _arn(arn, here, partition)
    condition = statement.get("Condition")
    for operator, keys in condition.items() if isinstance(condition, dict) else ():
        for key, values in keys.items() if isinstance(keys, dict) else ():
            yield from _compared(
                as_list(values), spot.inside("Condition", operator, key), partition
            )


def _arn(arn: object, spot: Spot, partition: str) -> Iterator[Diagnostic]:
    found = _ARN.match(arn) if isinstance(arn, str) else None
    if found and found[1] != partition and found[1] in DNS_SUFFIXES:
        yield _other_partition(found[1], str(arn), partition, spot)


def _compared(values: list[Any], spot: Spot, partition: str) -> Iterator[Diagnostic]:
    """AWS takes them, and they match nothing here."""
    starts = [_ARN.match(value) for value in values if isinstance(value, str)]
    others = {m[1] for m in starts if m} & DNS_SUFFIXES.keys()
    if others and partition not in others and len(others) == len({m and m[1] for m in starts}):
        named = ", ".join(sorted(others))
        message = f"compares with ARNs of {named}, and this account is in {partition}"
        yield spot.value_warning("other-partition", message, "write arn:${partition}:…")


def _other_partition(other: str, arn: str, partition: str, spot: Spot) -> Diagnostic:
    message = f"{arn} is in the partition {other}, and this account is in {partition}"
    return spot.value_error("other-partition", message, "write arn:${partition}:…")
