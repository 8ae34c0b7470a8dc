"""Associations of instances with profiles.

What AWS allows depends on the instance: a running one is replaced in one call, a stopped one must
be disassociated and associated.
Source: docs.aws.amazon.com/AWSEC2/latest/APIReference/API_ReplaceIamInstanceProfileAssociation.html
"""

from __future__ import annotations

from collections.abc import Iterator

from reconciler.kinds.context import KindContext, Step, iam, step, tag_list
from reconciler.model import ownership
from reconciler.model.address import instance_address, profile_address
from reconciler.model.live import LiveInstance, LiveProfile
from reconciler.model.ownership import Flight, InstanceKey
from reconciler.model.resources import Association
from reconciler.plan.calls import ASSOCIATION_SECONDS, ApiCall, Joined, Ref, Wait
from reconciler.plan.graph import Label, PendingStep, exists, free, ready, released

Labels = frozenset[Label]
NONE: Labels = frozenset()
STABLE_SECONDS = 600.0


def associate(live: LiveInstance, after: Association, context: KindContext) -> Iterator[Step]:
    """To an instance without a profile."""
    requires = frozenset({ready(profile_address(after.profile))})
    yield from _begin(live, after, context, requires)
    params = _profile_params(after, context, InstanceId=live.key.instance)
    call = ApiCall("ec2", "AssociateIamInstanceProfile", params, live.key.region)
    yield from _last(live, after, call, requires)


def move(live: LiveInstance, after: Association, context: KindContext) -> Iterator[Step]:
    """From one profile to another, or from one that is gone to its successor of the same name."""
    before = live.row
    if before is None:
        yield from associate(live, after, context)
        return
    left = profile_address(before.profile_name)
    requires = frozenset({ready(profile_address(after.profile))})
    later, freed = frozenset({ready(left), released(left)}), frozenset({free(left)})
    yield from _begin(live, after, context, requires, later)
    profile = context.profile_that_stays(after.profile)
    # To replace a profile by itself does nothing, even where the association is stale.
    is_same = profile is not None and profile.arn == before.profile_arn
    if live.state == "stopped" or is_same:
        yield from _reassociate(live, after, context, requires, later, freed)
        return
    params = _profile_params(after, context, AssociationId=_id(live, context))
    call = ApiCall("ec2", "ReplaceIamInstanceProfileAssociation", params, live.key.region)
    yield from _last(live, after, call, requires, later, freed)


def disassociate(live: LiveInstance, context: KindContext) -> Iterator[Step]:
    """An association that we made and that left the specs; our tag goes with it."""
    address = instance_address(live.key.instance)
    if live.row is None:
        return
    label, gone = Label("off", live.key), Label("gone", live.key)
    params = {"AssociationId": _id(live, context)}
    call = ApiCall("ec2", "DisassociateIamInstanceProfile", params, live.key.region)
    name, region = live.row.profile_name, live.key.region
    left = profile_address(name)
    yield step(address, call, after={ready(left), released(left)}, provides={label})
    wait = Wait("gone", ASSOCIATION_SECONDS, live.key.instance, name, region)
    yield PendingStep(address, wait, frozenset({label}), provides=frozenset({free(left), gone}))
    tags = [{"Key": context.prefix + ownership.ASSOCIATION}]
    forget = ApiCall(
        "ec2", "DeleteTags", {"Resources": [live.key.instance], "Tags": tags}, live.key.region
    )
    yield step(address, forget, requires={gone})


def forget(live: LiveInstance, context: KindContext) -> Iterator[Step]:
    """Removes our tags; the association stays."""
    tags = [{"Key": key} for key in context.our_keys(live.marks)]
    params = {"Resources": [live.key.instance], "Tags": tags}
    call = ApiCall("ec2", "DeleteTags", params, live.key.region)
    yield step(instance_address(live.key.instance), call)


def tagged_anew(live: LiveInstance, after: Association, context: KindContext) -> Iterator[Step]:
    """Renews our tag on an instance whose profile was created again, or is by this plan: it names
    the deleted one, and would no longer count. Also takes the place of another owner's."""
    start = f"{context.owner}/{live.key.instance}/"
    before = live.marks.get(ownership.ASSOCIATION, "")
    is_ours = before.startswith(start)
    if (is_ours or owner_before(live, context)) and before != _mark(live, after, context):
        yield _tag(live, after, context, frozenset({exists(profile_address(after.profile))}))


def owner_before(live: LiveInstance, context: KindContext) -> str | None:
    """The other owner who made the association that the instance has."""
    mark = ownership.decode_association(live.marks.get(ownership.ASSOCIATION))
    if mark is None or live.row is None or mark.owner == context.owner:
        return None
    is_its = (mark.instance, mark.profile_id) == (live.key.instance, live.row.profile_id)
    return mark.owner if is_its else None


def _mark(live: LiveInstance, after: Association, context: KindContext) -> str | Joined:
    profile = context.profile_that_stays(after.profile)
    start = f"{context.owner}/{live.key.instance}/"
    if profile is not None:
        return start + profile.id
    return Joined((start, Ref(profile_address(after.profile), "id")))


def _tag(
    live: LiveInstance,
    after: Association,
    context: KindContext,
    requires: Labels,
    later: Labels = NONE,
) -> Step:
    tags = tag_list({context.prefix + ownership.ASSOCIATION: _mark(live, after, context)})
    params = {"Resources": [live.key.instance], "Tags": tags}
    call = ApiCall("ec2", "CreateTags", params, live.key.region)
    provides = {Label("tagged", live.key)}
    return step(after.address, call, requires=requires, after=later, provides=provides)


def _begin(
    live: LiveInstance,
    after: Association,
    context: KindContext,
    requires: Labels,
    later: Labels = NONE,
) -> Iterator[Step]:
    """Our tag before the association, so that a crash between the two loses no ownership."""
    if live.in_transition:
        wait = Wait("stable", STABLE_SECONDS, live.key.instance, region=live.key.region)
        yield PendingStep(after.address, wait, provides=frozenset({Label("stable", live.key)}))
    if live.marks.get(ownership.ASSOCIATION) != _mark(live, after, context):
        yield _tag(live, after, context, requires, later)


def _last(
    live: LiveInstance,
    after: Association,
    call: ApiCall,
    requires: Labels,
    later: Labels = NONE,
    provides: Labels = NONE,
) -> Iterator[Step]:
    given, settled = Label("given", live.key), Label("settled", live.key)
    before = {*later, *(Label(state, live.key) for state in ("tagged", "stable", "gone"))}
    is_cleanup = live.row is not None and call.operation == "AssociateIamInstanceProfile"
    yield PendingStep(
        after.address, call, requires, frozenset(before), frozenset({given}), is_cleanup
    )
    wait = Wait(
        "associated", ASSOCIATION_SECONDS, live.key.instance, after.profile, live.key.region
    )
    yield PendingStep(
        after.address, wait, frozenset({given}), provides=frozenset({settled, *provides})
    )


def _reassociate(
    live: LiveInstance,
    after: Association,
    context: KindContext,
    requires: Labels,
    later: Labels,
    freed: Labels,
) -> Iterator[Step]:
    """For a stopped instance; between the two calls it is in flight, as ``noted`` says."""
    key, address = live.key, after.address
    off, gone = Label("off", key), Label("gone", key)
    params = {"AssociationId": _id(live, context)}
    call = ApiCall("ec2", "DisassociateIamInstanceProfile", params, key.region)
    before = {*later, *(Label(state, key) for state in ("noted", "tagged", "stable"))}
    yield step(address, call, requires=requires, after=before, provides={off})
    left = live.row.profile_name if live.row else None
    wait = Wait("gone", ASSOCIATION_SECONDS, key.instance, left, key.region)
    yield PendingStep(address, wait, frozenset({off}), provides=frozenset({gone}), is_cleanup=True)
    give = _profile_params(after, context, InstanceId=key.instance)
    call = ApiCall("ec2", "AssociateIamInstanceProfile", give, key.region)
    yield from _last(live, after, call, requires, later, freed)


def noted(
    live: LiveProfile | None, name: str, keys: tuple[InstanceKey, ...], context: KindContext
) -> Iterator[Step]:
    """Records stopped instances on their new profile before they move to it, as many at a time as
    the mark holds, and removes the mark when they have arrived."""
    address = profile_address(name)
    requires, before = {ready(address)}, set[Label]()
    flying = live.flights if live else frozenset()
    while batch := ownership.fitting(flying, [Flight(key) for key in keys]):
        marks = ownership.encode_in_flight({*flying, *batch})
        tags = tag_list(ownership.with_prefix(marks, context.prefix))
        call = iam("TagInstanceProfile", InstanceProfileName=name, Tags=tags)
        provides = {Label("noted", f.key) for f in batch}
        yield step(address, call, requires=requires, after=before, provides=provides)
        before = {Label("settled", f.key) for f in batch}
        names = [context.prefix + mark for mark in sorted(marks)]
        call = iam("UntagInstanceProfile", InstanceProfileName=name, TagKeys=names)
        keys, label = keys[len(batch) :], Label("landed", batch[-1].key)
        yield step(address, call, requires=before, provides={label})
        before = {label}


def _id(live: LiveInstance, context: KindContext) -> object:
    """The association's id; where a cut-over comes first, the one that it will have then."""
    row = live.row
    if row is not None and profile_address(row.profile_name) not in context.cut_over:
        return row.id
    return Ref(instance_address(live.key.instance), "id")


def _profile_params(
    after: Association, context: KindContext, **params: object
) -> dict[str, object]:
    profile = context.profile_that_stays(after.profile)
    arn: object = profile.arn if profile else Ref(profile_address(after.profile), "arn")
    return {**params, "IamInstanceProfile": {"Arn": arn}}
