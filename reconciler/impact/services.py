"""Services of which AWS records that a role used them, and not which of their actions: all that can
be compared is what the documents allow of them."""

from __future__ import annotations

from collections.abc import Iterator

from reconciler.impact.reduction import LimitedPolicies, allows_some, of_service, reduction
from reconciler.plan.impact import Loss, Usage

SAME_SECONDS = 3600
"""A use of a service is that of one of its actions if both were recorded this close together."""


def service_losses(usage: Usage, before: LimitedPolicies, after: LimitedPolicies) -> Iterator[Loss]:
    """Of each service that was last used by an action that AWS does not record: of some services it
    records none, of others (S3) not those on data.
    Source: docs.aws.amazon.com/IAM/latest/UserGuide/access_policies_last-accessed.html
    """
    for service, use in sorted(usage.services.items()):
        start = f"{service}:".casefold()
        recorded = [
            one.at for name, one in usage.actions.items() if name.casefold().startswith(start)
        ]
        if any(at >= use.at - SAME_SECONDS for at in recorded):
            continue
        narrowed = of_service(before, service), of_service(after, service)
        taken = reduction(*narrowed).patterns
        unrecorded = tuple(p for p in taken if p.casefold() not in usage.tracked)
        if not unrecorded or not allows_some(narrowed[0]):
            continue
        if allows_some(narrowed[1]):
            yield Loss("part-of-service", service, use, unrecorded)
        else:
            yield Loss("service", service, use)
