"""AWS's simulator of policies, and its reports of what a role has used. Reads only.

Source: docs.aws.amazon.com/IAM/latest/APIReference/API_EvaluationResult.html and
docs.aws.amazon.com/IAM/latest/APIReference/API_GetServiceLastAccessedDetails.html
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from reconciler.aws.session import Clients
from reconciler.errors import AwsError
from reconciler.model.policy_document import minified
from reconciler.plan.authorization import Context, Decision, Question, Simulated, Verdict
from reconciler.plan.impact import LastUse, Usage
from reconciler.ports import NO_REPORT
from reconciler.threads import interruptible

_SWITCHES = frozenset({"aws:securetransport", "aws:viaawsservice"})
_GENERATE = "iam:GenerateServiceLastAccessedDetails"
_GET = "iam:GetServiceLastAccessedDetails"
_PAGE = 1000


class Simulator:
    """``clients`` are patient: AWS throttles the simulator early."""

    def __init__(self, clients: Clients) -> None:
        self._clients = clients

    @interruptible
    def of_principal(self, principal: str, question: Question) -> tuple[Simulated, ...]:
        asked = {
            "PolicySourceArn": principal,
            "ContextEntries": list(_entries(question.context, principal)),
        }
        return self._asked("SimulatePrincipalPolicy", asked, question)

    @interruptible
    def of_documents(
        self, documents: Iterable[Any], boundary: Any, question: Question
    ) -> tuple[Simulated, ...]:
        asked: dict[str, Any] = {
            "PolicyInputList": [minified(one) for one in documents],
            "ContextEntries": [_entry(key, values) for key, values in question.context],
        }
        if not asked["PolicyInputList"]:
            # AWS takes no empty list; and where no policy is, nothing is allowed.
            return tuple(
                Simulated(action, resource, "implicitDeny")
                for action in question.actions
                for resource in question.resources
            )
        if boundary is not None:
            asked["PermissionsBoundaryPolicyInputList"] = [minified(boundary)]
        return self._asked("SimulateCustomPolicy", asked, question)

    def _asked(
        self, operation: str, asked: Mapping[str, Any], question: Question
    ) -> tuple[Simulated, ...]:
        method = {
            "SimulatePrincipalPolicy": "simulate_principal_policy",
            "SimulateCustomPolicy": "simulate_custom_policy",
        }[operation]
        pages = self._clients.get("iam").get_paginator(method)
        params = {
            **asked,
            "ActionNames": list(question.actions),
            "ResourceArns": list(question.resources),
        }
        with self._clients.session.calling(f"iam:{operation}"):
            results = [r for page in pages.paginate(**params) for r in page["EvaluationResults"]]
        return tuple(one for result in results for one in _simulated(result, question))

    @interruptible
    def begin_report(self, role: str) -> str:
        client = self._clients.get("iam")
        with self._clients.session.calling(_GENERATE):
            answer = client.generate_service_last_accessed_details(
                Arn=role, Granularity="ACTION_LEVEL"
            )
        return str(answer["JobId"])

    @interruptible
    def report(self, job: str) -> Usage | None:
        client = self._clients.get("iam")
        pages: list[Mapping[str, Any]] = []
        more: dict[str, Any] = {}
        with self._clients.session.calling(_GET):
            while not pages or more:
                page = client.get_service_last_accessed_details(JobId=job, MaxItems=_PAGE, **more)
                if page["JobStatus"] == "IN_PROGRESS":
                    return None
                if page["JobStatus"] != "COMPLETED":
                    found = page.get("Error") or {}
                    message = str(found.get("Message", "the report failed"))
                    raise AwsError(_GET, str(found.get("Code", NO_REPORT)), message)
                pages.append(page)
                more = {"Marker": page["Marker"]} if page.get("IsTruncated") else {}
        return _usage(s for page in pages for s in page["ServicesLastAccessed"])


def _usage(services: Iterable[Mapping[str, Any]]) -> Usage:
    actions: dict[str, LastUse] = {}
    used: dict[str, LastUse] = {}
    tracked: set[str] = set()
    for service in services:
        prefix = str(service["ServiceNamespace"])
        if at := service.get("LastAuthenticated"):
            used[prefix] = LastUse(at.timestamp(), service.get("LastAuthenticatedRegion"))
        for one in service.get("TrackedActionsLastAccessed") or ():
            name = f"{prefix}:{one['ActionName']}"
            tracked.add(name.casefold())
            if at := one.get("LastAccessedTime"):
                actions[name] = LastUse(at.timestamp(), one.get("LastAccessedRegion"))
    return Usage(actions, used, frozenset(tracked))


def _entries(context: Context, principal: str) -> Iterator[dict[str, Any]]:
    """With what is so of every call of ours."""
    always = {
        "aws:PrincipalArn": (principal,),
        "aws:PrincipalAccount": (principal.split(":")[4],),
        "aws:SecureTransport": ("true",),
        "aws:ViaAWSService": ("false",),
    }
    for key, values in sorted({**always, **dict(context)}.items()):
        yield _entry(key, values)


def _entry(key: str, values: Iterable[str]) -> dict[str, Any]:
    given = list(values)
    kind = "boolean" if key.casefold() in _SWITCHES else "string"
    # One of several values, however many there are.
    kind = "stringList" if key.casefold() == "aws:tagkeys" or len(given) > 1 else kind
    return {"ContextKeyName": key, "ContextKeyType": kind, "ContextKeyValues": given}


def _simulated(result: Mapping[str, Any], question: Question) -> Iterator[Simulated]:
    """Of each resource by itself: the result as a whole is that of the worst of them."""
    action = str(result["EvalActionName"])
    single = result.get("ResourceSpecificResults")
    if not single:
        for resource in question.resources:
            yield _one(action, resource, result["EvalDecision"], result, result)
        return
    for one in single:
        resource = str(one["EvalResourceName"])
        yield _one(action, resource, one["EvalResourceDecision"], one, result)


def _one(
    action: str, resource: str, found: Any, one: Mapping[str, Any], whole: Mapping[str, Any]
) -> Simulated:
    organization = whole.get("OrganizationsDecisionDetail") or {}
    boundary = one.get("PermissionsBoundaryDecisionDetail") or whole.get(
        "PermissionsBoundaryDecisionDetail"
    )
    lacking = one.get("MissingContextValues") or whole.get("MissingContextValues") or ()
    return Simulated(
        action,
        resource,
        found,
        tuple(sorted(map(str, lacking))),
        is_bounded=(boundary or {}).get("AllowedByPermissionsBoundary") is False,
        is_organization=organization.get("AllowedByOrganizations") is False,
    )


def verdict_of(found: Simulated) -> Verdict:
    """Of a call of ours, whose condition keys are known but for some."""
    if found.decision == "allowed":
        return Verdict(found.action, found.resource, "allowed")
    decision: Decision = "unknown" if found.lacking else "denied"
    why = _why(found)
    if found.lacking:
        why = f"{why}, as far as can be told without {', '.join(found.lacking)}"
    return Verdict(found.action, found.resource, decision, why)


def _why(found: Simulated) -> str:
    if found.is_organization:
        return "a policy of the organization does not allow it"
    if found.decision == "explicitDeny":
        return "a policy denies it"
    if found.is_bounded:
        return "the permissions boundary does not allow it"
    return "no policy allows it"
