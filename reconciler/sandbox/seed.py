"""The initial content of a sandbox: policies, roles, instance profiles and instances, as if made
outside of reconciler."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
from botocore.exceptions import ClientError, ParamValidationError
from moto.moto_api._internal import mock_random
from pydantic import Field

from reconciler.spec.models import SpecModel
from reconciler.spec.yaml.parser import parse, read_text
from reconciler.spec.yaml.tree import plain

IMAGE = "ami-12c6146b"


EC2_TRUST: dict[str, Any] = {
    "Version": "2012-10-17",
    "Statement": [
        {
            "Effect": "Allow",
            "Principal": {"Service": "ec2.amazonaws.com"},
            "Action": "sts:AssumeRole",
        }
    ],
}


class PolicySeed(SpecModel):
    """``document`` is a policy document as AWS has it."""

    document: dict[str, Any]
    path: str = "/"
    description: str = ""
    tags: dict[str, str] = Field({})


class RoleSeed(SpecModel):
    """``managed_policies`` are ARNs, names of the file's policies, or names of AWS's."""

    trust_policy: dict[str, Any] = Field(EC2_TRUST)
    path: str = "/"
    description: str = ""
    max_session_duration: int = Field(3600, description="Seconds.")
    managed_policies: list[str] = Field([])
    inline_policies: dict[str, dict[str, Any]] = Field({})
    permissions_boundary: str | None = None
    tags: dict[str, str] = Field({})


class ProfileSeed(SpecModel):
    role: str | None = None
    path: str = "/"
    tags: dict[str, str] = Field({})


class InstanceSeed(SpecModel):
    """Some instances alike."""

    region: str = "us-east-1"
    count: int = Field(1, ge=1, le=1000)
    tags: dict[str, str] = Field({})
    instance_profile: str | None = None
    state: str = Field("running", pattern="^(running|stopped)$")
    operator: str | None = None
    """The AWS service that manages them, such as ``ecs.amazonaws.com``."""
    hidden: bool = False
    """From now on the region lists managed instances only when it is asked to."""


class Seed(SpecModel):
    """A file of ``--seed``: what is there, by name."""

    policies: dict[str, PolicySeed] = Field({})
    roles: dict[str, RoleSeed] = Field({})
    instance_profiles: dict[str, ProfileSeed] = Field({})
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


class RefusedSeedError(Exception):
    """The sandbox refused something of the seed; the text says what and why."""


def plant(seed: Seed, endpoint_url: str | None = None) -> tuple[Seeded, ...]:
    """The same ids on every start: they stand in the docs. Raises ``RefusedSeedError``."""
    mock_random.seed(1)
    iam = _client("iam", "us-east-1", endpoint_url)
    arns: dict[str, str] = {}
    for name, policy in seed.policies.items():
        with _naming(f"policies.{name}"):
            arns[name] = _make_policy(iam, name, policy)
    for name, role in seed.roles.items():
        with _naming(f"roles.{name}"):
            _make_role(iam, name, role, arns)
    for name, profile in seed.instance_profiles.items():
        with _naming(f"instance_profiles.{name}"):
            _make_profile(iam, name, profile)
    groups = []
    for number, group in enumerate(seed.instances):
        with _naming(f"instances.{number}"):
            groups.append(_launched(group, endpoint_url))
    return tuple(groups)


@contextmanager
def _naming(what: str) -> Iterator[None]:
    try:
        yield
    except (ClientError, ParamValidationError) as error:
        raise RefusedSeedError(f"{what}: {error}") from error


def _client(service: str, region: str, endpoint_url: str | None) -> Any:
    client: Any = boto3.client
    return client(
        service,
        region_name=region,
        endpoint_url=endpoint_url,
        aws_access_key_id="sandbox",
        aws_secret_access_key="sandbox",
    )


def _listed(tags: dict[str, str]) -> list[dict[str, str]]:
    return [{"Key": key, "Value": value} for key, value in tags.items()]


def _make_policy(iam: Any, name: str, policy: PolicySeed) -> str:
    made = iam.create_policy(
        PolicyName=name,
        Path=policy.path,
        PolicyDocument=json.dumps(policy.document),
        Description=policy.description,
        Tags=_listed(policy.tags),
    )
    return str(made["Policy"]["Arn"])


def _make_role(iam: Any, name: str, role: RoleSeed, arns: dict[str, str]) -> None:
    """``arns`` are those of the seed's own policies."""

    def arn(policy: str) -> str:
        if policy.startswith("arn:"):
            return policy
        return arns.get(policy, f"arn:aws:iam::aws:policy/{policy}")

    boundary = role.permissions_boundary
    iam.create_role(
        RoleName=name,
        Path=role.path,
        AssumeRolePolicyDocument=json.dumps(role.trust_policy),
        Description=role.description,
        MaxSessionDuration=role.max_session_duration,
        Tags=_listed(role.tags),
        **({"PermissionsBoundary": arn(boundary)} if boundary else {}),
    )
    for policy in role.managed_policies:
        iam.attach_role_policy(RoleName=name, PolicyArn=arn(policy))
    for title, document in role.inline_policies.items():
        iam.put_role_policy(RoleName=name, PolicyName=title, PolicyDocument=json.dumps(document))


def _make_profile(iam: Any, name: str, profile: ProfileSeed) -> None:
    iam.create_instance_profile(
        InstanceProfileName=name, Path=profile.path, Tags=_listed(profile.tags)
    )
    if profile.role is not None:
        iam.add_role_to_instance_profile(InstanceProfileName=name, RoleName=profile.role)


def _launched(group: InstanceSeed, endpoint_url: str | None) -> Seeded:
    ec2 = _client("ec2", group.region, endpoint_url)
    tags = _listed(group.tags)
    specification = [{"ResourceType": "instance", "Tags": tags}] if tags else []
    managed = {"Operator": {"Principal": group.operator}} if group.operator else {}
    held = {"IamInstanceProfile": {"Name": group.instance_profile}}
    if group.hidden:
        ec2.modify_managed_resource_visibility(DefaultVisibility="hidden")
    answer = ec2.run_instances(
        ImageId=IMAGE,
        MinCount=group.count,
        MaxCount=group.count,
        InstanceType="t3.nano",
        TagSpecifications=specification,
        **managed,
        **(held if group.instance_profile else {}),
    )
    ids = tuple(instance["InstanceId"] for instance in answer["Instances"])
    if group.state == "stopped":
        ec2.stop_instances(InstanceIds=list(ids))
    return Seeded(group.region, ids)
