"""What a run remembers of its own calls, and the world as it is after one: both pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import TypeVar

from reconciler.cutover.types import Ask, CutOver, Memory, Seen, Standing, spread_at
from reconciler.model import ownership
from reconciler.model.address import same_name
from reconciler.model.live import AssociationRow, LiveInstance, LiveProfile
from reconciler.model.ownership import HOLDS, InstanceKey, Pending, holds_mark
from reconciler.model.resources import InstanceProfile, frozen_tags
from reconciler.plan.calls import ApiCall

_V = TypeVar("_V")


def beginning(seen: Seen, run: str) -> Memory:
    """What a run knows at its start. An earlier run's notes on instances count only while the swap
    that they followed is still the last one."""
    mark, profile = seen.profile.mark, seen.profile
    is_swapped = profile.role_id is not None and profile.role_id == seen.after_id
    is_gone_on = isinstance(mark, Pending) and mark.after == seen.target
    resumed = is_swapped and (is_gone_on or bool(seen.covered))
    shadow = seen.shadow
    is_filled = shadow is not None and shadow.role_id == seen.after_id
    memory = Memory(
        run=run,
        began_at=seen.now,
        began_with=mark,
        resumed=resumed,
        swapped_at=seen.now if is_swapped else None,
        filled_at=seen.now if is_filled else None,
        untouched=_before_the_swap(seen, mark)
        if isinstance(mark, Pending) and is_gone_on
        else None,
    )
    return replace(memory, batches=1) if _had_a_canary(seen, memory) else memory


def standings(seen: Seen) -> frozenset[Standing]:
    return frozenset(
        Standing(i.key, i.row.id, i.launched_at) for i in seen.consumers() if i.row is not None
    )


def _before_the_swap(seen: Seen, mark: Pending) -> frozenset[Standing]:
    """Those that an earlier run has not touched. AWS does not say how old an association is; but
    whose profile the earlier run took off is noted, on the profile until the next batch and on the
    instance from then on."""
    untouched = set()
    for standing in standings(seen):
        held = seen.instances[standing.key].marks.get(HOLDS)
        is_noted = held == holds_mark(mark.after, standing.association)
        is_young = standing.launched_at >= mark.epoch
        if not (is_noted or is_young or standing.key in seen.profile.in_flight):
            untouched.add(standing)
    return frozenset(untouched)


def _had_a_canary(seen: Seen, memory: Memory) -> bool:
    """Whether an earlier run brought an instance over, so that a failure now is a later one.
    Whoever may tag instances could have noted it too; the worst that follows is that a failure
    stops the cut-over in place of rolling it back."""
    if not isinstance(seen.profile.mark, Pending) or seen.profile.mark.after != seen.target:
        return False
    swapped = seen.profile.swapped
    is_told = swapped is not None and swapped.role_id == seen.target
    if memory.resumed and (is_told or _noted(seen)):
        return True
    is_filled = seen.shadow is not None and seen.shadow.role_id == seen.after_id
    return is_filled and any(
        i.is_running and i.row is not None and i.row.state == "associated" for i in seen.lent()
    )


def noted_as_done(seen: Seen) -> tuple[LiveInstance, ...]:
    """Consumers that a run which goes on would leave alone, because an earlier one noted that they
    hold the role. Whoever may tag instances could have written that too, so it is told."""
    return _noted(seen) if beginning(seen, "").resumed else ()


def _noted(seen: Seen) -> tuple[LiveInstance, ...]:
    known = [i for i in seen.noted() if i.is_running and i.row is not None]
    return tuple(
        i for i in known if i.row and i.marks.get(HOLDS) == holds_mark(seen.target, i.row.id)
    )


def remember(memory: Memory, call: ApiCall, seen: Seen, ended_at: float) -> Memory:
    """What is known after ``call`` took effect; ``seen`` is what was seen before it.

    A call may take minutes when it is throttled, so of the two times the cautious one counts: a
    swap was when the call had ended, an association when it began.
    """
    now = seen.now
    match call.operation:
        case "AddRoleToInstanceProfile" if is_shadow(call, seen):
            return replace(memory, filled_at=ended_at)
        case "AddRoleToInstanceProfile":
            return replace(
                _snapshot(memory, seen),
                swapped_at=ended_at,
                resumed=False,
                changed_at=ended_at,
                refreshed={},
                allowed=frozenset(),
                swaps=memory.swaps + 1,
            )
        case "RemoveRoleFromInstanceProfile" if not is_shadow(call, seen):
            return _snapshot(memory, seen)
        case "TagInstanceProfile":
            marks = [ownership.decode_role_mark(tag["Value"]) for tag in call.params["Tags"]]
            epochs = [mark.epoch for mark in marks if isinstance(mark, Pending)]
            return replace(memory, marked_at=epochs[0]) if epochs else memory
        case "TagRole":
            return replace(memory, released=True, let_go=False)
        case "DisassociateIamInstanceProfile":
            key = _disassociated(call, seen)
            away, back = _with(memory.away, key, now), _without(memory.back, key)
            taken = _with(memory.taken, key, call.params["AssociationId"])
            return replace(
                memory, away=away, back=back, taken=taken, changed_at=ended_at, let_go=True
            )
        case "ReplaceIamInstanceProfileAssociation":
            return _moved(memory, call, seen, ended_at)
        case "AssociateIamInstanceProfile" | "StartInstances":
            key = instances_of(call, seen)[0]
            return replace(memory, back=_with(memory.back, key, now), changed_at=ended_at)
        case "StopInstances":
            key = instances_of(call, seen)[0]
            away, back = _with(memory.away, key, now), _without(memory.back, key)
            launched = seen.instances[key].launched_at if key in seen.instances else 0.0
            stopped = _with(memory.stopped, key, launched)
            return replace(
                memory, away=away, back=back, stopped=stopped, changed_at=ended_at, let_go=True
            )
        case "CreateTags":
            key = InstanceKey(call.region or "", call.params["Resources"][0])
            association = call.params["Tags"][0]["Value"].removeprefix(f"{seen.target}/")
            return replace(
                memory, refreshed=_with(memory.refreshed, key, association), cleared=False
            )
        case "DeleteTags":
            return replace(memory, cleared=True, refreshed=_kept(memory, call, seen))
        case _:
            return memory


def _moved(memory: Memory, call: ApiCall, seen: Seen, ended_at: float) -> Memory:
    """Off one profile and on the other at once."""
    key = _disassociated(call, seen)
    return replace(
        memory,
        away=_with(memory.away, key, seen.now),
        back=_with(memory.back, key, seen.now),
        taken=_with(memory.taken, key, call.params["AssociationId"]),
        changed_at=ended_at,
        let_go=True,
    )


def _snapshot(memory: Memory, seen: Seen) -> Memory:
    return memory if memory.untouched is not None else replace(memory, untouched=standings(seen))


def _kept(memory: Memory, call: ApiCall, seen: Seen) -> Mapping[InstanceKey, str]:
    """What the notes said that are taken off, where this run believes them: once they are gone it
    knows by itself that those instances need nothing."""
    believed = dict(memory.refreshed)
    for key in instances_of(call, seen):
        instance = seen.instances.get(key)
        if memory.resumed and instance is not None and instance.row is not None:
            association = instance.row.id
            if instance.marks.get(HOLDS) == holds_mark(seen.target, association):
                believed[key] = association
    return MappingProxyType(believed)


def ended_batch(memory: Memory, now: float) -> Memory:
    batches = memory.batches if memory.failed else memory.batches + 1
    return replace(memory, away={}, back={}, stopped={}, batches=batches, batch_ended_at=now)


def lost(memory: Memory, key: InstanceKey, reason: str) -> Memory:
    return replace(memory, failed=_with(memory.failed, key, reason))


def not_given(
    cutover: CutOver, seen: Seen, memory: Memory, key: InstanceKey, reason: str
) -> Memory:
    """AWS refused a call about one instance. In a roll-back that says nothing yet of the role that
    is to be inside."""
    is_there = seen.profile.role_id == seen.after_id and seen.now >= spread_at(
        cutover, seen, memory
    )
    if cutover.settle_as is None or is_there:
        return lost(memory, key, reason)
    return replace(memory, postponed=_with(memory.postponed, key, reason))


def answered(memory: Memory, ask: Ask, seen: Seen) -> Memory:
    """``ask`` was answered as it must be, or by somebody who does not know such questions."""
    if ask.refusal == "LimitExceeded":
        return replace(memory, asked=True)
    keys = {key for call in ask.calls for key in instances_of(call, seen)}
    return replace(memory, allowed=memory.allowed | keys)


def refused(memory: Memory, key: InstanceKey, reason: str) -> Memory:
    """It would not get back what is taken from it, so nothing is."""
    return replace(lost(memory, key, reason), refused=_with(memory.refused, key, reason))


def _with(
    values: Mapping[InstanceKey, _V], key: InstanceKey, value: _V
) -> Mapping[InstanceKey, _V]:
    return MappingProxyType({**values, key: value})


def _without(values: Mapping[InstanceKey, _V], key: InstanceKey) -> Mapping[InstanceKey, _V]:
    return MappingProxyType({k: v for k, v in values.items() if k != key})


def instances_of(call: ApiCall, seen: Seen) -> list[InstanceKey]:
    """The instances that a call is about; none for a call to IAM."""
    region = call.region or ""
    if call.service != "ec2":
        return []
    if "InstanceId" in call.params:
        return [InstanceKey(region, call.params["InstanceId"])]
    if named := call.params.get("Resources") or call.params.get("InstanceIds"):
        return [InstanceKey(region, name) for name in named]
    association = call.params.get("AssociationId")
    known = seen.instances.values()
    return [i.key for i in known if any(r.id == association for r in i.rows)]


def is_shadow(call: ApiCall, seen: Seen) -> bool:
    """Whether a call to IAM is about the shadow, and not about the profile itself."""
    return bool(call.params.get("InstanceProfileName") != seen.profile.resource.name)


def _disassociated(call: ApiCall, seen: Seen) -> InstanceKey:
    found = [key for key in instances_of(call, seen) if key.region == call.region]
    return found[0] if found else InstanceKey(call.region or "", "")


def after_call(cutover: CutOver, seen: Seen, call: ApiCall) -> Seen:
    """The world as it will be seen once ``call`` took effect."""
    if call.service == "iam":
        if "InstanceProfileName" in call.params and is_shadow(call, seen):
            return replace(seen, shadow=_shadow(cutover, seen, call))
        return replace(seen, profile=_profile(cutover, seen, call))
    match call.operation:
        case "DisassociateIamInstanceProfile":
            key = _disassociated(call, seen)
            if key not in seen.instances:
                return seen
            return _instance(seen, replace(seen.instances[key], rows=()))
        case "ReplaceIamInstanceProfileAssociation":
            key = _disassociated(call, seen)
            if key not in seen.instances:
                return seen
            return _instance(seen, replace(seen.instances[key], rows=(_replaced(call, seen, key),)))
        case "AssociateIamInstanceProfile":
            key = InstanceKey(call.region or "", call.params["InstanceId"])
            profile = seen.profile
            row = AssociationRow(
                f"${{association/{key.instance}.id}}", profile.arn, profile.id, "associated"
            )
            return _instance(seen, replace(seen.instances[key], rows=(row,)))
        case "StopInstances" | "StartInstances":
            key = instances_of(call, seen)[0]
            state = "stopped" if call.operation == "StopInstances" else "running"
            return _instance(seen, replace(seen.instances[key], state=state))
        case "CreateTags" | "DeleteTags":
            for name in call.params["Resources"]:
                key = InstanceKey(call.region or "", name)
                seen = _instance(seen, _tagged(cutover, seen.instances[key], call))
            return seen
        case _:
            return seen


def _replaced(call: ApiCall, seen: Seen, key: InstanceKey) -> AssociationRow:
    """The association that AWS makes in the place of the one before; its id is not known yet."""
    arn, home, shadow = call.params["IamInstanceProfile"]["Arn"], seen.profile, seen.shadow
    if shadow is not None and arn == shadow.arn:
        return AssociationRow(
            f"${{association/{key.instance}.shadow_id}}", arn, shadow.id, "associated"
        )
    return AssociationRow(f"${{association/{key.instance}.id}}", arn, home.id, "associated")


def _shadow(cutover: CutOver, seen: Seen, call: ApiCall) -> LiveProfile | None:
    shadow, name = seen.shadow, call.params["InstanceProfileName"]
    match call.operation:
        case "CreateInstanceProfile":
            start, _, _ = seen.profile.arn.partition(":instance-profile/")
            arn = f"{start}:instance-profile{call.params['Path']}{name}"
            tags = {tag["Key"]: tag["Value"] for tag in call.params["Tags"]}
            marks = {key.removeprefix(cutover.prefix): value for key, value in tags.items()}
            resource = InstanceProfile(name, None, call.params["Path"])
            made_id = f"${{instance-profile/{name}.id}}"
            return LiveProfile(resource=resource, id=made_id, arn=arn, marks=frozen_tags(marks))
        case "AddRoleToInstanceProfile" if shadow is not None:
            return _holding(shadow, call.params["RoleName"], seen.after_id)
        case "RemoveRoleFromInstanceProfile" if shadow is not None:
            return _holding(shadow, None, None)
        case "DeleteInstanceProfile":
            return None
        case _:
            return shadow


def _instance(seen: Seen, instance: LiveInstance) -> Seen:
    return replace(seen, instances={**seen.instances, instance.key: instance})


def _tagged(cutover: CutOver, instance: LiveInstance, call: ApiCall) -> LiveInstance:
    marks = dict(instance.marks)
    for tag in call.params["Tags"]:
        name = tag["Key"].removeprefix(cutover.prefix)
        marks.pop(name, None)
        if call.operation == "CreateTags":
            marks[name] = tag["Value"]
    return replace(instance, marks=frozen_tags(marks))


def _profile(cutover: CutOver, seen: Seen, call: ApiCall) -> LiveProfile:
    profile = seen.profile
    marks = dict(profile.marks)
    match call.operation:
        case "AddRoleToInstanceProfile":
            return _holding(profile, call.params["RoleName"], _id_of(cutover, seen, call))
        case "RemoveRoleFromInstanceProfile":
            return _holding(profile, None, None)
        case "TagInstanceProfile":
            for tag in call.params["Tags"]:
                marks[tag["Key"].removeprefix(cutover.prefix)] = tag["Value"]
        case "UntagInstanceProfile":
            for key in call.params["TagKeys"]:
                marks.pop(key.removeprefix(cutover.prefix), None)
    return replace(profile, marks=frozen_tags(marks))


def _id_of(cutover: CutOver, seen: Seen, call: ApiCall) -> str | None:
    """A role that was made again has the name of the one before, and only its own id is there."""
    before, after, name = cutover.before, cutover.after, call.params["RoleName"]
    is_before = before is not None and same_name(before.name, name)
    if before is None or not is_before or (after is not None and same_name(after.name, name)):
        return seen.after_id
    return before.id


def _holding(profile: LiveProfile, role: str | None, role_id: str | None) -> LiveProfile:
    resource = profile.resource
    held = InstanceProfile(resource.name, role, resource.path, resource.tags)
    return replace(profile, resource=held, role_id=role_id)
