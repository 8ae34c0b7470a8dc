"""Terraform states as files have them."""

from __future__ import annotations

import json
from typing import Any

ACCOUNT = "111111111111"
SECRET = "hunter2-do-not-print"


def resource(type_: str, name: str, *instances: dict[str, Any], **more: Any) -> dict[str, Any]:
    """``instances`` are attributes, or with ``attributes`` in them whole instances."""
    held = [one if "attributes" in one else {"attributes": one} for one in instances]
    provider = 'provider["registry.terraform.io/hashicorp/aws"]'
    made = {"mode": "managed", "type": type_, "name": name, "provider": provider}
    return {**made, "instances": [{"schema_version": 0, **one} for one in held], **more}


def iam(kind: str, name: str, account: str = ACCOUNT, **more: Any) -> dict[str, Any]:
    arn = f"arn:aws:iam::{account}:{kind}/{name}"
    return {"arn": arn, "id": name, "name": name, "secret": SECRET, **more}


def ec2(instance: str, profile: str, region: str = "us-east-1") -> dict[str, Any]:
    arn = f"arn:aws:ec2:{region}:{ACCOUNT}:instance/{instance}"
    return {"arn": arn, "id": instance, "iam_instance_profile": profile, "user_data": SECRET}


WEB = (
    resource("aws_iam_role", "web", iam("role", "web")),
    resource("aws_iam_role_policy", "own", {"role": "web", "name": "own", "policy": SECRET}),
    resource(
        "aws_iam_role_policy_attachment",
        "ssm",
        {"role": "web", "policy_arn": "arn:aws:iam::aws:policy/AmazonSSMManagedInstanceCore"},
    ),
    resource("aws_iam_policy", "read", iam("policy", "read-assets")),
    resource("aws_iam_instance_profile", "web", iam("instance-profile", "web", role="web")),
)


def stored(*resources: dict[str, Any], **more: Any) -> str:
    state = {
        "version": 4,
        "terraform_version": "1.9.0",
        "serial": 7,
        "lineage": "3f1c",
        "outputs": {"password": {"value": SECRET, "type": "string", "sensitive": True}},
        "resources": list(resources),
        "check_results": None,
    }
    return json.dumps({**state, **more}, indent=2)
