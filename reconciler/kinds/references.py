"""From the names that specs give to the ARNs that AWS takes."""

from __future__ import annotations

from collections.abc import Iterator

from reconciler.kinds.context import KindContext
from reconciler.model.address import POLICY, ROLE, Address, name_of, same_resource
from reconciler.model.live import LiveState
from reconciler.model.policy_document import principals
from reconciler.spec.check import aws_managed_policies
from reconciler.spec.desired import DesiredState


def policy_arn(reference: str, desired: DesiredState, live: LiveState) -> str:
    """The ARN of a policy given by name or ARN: one of the set, else one of AWS's.

    A policy of the set that exists has the path it lives at.
    """
    if reference.startswith("arn:"):
        return _spelled(reference, desired, live)
    wanted = desired.policy(reference)
    if wanted is None:
        return aws_managed_policies.arn_of(reference, live.identity.arns)
    found = live.policy(reference)
    if found is not None and (
        "path" in wanted.leave or found.resource.path == wanted.resource.path
    ):
        return found.arn
    made = wanted.resource
    return live.identity.arns.of(POLICY, made.path, made.name)


def _spelled(arn: str, desired: DesiredState, live: LiveState) -> str:
    """An ARN as AWS has it, or will have it once the set's policy is made: names ignore case."""
    if live.identity.arns.has(arn, POLICY):
        known, wanted = live.policy(name_of(arn)), desired.policy(name_of(arn))
        if known is not None and same_resource(known.arn, arn):
            return known.arn
        if wanted is not None:
            return policy_arn(wanted.resource.name, desired, live)
    return arn


def trusted_roles(document: object, context: KindContext) -> Iterator[Address]:
    """Roles of the set that a trust policy names by their ARN."""
    for principal in principals(document):
        if context.arns.has(principal, ROLE):
            named = context.desired.role(name_of(principal))
            if named is not None:
                yield named.resource.address
