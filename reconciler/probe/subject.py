"""Which instance and which roles are probed, and why some must not be."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from reconciler.aws.paging import has_no_answer
from reconciler.aws.parse import operator_of
from reconciler.errors import AwsError, RefusedError
from reconciler.exit_codes import ExitCode
from reconciler.model.address import same_name
from reconciler.model.ownership import DEFAULT_PREFIX, split_tags
from reconciler.plan.calls import ApiCall
from reconciler.probe.guard import ORIGINAL_TAG, PROBE_TAG, START

Send = Callable[[ApiCall], Mapping[str, Any]]
TAGGED = f"{PROBE_TAG}=yes"
NOBODY = "-"
"""In the tag on the instance: it had no profile."""
SSM_POLICY = "AmazonSSMManagedInstanceCore"
_GROUP = "aws:autoscaling:groupName"
_RESERVED = ("/aws-service-role/", "/aws-reserved/")


@dataclass(frozen=True, slots=True)
class ProbedRole:
    name: str
    id: str
    has_boundary: bool
    has_ssm: bool


@dataclass(frozen=True, slots=True)
class Subject:
    """``original`` is the name of the profile that the instance gets back, ``None`` for none;
    ``is_resumed`` if a probe that did not end has noted it."""

    region: str
    partition: str
    home: str
    """The region of the calls that have none."""
    instance: str
    roles: tuple[ProbedRole, ProbedRole]
    original: str | None
    is_resumed: bool


def subject_of(
    send: Send, region: str, partition: str, home: str, instance: str, roles: tuple[str, str]
) -> Subject:
    """Reads what was given. Raises ``RefusedError`` with all reasons why it must not be probed, and
    ``AwsError``."""
    found = _described(send, region, instance)
    refusals = list(_of_instance(found))
    tags = tags_of(found.get("Tags"))
    name, is_resumed = _original(found, tags)
    if name is not None:
        refusals += _of_profile(send, name)
    read = [_role(send, role) for role in roles]
    refusals += [why for _, reasons in read for why in reasons]
    if same_name(*roles):
        refusals.append("the two roles are the same one")
    if refusals:
        raise RefusedError(
            "this must not be probed; nothing was changed",
            ExitCode.UNDECIDED,
            details=tuple(refusals),
        )
    one, other = (role for role, _ in read)
    return Subject(region, partition, home, instance, (one, other), name, is_resumed)


def _described(send: Send, region: str, instance: str) -> Mapping[str, Any]:
    params = {"InstanceIds": [instance]}
    answer = send(ApiCall("ec2", "DescribeInstances", params, region))
    found = [i for r in answer.get("Reservations", ()) for i in r.get("Instances", ())]
    if not found:
        raise RefusedError(f"{region} does not list the instance {instance}", ExitCode.ERROR)
    one: Mapping[str, Any] = found[0]
    return one


def original_tag(name: str | None) -> str:
    """A comma may be in a name, and not in the value of a tag; with a colon it is the other way."""
    return NOBODY if name is None else name.replace(",", ":")


def tags_of(listed: Iterable[Mapping[str, str]] | None) -> dict[str, str]:
    return {tag["Key"]: tag["Value"] for tag in listed or ()}


def _of_instance(found: Mapping[str, Any]) -> Iterable[str]:
    name, tags = found["InstanceId"], tags_of(found.get("Tags"))
    state = found["State"]["Name"]
    # A probe that was killed may have stopped it, and starts it again.
    ours = ("stopping", "stopped", "pending") if ORIGINAL_TAG in tags else ()
    if state not in ("running", *ours):
        yield f"{name} is {state}; it must be running"
    yield from _untagged(name, tags)
    if _GROUP in tags:
        yield f"{name} belongs to the Auto Scaling group {tags[_GROUP]}"
    if (by := operator_of(found)) is not None:
        yield f"{name} is managed by {by}"
    yield from _misnoted(name, tags, _held(found))


def _misnoted(name: str, tags: Mapping[str, str], held: str | None) -> Iterable[str]:
    """A probe that was killed leaves an instance with what it had, with a profile of its own, or
    with none. Otherwise the note is not of a probe, or somebody has put it right since: who may tag
    instances may not thereby choose their profiles."""
    noted = tags.get(ORIGINAL_TAG)
    if noted is None or held is None or held.casefold().startswith(START):
        return
    if not same_name(original_tag(held), noted):
        yield (
            f"{name} has the instance profile {held}, and its tag {ORIGINAL_TAG}={noted} says that "
            "it had another before it was probed; remove the tag if the profile is right"
        )


def _untagged(name: str, tags: Mapping[str, str]) -> Iterable[str]:
    if tags.get(PROBE_TAG) != "yes":
        yield f"{name} does not have the tag {TAGGED}, which says that it is there for this"
    yield from _owned(name, tags)


def _owned(name: str, tags: Mapping[str, str]) -> Iterable[str]:
    marks = split_tags(tags, DEFAULT_PREFIX).marks
    for mark in ("owner", "association", "temporary-of"):
        if mark in marks:
            yield f"{name} is managed by reconciler: {DEFAULT_PREFIX}{mark}={marks[mark]}"


def _original(found: Mapping[str, Any], tags: Mapping[str, str]) -> tuple[str | None, bool]:
    noted = tags.get(ORIGINAL_TAG)
    if noted is not None:
        return (None if noted == NOBODY else noted.replace(":", ",")), True
    return _held(found), False


def _held(found: Mapping[str, Any]) -> str | None:
    """The profile that the instance has."""
    arn = (found.get("IamInstanceProfile") or {}).get("Arn")
    return None if arn is None else str(arn).rpartition("/")[2]


def _of_profile(send: Send, name: str) -> Iterable[str]:
    params = {"InstanceProfileName": name}
    try:
        found = send(ApiCall("iam", "GetInstanceProfile", params))["InstanceProfile"]
    except AwsError as error:
        if error.code != "NoSuchEntity":
            raise
        return [f"the instance profile {name}, which the instance would get back, does not exist"]
    tags = tags_of(found.get("Tags"))
    try:
        tags |= tags_of(send(ApiCall("iam", "ListInstanceProfileTags", params)).get("Tags"))
    except AwsError as error:
        if not has_no_answer(error):
            raise
    return list(_owned(f"the instance profile {name}", tags))


def _role(send: Send, name: str) -> tuple[ProbedRole, list[str]]:
    found = send(ApiCall("iam", "GetRole", {"RoleName": name}))["Role"]
    refusals = list(_untagged(f"the role {name}", tags_of(found.get("Tags"))))
    if str(found.get("Path", "/")).startswith(_RESERVED):
        refusals.append(f"the role {name} is one of AWS's own")
    if "ec2.amazonaws.com" not in str(found.get("AssumeRolePolicyDocument")):
        refusals.append(f"the role {name} does not trust EC2")
    listed = send(ApiCall("iam", "ListAttachedRolePolicies", {"RoleName": name}))
    attached = {one["PolicyName"] for one in listed.get("AttachedPolicies", ())}
    has_boundary = bool(found.get("PermissionsBoundary"))
    return ProbedRole(
        found["RoleName"], found["RoleId"], has_boundary, SSM_POLICY in attached
    ), refusals
