"""The calls that a cut-over is made of."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import groupby

from reconciler.cutover.run_state import RunState, final_mark, left_with
from reconciler.model import ownership
from reconciler.model.live import LiveInstance, LiveProfile
from reconciler.model.ownership import (
    Failed,
    Flight,
    InstanceKey,
    Partial,
    Pending,
    RoleMark,
    Settled,
    Waiting,
)
from reconciler.plan.calls import ApiCall
from reconciler.plan.cut_over import CutOver, Observation

RESOURCES_OF_A_CALL = 1000


class Calls:
    """Builds the calls of one cut-over from what was observed."""

    def __init__(self, cutover: CutOver, observed: Observation) -> None:
        self._cutover = cutover
        self._seen = observed

    def add_role(self, role: str) -> ApiCall:
        return self._iam("AddRoleToInstanceProfile", RoleName=role)

    def remove_role(self) -> ApiCall:
        role = self._seen.profile.resource.role
        return self._iam("RemoveRoleFromInstanceProfile", RoleName=role)

    def mark_pending(self, run: str) -> ApiCall:
        mark = Pending(self._before_id(), self._seen.target, int(self._seen.now), run)
        return self._tag({ownership.ROLE_ID: ownership.encode_role_mark(mark)})

    def mark_settled(self, run_state: RunState) -> ApiCall:
        mark = final_mark(self._cutover, self._seen, run_state)
        left = left_with(self._cutover, self._seen)
        more = {} if left is None else {ownership.SWAPPED: ownership.encode_swapped(left)}
        return self._tag({ownership.ROLE_ID: ownership.encode_role_mark(mark), **more})

    def mark_swapped(self, epoch: int, checkpoint: int | None = None) -> ApiCall:
        """``checkpoint`` is the percent of the fleet that has the role by now; ``None`` leaves it
        as it is."""
        return self._tag(self._swapped(epoch, checkpoint))

    def _swapped(self, epoch: int, checkpoint: int | None = None) -> dict[str, str]:
        noted = self._seen.profile.swapped
        if checkpoint is None and noted is not None and noted.role_id == self._seen.target:
            checkpoint = noted.checkpoint
        mark = ownership.Swapped(self._seen.target, epoch, checkpoint)
        return {ownership.SWAPPED: ownership.encode_swapped(mark)}

    def mark_released(self) -> tuple[ApiCall, ...]:
        """A call for each role that loses consumers."""
        key = self._cutover.prefix + ownership.RELEASED
        tags = [{"Key": key, "Value": str(int(self._seen.now))}]
        roles = self._cutover.releases
        return tuple(ApiCall("iam", "TagRole", {"RoleName": r, "Tags": tags}) for r in roles)

    def mark_in_flight(self, flights: Iterable[Flight], swapped: int | None = None) -> ApiCall:
        """``swapped`` is the time since which EC2 sees the role, in seconds of the epoch; it is
        recorded in the same call."""
        more = {} if swapped is None else self._swapped(swapped)
        return self._tag({**ownership.encode_in_flight(flights), **more})

    def stop(self, key: InstanceKey) -> ApiCall:
        return ApiCall("ec2", "StopInstances", {"InstanceIds": [key.instance]}, key.region)

    def start(self, key: InstanceKey) -> ApiCall:
        return ApiCall("ec2", "StartInstances", {"InstanceIds": [key.instance]}, key.region)

    def forget_in_flight(self, names: Sequence[str]) -> ApiCall:
        keys = [self._cutover.prefix + name for name in names]
        return self._iam("UntagInstanceProfile", TagKeys=keys)

    def create_temporary(self) -> ApiCall:
        profile = self._seen.profile
        name = ownership.temporary_name(profile.resource.name)
        marks = {
            ownership.OWNER: ownership.encode_owner(profile.owner or "", name),
            ownership.TEMPORARY_OF: ownership.encode_temporary_of(profile.resource.name),
        }
        return ApiCall(
            "iam",
            "CreateInstanceProfile",
            {
                "InstanceProfileName": name,
                "Path": profile.resource.path,
                "Tags": self._listed(marks),
            },
        )

    def fill(self, temporary: LiveProfile, role: str) -> ApiCall:
        params = {"InstanceProfileName": temporary.resource.name, "RoleName": role}
        return ApiCall("iam", "AddRoleToInstanceProfile", params)

    def empty(self, temporary: LiveProfile) -> ApiCall:
        params = {
            "InstanceProfileName": temporary.resource.name,
            "RoleName": temporary.resource.role,
        }
        return ApiCall("iam", "RemoveRoleFromInstanceProfile", params)

    def delete(self, temporary: LiveProfile) -> ApiCall:
        params = {"InstanceProfileName": temporary.resource.name}
        return ApiCall("iam", "DeleteInstanceProfile", params)

    def move(self, instance: LiveInstance, to: LiveProfile) -> ApiCall:
        association = instance.row.id if instance.row else ""
        params = {"AssociationId": association, "IamInstanceProfile": {"Arn": to.arn}}
        region = instance.key.region
        return ApiCall("ec2", "ReplaceIamInstanceProfileAssociation", params, region)

    def associate(self, key: InstanceKey) -> ApiCall:
        params = {
            "InstanceId": key.instance,
            "IamInstanceProfile": {"Arn": self._seen.profile.arn},
        }
        return ApiCall("ec2", "AssociateIamInstanceProfile", params, key.region)

    def ask(self, instance: LiveInstance, flight: Flight) -> ApiCall:
        """The call that would restore what ``flight`` loses, with ``DryRun``."""
        if self._cutover.hops and not flight.is_stop and instance.row is not None:
            return self.move(instance, self._seen.profile).as_dry_run()
        if flight.is_stop:
            return self.start(instance.key).as_dry_run()
        return self.associate(instance.key).as_dry_run()

    def disassociate(self, instance: LiveInstance) -> ApiCall:
        association = instance.row.id if instance.row else ""
        params = {"AssociationId": association}
        return ApiCall("ec2", "DisassociateIamInstanceProfile", params, instance.key.region)

    def note_holds(self, instances: Sequence[LiveInstance]) -> tuple[ApiCall, ...]:
        """A call for each instance, since each names its own association."""
        key = self._cutover.prefix + ownership.HOLDS
        made: list[ApiCall] = []
        for instance in instances:
            association = instance.row.id if instance.row else ""
            value = ownership.holds_mark(self._seen.target, association)
            params = {"Resources": [instance.key.instance], "Tags": [{"Key": key, "Value": value}]}
            made.append(ApiCall("ec2", "CreateTags", params, instance.key.region))
        return tuple(made)

    def forget_holds(self, instances: Sequence[LiveInstance]) -> tuple[ApiCall, ...]:
        """One call per region and thousand instances, which is the limit of DeleteTags.
        Source: docs.aws.amazon.com/AWSEC2/latest/APIReference/API_DeleteTags.html
        """
        ordered = sorted(instances, key=lambda i: i.key)
        key = self._cutover.prefix + ownership.HOLDS
        made: list[ApiCall] = []
        for region, group in groupby(ordered, key=lambda i: i.key.region):
            names = [i.key.instance for i in group]
            for start in range(0, len(names), RESOURCES_OF_A_CALL):
                piece = names[start : start + RESOURCES_OF_A_CALL]
                params = {"Resources": piece, "Tags": [{"Key": key}]}
                made.append(ApiCall("ec2", "DeleteTags", params, region))
        return tuple(made)

    def _before_id(self) -> str:
        """The role whose credentials consumers have: the role to roll back to, the role in the
        profile, or the role that the mark names. The wanted role itself if consumers may have it
        already: then a run that resumes this one has no role to roll back to either. The role in
        the profile is not lost by that: it is marked as released before it is removed."""
        if self._cutover.roll_back_to is not None:
            return self._cutover.roll_back_to.id or ownership.NO_ROLE
        profile, held = self._seen.profile, _held_by(self._seen.profile.mark)
        if held == self._seen.after_id and held is not None:
            return held
        if profile.role_id is not None and profile.role_id != self._seen.after_id:
            return profile.role_id
        return held or ownership.NO_ROLE

    def _tag(self, marks: dict[str, str]) -> ApiCall:
        return self._iam("TagInstanceProfile", Tags=self._listed(marks))

    def _listed(self, marks: dict[str, str]) -> list[dict[str, str]]:
        tags = ownership.with_prefix(marks, self._cutover.prefix)
        return [{"Key": key, "Value": value} for key, value in sorted(tags.items())]

    def _iam(self, operation: str, **params: object) -> ApiCall:
        name = self._seen.profile.resource.name
        return ApiCall("iam", operation, {"InstanceProfileName": name, **params})


def _held_by(mark: RoleMark | None) -> str | None:
    """The id of the role that consumers have, according to the mark."""
    match mark:
        case Pending(before):
            return before
        case Settled(role_id) | Partial(role_id) | Waiting(role_id):
            return role_id
        case Failed() | None:
            return None
