"""What roles in use lose by a plan: exactly what they used and will not be allowed, by the answers
of AWS's reports and of its simulator."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import pytest

from reconciler.commands.planned import Planned
from reconciler.sandbox.state import Used
from tests.rig import ACCOUNT, AWAY, Rig

DAY = 86_400


def allow(action: Any, resource: Any = "*", **more: Any) -> dict[str, Any]:
    return {"Effect": "Allow", "Action": action, "Resource": resource, **more}


def deny(action: Any, resource: Any = "*", **more: Any) -> dict[str, Any]:
    return {**allow(action, resource, **more), "Effect": "Deny"}


def document(*statements: Any) -> dict[str, Any]:
    return {"Version": "2012-10-17", "Statement": list(statements)}


def role(*inline: Any, **more: Any) -> dict[str, Any]:
    return {"trust": "ec2", "inline_policies": {"p": document(*inline)} if inline else {}, **more}


@dataclass(frozen=True, slots=True)
class Case:
    """From one set of roles to the next. ``after`` of a swap is the role that gets in."""

    roles: dict[str, Any]
    roles_after: dict[str, Any]
    used: tuple[str, ...]
    lost: tuple[str, ...]
    policies: dict[str, Any] | None = None
    policies_after: dict[str, Any] | None = None
    held: str = "web"
    held_after: str = "web"


READS, WRITES = "s3:GetObject", "s3:PutObject"
BUCKET = "arn:aws:s3:::assets"
CASES = {
    "a swap": Case(
        {"web-v1": role(allow([READS, WRITES])), "web-v2": role(allow(READS))},
        {"web-v1": role(allow([READS, WRITES])), "web-v2": role(allow(READS))},
        (READS, WRITES),
        (WRITES,),
        held="web-v1",
        held_after="web-v2",
    ),
    "a swap to a role that is changed, and one that is made": Case(
        {"web-v1": role(allow("s3:*"))},
        {"web-v1": role(allow("s3:*")), "web-v2": role(allow(["s3:Get*", "s3:List*"]))},
        (READS, WRITES, "s3:ListBucket"),
        (WRITES,),
        held="web-v1",
        held_after="web-v2",
    ),
    "a policy of AWS is detached": Case(
        {"web": role(allow(READS), managed_policies=["AmazonSQSFullAccess"])},
        {"web": role(allow(READS), managed_policies=[])},
        (READS, "sqs:SendMessage", "sqs:ListQueues"),
        ("sqs:ListQueues", "sqs:SendMessage"),
    ),
    "a policy of AWS takes the place of another": Case(
        {"web": role(managed_policies=["AmazonSQSFullAccess"])},
        {"web": role(managed_policies=["AmazonSQSReadOnlyAccess"])},
        ("sqs:SendMessage", "sqs:ListQueues"),
        ("sqs:SendMessage",),
    ),
    "an inline policy is narrowed": Case(
        {"web": role(allow([READS, WRITES, "s3:ListBucket"]))},
        {"web": role(allow([READS, "s3:ListBucket"]))},
        (READS, WRITES),
        (WRITES,),
    ),
    "a policy of the account changes": Case(
        {"web": role(managed_policies=["app"])},
        {"web": role(managed_policies=["app"])},
        (READS, WRITES),
        (WRITES,),
        policies={"app": {"document": document(allow([READS, WRITES]))}},
        policies_after={"app": {"document": document(allow(READS), allow("ec2:Describe*"))}},
    ),
    "a boundary is added": Case(
        {"web": role(allow("*"))},
        {"web": role(allow("*"), permissions_boundary="limit")},
        (READS, WRITES, "ec2:DescribeInstances"),
        ("ec2:DescribeInstances", WRITES),
        policies={"limit": {"document": document(allow("s3:Get*"))}},
    ),
    "a boundary is narrowed": Case(
        {"web": role(allow("s3:*"), permissions_boundary="limit")},
        {"web": role(allow("s3:*"), permissions_boundary="limit")},
        (READS, WRITES),
        (WRITES,),
        policies={"limit": {"document": document(allow("s3:*"))}},
        policies_after={"limit": {"document": document(allow("s3:Get*"))}},
    ),
    "a Deny is added": Case(
        {"web": role(allow("s3:*"))},
        {"web": role(allow("s3:*"), deny("s3:Put*"))},
        (READS, WRITES),
        (WRITES,),
    ),
    "all but some actions": Case(
        {"web": role(allow("*"))},
        {"web": role({"Effect": "Allow", "NotAction": ["s3:Put*", "iam:*"], "Resource": "*"})},
        (READS, WRITES, "iam:GetRole"),
        ("iam:GetRole", WRITES),
    ),
    "a wildcard is narrowed": Case(
        {"web": role(allow("s3:*Object"))},
        {"web": role(allow("s3:G?tObject"))},
        (READS, WRITES),
        (WRITES,),
    ),
    "a service without its actions": Case(
        {"web": role(allow(["sqs:*", READS]))},
        {"web": role(allow(READS))},
        (READS, "sqs"),
        ("sqs",),
    ),
    "some of a service without its actions": Case(
        {"web": role(allow(["sqs:*", READS]))},
        {"web": role(allow(["sqs:SendMessage", READS]))},
        (READS, "sqs"),
        ("sqs",),
    ),
    "a service without its actions that is kept": Case(
        {"web": role(allow("*"))},
        {"web": role(allow(["sqs:*", READS]))},
        (READS, "sqs"),
        (),
    ),
    "what is lost was not used": Case(
        {"web": role(allow([READS, WRITES]))},
        {"web": role(allow(READS))},
        (READS,),
        (),
    ),
    "what was used was denied already": Case(
        {"web": role(allow(READS), deny("s3:Put*"), allow("s3:Put*"))},
        {"web": role(allow(READS), deny("s3:Put*"))},
        (READS, WRITES),
        (),
    ),
    "more is allowed": Case(
        {"web": role(allow(READS))},
        {"web": role(allow("s3:*"))},
        (READS, WRITES),
        (),
    ),
    "the same in other words": Case(
        {"web": role(allow([READS, WRITES], [BUCKET, f"{BUCKET}/*"]))},
        {"web": role(allow("S3:GETOBJECT", f"{BUCKET}*"), allow(WRITES, [f"{BUCKET}*"]))},
        (READS, WRITES),
        (),
    ),
    "one bucket of two": Case(
        {"web": role(allow(WRITES, [f"{BUCKET}/*", f"{BUCKET}-b/*"]))},
        {"web": role(allow(WRITES, f"{BUCKET}/*"))},
        (WRITES,),
        (WRITES,),
    ),
    "a condition that stays": Case(
        {"web": role(allow("s3:*", Condition={"Bool": {"aws:SecureTransport": "true"}}))},
        {
            "web": role(
                allow(["s3:Get*", "s3:Put*"], Condition={"Bool": {"aws:SecureTransport": "true"}})
            )
        },
        (READS, WRITES, "s3:ListBucket"),
        ("s3:ListBucket",),
    ),
    "a condition that comes": Case(
        {"web": role(allow("s3:*"))},
        {"web": role(allow("s3:*", Condition={"StringEquals": {"aws:SourceVpce": "vpce-1"}}))},
        (READS,),
        (READS,),
    ),
    "a variable that stays": Case(
        {"web": role(allow([READS, WRITES], "arn:aws:s3:::b/${aws:PrincipalTag/team}/*"))},
        {"web": role(allow(READS, "arn:aws:s3:::b/${aws:PrincipalTag/team}/*"))},
        (READS, WRITES),
        (WRITES,),
    ),
}


def spec(roles: Any, policies: Any, held: str) -> str:
    return json.dumps(
        {
            "roles": roles,
            "policies": policies or {},
            "instance_profiles": {"web": {"role": held}},
        }
    )


def use(aws: Rig, role: str, *what: str, days: int = 2, region: str = AWAY) -> None:
    at = aws.clock.now() - days * DAY
    held = aws.aws.used.setdefault((ACCOUNT, aws.role_id(role)), {})
    held.update(dict.fromkeys(what, Used(at, region)))


def begun(aws: Rig, case: Case) -> None:
    aws.write(spec(case.roles, case.policies, case.held))
    aws.settle()
    aws.clock.sleep(60)  # until EC2 sees the profile
    aws.launch(profile="web", region=AWAY)
    use(aws, case.held, *case.used)
    aws.write(spec(case.roles_after, case.policies_after or case.policies, case.held_after))


def lost(planned: Planned) -> tuple[str, ...]:
    (target,) = planned.plan.targets
    assert not [u for found in target.impact.values() for one in found for u in one.unknown]
    return tuple(
        sorted({loss.what for found in target.impact.values() for i in found for loss in i.losses})
    )


def warnings(planned: Planned) -> list[str]:
    codes = ("used-permission-lost", "impact-unknown")
    return [d.message for d in planned.diagnostics if d.code in codes]


@pytest.mark.parametrize("name", CASES)
def test_exactly_what_was_used_and_is_lost_is_named(aws: Rig, name: str) -> None:
    case = CASES[name]
    begun(aws, case)
    planned = aws.plan(impact=True)
    assert lost(planned) == case.lost
    assert len(warnings(planned)) == len(case.lost)
    assert planned.severity in ("critical", "warning" if case.lost else "info")
    assert planned.plan.digest == aws.plan().plan.digest
