"""AWS's simulator of policies, which moto lacks: ``SimulatePrincipalPolicy`` for a role or a user
of the sandbox, by its policies and its boundary, and ``SimulateCustomPolicy`` for documents. An
action that the sandbox denies is denied to every principal.

Source: docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_evaluation-logic.html
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Mapping
from typing import Any

from reconciler.model.policy_decision import Outcome, PolicyQuestion, decide, keys_of, statements
from reconciler.sandbox.faults import refused


def simulated(backend: Any, denied: Collection[str], asked: Mapping[str, Any]) -> dict[str, Any]:
    """The answer. ``denied`` are actions that the sandbox refuses to everybody. Raises the error
    for a principal that does not exist."""
    principal = principal_of(backend, str(asked.get("PolicySourceArn")))
    own = [*policies_of(principal, backend), *_given(asked, "PolicyInputList")]
    limits = _given(asked, _BOUNDARY) or None
    arn = getattr(principal, "permissions_boundary_arn", None)
    if limits is None and arn:
        limits = [json.loads(_default(backend.get_policy(arn)))]
    return _answer(own, limits, denied, asked)


def simulated_documents(asked: Mapping[str, Any]) -> dict[str, Any]:
    """The answer of ``SimulateCustomPolicy``, by the documents of the request alone."""
    own = _given(asked, "PolicyInputList")
    if not own:
        raise refused("iam", "InvalidInput", "Invalid Input: PolicyInputList must not be empty")
    return _answer(own, _given(asked, _BOUNDARY) or None, (), asked)


_BOUNDARY = "PermissionsBoundaryPolicyInputList"


def _given(asked: Mapping[str, Any], name: str) -> list[Any]:
    texts = asked.get(name) or ()
    if name == _BOUNDARY and len(texts) > 1:
        raise refused("iam", "InvalidInput", f"Invalid Input: {name} takes one policy")
    try:
        documents = [json.loads(text) for text in texts]
        for one in documents:
            if any(s["Effect"] not in ("Allow", "Deny") for s in statements(one)):
                raise KeyError
    except (ValueError, KeyError, TypeError) as error:
        raise refused("iam", "InvalidInput", f"Invalid Input: {name}: not a policy") from error
    return documents


def _answer(
    own: list[Any],
    boundary: list[Any] | None,
    denied: Collection[str],
    asked: Mapping[str, Any],
) -> dict[str, Any]:
    given = {
        entry["ContextKeyName"].casefold(): tuple(entry.get("ContextKeyValues", ()))
        for entry in asked.get("ContextEntries", ())
    }
    named = {key for policy in (*own, *(boundary or ())) for key in keys_of(policy)}
    lacking = sorted(key for key in named if key.casefold() not in given)
    resources = asked.get("ResourceArns") or ["*"]
    if wild := [a for a in asked["ActionNames"] if not re.fullmatch(r"[^:*?]+:[^:*?]+", a)]:
        raise refused("iam", "InvalidInput", f"Invalid Input: action {wild[0]} is not valid")
    results = []
    for action in asked["ActionNames"]:
        single = [
            _on(PolicyQuestion(action, resource, given), own, boundary, action in denied)
            for resource in resources
        ]
        for one in single:
            one["MissingContextValues"] = lacking
        worst = max((one["EvalResourceDecision"] for one in single), key=_ORDER.index)
        made: dict[str, Any] = {
            "EvalActionName": action,
            "EvalResourceName": single[0]["EvalResourceName"],
            "EvalDecision": worst,
            "MatchedStatements": [],
            "MissingContextValues": lacking,
            "ResourceSpecificResults": single,
        }
        results.append(made)
    return {"EvaluationResults": results, "IsTruncated": False}


def _on(
    asked: PolicyQuestion, own: list[Any], boundary: list[Any] | None, is_denied: bool
) -> dict[str, Any]:
    found: Outcome = "implicitDeny" if is_denied else _decided(own, asked)
    made: dict[str, Any] = {"EvalResourceName": asked.resource, "MatchedStatements": []}
    if boundary is not None:
        limit = _decided(boundary, asked)
        made["PermissionsBoundaryDecisionDetail"] = {
            "AllowedByPermissionsBoundary": limit == "allowed"
        }
        found = max(found, limit, key=_ORDER.index)
    return {**made, "EvalResourceDecision": found}


_ORDER: tuple[Outcome, ...] = ("allowed", "implicitDeny", "explicitDeny")


def _decided(policies: list[Any], asked: PolicyQuestion) -> Outcome:
    try:
        return decide(policies, asked).outcome
    except ValueError as error:
        raise refused("iam", "InvalidInput", str(error)) from error


def principal_of(backend: Any, arn: str) -> Any:
    for one in (*backend.get_roles(), *backend.users.values(), *backend.groups.values()):
        if one.arn == arn:
            return one
    if ":sts:" in arn or not arn.startswith("arn:"):
        raise refused("iam", "InvalidInput", f"Invalid Entity Arn: {arn}")
    raise refused("iam", "NoSuchEntity", f"{arn} cannot be found.", 404)


def policies_of(principal: Any, backend: Any) -> list[Any]:
    holders = [principal]
    if hasattr(principal, "access_keys"):
        holders += backend.get_groups_for_user(principal.name)
    texts = [text for holder in holders for text in holder.policies.values()]
    texts += [_default(p) for holder in holders for p in holder.managed_policies.values()]
    return [json.loads(text) for text in texts]


def _default(policy: Any) -> str:
    return next(
        str(v.document) for v in policy.versions if v.version_id == policy.default_version_id
    )
