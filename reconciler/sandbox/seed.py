"""The initial content of a sandbox: instances, as if launched outside of reconciler."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
from moto.moto_api._internal import mock_random
from pydantic import Field

from reconciler.spec.models import SpecModel
from reconciler.spec.yaml.parser import parse, read_text
from reconciler.spec.yaml.tree import plain

IMAGE = "ami-12c6146b"


class InstanceSeed(SpecModel):
    """Some instances alike."""

    region: str = "us-east-1"
    count: int = Field(1, ge=1, le=1000)
    tags: dict[str, str] = Field({})
    state: str = Field("running", pattern="^(running|stopped)$")
    operator: str | None = None
    """The AWS service that manages them, such as ``ecs.amazonaws.com``."""
    hidden: bool = False
    """From now on the region lists managed instances only when it is asked to."""


class Seed(SpecModel):
    """A file of ``--seed``."""

    instances: list[InstanceSeed] = Field([])


DEFAULT = Seed(
    instances=[
        InstanceSeed(count=3, tags={"app": "web", "env": "prod"}),
        InstanceSeed(count=1, tags={"app": "batch", "env": "prod"}, state="stopped"),
        InstanceSeed(region="eu-west-1", count=2, tags={"app": "web", "env": "prod"}),
    ]
)


@dataclass(frozen=True, slots=True)
class Seeded:
    region: str
    instances: tuple[str, ...]


def load(path: Path) -> Seed:
    """Raises ``UnreadableError`` if it is not YAML, ``ValidationError`` if it has another
    format."""
    tree = parse(read_text(path, str(path)), str(path), [])
    return Seed.model_validate(plain(tree) if tree else {})


def plant(seed: Seed, endpoint_url: str | None = None) -> tuple[Seeded, ...]:
    """The same ids on every start: they stand in the docs."""
    mock_random.seed(1)
    return tuple(_launched(group, endpoint_url) for group in seed.instances)


def _launched(group: InstanceSeed, endpoint_url: str | None) -> Seeded:
    ec2: Any = boto3.client(
        "ec2",
        region_name=group.region,
        endpoint_url=endpoint_url,
        aws_access_key_id="sandbox",
        aws_secret_access_key="sandbox",
    )
    tags = [{"Key": key, "Value": value} for key, value in group.tags.items()]
    specification = [{"ResourceType": "instance", "Tags": tags}] if tags else []
    managed = {"Operator": {"Principal": group.operator}} if group.operator else {}
    if group.hidden:
        ec2.modify_managed_resource_visibility(DefaultVisibility="hidden")
    answer = ec2.run_instances(
        ImageId=IMAGE,
        MinCount=group.count,
        MaxCount=group.count,
        InstanceType="t3.nano",
        TagSpecifications=specification,
        **managed,
    )
    ids = tuple(instance["InstanceId"] for instance in answer["Instances"])
    if group.state == "stopped":
        ec2.stop_instances(InstanceIds=list(ids))
    return Seeded(group.region, ids)
