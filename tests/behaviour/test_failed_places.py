"""A step that AWS refuses names the line of the specs that it is for, not only the resource's."""

from __future__ import annotations

import pytest

from reconciler.model.address import Address
from reconciler.sandbox.faults import refused
from reconciler.sandbox.state import Logged
from tests.rig import Rig

BEFORE = """\
policies:
  read:
    document: {Version: 2012-10-17, Statement: [{Effect: Allow, Action: s3:GetObject, Resource: "*"}]}
roles:
  web:
    trust: ec2
  old:
    trust: ec2
instance_profiles:
  web:
    role: old
"""
AFTER = """\
policies:
  read:
    description: x
    document:
      Version: 2012-10-17
      Statement: [{Effect: Allow, Action: s3:PutObject, Resource: "*"}]
    tags: {a: b}
  new:
    document:
      Version: 2012-10-17
      Statement: [{Effect: Allow, Action: s3:PutObject, Resource: "*"}]
roles:
  WEB:
    trust:
      - ec2
      - lambda
    description: new
    permissions_boundary: read
    managed_policies:
      - new
      - AmazonSSMManagedInstanceCore
    inline_policies:
      one: {Version: 2012-10-17, Statement: [{Effect: Allow, Action: s3:GetObject, Resource: "*"}]}
      two: {Version: 2012-10-17, Statement: [{Effect: Allow, Action: s3:GetObject, Resource: "*"}]}
    tags:
      a: b
  old:
    trust: ec2
    inline_policies:
      exclusive: true
      policies:
        three: {Version: 2012-10-17, Statement: [{Effect: Allow, Action: s3:*, Resource: "*"}]}
  more:
    trust: ec2
    max_session_duration: 2h
instance_profiles:
  web:
    role: web
  second:
    role: old
associations:
  web:
    instance_profile: second
    instances:
      - INSTANCE
"""


@pytest.mark.parametrize(
    ("operation", "code", "line"),
    [
        ("CreatePolicyVersion", "MalformedPolicyDocument", 4),
        ("TagPolicy", "InvalidInput", 7),
        ("CreatePolicy", "MalformedPolicyDocument", 9),
        ("CreatePolicy", "LimitExceeded", 8),
        ("UpdateAssumeRolePolicy", "MalformedPolicyDocument", 14),
        ("UpdateRole", "ValidationError", 17),
        ("PutRolePermissionsBoundary", "InvalidInput", 18),
        ("AttachRolePolicy@new", "AccessDenied", 20),
        ("AttachRolePolicy@AmazonSSMManagedInstanceCore", "AccessDenied", 21),
        ("PutRolePolicy@one", "MalformedPolicyDocument", 23),
        ("PutRolePolicy@two", "MalformedPolicyDocument", 24),
        ("PutRolePolicy@three", "MalformedPolicyDocument", 32),
        ("TagRole", "InvalidInput", 25),
        ("CreateRole", "MalformedPolicyDocument", 34),
        ("CreateRole", "LimitExceeded", 33),
        ("RemoveRoleFromInstanceProfile", "AccessDenied", 38),
        ("AddRoleToInstanceProfile@second", "AccessDenied", 40),
        ("CreateInstanceProfile", "LimitExceeded", 39),
        ("AssociateIamInstanceProfile", "UnauthorizedOperation", 45),
    ],
)
def test_the_line_of_a_failed_step(aws: Rig, operation: str, code: str, line: int) -> None:
    (instance,) = aws.launch(1)
    aws.write(BEFORE)
    aws.settle()
    aws.write(AFTER.replace("INSTANCE", instance))
    wanted, _, about = operation.partition("@")

    def refuse(logged: Logged) -> None:
        named = [str(value) for value in logged.params.values()]
        is_it = logged.operation == wanted and (
            not about or any(name.endswith(about) for name in named)
        )
        if is_it and not logged.is_dry_run:
            raise refused(logged.service, code, "no", 403)

    aws.aws.before.append(refuse)
    broken = [o for o in aws.apply().result.outcomes if o.status == "failed"]
    assert [o.source and o.source.line for o in broken] == [line], broken


def test_what_left_the_specs_has_no_place(aws: Rig) -> None:
    aws.write(BEFORE)
    aws.settle()
    aws.write(BEFORE.replace("  old:\n    trust: ec2\n", "").replace("role: old", "role: web"))

    def refuse(logged: Logged) -> None:
        if logged.operation == "DeleteRole":
            raise refused("iam", "AccessDenied", "no", 403)

    aws.aws.before.append(refuse)
    applied = aws.apply(prune=True, allow=(("delete", "1"), ("release", "role/old")))
    broken = next(o for o in applied.result.outcomes if o.status == "failed")
    assert (broken.address, broken.source) == (Address("role", "old"), None)
