"""IAM Access Analyzer's checks of policies. Both read only, and no analyzer has to exist.

Source: docs.aws.amazon.com/access-analyzer/latest/APIReference/API_ValidatePolicy.html and
API_CheckNoNewAccess.html
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

from reconciler.aws.session import Clients
from reconciler.model.policy_document import PolicyUse
from reconciler.ports import FindingKind, PolicyFinding
from reconciler.threads import interruptible

_CLIENT = "accessanalyzer"
_KINDS: Mapping[str, FindingKind] = MappingProxyType(
    {
        "ERROR": "error",
        "SECURITY_WARNING": "security",
        "WARNING": "warning",
        "SUGGESTION": "suggestion",
    }
)


class AwsPolicyAnalyzer:
    """A ``PolicyAnalyzer`` over boto3, in one region."""

    def __init__(self, clients: Clients, region: str) -> None:
        self._clients = clients
        self._region = region

    @interruptible
    def validate(self, document: str, use: PolicyUse) -> tuple[PolicyFinding, ...]:
        asked: dict[str, Any] = {"policyDocument": document, "policyType": _type_of(use)}
        if use == "trust":
            asked["validatePolicyResourceType"] = "AWS::IAM::AssumeRolePolicyDocument"
        pages = self._client().get_paginator("validate_policy")
        with self._clients.session.calling("access-analyzer:ValidatePolicy", self._region):
            found = [one for page in pages.paginate(**asked) for one in page["findings"]]
        return tuple(map(_finding, found))

    @interruptible
    def new_access(self, before: str, after: str, use: PolicyUse) -> tuple[str, ...]:
        with self._clients.session.calling("access-analyzer:CheckNoNewAccess", self._region):
            answer = self._client().check_no_new_access(
                existingPolicyDocument=before, newPolicyDocument=after, policyType=_type_of(use)
            )
        if answer["result"] == "PASS":
            return ()
        reasons = [one.get("description") for one in answer.get("reasons", ())]
        told = dict.fromkeys(_line(reason) for reason in reasons if reason)
        return tuple(told) or (_line(answer.get("message") or answer["result"]),)

    def _client(self) -> Any:
        return self._clients.get(_CLIENT, self._region)


def _type_of(use: PolicyUse) -> str:
    return "RESOURCE_POLICY" if use == "trust" else "IDENTITY_POLICY"


def _finding(found: Mapping[str, Any]) -> PolicyFinding:
    places: Sequence[Mapping[str, Any]] = found.get("locations") or ({},)
    # Up to the value: a ``substring`` is a part of it.
    names = ("index", "key", "value")
    path = places[0].get("path", ())
    return PolicyFinding(
        _KINDS.get(found["findingType"], "warning"),
        str(found["issueCode"]),
        _line(found["findingDetails"]),
        str(found.get("learnMoreLink") or ""),
        tuple(element[name] for element in path for name in names if name in element),
    )


def _line(text: str) -> str:
    return " ".join(str(text).split())
