"""AWS's simulator of policies, which moto lacks: ``SimulatePrincipalPolicy`` for a role or a user
of the sandbox, by its policies and its boundary. An action that the sandbox denies is denied.

Source: docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_evaluation-logic.html
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from typing import Any

from reconciler.model.policy_decision import Asked, Outcome, decide, keys_of
from reconciler.sandbox.faults import refused


def simulated(backend: Any, denied: Collection[str], asked: Mapping[str, Any]) -> dict[str, Any]:
    """The answer. ``denied`` are actions that the sandbox refuses to everybody. Raises the error
    for a principal that does not exist."""
    principal = _principal(backend, str(asked.get("PolicySourceArn")))
    given = {
        entry["ContextKeyName"].casefold(): tuple(entry.get("ContextKeyValues", ()))
        for entry in asked.get("ContextEntries", ())
    }
    own = _policies(principal, backend)
    boundary = _boundary(principal, backend)
    named = {key for policy in (*own, *(boundary or ())) for key in keys_of(policy)}
    lacking = sorted(key for key in named if key.casefold() not in given)
    results = []
    for action in asked["ActionNames"]:
        single = []
        for resource in asked.get("ResourceArns") or ["*"]:
            one = Asked(action, resource, given)
            within = boundary is None or _decided(boundary, one) == "allowed"
            found = "implicitDeny" if action in denied else _decided(own, one)
            if found == "allowed" and not within:
                found = "implicitDeny"
            made: dict[str, Any] = {
                "EvalResourceName": resource,
                "EvalResourceDecision": found,
                "MatchedStatements": [],
                "MissingContextValues": lacking,
            }
            if boundary is not None:
                made["PermissionsBoundaryDecisionDetail"] = {"AllowedByPermissionsBoundary": within}
            single.append(made)
        worst = max((one["EvalResourceDecision"] for one in single), key=_ORDER.index)
        results.append(
            {
                "EvalActionName": action,
                "EvalResourceName": single[0]["EvalResourceName"],
                "EvalDecision": worst,
                "MatchedStatements": [],
                "MissingContextValues": lacking,
                "ResourceSpecificResults": single,
            }
        )
    return {"EvaluationResults": results, "IsTruncated": False}


_ORDER = ("allowed", "implicitDeny", "explicitDeny")


def _decided(policies: list[Any], asked: Asked) -> Outcome:
    try:
        return decide(policies, asked).outcome
    except ValueError as error:
        raise refused("iam", "InvalidInput", str(error)) from error


def _principal(backend: Any, arn: str) -> Any:
    for one in (*backend.get_roles(), *backend.users.values(), *backend.groups.values()):
        if one.arn == arn:
            return one
    if ":sts:" in arn or not arn.startswith("arn:"):
        raise refused("iam", "InvalidInput", f"Invalid Entity Arn: {arn}")
    raise refused("iam", "NoSuchEntity", f"{arn} cannot be found.", 404)


def _policies(principal: Any, backend: Any) -> list[Any]:
    holders = [principal]
    if hasattr(principal, "access_keys"):
        holders += backend.get_groups_for_user(principal.name)
    texts = [text for holder in holders for text in holder.policies.values()]
    texts += [_default(p) for holder in holders for p in holder.managed_policies.values()]
    return [json.loads(text) for text in texts]


def _boundary(principal: Any, backend: Any) -> list[Any] | None:
    arn = getattr(principal, "permissions_boundary_arn", None)
    return [json.loads(_default(backend.get_policy(arn)))] if arn else None


def _default(policy: Any) -> str:
    return next(
        str(v.document) for v in policy.versions if v.version_id == policy.default_version_id
    )
