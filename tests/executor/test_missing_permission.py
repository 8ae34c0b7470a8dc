"""A refusal names the permission that is missing."""

from __future__ import annotations

import pytest

from reconciler.errors import AwsError
from reconciler.executor.outcomes import advice, missing_permission, refusal
from reconciler.plan.calls import ApiCall

CASES = [
    (ApiCall("iam", "CreateRole", {"RoleName": "web"}), "iam:CreateRole on role/web"),
    (
        ApiCall("iam", "AddRoleToInstanceProfile", {"InstanceProfileName": "p", "RoleName": "r"}),
        "iam:AddRoleToInstanceProfile on instance-profile/p and iam:PassRole on the role",
    ),
    (
        ApiCall("ec2", "CreateTags", {"Resources": ["i-1"]}, "eu-west-1"),
        "ec2:CreateTags on instance/i-1",
    ),
    (ApiCall("iam", "GetAccountSummary", {}), "iam:GetAccountSummary on *"),
]


@pytest.mark.parametrize(("call", "wanted"), CASES)
def test_denied(call: ApiCall, wanted: str) -> None:
    assert missing_permission(call, AwsError(call.name, "AccessDenied", "no")) == wanted


def test_other_refusals_say_what_they_say() -> None:
    call = CASES[0][0]
    assert missing_permission(call, AwsError(call.name, "Throttling", "no")) == ""


NAMED = "User: u is not authorized to perform: iam:CreateRole on resource: role web"


@pytest.mark.parametrize(
    ("message", "told"),
    [
        ("no", "AccessDenied: no; needs iam:CreateRole on role/web"),
        (NAMED, f"AccessDenied: {NAMED}"),
    ],
)
def test_an_action_is_named_once(message: str, told: str) -> None:
    error = AwsError("iam:CreateRole", "AccessDenied", message)
    assert refusal(error, missing_permission(CASES[0][0], error)) == told


ASSOCIATE = ApiCall(
    "ec2", "AssociateIamInstanceProfile", {"InstanceId": "i-1", "IamInstanceProfile": {"Name": "p"}}
)
ADD = CASES[1][0]
SAID = "User: arn:aws:iam::1:user/u is not authorized to perform: "
NO_STATEMENT = " because no identity-based policy allows the {} action"
INSTANCE = "arn:aws:ec2:eu-west-1:123456789012:instance/i-1"
GRANT = "grant the calling identity {}, then apply again"


@pytest.mark.parametrize(
    ("call", "action", "more", "told"),
    [
        (
            ASSOCIATE,
            "ec2:AssociateIamInstanceProfile",
            f" on resource: {INSTANCE}{NO_STATEMENT}",
            GRANT.format("ec2:AssociateIamInstanceProfile on instance/i-1"),
        ),
        (
            ASSOCIATE,
            "iam:PassRole",
            f" on resource: arn:aws:iam::123456789012:role/deep/v1{NO_STATEMENT}",
            GRANT.format("iam:PassRole on role/deep/v1"),
        ),
        (ADD, "iam:PassRole", "", GRANT.format("iam:PassRole on role/r")),
        (ASSOCIATE, "iam:PassRole", "", GRANT.format("iam:PassRole on the role")),
        (
            ADD,
            "iam:PassRole",
            " on resource: arn:aws:iam::123456789012:role/r with an explicit deny in a service "
            "control policy",
            "change the service control policy that denies the calling identity iam:PassRole on "
            "role/r, then apply again",
        ),
        (
            ADD,
            "iam:PassRole",
            " on resource: arn:aws:iam::123456789012:role/r because no permissions boundary "
            "allows the iam:PassRole action",
            "allow iam:PassRole on role/r in the permissions boundary that limits the calling "
            "identity, then apply again",
        ),
    ],
)
def test_the_message_says_what_is_missing_and_where(
    call: ApiCall, action: str, more: str, told: str
) -> None:
    """A call that passes a role needs two permissions, and one of them may be there."""
    error = AwsError(call.name, "AccessDenied", f"{SAID}{action}{more.format(action)}")
    wanted = missing_permission(call, error)
    assert advice(error, wanted) == told
    assert refusal(error, wanted) == f"AccessDenied: {error.message}"
