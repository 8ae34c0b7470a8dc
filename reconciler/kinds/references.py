"""From the names that specs give to the ARNs that AWS takes."""

from __future__ import annotations

from collections.abc import Iterator

from reconciler.kinds.aws_policies import PATHS
from reconciler.kinds.context import Context
from reconciler.live import LiveState
from reconciler.model import Identity
from reconciler.policy_document import principals
from reconciler.spec.desired import DesiredState


def policy_arn(reference: str, desired: DesiredState, live: LiveState) -> str:
    """The ARN of a policy given by name or ARN: one of the set, else one of AWS's.

    A policy of the set that exists has the path it lives at.
    """
    if reference.startswith("arn:"):
        known = live.policy(reference.rpartition("/")[2])
        is_same = known is not None and known.arn.casefold() == reference.casefold()
        return known.arn if known is not None and is_same else reference
    wanted = desired.policy(reference)
    if wanted is None:
        return aws_policy_arn(reference, live.identity)
    found = live.policy(reference)
    if found is not None and (
        "path" in wanted.leave or found.resource.path == wanted.resource.path
    ):
        return found.arn
    identity = live.identity
    name, path = wanted.resource.name, wanted.resource.path
    return f"arn:{identity.partition}:iam::{identity.account_id}:policy{path}{name}"


def aws_policy_arn(name: str, identity: Identity) -> str:
    """ARNs of AWS-managed policies follow from their names but for those at odd paths."""
    path = PATHS.get(name, "/")
    return f"arn:{identity.partition}:iam::aws:policy{path}{name}"


def policy_address(arn: str, context: Context) -> str | None:
    """The address of a policy of this account, ``None`` for AWS's and other accounts'."""
    if f":{context.identity.account_id}:policy/" not in arn:
        return None
    return f"policy/{arn.rpartition('/')[2]}"


def trusted_roles(document: object, context: Context) -> Iterator[str]:
    """Addresses of the roles of this account that a trust policy names."""
    start = f"arn:{context.identity.partition}:iam::{context.identity.account_id}:role/"
    for principal in principals(document):
        if principal.startswith(start):
            named = context.desired.role(principal.rpartition("/")[2])
            if named is not None:
                yield named.resource.address
