"""Which line of the specs a step is for."""

from __future__ import annotations

from reconciler.diagnostics import Location
from reconciler.model.address import name_key, name_of
from reconciler.plan.calls import ApiCall
from reconciler.plan.changes import Change

MALFORMED = "MalformedPolicyDocument"
_ATTRIBUTES = {
    "AddRoleToInstanceProfile": "role",
    "AssociateIamInstanceProfile": "instances",
    "CreatePolicyVersion": "document",
    "CreateTags": "instances",
    "DeleteRolePermissionsBoundary": "permissions_boundary",
    "PutRolePermissionsBoundary": "permissions_boundary",
    "RemoveRoleFromInstanceProfile": "role",
    "ReplaceIamInstanceProfileAssociation": "instances",
    "TagInstanceProfile": "tags",
    "TagPolicy": "tags",
    "TagRole": "tags",
    "UntagInstanceProfile": "tags",
    "UntagPolicy": "tags",
    "UntagRole": "tags",
    "UpdateAssumeRolePolicy": "trust_policy",
}
_CREATING = {"CreateRole": "trust_policy", "CreatePolicy": "document"}
"""What AWS finds malformed in a call that sends everything at once."""


def place_of(change: Change | None, action: object, code: str) -> Location | None:
    """The line of the attribute that the step of the change is about, or else of the resource;
    ``None`` for what the specs do not have. An action that is no call is a cut-over, or part of
    one. ``code`` is that of the refusal."""
    if change is None:
        return None
    attributes = _attributes(action, code) if isinstance(action, ApiCall) else ("role",)
    known = (change.places[name] for name in attributes if name in change.places)
    return next(known, change.source)


def _attributes(call: ApiCall, code: str) -> tuple[str, ...]:
    """Names as in ``Change.places``, the best first."""
    match call.operation:
        case "PutRolePolicy":
            return (f"inline_policies.{name_key(call.params['PolicyName'])}",)
        case "AttachRolePolicy":
            return (f"managed_policies.{name_key(name_of(call.params['PolicyArn']))}",)
        case "UpdateRole":
            return ("max_session_duration", "description")
        case "CreateRole" | "CreatePolicy" if code == MALFORMED:
            return (_CREATING[call.operation],)
        case operation:
            return (_ATTRIBUTES[operation],) if operation in _ATTRIBUTES else ()
