"""What only reads: the same for every set of specs, but for the regions."""

from __future__ import annotations

from collections.abc import Iterator

from reconciler.permissions.scope import Scope
from reconciler.permissions.statements import Statement, statement
from reconciler.plan.authorization import ANALYZING, READS, REGION, Reading, reads_for


def reading(scope: Scope, purpose: Reading) -> Iterator[Statement]:
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


def analyzing(scope: Scope) -> Iterator[Statement]:
    """What `plan --access-analyzer` asks besides."""
    actions = [need.action for call in ANALYZING for need in READS[call].needs]
    yield from statement("AskAccessAnalyzer", actions, ["*"], scope.in_regions())


_OF_AWS = ("iam:GetPolicy", "iam:GetPolicyVersion")
