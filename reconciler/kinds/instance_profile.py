"""Instance profiles. There is no call that updates one: tags change, the role is swapped by a
cut-over, everything else is a replace.

Source: docs.aws.amazon.com/IAM/latest/APIReference/API_CreateInstanceProfile.html
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace as with_fields

from reconciler.kinds.context import KindContext, Step, iam, step, tag_calls, tag_list
from reconciler.kinds.unmanaged_attributes import keep_live
from reconciler.model import ownership
from reconciler.model.address import role_address, same_name
from reconciler.model.live import LiveProfile
from reconciler.model.resources import InstanceProfile, no_tags
from reconciler.plan.calls import NOW, RUN, ApiCall, Joined, Ref
from reconciler.plan.graph import Label, emptied, exists, free, gone, ready, released
from reconciler.spec.desired import DesiredProfile


def desired_state_of(
    desired: DesiredProfile, live: LiveProfile, leave: frozenset[str]
) -> InstanceProfile:
    wanted = with_fields(desired.resource, name=live.resource.name)
    if same_name(wanted.role, live.resource.role):
        wanted = with_fields(wanted, role=live.resource.role)
    result: InstanceProfile = keep_live(wanted, live.resource, leave)
    return result


def create(after: InstanceProfile, context: KindContext) -> Iterator[Step]:
    """The owner and the role id are set by the creating call; then the role is added, unless
    instances must get it: that is left to their cut-over."""
    address = after.address
    if address in context.filled_by_cutover:
        tags = context.owned(after.name, after.tags, role_id=ownership.NO_ROLE)
        yield step(address, _create(after, tags), after={gone(address)}, provides={exists(address)})
        return
    role, wanted = context.role_that_stays(after.role), context.desired.role(after.role)
    held = wanted.resource.address if wanted else role_address(after.role or "")
    mark: object = ownership.NO_ROLE
    if after.role is not None:
        mark = role.id if role else Ref(held, "id")
    tags = context.owned(after.name, after.tags, role_id=mark)
    made = {exists(address)} if after.role else {exists(address), ready(address)}
    requires = {exists(held)} if after.role else set()
    yield step(
        address, _create(after, tags), requires=requires, after={gone(address)}, provides=made
    )
    if after.role is not None:
        name = role.resource.name if role else held.name
        call = iam("AddRoleToInstanceProfile", InstanceProfileName=after.name, RoleName=name)
        requires = {exists(address), exists(held), ready(held)}
        yield step(
            address, call, requires=requires, provides={Label("filled", address), ready(address)}
        )


def _create(after: InstanceProfile, tags: list[dict[str, object]]) -> ApiCall:
    name, path = after.name, after.path
    return iam("CreateInstanceProfile", InstanceProfileName=name, Path=path, Tags=tags)


def adopt(live: LiveProfile, context: KindContext) -> Iterator[Step]:
    """Owner and role-id in one call."""
    name = live.resource.name
    tags = context.owned(name, no_tags(), role_id=adopted_role_mark(live, context))
    address = live.resource.address
    call = iam("TagInstanceProfile", InstanceProfileName=name, Tags=tags)
    yield step(address, call, provides={Label("adopted", address)})


def adopted_role_mark(live: LiveProfile, context: KindContext) -> str:
    """The marks of an adopted profile. Consumers are assumed to have the role in it, since nothing
    else can be known; with ``--refresh-adopted``, to have none. Marks of the previous set are kept:
    a cut-over that it began is resumed."""
    if context.refresh_adopted:
        return ownership.NO_ROLE
    if live.claimed_by is not None and live.mark is not None:
        return ownership.encode_role_mark(live.mark)
    return live.role_id or ownership.NO_ROLE


def refresh(live: LiveProfile, context: KindContext) -> Iterator[Step]:
    """Marks the profile as one whose consumers are not known to have its role: the cut-over that
    follows, of this run or after a crash of the next one, is for all of them."""
    name, address = live.resource.name, live.resource.address
    tags = tag_list({context.prefix + ownership.ROLE_ID: ownership.NO_ROLE})
    call = iam("TagInstanceProfile", InstanceProfileName=name, Tags=tags)
    yield step(address, call, provides={Label("adopted", address)})


def forget(live: LiveProfile, context: KindContext) -> Iterator[Step]:
    keys = context.our_keys(live.marks)
    yield step(
        live.resource.address,
        iam("UntagInstanceProfile", InstanceProfileName=live.resource.name, TagKeys=keys),
    )


def update(live: LiveProfile, after: InstanceProfile, _context: KindContext) -> Iterator[Step]:
    """Tags alone: the role is the cut-over's."""
    before, address = live.resource, live.resource.address
    target = {"InstanceProfileName": before.name}
    for call in tag_calls("InstanceProfile", target, before.tags, after.tags):
        yield step(address, call)


def delete(live: LiveProfile, context: KindContext) -> Iterator[Step]:
    """The role is removed first; its release is recorded before (``planner/topology.py``)."""
    before, address = live.resource, live.resource.address
    name, noted, pending = before.name, released(address), Label("pending", address)
    if before.role is not None:
        # A run that finds the profile empty needs to know which role was in it, and why it was
        # removed.
        start = f"pending/{live.role_id}/{ownership.NO_ROLE}/"
        tags = tag_list({context.prefix + ownership.ROLE_ID: Joined((start, NOW, "/", RUN))})
        call = iam("TagInstanceProfile", InstanceProfileName=name, Tags=tags)
        yield step(address, call, after={free(address)}, provides={pending})
        call = iam("RemoveRoleFromInstanceProfile", InstanceProfileName=name, RoleName=before.role)
        after = {free(address), noted, pending}
        yield step(address, call, after=after, provides={Label("bare", address)})
    call = iam("DeleteInstanceProfile", InstanceProfileName=name)
    provides = {free(role_address(before.role))} if before.role else set()
    yield step(address, call, after={free(address), Label("bare", address)}, provides=provides)


def replace(live: LiveProfile, after: InstanceProfile, context: KindContext) -> Iterator[Step]:
    """Emptied by a cut-over before, and filled by one afterwards. Instances may keep their
    associations in between: AWS allows that, and the cut-over replaces them."""
    address = live.resource.address
    call = iam("DeleteInstanceProfile", InstanceProfileName=live.resource.name)
    yield step(address, call, after={emptied(address)}, provides={gone(address)})
    yield from create(after, context)
