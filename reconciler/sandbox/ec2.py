"""EC2's side: associations with their states, and instances that are served credentials.

Where moto and AWS differ, this follows AWS; ``docs/sandbox.md`` lists the differences.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Iterator, Mapping
from typing import Any

from moto.core.responses import ActionResult
from moto.ec2.models import ec2_backends
from moto.ec2.responses._base_response import EC2BaseResponse
from moto.iam.models import iam_backends

from reconciler.sandbox.faults import refused
from reconciler.sandbox.filters import is_met
from reconciler.sandbox.state import Logged, Row, World

_FILTERS = {"instance-id": "InstanceId", "state": "State"}
"""Of associations: the field of a row that each is about."""
_OF_REGIONS = {"region-name": "name", "endpoint": "endpoint", "opt-in-status": "opt_in_status"}
FEWEST_ON_A_PAGE = 5
_GONE = ("shutting-down", "terminated")


_ASKED = (
    "AssociateIamInstanceProfile",
    "DisassociateIamInstanceProfile",
    "ReplaceIamInstanceProfileAssociation",
    "DescribeIamInstanceProfileAssociations",
    "StartInstances",
    "StopInstances",
)
PRECONDITION_FAILED = 412


def dry_run(request: EC2BaseResponse, logged: Logged) -> None:
    """Answers ``DryRun``: an allowed caller gets ``DryRunOperation``, whatever state the instance
    is in; a denied one was refused before."""
    if not logged.is_dry_run or logged.operation not in _ASKED:
        return
    names = [logged.params["InstanceId"]] if "InstanceId" in logged.params else []
    for name in (*names, *logged.params.get("InstanceIds", ())):
        request.ec2_backend.get_instance(name)
    message = "Request would have succeeded, but DryRun flag is set."
    raise refused("ec2", "DryRunOperation", message, PRECONDITION_FAILED)


_NO_XML = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")
"""Characters that no answer in XML can have: one of them in a tag, and nothing of the region could
be read any more."""


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        yield from (text for one in value.values() for text in _texts(one))
    elif isinstance(value, list | tuple):
        yield from (text for one in value for text in _texts(one))


MOST_IDS = 1000
MOST_VALUES = 200


def check_sizes(logged: Logged) -> None:
    """No call names more than a thousand ids, no filter has more than two hundred values; which
    code AWS gives the first is not documented. Source:
    docs.aws.amazon.com/AWSEC2/latest/APIReference/API_DeleteTags.html and
    docs.aws.amazon.com/AWSEC2/latest/APIReference/errors-overview.html"""
    if any(_NO_XML.search(text) for text in _texts(logged.params)):
        message = "The request has a character that is not allowed"
        raise refused("ec2", "InvalidParameterValue", message)
    for name in ("Resources", "InstanceIds", "AssociationIds"):
        if len(logged.params.get(name) or ()) > MOST_IDS:
            message = f"The maximum number of resources in a request is {MOST_IDS}"
            raise refused("ec2", "InvalidParameterValue", message)
    for one in logged.params.get("Filters") or ():
        if len(one.get("Values") or ()) > MOST_VALUES:
            message = f"The maximum number of filter values on a single call is {MOST_VALUES}"
            raise refused("ec2", "FilterLimitExceeded", message)


class Ec2Layer:
    """Answers in moto's place; each method is named for the operation it answers."""

    def __init__(self, world: World, originals: dict[str, Any]) -> None:
        self._world = world
        self._originals = originals

    def associate_iam_instance_profile(self, request: EC2BaseResponse) -> ActionResult:
        instance = self._instance(request, request._get_param("InstanceId"))
        profile = self._profile(request)
        rows = self._world.rows_of(request.current_account, request.region)
        if any(row.instance == instance.id for row in rows):
            message = f"There is an existing association for instance {instance.id}"
            raise refused("ec2", "IncorrectState", message)
        return self._answer(request, self.add(request, instance.id, profile))

    def disassociate_iam_instance_profile(self, request: EC2BaseResponse) -> ActionResult:
        row = self._row(request)
        instance = self._instance(request, row.instance)
        row.shown = False
        self._world.forget(row.account, row.region, row.instance)
        if row.leaving_since is None:
            row.leaving_since = self._world.clock.now()
        if instance.state == "stopped":
            self._world.rows.remove(row)
            return self._answer(request, row, "disassociated")
        return self._answer(request, row, "disassociating")

    def replace_iam_instance_profile_association(self, request: EC2BaseResponse) -> ActionResult:
        row = self._row(request)
        instance = self._instance(request, row.instance)
        if instance.state != "running" or row.leaving_since is not None:
            message = f"The association {row.id} is not the active association"
            raise refused("ec2", "IncorrectState", message)
        profile = self._profile(request)
        if profile.arn == row.profile_arn:
            return self._answer(request, row)
        row.leaving_since = self._world.clock.now()
        return self._answer(request, self.add(request, instance.id, profile))

    def describe_iam_instance_profile_associations(self, request: EC2BaseResponse) -> ActionResult:
        self._arrive(request)
        filters = request._filters_from_querystring()
        rows = self._world.rows_of(request.current_account, request.region)
        shapes = [self._shape(request, row) for row in sorted(rows, key=lambda r: r.id)]
        if ids := request._get_param("AssociationIds", []):
            if not {shape["AssociationId"] for shape in shapes} >= set(ids):
                raise refused("ec2", "InvalidParameterValue", "Invalid value for association-id.")
            shapes = [shape for shape in shapes if shape["AssociationId"] in ids]
        for name, values in filters.items():
            shapes = [s for s in shapes if is_met(s[_FILTERS[name]], values)]
        start, size = self._page_asked(request)
        end = start + size
        more = str(end) if end < len(shapes) else None
        result = {"IamInstanceProfileAssociations": shapes[start:end], "NextToken": more}
        return ActionResult(result)

    def _page_asked(self, request: EC2BaseResponse) -> tuple[int, int]:
        token = str(request._get_param("NextToken") or "0")
        if not re.fullmatch("[0-9]{1,9}", token):
            raise refused("ec2", "InvalidNextToken", "The token is not valid.")
        asked = int(request._get_param("MaxResults") or 100)
        if asked < FEWEST_ON_A_PAGE:
            raise refused(
                "ec2", "InvalidParameterValue", f"Value ({asked}) for MaxResults is invalid."
            )
        return int(token), self._world.page(asked)

    def describe_instances(self, request: EC2BaseResponse) -> ActionResult:
        self._arrive(request)
        for row in self._world.rows_of(request.current_account, request.region):
            self._shape(request, row)
        shown = {row.instance: row for row in self._shown(request)}
        for instance in _instances(request):
            seen = shown.get(instance.id)
            instance.iam_instance_profile = (
                {"Arn": seen.profile_arn, "Id": seen.profile_id} if seen else None
            )
        answer = self._originals["describe_instances"](request)
        reservations = answer.result["Reservations"]
        answer.result["Reservations"] = [self._visible(request, r) for r in reservations]
        return answer

    def _visible(self, request: EC2BaseResponse, reservation: Any) -> Any:
        """Without those that are hidden, and those that EC2 does not show at all."""
        is_asked_for = str(request._get_param("IncludeManagedResources")).lower() == "true"
        hides = self._is_hiding(request) and not is_asked_for
        shown = copy.copy(reservation)
        shown.instances = [
            i
            for i in reservation.instances
            if i.id not in self._world.unseen and not (hides and getattr(i, "operator", None))
        ]
        return shown

    def _is_hiding(self, request: EC2BaseResponse) -> bool:
        return (request.current_account, request.region) in self._world.hiding

    def get_managed_resource_visibility(self, request: EC2BaseResponse) -> ActionResult:
        """Whether instances that AWS services manage are listed unasked."""
        shown = "hidden" if self._is_hiding(request) else "visible"
        return ActionResult({"Visibility": {"DefaultVisibility": shown}})

    def modify_managed_resource_visibility(self, request: EC2BaseResponse) -> ActionResult:
        here = (request.current_account, request.region)
        if request._get_param("DefaultVisibility") == "hidden":
            self._world.hiding.add(here)
        else:
            self._world.hiding.discard(here)
        for instance in _instances(request):
            if (operator := getattr(instance, "operator", None)) is not None:
                operator["HiddenByDefault"] = self._is_hiding(request)
        return self.get_managed_resource_visibility(request)

    def describe_regions(self, request: EC2BaseResponse) -> ActionResult:
        answer = self._originals["describe_regions"](request)
        shown = [r for r in answer.result["Regions"] if r.name in self._world.regions]
        for name, values in request._filters_from_querystring().items():
            field = _OF_REGIONS[name]
            shown = [r for r in shown if is_met(getattr(r, field), values)]
        return ActionResult({"Regions": shown})

    def run_instances(self, request: EC2BaseResponse) -> ActionResult:
        """Every instance gets the profile, not the first alone."""
        wanted = request._get_param("IamInstanceProfile")
        profile = self._profile(request) if wanted else None
        if profile is not None and not profile.roles:
            message = f'IAM Instance Profile "{profile.arn}" has no associated IAM Roles'
            raise refused("ec2", "InvalidParameterValue", message)
        request.params.pop("IamInstanceProfile", None)
        principal = (request._get_param("Operator") or {}).get("Principal")
        answer = self._originals["run_instances"](request)
        for instance in answer.result.instances:
            instance.launch_time = self._world.moment()
            if principal is not None:
                hidden = self._is_hiding(request)
                said = {"Managed": True, "Principal": principal, "HiddenByDefault": hidden}
                instance.operator = said
            if profile is not None:
                self._without_template(instance.id)
                row = self.add(request, instance.id, profile)
                # An instance starts with its profile: there is no later association.
                row.made_at -= self._world.lags.associating
                self._shape(request, row)
                instance.iam_instance_profile = {"Arn": row.profile_arn, "Id": row.profile_id}
        return answer

    def _without_template(self, instance: str) -> None:
        """What the request names counts more than its launch template."""
        rows = self._world.rows
        rows[:] = [row for row in rows if row.instance != instance]

    def start_instances(self, request: EC2BaseResponse) -> ActionResult:
        """Fresh credentials: those of the role that EC2 sees in the profile now."""
        names = request._get_param("InstanceIds", [])
        for name in names:
            self._instance(request, name)
        answer = self._originals["start_instances"](request)
        for name in names:
            instance = self._instance(request, name)
            instance.launch_time = self._world.moment()
            self._move(request, instance, "pending", "running")
            held = self._world.staying(request.current_account, request.region, name)
            if held is not None:
                held.settled = False
                held.made_at = self._world.clock.now() - self._world.lags.associating
                self._shape(request, held)
        return answer

    def stop_instances(self, request: EC2BaseResponse) -> ActionResult:
        names = request._get_param("InstanceIds", [])
        for name in names:
            self._instance(request, name)
        answer = self._originals["stop_instances"](request)
        for name in names:
            self._world.forget(request.current_account, request.region, name)
            instance = request.ec2_backend.get_instance(name)
            self._move(request, instance, "stopping", "stopped")
        return answer

    def _move(self, request: EC2BaseResponse, instance: Any, meanwhile: str, at_last: str) -> None:
        """It takes its time to start and to stop."""
        if self._world.lags.restarting:
            until = self._world.clock.now() + self._world.lags.restarting
            key = (request.current_account, request.region, instance.id)
            self._world.moves[key] = (until, at_last)
            _put(instance, meanwhile)

    def _arrive(self, request: EC2BaseResponse) -> None:
        """Those whose time has come have the state that they were on the way to."""
        here, now = (request.current_account, request.region), self._world.clock.now()
        for key, (until, state) in list(self._world.moves.items()):
            if key[:2] == here and now >= until:
                del self._world.moves[key]
                _put(request.ec2_backend.get_instance(key[2]), state)

    def terminate_instances(self, request: EC2BaseResponse) -> ActionResult:
        answer = self._originals["terminate_instances"](request)
        gone = set(request._get_param("InstanceIds", []))
        here = (request.current_account, request.region)
        rows = self._world.rows
        rows[:] = [r for r in rows if (r.account, r.region) != here or r.instance not in gone]
        for name in gone:
            self._world.served.pop((*here, name), None)
        return answer

    def add(self, request: EC2BaseResponse, instance: str, profile: Any) -> Row:
        return self._world.associate(request.current_account, request.region, instance, profile)

    def _shown(self, request: EC2BaseResponse) -> list[Row]:
        """During a replace DescribeInstances shows the profile that is leaving."""
        rows = self._world.rows_of(request.current_account, request.region)
        staying = [row for row in rows if row.leaving_since is None]
        return [*staying, *(row for row in rows if row.leaving_since is not None and row.shown)]

    def _row(self, request: EC2BaseResponse) -> Row:
        wanted = request._get_param("AssociationId")
        rows = self._world.rows_of(request.current_account, request.region)
        found = next((row for row in rows if row.id == wanted), None)
        if found is not None:
            return found
        if self._world.was_issued(wanted):
            message = f"An invalid association-id of '{wanted}' was given"
            raise refused("ec2", "InvalidAssociationID.NotFound", message)
        raise refused("ec2", "InvalidParameterValue", f"Invalid Id: {wanted}")

    def _instance(self, request: EC2BaseResponse, name: str) -> Any:
        if not re.fullmatch(r"i-[0-9a-f]{8,17}", name or ""):
            raise refused("ec2", "InvalidInstanceID.Malformed", f'Invalid id: "{name}"')
        self._arrive(request)
        instance = request.ec2_backend.get_instance(name)
        if instance.state in (*_GONE, "pending", "stopping"):
            message = f"The instance '{name}' is not in the 'running' or 'stopped' states."
            raise refused("ec2", "IncorrectInstanceState", message)
        return instance

    def _profile(self, request: EC2BaseResponse) -> Any:
        given = request._get_param("IamInstanceProfile") or {}
        name, arn = given.get("Name"), given.get("Arn")
        if not name and not arn:
            raise refused(
                "ec2", "MissingParameter", "The request must contain the parameter Arn or Name"
            )
        profiles = iam_backends[request.current_account]["aws"].get_instance_profiles()
        for profile in profiles:
            is_named = profile.arn == arn if arn else profile.name == name
            if is_named and self._world.is_seen_by_ec2(profile):
                return profile
        message = (
            f"Value ({arn or name}) for parameter iamInstanceProfile.{'arn' if arn else 'name'} "
            "is invalid. Invalid IAM Instance Profile"
        )
        raise refused("ec2", "InvalidParameterValue", message)

    def _shape(
        self, request: EC2BaseResponse, row: Row, state: str | None = None
    ) -> dict[str, Any]:
        instance = request.ec2_backend.get_instance(row.instance)
        name = row.profile_arn.rpartition("/")[2]
        profile = iam_backends[row.account]["aws"].instance_profiles.get(name)
        if profile is not None and profile.id != row.profile_id:
            profile = None
        found = self._world.state(row, instance.state == "running", profile)
        return {
            "AssociationId": row.id,
            "InstanceId": row.instance,
            "IamInstanceProfile": {"Arn": row.profile_arn, "Id": row.profile_id},
            "State": state or found,
        }

    def _answer(
        self, request: EC2BaseResponse, row: Row, state: str = "associating"
    ) -> ActionResult:
        return ActionResult({"IamInstanceProfileAssociation": self._shape(request, row, state)})


_CODES = {"pending": 0, "running": 16, "stopping": 64, "stopped": 80}


def _put(instance: Any, state: str) -> None:
    instance._state.name, instance._state.code = state, _CODES[state]


def _instances(request: EC2BaseResponse) -> list[Any]:
    backend = ec2_backends[request.current_account][request.region]
    return [i for reservation in backend.reservations.values() for i in reservation.instances]
