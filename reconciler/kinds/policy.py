"""Customer-managed policies.

Name, path and description cannot change; a document changes by a new version, of which there are
five at most. Source: docs.aws.amazon.com/IAM/latest/APIReference/API_CreatePolicyVersion.html
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace as with_fields

from reconciler.kinds.context import KindContext, Step, iam, step, tag_calls
from reconciler.kinds.unmanaged_attributes import keep_live
from reconciler.model.live import LivePolicy
from reconciler.model.resources import Policy, no_tags
from reconciler.plan.graph import Label, exists, free, gone, ready
from reconciler.spec.desired import DesiredPolicy

MOST_VERSIONS = 5


def desired_state_of(desired: DesiredPolicy, live: LivePolicy, leave: frozenset[str]) -> Policy:
    wanted = with_fields(desired.resource, name=live.resource.name)
    after: Policy = keep_live(wanted, live.resource, leave)
    # A description cannot change; that it differs is a warning, not a change.
    return with_fields(after, description=live.resource.description)


def create(after: Policy, context: KindContext) -> Iterator[Step]:
    call = iam(
        "CreatePolicy",
        PolicyName=after.name,
        Path=after.path,
        PolicyDocument=after.document.text,
        Description=after.description or None,
        Tags=context.owned(after.name, after.tags),
    )
    address = after.address
    yield step(address, call, after={gone(address)}, provides={exists(address), ready(address)})


def adopt(live: LivePolicy, context: KindContext) -> Iterator[Step]:
    tags = context.owned(live.resource.name, no_tags())
    yield step(live.resource.address, iam("TagPolicy", PolicyArn=live.arn, Tags=tags))


def forget(live: LivePolicy, context: KindContext) -> Iterator[Step]:
    keys = context.our_keys(live.marks)
    yield step(live.resource.address, iam("UntagPolicy", PolicyArn=live.arn, TagKeys=keys))


def update(live: LivePolicy, after: Policy, _context: KindContext) -> Iterator[Step]:
    before, address = live.resource, live.resource.address
    if before.document != after.document:
        if len(live.versions) >= MOST_VERSIONS:
            oldest = next(v for v in live.versions if not v.is_default)
            yield step(
                address,
                iam("DeletePolicyVersion", PolicyArn=live.arn, VersionId=oldest.id),
                provides={Label("room", address)},
            )
        call = iam(
            "CreatePolicyVersion",
            PolicyArn=live.arn,
            PolicyDocument=after.document.text,
            SetAsDefault=True,
        )
        yield step(address, call, after={Label("room", address)}, provides={ready(address)})
    for call in tag_calls("Policy", {"PolicyArn": live.arn}, before.tags, after.tags):
        yield step(address, call)


def delete(live: LivePolicy, _context: KindContext) -> Iterator[Step]:
    """Versions first, then the policy, once it is attached to nothing."""
    address = live.resource.address
    for version in live.versions:
        if not version.is_default:
            call = iam("DeletePolicyVersion", PolicyArn=live.arn, VersionId=version.id)
            yield step(address, call, after={free(address)}, provides={Label("bare", address)})
    call = iam("DeletePolicy", PolicyArn=live.arn)
    yield step(
        address, call, after={free(address), Label("bare", address)}, provides={gone(address)}
    )


def replace(live: LivePolicy, after: Policy, context: KindContext) -> Iterator[Step]:
    """Once its roles have detached it; it is attached again when it exists again."""
    yield from delete(live, context)
    yield from create(after, context)
