"""Nothing but the given instance and the profiles of the probe is changed: whatever a mistake in
an experiment asks for, it is stopped here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from reconciler.plan.calls import ApiCall
from reconciler.ports import Writer

PATH = "/reconciler-probe/"
"""Of every profile that a probe makes."""
START = "reconciler-probe-"
"""How their names begin; that of a role that does not exist, too."""
NO_INSTANCE = "i-00000000000000000"
NO_ASSOCIATION = "iip-assoc-00000000000000000"
MALFORMED = "no-id"
"""Ids that nothing has."""
PROBE_TAG = "reconciler:probe"
ORIGINAL_TAG = "reconciler:probe-original"
"""On the instance while it is probed: the profile that it gets back."""
INSTANCE_TAG = "reconciler:probe-instance"
"""On a temporary profile: for which instance it was made."""

READS = frozenset(
    {
        "sts:GetCallerIdentity",
        "iam:GetRole",
        "iam:ListRoles",
        "iam:GetInstanceProfile",
        "iam:ListInstanceProfiles",
        "iam:ListInstanceProfilesForRole",
        "iam:ListInstanceProfileTags",
        "iam:ListAttachedRolePolicies",
        "iam:GetAccountAuthorizationDetails",
        "ec2:DescribeInstances",
        "ec2:DescribeIamInstanceProfileAssociations",
        "tag:GetResources",
    }
)
ON_PROFILES = frozenset(
    {
        "iam:CreateInstanceProfile",
        "iam:DeleteInstanceProfile",
        "iam:AddRoleToInstanceProfile",
        "iam:RemoveRoleFromInstanceProfile",
        "iam:TagInstanceProfile",
    }
)
ON_TAGS = frozenset({"ec2:CreateTags", "ec2:DeleteTags"})
ON_ASSOCIATIONS = frozenset(
    {"ec2:DisassociateIamInstanceProfile", "ec2:ReplaceIamInstanceProfileAssociation"}
)
ASSOCIATE = "ec2:AssociateIamInstanceProfile"
RESTARTS = frozenset({"ec2:StopInstances", "ec2:StartInstances"})
CALLS = READS | ON_PROFILES | ON_TAGS | ON_ASSOCIATIONS | RESTARTS | {ASSOCIATE}
"""All calls of a probe, besides those that ask for evidence."""
CLIENTS = {"tag": "resourcegroupstaggingapi"}
"""boto3's name of a service, where that is another than the prefix of its actions."""


class NotOursError(Exception):
    """A bug: an experiment asked for what a probe must not touch."""


@dataclass
class WriteGuard:
    """Sends what a probe may send. ``associations`` are the ids of the instance's own, which grow
    as they are read."""

    writer: Writer
    instance: str
    roles: frozenset[str]
    may_restart: bool = False
    associations: set[str] = field(default_factory=set)

    def send(self, call: ApiCall) -> Mapping[str, Any]:
        if not self._is_ours(call.name, call.params):
            raise NotOursError(f"{call.name} of {sorted(call.params)}")
        service = CLIENTS.get(call.service, call.service)
        answer = self.writer.send(ApiCall(service, call.operation, call.params, call.region))
        for row in answer.get("IamInstanceProfileAssociations", ()):
            self._note(row)
        self._note(answer.get("IamInstanceProfileAssociation") or {})
        return answer

    def _note(self, row: Mapping[str, Any]) -> None:
        if row.get("InstanceId") == self.instance:
            self.associations.add(str(row["AssociationId"]))

    def _is_ours(self, name: str, params: Mapping[str, Any]) -> bool:
        if name in READS:
            return True
        if name in ON_PROFILES:
            role = params.get("RoleName")
            is_role = role is None or role in self.roles or str(role).startswith(START)
            is_put = name == "iam:CreateInstanceProfile"
            # IAM's names ignore case, and so an experiment asks whether they do.
            is_named = str(params["InstanceProfileName"]).casefold().startswith(START)
            return is_named and is_role and (not is_put or str(params.get("Path")).startswith(PATH))
        if name == ASSOCIATE:
            return params["InstanceId"] in (self.instance, NO_INSTANCE, MALFORMED)
        if name in ON_ASSOCIATIONS:
            known = (*self.associations, NO_ASSOCIATION, MALFORMED)
            return params["AssociationId"] in known
        if name in ON_TAGS:
            keys = [tag["Key"] for tag in params["Tags"]]
            return params["Resources"] == [self.instance] and keys == [ORIGINAL_TAG]
        if name in RESTARTS:
            # One that was stopped is started again in any case.
            may = self.may_restart or name == "ec2:StartInstances"
            return may and params["InstanceIds"] == [self.instance]
        return False
