"""Authors of findings: the newest CloudTrail event that could have caused each."""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from itertools import chain

from reconciler.commands.planned import PlannedTarget
from reconciler.drift.findings import Actor, Drift, Finding
from reconciler.errors import DENIED, AwsError
from reconciler.model.address import POLICY
from reconciler.plan.plan import TargetPlan
from reconciler.ports import Clock, Event, Trail

_OUR_RUN = re.compile(r"\breconciler/\S+ run/(\w+)")
_HOME = {"aws-cn": "cn-north-1", "aws-us-gov": "us-gov-west-1"}
"""The region that records IAM events, by partition; us-east-1 in all others.
Source: docs.aws.amazon.com/IAM/latest/UserGuide/cloudtrail-integration.html"""
_SILENT = frozenset({"in_progress", "unknown"})
"""Statuses without an author: a run of this program is under way, or nothing is known."""
_PASSED_ON = ("AttachRolePolicy", "DetachRolePolicy")

EVENTS: dict[tuple[str, str], tuple[str, ...]] = {
    ("role", "trust_policy"): ("UpdateAssumeRolePolicy",),
    ("role", "managed_policies"): _PASSED_ON,
    ("role", "inline_policies"): ("PutRolePolicy", "DeleteRolePolicy"),
    ("role", "permissions_boundary"): (
        "PutRolePermissionsBoundary",
        "DeleteRolePermissionsBoundary",
    ),
    ("role", "description"): ("UpdateRole", "UpdateRoleDescription"),
    ("role", "max_session_duration"): ("UpdateRole",),
    ("role", "tags"): ("TagRole", "UntagRole"),
    ("policy", "document"): ("CreatePolicyVersion", "SetDefaultPolicyVersion"),
    ("policy", "tags"): ("TagPolicy", "UntagPolicy"),
    ("instance-profile", "role"): (
        "AddRoleToInstanceProfile",
        "RemoveRoleFromInstanceProfile",
    ),
    ("instance-profile", "served_role"): (
        "AddRoleToInstanceProfile",
        "RemoveRoleFromInstanceProfile",
    ),
    ("instance-profile", "tags"): ("TagInstanceProfile", "UntagInstanceProfile"),
    ("association", "instance_profile"): (
        "AssociateIamInstanceProfile",
        "DisassociateIamInstanceProfile",
        "ReplaceIamInstanceProfileAssociation",
    ),
}
"""API calls that change an attribute, by kind and attribute."""
GONE = {
    "role": ("DeleteRole",),
    "policy": ("DeletePolicy",),
    "instance-profile": ("DeleteInstanceProfile",),
    "association": ("DisassociateIamInstanceProfile", "ReplaceIamInstanceProfileAssociation"),
}
MADE = {
    "role": ("CreateRole",),
    "policy": ("CreatePolicy",),
    "instance-profile": ("CreateInstanceProfile",),
    "association": ("RunInstances", "AssociateIamInstanceProfile"),
}


@dataclass
class Attributor:
    """Looks up authors in CloudTrail, in each target until access is denied."""

    targets: tuple[PlannedTarget, ...]
    clock: Clock
    refused: dict[str, str] = field(default_factory=dict)
    """Why access was denied, by target."""
    _trails: dict[str, Trail] = field(default_factory=dict)

    def named(self, drift: Drift) -> Drift:
        """The drift with an ``Actor`` for each finding, except for those in ``_SILENT``."""
        return replace(drift, findings=tuple(self._named(f) for f in drift.findings))

    def _named(self, finding: Finding) -> Finding:
        target = next((t for t in self.targets if t.plan.target == finding.target), None)
        if target is None or finding.status in _SILENT:
            return finding
        if why := self.refused.get(finding.target):
            return replace(finding, actor=Actor(unknown=why))
        try:
            return replace(finding, actor=self._actor(finding, target))
        except AwsError as error:
            is_denied = error.code in DENIED
            why = "no permission for cloudtrail:LookupEvents" if is_denied else error.code
            if is_denied:
                self.refused[finding.target] = why
            return replace(finding, actor=Actor(unknown=why))

    def _actor(self, finding: Finding, target: PlannedTarget) -> Actor:
        wanted = events_for(finding)
        name = finding.target
        if name not in self._trails:
            self._trails[name] = target.connection.trail(self.clock)
        events = self._trails[name].events(*_place(finding, target.plan))
        found = next((e for e in events if e.name in wanted), None)
        if found is None:
            return Actor(
                unknown="no event found: events arrive minutes late, and are kept for 90 days"
            )
        return _actor(found)


def events_for(finding: Finding) -> frozenset[str]:
    """Names of the API calls that could have caused the finding."""
    kind = finding.address.kind
    match finding.status:
        case "missing":
            return frozenset(GONE.get(kind, ()))
        case "unmanaged" | "unadopted" | "left":
            return frozenset(MADE.get(kind, ()))
        case _:
            parts = {d.path.partition(".")[0] for d in finding.differences}
            named = (EVENTS.get((kind, part), ()) for part in parts)
            every = (names for (of, _), names in EVENTS.items() if of == kind)
            return frozenset(chain(*named)) or frozenset(chain(*every))


def _place(finding: Finding, plan: TargetPlan) -> tuple[str, str]:
    """Region and resource name to look up in CloudTrail; for a policy the name is its ARN."""
    kind, name = finding.address.kind, finding.address.name
    if kind == "association":
        return finding.region or plan.regions[0], name
    identity = plan.identity
    home = _HOME.get(identity.partition, "us-east-1")
    if kind == "policy":
        live = plan.based_on.get(finding.address)
        made = identity.arns.of(POLICY, "/", name)
        return home, live.arn if live is not None else made
    return home, name


def _actor(event: Event) -> Actor:
    run = _OUR_RUN.search(event.user_agent)
    time = datetime.fromtimestamp(event.at, tz=UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return Actor(event.by, event.name, event.id, time, run[1] if run else None)
