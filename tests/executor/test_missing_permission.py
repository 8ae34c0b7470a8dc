"""A refusal names the permission that is missing."""

from __future__ import annotations

import pytest

from reconciler.errors import AwsError
from reconciler.executor.outcomes import missing_permission, refusal
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
