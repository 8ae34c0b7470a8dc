"""Puts our answers in front of moto's, all requests in one line."""

from __future__ import annotations

import contextlib
import json
import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from moto import backend_index
from moto.cloudtrail.responses import CloudTrailResponse
from moto.core import DEFAULT_ACCOUNT_ID
from moto.core.exceptions import ServiceException
from moto.core.responses import ActionResult, BaseResponse
from moto.ec2 import utils as ec2_utils
from moto.ec2.models import amis
from moto.ec2.responses._base_response import EC2BaseResponse
from moto.ec2.responses.availability_zones_and_regions import AvailabilityZonesAndRegions
from moto.ec2.responses.iam_instance_profiles import IamInstanceProfiles
from moto.ec2.responses.instances import InstanceResponse
from moto.ecs.responses import EC2ContainerServiceResponse
from moto.iam.responses import IamResponse
from moto.resourcegroupstaggingapi.responses import ResourceGroupsTaggingAPIResponse

from reconciler.sandbox import (
    access_analyzer,
    filters,
    iam_rules,
    launches,
    moto_speed,
    ssm,
)
from reconciler.sandbox.cloudtrail import TrailLayer, resources_of
from reconciler.sandbox.ec2 import Ec2Layer, check_sizes, dry_run
from reconciler.sandbox.faults import CutOffError, Faults, refused
from reconciler.sandbox.iam import IamLayer
from reconciler.sandbox.launches import EcsLayer
from reconciler.sandbox.state import Logged, World
from reconciler.sandbox.tag_index import TagIndexLayer
from reconciler.sandbox.watched import describe_alarms, describe_target_health

_FIXED_STATES = (
    "AssociateIamInstanceProfileResult.IamInstanceProfileAssociation.State",
    "DisassociateIamInstanceProfileResult.IamInstanceProfileAssociation.State",
    "ReplaceIamInstanceProfileAssociationResult.IamInstanceProfileAssociation.State",
)
"""Answers whose state moto fixes whatever it is."""

FEW_IMAGES = 5
FIRST_ERROR = 400
_SERVICES = {"resourcegroupstaggingapi": "tag", "accessanalyzer": "access-analyzer"}
"""How permissions name a service, where moto names it otherwise."""
_OF_OTHERS = {
    ("ssm", "DescribeInstanceInformation"): ssm.describe_instance_information,
    ("ssm", "SendCommand"): ssm.send_command,
    ("ssm", "ListCommandInvocations"): ssm.list_command_invocations,
    ("cloudwatch", "DescribeAlarms"): describe_alarms,
    ("elbv2", "DescribeTargetHealth"): describe_target_health,
}
"""Answers of services whose part of moto takes seconds to load: not before they are asked."""
_IN_JSON = ("cloudtrail", "ssm")
"""Services whose requests moto leaves as they are."""
_ABOUT_ONE = (
    "GetRole",
    "GetPolicy",
    "GetInstanceProfile",
    "ListInstanceProfileTags",
    "ListRoleTags",
)
"""Reads of one thing; all others are lists, and lag behind for longer."""


@contextmanager
def installed(world: World) -> Iterator[World]:
    """moto with our layer in front of it; as it was afterwards."""
    undo: list[tuple[Any, str, Any]] = []
    iam_originals: dict[str, Any] = {}
    _patch(IamLayer(world, iam_originals), (IamResponse,), iam_originals, undo)
    ec2 = (IamInstanceProfiles, InstanceResponse, AvailabilityZonesAndRegions)
    ec2_originals: dict[str, Any] = {}
    _patch(Ec2Layer(world, ec2_originals), ec2, ec2_originals, undo)
    _patch(TrailLayer(world), (CloudTrailResponse,), {}, undo)
    index_originals: dict[str, Any] = {}
    index = TagIndexLayer(world, index_originals)
    _patch(index, (ResourceGroupsTaggingAPIResponse,), index_originals, undo)
    ecs_originals: dict[str, Any] = {}
    _patch(EcsLayer(ecs_originals), (EC2ContainerServiceResponse,), ecs_originals, undo)
    for owner, name, ours in launches.replacements(world):
        _replace(owner, name, ours, undo)
    _replace(ec2_utils, "passes_filter_dict", filters.passes, undo)
    access_analyzer.module()
    services = [*backend_index.backend_url_patterns, access_analyzer.PATTERN]
    _replace(backend_index, "backend_url_patterns", services, undo)
    # Codes that AWS answers and botocore's models do not have; moto would say so each time.
    warnings.filterwarnings("ignore", ".*does not match an error shape", UserWarning)
    faults = Faults(world.seed)
    _replace(BaseResponse, "call_action", _guarded(world, faults, BaseResponse.call_action), undo)
    _replace(BaseResponse, "get_current_account", _account(world), undo)
    for owner, name, faster in moto_speed.replacements():
        _replace(owner, name, faster, undo)
    # moto's 1,300 images take 0.2 s for each region, and none is needed here. With the
    # variable set it reads none of its further lists.
    _replace(amis, "AMIS", amis.AMIS[:FEW_IMAGES], undo)
    images = os.environ.setdefault("MOTO_AMIS_PATH", "")
    fixed = EC2BaseResponse.RESPONSE_KEY_PATH_TO_TRANSFORMER
    taken = {key: fixed.pop(key) for key in _FIXED_STATES if key in fixed}
    try:
        yield world
    finally:
        fixed.update(taken)
        if not images:
            os.environ.pop("MOTO_AMIS_PATH", None)
        for owner, name, value in reversed(undo):
            if value is None:
                delattr(owner, name)
            else:
                setattr(owner, name, value)


def _patch(
    layer: object, owners: tuple[type, ...], originals: dict[str, Any], undo: list[Any]
) -> None:
    """Every public method of the layer in the place of moto's of that name."""
    for name in (n for n in dir(layer) if not n.startswith("_") and n != "add"):
        owner = next((o for o in owners if name in o.__dict__), owners[0])
        originals[name] = owner.__dict__.get(name)
        _replace(owner, name, _answering(getattr(layer, name)), undo)


def _answering(method: Any) -> Any:
    def answer(request: Any) -> Any:
        return method(request)

    return answer


def _replace(owner: Any, name: str, value: Any, undo: list[Any]) -> None:
    undo.append((owner, name, owner.__dict__.get(name)))
    setattr(owner, name, value)


def _account(world: World) -> Any:
    """A caller with an unknown access key is in the sandbox's account."""
    original = BaseResponse.get_current_account

    def get_current_account(request: Any) -> str:
        account: str = original(request)
        is_asked_for = "x-moto-account-id" in request.headers
        return account if is_asked_for or account != DEFAULT_ACCOUNT_ID else world.account

    return get_current_account


def _guarded(world: World, faults: Faults, original: Any) -> Any:
    """One request at a time, each logged; a listener may refuse it, or lose its response."""

    def call_action(request: Any) -> Any:
        if world.lags.latency:
            # Requests are on their way at the same time, and answered one by one.
            world.clock.sleep(world.lags.latency)
        with world.lock:
            logged = _logged(request, world.clock.now())
            if world.meets_chaos(logged) and faults.is_out(logged.at):
                return world.cut("refused")
            world.log.append(logged)
            try:
                return _answered(world, faults, request, logged, original)
            except CutOffError as cut:
                return world.cut(cut.how)
            except NotImplementedError as error:
                return _refused(request, _beyond(logged, str(error)))
            except ServiceException as error:
                return _refused(request, error)
            finally:
                if world.meets_chaos(logged):
                    begun = faults.begins_outage(world.chaos, logged, world.clock.now())
                    if begun is not None:
                        world.goes_out(*begun)

    return call_action


def _refused(request: Any, error: ServiceException) -> Any:
    status, headers, body = request.serialized(ActionResult(error))
    headers["status"] = status = getattr(error, "http_status", status)
    return status, headers, body


def _beyond(logged: Logged, told: str) -> ServiceException:
    """What moto has not, as an answer of the service: a caller makes nothing of a page in HTML.
    ``told`` is what moto says of it."""
    asked = logged.params.get("Filters") or logged.params.get("Filter") or ()
    names = [str(one.get("Name")) for one in asked]
    if logged.service == "ec2" and names:
        name = next((one for one in names if one in told), names[0])
        return filters.invalid(name)
    code = "UnsupportedOperation" if logged.service == "ec2" else "NotImplemented"
    return refused(logged.service, code, f"The sandbox has no {logged.name}: {told}")


def _answered(world: World, faults: Faults, request: Any, logged: Logged, original: Any) -> Any:
    for listen in world.before:
        listen(logged)
    is_met, now = world.meets_chaos(logged), world.clock.now()
    dice = faults.dice_for(logged)
    if is_met:
        faults.before(world.chaos, logged, now, dice, world.instances_of(logged))
    if logged.service == "iam":
        iam_rules.check(request)
    if logged.service == "ec2":
        check_sizes(logged)
        filters.check_known(logged)
        dry_run(request, logged)
    late = dice.random() if is_met else 0.0
    with _view(world, request, logged, late):
        own = _OF_OTHERS.get((logged.service, logged.operation))
        answer = original(request) if own is None else request.serialized(own(world, request))
    if answer[0] < FIRST_ERROR and logged.service in ("iam", "ec2") and not logged.is_read:
        world.note(logged, resources_of(logged))
    if is_met and answer[0] < FIRST_ERROR:
        faults.after(world.chaos, logged, now, dice)
    for listen in world.after:
        listen(logged)
    return answer


def _view(
    world: World, request: Any, logged: Logged, late: float
) -> contextlib.AbstractContextManager[None]:
    """IAM as this request sees it: the writes of the last seconds may not show yet. ``late`` is
    the part of the longest delay that it meets."""
    chaos = world.chaos
    longest = max(chaos.stale_gets, chaos.stale_lists, chaos.stale_index)
    if logged.service != "iam" or not longest:
        return contextlib.nullcontext()
    now = world.clock.now()
    if not logged.is_read:
        world.past.keep(logged.account, request.backend, now, longest)
        return contextlib.nullcontext()
    most = chaos.stale_gets if logged.operation.startswith(_ABOUT_ONE) else chaos.stale_lists
    return world.past.shown(logged.account, request.backend, now - most * late)


def _logged(request: Any, now: float) -> Logged:
    params = dict(getattr(request, "params", None) or {})
    if request.service_name in _IN_JSON:
        with contextlib.suppress(ValueError):
            params = dict(json.loads(request.body or "{}"))
    if asked := request.data.get("DryRun"):
        # botocore's model, by which moto reads a request, lacks it for the calls of associations.
        params["DryRun"] = asked[0] if isinstance(asked, list) else asked
    return Logged(
        service=_SERVICES.get(request.service_name, request.service_name),
        operation=request._get_action(),
        account=request.current_account,
        region=request.region,
        params=params,
        user_agent=request.headers.get("User-Agent", ""),
        at=now,
    )
