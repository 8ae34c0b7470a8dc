"""A refusal names the permission that is missing."""

from __future__ import annotations

import pytest

from reconciler.errors import AwsError
from reconciler.executor.outcomes import missing_permission
from reconciler.plan.calls import ApiCall

CASES = [
    (ApiCall("iam", "CreateRole", {"RoleName": "web"}), "; needs iam:CreateRole on role/web"),
    (
        ApiCall("iam", "AddRoleToInstanceProfile", {"InstanceProfileName": "p", "RoleName": "r"}),
        "; needs iam:AddRoleToInstanceProfile on instance-profile/p and iam:PassRole on the role",
    ),
    (
        ApiCall("ec2", "CreateTags", {"Resources": ["i-1"]}, "eu-west-1"),
        "; needs ec2:CreateTags on instance/i-1",
    ),
    (ApiCall("iam", "GetAccountSummary", {}), "; needs iam:GetAccountSummary on *"),
]


@pytest.mark.parametrize(("call", "wanted"), CASES)
def test_denied(call: ApiCall, wanted: str) -> None:
    assert missing_permission(call, AwsError(call.name, "AccessDenied", "no")) == wanted


def test_other_refusals_say_what_they_say() -> None:
    call = CASES[0][0]
    assert missing_permission(call, AwsError(call.name, "Throttling", "no")) == ""
