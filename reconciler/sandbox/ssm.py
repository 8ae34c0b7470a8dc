"""Systems Manager, as far as a check-up asks: which instances answer. An agent does where the role
that its instance is served lets it.

Source: docs.aws.amazon.com/systems-manager/latest/APIReference/API_DescribeInstanceInformation.html
"""

from __future__ import annotations

from typing import Any

from moto.core.responses import ActionResult
from moto.ec2.models import ec2_backends
from moto.iam.models import iam_backends

from reconciler.sandbox.state import World

CORE = "policy/AmazonSSMManagedInstanceCore"


def describe_instance_information(world: World, request: Any) -> ActionResult:
    account, region = request.current_account, request.region
    roles = iam_backends[account]["aws"].roles
    found = []
    for instance in ec2_backends[account][region].all_running_instances():
        role = roles.get(world.served.get((account, region, instance.id)))
        if role is not None and any(arn.endswith(CORE) for arn in role.managed_policies):
            found.append({"InstanceId": instance.id, "PingStatus": "Online"})
    return ActionResult({"InstanceInformationList": found})
