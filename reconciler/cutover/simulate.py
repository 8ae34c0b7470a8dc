"""What AWS is after a call, as far as a cut-over sees it: for the preview of a plan, and for what a
run expects to read."""

from __future__ import annotations

from dataclasses import replace

from reconciler.cutover.run_state import disassociated, instances_of, is_temporary
from reconciler.model.address import same_name
from reconciler.model.live import AssociationRow, LiveInstance, LiveProfile
from reconciler.model.ownership import (
    InstanceKey,
)
from reconciler.model.resources import InstanceProfile, frozen_tags
from reconciler.plan.calls import ApiCall
from reconciler.plan.cut_over import CutOver, Observation


def simulate(cutover: CutOver, observed: Observation, call: ApiCall) -> Observation:
    """The observation after ``call`` has taken effect."""
    if call.service == "iam":
        if "InstanceProfileName" in call.params and is_temporary(call, observed):
            return replace(observed, temporary=_temporary(cutover, observed, call))
        return replace(observed, profile=_profile(cutover, observed, call))
    match call.operation:
        case "DisassociateIamInstanceProfile":
            key = disassociated(call, observed)
            if key not in observed.instances:
                return observed
            return _instance(observed, replace(observed.instances[key], rows=()))
        case "ReplaceIamInstanceProfileAssociation":
            key = disassociated(call, observed)
            if key not in observed.instances:
                return observed
            return _instance(
                observed, replace(observed.instances[key], rows=(_replaced(call, observed, key),))
            )
        case "AssociateIamInstanceProfile":
            key = InstanceKey(call.region or "", call.params["InstanceId"])
            profile = observed.profile
            row = AssociationRow(
                f"${{association/{key.instance}.id}}", profile.arn, profile.id, "associated"
            )
            return _instance(observed, replace(observed.instances[key], rows=(row,)))
        case "StopInstances" | "StartInstances":
            key = instances_of(call, observed)[0]
            state = "stopped" if call.operation == "StopInstances" else "running"
            return _instance(observed, replace(observed.instances[key], state=state))
        case "CreateTags" | "DeleteTags":
            for name in call.params["Resources"]:
                key = InstanceKey(call.region or "", name)
                observed = _instance(observed, _tagged(cutover, observed.instances[key], call))
            return observed
        case _:
            return observed


def _replaced(call: ApiCall, observed: Observation, key: InstanceKey) -> AssociationRow:
    """The association that AWS makes in the place of the one before; its id is not known yet."""
    arn, home, temporary = (
        call.params["IamInstanceProfile"]["Arn"],
        observed.profile,
        observed.temporary,
    )
    if temporary is not None and arn == temporary.arn:
        return AssociationRow(
            f"${{association/{key.instance}.shadow_id}}", arn, temporary.id, "associated"
        )
    return AssociationRow(f"${{association/{key.instance}.id}}", arn, home.id, "associated")


def _temporary(cutover: CutOver, observed: Observation, call: ApiCall) -> LiveProfile | None:
    temporary, name = observed.temporary, call.params["InstanceProfileName"]
    match call.operation:
        case "CreateInstanceProfile":
            start, _, _ = observed.profile.arn.partition(":instance-profile/")
            arn = f"{start}:instance-profile{call.params['Path']}{name}"
            tags = {tag["Key"]: tag["Value"] for tag in call.params["Tags"]}
            marks = {key.removeprefix(cutover.prefix): value for key, value in tags.items()}
            resource = InstanceProfile(name, None, call.params["Path"])
            made_id = f"${{instance-profile/{name}.id}}"
            return LiveProfile(resource=resource, id=made_id, arn=arn, marks=frozen_tags(marks))
        case "AddRoleToInstanceProfile" if temporary is not None:
            return _holding(temporary, call.params["RoleName"], observed.after_id)
        case "RemoveRoleFromInstanceProfile" if temporary is not None:
            return _holding(temporary, None, None)
        case "DeleteInstanceProfile":
            return None
        case _:
            return temporary


def _instance(observed: Observation, instance: LiveInstance) -> Observation:
    return replace(observed, instances={**observed.instances, instance.key: instance})


def _tagged(cutover: CutOver, instance: LiveInstance, call: ApiCall) -> LiveInstance:
    marks = dict(instance.marks)
    for tag in call.params["Tags"]:
        name = tag["Key"].removeprefix(cutover.prefix)
        marks.pop(name, None)
        if call.operation == "CreateTags":
            marks[name] = tag["Value"]
    return replace(instance, marks=frozen_tags(marks))


def _profile(cutover: CutOver, observed: Observation, call: ApiCall) -> LiveProfile:
    profile = observed.profile
    marks = dict(profile.marks)
    match call.operation:
        case "AddRoleToInstanceProfile":
            return _holding(profile, call.params["RoleName"], _id_of(cutover, observed, call))
        case "RemoveRoleFromInstanceProfile":
            return _holding(profile, None, None)
        case "TagInstanceProfile":
            for tag in call.params["Tags"]:
                marks[tag["Key"].removeprefix(cutover.prefix)] = tag["Value"]
        case "UntagInstanceProfile":
            for key in call.params["TagKeys"]:
                marks.pop(key.removeprefix(cutover.prefix), None)
    return replace(profile, marks=frozen_tags(marks))


def _id_of(cutover: CutOver, observed: Observation, call: ApiCall) -> str | None:
    """A role that was created again has the same name; only its new id exists."""
    before, after, name = cutover.before, cutover.after, call.params["RoleName"]
    is_before = before is not None and same_name(before.name, name)
    if before is None or not is_before or (after is not None and same_name(after.name, name)):
        return observed.after_id
    return before.id


def _holding(profile: LiveProfile, role: str | None, role_id: str | None) -> LiveProfile:
    resource = profile.resource
    held = InstanceProfile(resource.name, role, resource.path, resource.tags)
    return replace(profile, resource=held, role_id=role_id)
