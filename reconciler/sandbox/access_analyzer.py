"""Access Analyzer, which moto lacks: a few of the checks of ``ValidatePolicy``, worded as AWS does,
and ``CheckNoNewAccess`` by what statements say.

Source: docs.aws.amazon.com/IAM/latest/UserGuide/access-analyzer-reference-policy-checks.html and
docs.aws.amazon.com/access-analyzer/latest/APIReference/API_CheckNoNewAccess.html
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator, Mapping
from types import ModuleType, SimpleNamespace
from typing import Any

from moto.core.base_backend import BackendDict, BaseBackend
from moto.core.exceptions import ServiceException
from moto.core.responses import ActionResult, BaseResponse

from reconciler.model.policy_document import as_list
from reconciler.model.policy_effect import compared, covers
from reconciler.sandbox.faults import refused

MODULE, SERVICE = "moto.accessanalyzer", "accessanalyzer"
BASE = r"https?://access-analyzer\.(.+)\.amazonaws\.com"
PATTERN = (SERVICE, re.compile(BASE))
_CHECKS = (
    "https://docs.aws.amazon.com/IAM/latest/UserGuide/access-analyzer-reference-policy-checks.html"
)
_TYPES = ("IDENTITY_POLICY", "RESOURCE_POLICY", "SERVICE_CONTROL_POLICY", "RESOURCE_CONTROL_POLICY")
_NEW = "The modified permissions grant new access compared to your existing policy."
_NONE = "The modified permissions do not grant new access compared to your existing policy."


def _validate_policy(request: Any) -> ActionResult:
    asked = json.loads(request.body)
    if asked.get("policyType") not in _TYPES:
        raise _invalid("policyType")
    found = list(_findings(asked["policyDocument"], asked["policyType"]))
    return ActionResult({"findings": found})


def _check_no_new_access(request: Any) -> ActionResult:
    asked = json.loads(request.body)
    before = _document(asked["existingPolicyDocument"], "existingPolicyDocument")
    after = _document(asked["newPolicyDocument"], "newPolicyDocument")
    reasons = list(_reasons(before, after))
    result = "FAIL" if reasons else "PASS"
    message = _NEW if reasons else _NONE
    return ActionResult({"result": result, "message": message, "reasons": reasons})


def _named(request: Any) -> None:
    BaseResponse.__init__(request, service_name=SERVICE)


# Made by hand: to a type checker, moto's classes are none.
_Response: Any = type(
    "AnalyzerResponse",
    (BaseResponse,),
    {
        "__init__": _named,
        "validate_policy": _validate_policy,
        "check_no_new_access": _check_no_new_access,
    },
)
_URLS = SimpleNamespace(
    url_bases=[BASE],
    url_paths={
        "{0}/policy/validation$": _Response.dispatch,
        "{0}/policy/check-no-new-access$": _Response.dispatch,
    },
)
_Backend: Any = type("AnalyzerBackend", (BaseBackend,), {"_url_module": _URLS})


def module() -> ModuleType:
    """The part of moto that it looks for under ``MODULE``."""
    made = ModuleType(MODULE)
    vars(made)[f"{SERVICE}_backends"] = BackendDict(_Backend, SERVICE)
    sys.modules[MODULE] = made
    return made


def _invalid(name: str) -> ServiceException:
    return refused("access-analyzer", "ValidationException", f"Invalid value for {name}")


def _document(text: str, name: str) -> Mapping[str, Any]:
    try:
        found = json.loads(text)
    except ValueError:
        found = None
    if not isinstance(found, dict):
        raise _invalid(name)
    return found


def _findings(text: str, kind: str) -> Iterator[dict[str, Any]]:
    try:
        document = json.loads(text)
    except ValueError as error:
        yield _finding("ERROR", "JSON_SYNTAX_ERROR", f"Fix the JSON syntax error: {error}.", ())
        return
    if "Version" not in document:
        details = (
            "We recommend that you specify the Version element to help you with debugging "
            "permission issues."
        )
        yield _finding("WARNING", "MISSING_VERSION", details, ())
    for number, statement in enumerate(as_list(document.get("Statement", []))):
        place = ("Statement", number)
        if kind == "RESOURCE_POLICY" and not {"Principal", "NotPrincipal"} & statement.keys():
            details = "Add a Principal element to the policy statement."
            yield _finding("ERROR", "MISSING_PRINCIPAL", details, place)
        yield from _passes_any(statement, place)
        yield from _redundant(statement, place)


def _passes_any(statement: Mapping[str, Any], place: tuple[Any, ...]) -> Iterator[dict[str, Any]]:
    keys = {key.casefold() for tested in statement.get("Condition", {}).values() for key in tested}
    if statement.get("Effect") != "Allow" or "iam:passedtoservice" in keys:
        return
    if not any(action.casefold() == "iam:passrole" for action in as_list(statement.get("Action"))):
        return
    for at, resource in enumerate(as_list(statement.get("Resource", []))):
        if resource == "*" or resource.endswith(":role/*"):
            details = (
                "Using the iam:PassRole action with wildcards (*) in the resource can be overly "
                "permissive because it allows iam:PassRole permissions on multiple resources. We "
                "recommend that you specify resource ARNs or add the iam:PassedToService "
                "condition key to your statement."
            )
            code = "PASS_ROLE_WITH_STAR_IN_RESOURCE"
            yield _finding("SECURITY_WARNING", code, details, (*place, "Resource", at))


def _redundant(statement: Mapping[str, Any], place: tuple[Any, ...]) -> Iterator[dict[str, Any]]:
    listed = as_list(statement.get("Action", []))
    for at, action in enumerate(listed):
        wider = [other for n, other in enumerate(listed) if n != at and other != action]
        if any(covers(other.casefold(), action.casefold()) for other in wider):
            details = (
                "The 1 action(s) are redundant because they provide similar permissions. Update "
                f"the policy to remove the redundant action such as: {action}."
            )
            yield _finding("SUGGESTION", "REDUNDANT_ACTION", details, (*place, "Action", at))


def _finding(kind: str, code: str, details: str, path: tuple[Any, ...]) -> dict[str, Any]:
    words = kind.replace("_", "-").casefold()
    anchor = f"access-analyzer-reference-policy-checks-{words}-{code.replace('_', '-').casefold()}"
    nowhere = {"line": 1, "column": 0, "offset": 0}
    elements = [{"index": one} if isinstance(one, int) else {"value": one} for one in path]
    return {
        "findingType": kind,
        "issueCode": code,
        "findingDetails": details,
        "learnMoreLink": f"{_CHECKS}#{anchor}",
        "locations": [{"path": elements, "span": {"start": nowhere, "end": nowhere}}],
    }


def _reasons(before: Mapping[str, Any], after: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """For each statement that allows something new, and for what is denied no more."""
    for number, statement in enumerate(as_list(after.get("Statement", []))):
        gained = compared(before, {**after, "Statement": [statement]}).gained
        if any(effect.effect == "Allow" for effect in gained):
            sid = statement.get("Sid")
            place = f"sid: {sid}" if sid else f"index: {number}"
            reason = {"description": f"New access in the statement with {place}."}
            yield {**reason, "statementIndex": number, **({"statementId": sid} if sid else {})}
    if any(effect.effect == "Deny" for effect in compared(before, after).lost):
        yield {"description": "A Deny of the existing policy is missing in the new one."}
