"""Systems Manager, as far as we ask it: which instances answer, and commands that ask the metadata
service of an instance. An agent answers where the role that its instance is served lets it; once
its instance was without a role it may sleep (``Lags.agent_sleep``), as AWS's own agent does.

Source: docs.aws.amazon.com/systems-manager/latest/APIReference, the pages of the operations, and
github.com/aws/amazon-ssm-agent/issues/544
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any
from uuid import NAMESPACE_OID, uuid5

from moto.core.exceptions import ServiceException
from moto.core.responses import ActionResult
from moto.ec2.models import ec2_backends
from moto.iam.models import iam_backends

from reconciler.sandbox.cloudtrail import moment, settle
from reconciler.sandbox.faults import refused
from reconciler.sandbox.sessions import Key
from reconciler.sandbox.state import SentCommand, World

CORE = "policy/AmazonSSMManagedInstanceCore"
DOCUMENTS = {"AWS-RunShellScript": "Linux", "AWS-RunPowerShellScript": "Windows"}
FEWEST, PAGE = 5, 50
LEAST_SECONDS = 30
PING_SECONDS = 300.0
"""After which an agent that does not answer is called lost."""
NOT_FOUND = "<html><head><title>404 - Not Found</title></head></html>"


def describe_instance_information(world: World, request: Any) -> ActionResult:
    asked = _asked(request)
    account, region, now = request.current_account, request.region, world.clock.now()
    named = _named(asked)
    found = []
    for instance in _agents(world, account, region):
        key = (account, region, instance.id)
        if named is not None and instance.id not in named:
            continue
        is_lost = now >= world.sessions.left.get(key, now) + PING_SECONDS
        status = "ConnectionLost" if _sleeps(world, key) and is_lost else "Online"
        found.append(
            {
                "InstanceId": instance.id,
                "PingStatus": status,
                "PlatformType": _platform(world, instance.id),
                "ResourceType": "EC2Instance",
            }
        )
    return ActionResult(_paged(world, asked, "InstanceInformationList", found, FEWEST))


def send_command(world: World, request: Any) -> ActionResult:
    asked = _asked(request)
    account, region = request.current_account, request.region
    names, document = tuple(asked.get("InstanceIds") or ()), asked.get("DocumentName")
    if document not in DOCUMENTS:
        raise _wrong("InvalidDocument", "the document is not known")
    if not 0 < len(names) <= PAGE or asked.get("TimeoutSeconds", 3600) < LEAST_SECONDS:
        raise _wrong("ValidationException", "1 to 50 instances, and 30 seconds or more")
    agents = {instance.id for instance in _agents(world, account, region)}
    if not set(names) <= agents:
        raise _wrong("InvalidInstanceId", "Instances not in a valid state for account")
    if any(_platform(world, name) != DOCUMENTS[document] for name in names):
        raise _wrong("UnsupportedPlatformType", "the document is for another platform")
    now = world.clock.now()
    command = SentCommand(
        str(uuid5(NAMESPACE_OID, f"{len(world.commands)} {account} {region}")),
        account,
        region,
        names,
        "\n".join(asked.get("Parameters", {}).get("commands") or ()),
        now,
        float(asked.get("TimeoutSeconds", 3600)),
    )
    world.commands[command.id] = command
    return ActionResult({"Command": {"CommandId": command.id, "Status": "Pending"}})


def list_command_invocations(world: World, request: Any) -> ActionResult:
    asked = _asked(request)
    command = world.commands.get(asked.get("CommandId", ""))
    here = (request.current_account, request.region)
    if command is None or (command.account, command.region) != here:
        raise _wrong("InvalidCommandId", "the command is not known")
    found = [_invocation(world, command, name) for name in command.instances]
    return ActionResult(_paged(world, asked, "CommandInvocations", found, 1))


def _invocation(world: World, command: SentCommand, name: str) -> dict[str, Any]:
    key, now = (command.account, command.region, name), world.clock.now()
    wakes_at = world.sessions.left.get(key, 0.0) + world.lags.agent_sleep
    runs_at = max(command.at, wakes_at) if world.lags.agent_sleep else command.at
    made: dict[str, Any] = {"CommandId": command.id, "InstanceId": name}
    if runs_at > command.at + command.seconds:
        if now < command.at + command.seconds:
            return {**made, "Status": "Pending", "StatusDetails": "Pending"}
        return {**made, "Status": "TimedOut", "StatusDetails": "DeliveryTimedOut"}
    if now < runs_at:
        return {**made, "Status": "Pending", "StatusDetails": "Pending"}
    printed = _printed(world, command, key)
    status = "Failed" if printed is None else "Success"
    plugin = {"Name": "aws:runScript", "Status": status, "Output": printed or ""}
    return {**made, "Status": status, "StatusDetails": status, "CommandPlugins": [plugin]}


def _printed(world: World, command: SentCommand, key: Key) -> str | None:
    """What the command prints: only the one that asks the metadata service is known."""
    asked = command.text
    if "/api/token" not in asked or "reconciler info" not in asked:
        return None
    settle(world, *key)
    session = world.sessions.now(key)
    row = world.staying(*key)
    if row is None:
        return f"reconciler info {NOT_FOUND}\nreconciler role {NOT_FOUND}\n"
    info = {
        "Code": "Success" if session is not None else "InstanceProfileNotFound",
        "LastUpdated": moment(session.issued_at if session is not None else world.clock.now()),
        "InstanceProfileArn": row.profile_arn,
        "InstanceProfileId": row.profile_id,
    }
    role = session.role if session is not None else NOT_FOUND
    return f"reconciler info {json.dumps(info)}\nreconciler role {role}\n"


def _agents(world: World, account: str, region: str) -> Iterator[Any]:
    """Instances whose agent may use the service, asleep or not."""
    for name in [row.instance for row in world.rows_of(account, region) if not row.settled]:
        settle(world, account, region, name)
    roles = iam_backends[account]["aws"].roles
    for instance in ec2_backends[account][region].all_running_instances():
        key = (account, region, instance.id)
        role = roles.get(world.served.get(key))
        is_allowed = role is not None and any(a.endswith(CORE) for a in role.managed_policies)
        if is_allowed or _sleeps(world, key):
            yield instance


def _sleeps(world: World, key: Key) -> bool:
    left = world.sessions.left.get(key)
    return left is not None and world.clock.now() < left + world.lags.agent_sleep


def _platform(world: World, instance: str) -> str:
    return "Windows" if instance in world.windows else "Linux"


def _asked(request: Any) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(request.body or "{}")
    return found


def _named(asked: dict[str, Any]) -> set[str] | None:
    found: set[str] | None = None
    for one in asked.get("Filters") or ():
        if one.get("Key") != "InstanceIds":
            raise _wrong("InvalidFilterKey", "the filter is not known")
        found = set(one.get("Values") or ())
    return found


def _paged(
    world: World, asked: dict[str, Any], name: str, found: list[Any], fewest: int
) -> dict[str, Any]:
    most = int(asked.get("MaxResults") or PAGE)
    if not fewest <= most <= PAGE:
        raise _wrong("ValidationException", f"MaxResults is {fewest} to {PAGE}")
    token = str(asked.get("NextToken") or "0")
    if not token.isdecimal():
        raise _wrong("InvalidNextToken", "The token is not valid.")
    start = int(token)
    size = world.page(most)
    page: dict[str, Any] = {name: found[start : start + size]}
    if start + size < len(found):
        page["NextToken"] = str(start + size)
    return page


def _wrong(code: str, message: str) -> ServiceException:
    return refused("ssm", code, message)
