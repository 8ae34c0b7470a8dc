"""What only reads: the same for every set of specs, but for the regions."""

from __future__ import annotations

from collections.abc import Collection, Iterator

from reconciler.permissions.scope import PermissionScope
from reconciler.permissions.statements import Statement, statement
from reconciler.plan.authorization import (
    ANALYZING,
    COMMANDS,
    OF_IMPACT,
    ON_INSTANCES,
    READS,
    REGION,
    Reading,
    reads_for,
)


def reading(scope: PermissionScope, purpose: Reading) -> Iterator[Statement]:
    """Lists of everything name every resource, so details are not narrowed to those of the specs:
    roles that hold a profile of the specs, or their owner's mark, are known only from AWS."""
    needs = reads_for(purpose)
    everywhere = [need.action for need in needs if need.on == "*" and REGION not in need.keys]
    in_regions = [need.action for need in needs if REGION in need.keys]
    yield from statement("ReadAccount", everywhere, ["*"])
    for kind, sid in (("role", "ReadRoles"), ("instance-profile", "ReadInstanceProfiles")):
        actions = [need.action for need in needs if need.on == kind]
        yield from statement(sid, actions, scope.every(kind))
    policies = [need.action for need in needs if need.on == "policy"]
    # AWS's own are read to learn whether they exist, and what somebody attached allows.
    own = [action for action in policies if action in _OF_AWS]
    aws = (scope.arns.aws_managed("/", "*"),) if own else ()
    yield from statement("ReadPolicies", policies, (*scope.every("policy"), *aws))
    yield from statement("ReadInstances", in_regions, ["*"], scope.in_regions())
    if scope.asks_impact and purpose in ("plan", "apply"):
        asked = [need for call in OF_IMPACT for need in READS[call].needs]
        alone = [need.action for need in asked if need.on == "*"]
        of_roles = [need.action for need in asked if need.on == "role"]
        yield from statement("AskImpact", alone, ["*"])
        yield from statement("AskImpactOnRoles", of_roles, scope.every("role"))


def analyzing(scope: PermissionScope) -> Iterator[Statement]:
    """What `plan --access-analyzer` asks besides."""
    actions = [need.action for call in ANALYZING for need in READS[call].needs]
    yield from statement("AskAccessAnalyzer", actions, ["*"], scope.in_regions())


def watching(*, alarms: bool, target_groups: bool, denied: bool) -> Iterator[Statement]:
    """What roll-outs watch. AWS answers about composite alarms only to those who may ask about all,
    and narrows neither of the others to resources. Alarms may be in a region without instances."""
    asked = {
        "cloudwatch:DescribeAlarms": alarms,
        "elasticloadbalancing:DescribeTargetHealth": target_groups,
        "cloudtrail:LookupEvents": denied,
    }
    actions = [
        need.action for call, is_asked in asked.items() if is_asked for need in READS[call].needs
    ]
    yield from statement("WatchRollOuts", actions, ["*"])


def verifying(scope: PermissionScope, sources: Collection[str]) -> Iterator[Statement]:
    """What roll-outs that prove each batch ask."""
    if "cloudtrail" in sources:
        actions = [need.action for need in READS["cloudtrail:LookupEvents"].needs]
        yield from statement("VerifyRollOuts", actions, ["*"])
    if "imds" in sources:
        yield from asking_instances(scope)


def asking_instances(scope: PermissionScope) -> Iterator[Statement]:
    """What it takes to run the command that asks the metadata service of instances. AWS cannot
    narrow it to that command: whoever may run these documents may run anything."""
    needs = [need for call in ON_INSTANCES for need in READS[call].needs]
    everywhere = [need.action for need in needs if need.on == "*"]
    yield from statement("FollowCommands", everywhere, ["*"])
    sending = [need.action for need in needs if need.on == "instance"]
    documents = [scope.aws_document(name) for name in COMMANDS]
    yield from statement("AskInstances", sending, [*scope.instances(), *documents])


_OF_AWS = ("iam:GetPolicy", "iam:GetPolicyVersion")
