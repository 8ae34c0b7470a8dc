"""What whoever runs this may not do, in words that lead to the statement that is missing."""

from __future__ import annotations

from reconciler.plan.calls import ApiCall
from reconciler.ports import DENIED, AwsError

_NAMED = (
    ("InstanceProfileName", "instance-profile/"),
    ("RoleName", "role/"),
    ("PolicyArn", ""),
    ("PolicyName", "policy/"),
    ("InstanceId", "instance/"),
    ("AssociationId", "the instance of "),
    ("Resources", "instance/"),
    ("InstanceIds", "instance/"),
)
_PASSING = (
    "AddRoleToInstanceProfile",
    "AssociateIamInstanceProfile",
    "ReplaceIamInstanceProfileAssociation",
)
"""They also need ``iam:PassRole`` on the role. Source: service authorization reference, H."""


def missing_permission(call: ApiCall, error: AwsError) -> str:
    """``; needs iam:CreateRole on role/web``, empty for another refusal. EC2 names neither action
    nor resource itself. What was denied may be a read that goes before ``call``."""
    if error.code not in DENIED:
        return ""
    is_own = error.call == call.name
    more = " and iam:PassRole on the role" if is_own and call.operation in _PASSING else ""
    return f"; needs {error.call} on {resource_of(call)}{more}"


def resource_of(call: ApiCall) -> str:
    for parameter, start in _NAMED:
        value = call.params.get(parameter)
        if isinstance(value, list | tuple) and value:
            return f"{start}{value[0]}"
        if isinstance(value, str):
            return start + value
    return "*"
