"""IAM policies, and the roles of a pipeline, as JSON, Terraform or CloudFormation."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from reconciler.render.json.encode import json_text
from reconciler.render.terraform import hcl, label

Document = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class NamedRole:
    """A role to be made, with its trust policy and the names of its policies."""

    name: str
    trust: Document
    policies: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class PolicySet:
    """Documents by the name of the managed policy that holds each."""

    policies: Mapping[str, Document]
    roles: tuple[NamedRole, ...] = field(default=())


def as_json(made: PolicySet) -> str:
    """A policy alone is its document, as the AWS CLI takes it; several are by name, and with roles
    by role."""
    if made.roles:
        roles = {
            role.name: {
                "trust": role.trust,
                "policies": {name: made.policies[name] for name in role.policies},
            }
            for role in made.roles
        }
        return _text({"roles": roles})
    if len(made.policies) == 1:
        return _text(next(iter(made.policies.values())))
    return _text(made.policies)


def as_terraform(made: PolicySet) -> str:
    return "\n".join(_terraform(made))


def _terraform(made: PolicySet) -> Iterator[str]:
    for name, document in made.policies.items():
        yield f'resource "aws_iam_policy" "{label(name)}" {{'
        yield f"  name   = {hcl(name)}\n  policy = jsonencode({hcl(document)})\n}}\n"
    for role in made.roles:
        own = label(role.name)
        yield f'resource "aws_iam_role" "{own}" {{'
        yield f"  name               = {hcl(role.name)}"
        yield f"  assume_role_policy = jsonencode({hcl(role.trust)})\n}}\n"
        for name in role.policies:
            policy = label(name)
            yield f'resource "aws_iam_role_policy_attachment" "{own}_{policy}" {{'
            yield f"  role       = aws_iam_role.{own}.name"
            yield f"  policy_arn = aws_iam_policy.{policy}.arn\n}}\n"


def as_cloudformation(made: PolicySet) -> str:
    resources: dict[str, Any] = {}
    for name, document in made.policies.items():
        resources[_logical(name, "Policy")] = {
            "Type": "AWS::IAM::ManagedPolicy",
            "Properties": {"ManagedPolicyName": name, "PolicyDocument": document},
        }
    for role in made.roles:
        resources[_logical(role.name, "Role")] = {
            "Type": "AWS::IAM::Role",
            "Properties": {
                "RoleName": role.name,
                "AssumeRolePolicyDocument": role.trust,
                "ManagedPolicyArns": [{"Ref": _logical(name, "Policy")} for name in role.policies],
            },
        }
    return _text({"AWSTemplateFormatVersion": "2010-09-09", "Resources": resources})


def _logical(name: str, kind: str) -> str:
    return "".join(part.capitalize() for part in re.split(r"[^A-Za-z0-9]+", name)) + kind


def _text(value: Any) -> str:
    return json_text(value) + "\n"


FORMATS: Final[Mapping[str, Callable[[PolicySet], str]]] = {
    "json": as_json,
    "terraform": as_terraform,
    "cloudformation": as_cloudformation,
}
