"""Reads roles, policies and profiles one by one: under ``--only``, where reading in bulk is denied,
and just before something is changed."""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TypeVar

from reconciler.address import Address, by_name, name_key, name_of, policy_address
from reconciler.aws import parse
from reconciler.aws.asking import Asking
from reconciler.live import LivePolicy, LiveProfile, LiveRole
from reconciler.ownership import Pending, shadow_name
from reconciler.ports import DENIED, UNREADABLE, AwsError, Named

_L = TypeVar("_L", LiveRole, LivePolicy, LiveProfile)


@dataclass
class Collected:
    """By name in lower case. ``unread`` has the address of each thing that was denied, with the
    reason."""

    roles: dict[str, LiveRole] = field(default_factory=dict)
    policies: dict[str, LivePolicy] = field(default_factory=dict)
    profiles: dict[str, LiveProfile] = field(default_factory=dict)
    unread: dict[Address, str] = field(default_factory=dict)


class Entities:
    """``None`` for what is not there; raises ``AwsError``."""

    def __init__(self, ask: Asking, prefix: str, regions: Container[str]) -> None:
        self._ask = ask
        self._prefix = prefix
        self._regions = regions

    def role(self, name: str) -> LiveRole | None:
        return _seen_whole(self._role, name)

    def policy(self, arn: str) -> LivePolicy | None:
        return _seen_whole(self._policy, arn)

    def _role(self, name: str) -> LiveRole:
        role = self._ask.call("iam", "get_role", RoleName=name)["Role"]
        ask, of = self._ask, {"RoleName": name}
        listed = ask.pages("iam", "list_attached_role_policies", "AttachedPolicies", None, **of)
        names = ask.pages("iam", "list_role_policies", "PolicyNames", None, **of)
        inline = [ask.call("iam", "get_role_policy", PolicyName=n, **of) for n in names]
        detail = {**role, "AttachedManagedPolicies": listed, "RolePolicyList": inline}
        return parse.role(detail, role, self._prefix)

    def profile(self, name: str) -> LiveProfile | None:
        answer = self._ask.found("get_instance_profile", InstanceProfileName=name)
        if answer is None:
            return None
        profile = answer["InstanceProfile"]
        tags = parse.tags_of(profile.get("Tags"))
        return parse.profile(profile, tags, self._prefix, self._regions)

    def _policy(self, arn: str) -> LivePolicy:
        policy = self._ask.call("iam", "get_policy", PolicyArn=arn)["Policy"]
        versions = self._ask.pages("iam", "list_policy_versions", "Versions", PolicyArn=arn)
        default = self._ask.call(
            "iam", "get_policy_version", PolicyArn=arn, VersionId=policy["DefaultVersionId"]
        )["PolicyVersion"]
        listed = [v if not v["IsDefaultVersion"] else {**v, **default} for v in versions]
        detail = {**policy, "PolicyVersionList": listed}
        return parse.policy(detail, parse.tags_of(policy.get("Tags")), self._prefix)

    def collect(self, named: Named, pool: ThreadPoolExecutor) -> Collected:
        """What is named, the roles that are inside the profiles, and policies wherever they lie."""
        made = Collected()
        profiles = self._each("instance-profile", self.profile, named.profiles, pool, made)
        # A hop is under way only while the profile is noted as pending.
        hopping = [shadow_name(p.resource.name) for p in profiles if isinstance(p.mark, Pending)]
        profiles += self._each("instance-profile", self.profile, hopping, pool, made)
        made.profiles = by_name((p.resource.name, p) for p in profiles)
        inside = {p.resource.role for p in profiles if p.resource.role}
        wanted = {name_key(n): n for n in (*named.roles, *sorted(inside))}
        roles = self._each("role", self.role, sorted(wanted.values()), pool, made)
        made.roles = by_name((r.resource.name, r) for r in roles)
        policies = self._each("policy", self.policy, named.policies, pool, made)
        made.policies = by_name((p.resource.name, p) for p in policies)
        elsewhere = self._elsewhere(named.policies, made)
        for policy in self._each("policy", self.policy, elsewhere, pool, made):
            made.policies[name_key(policy.resource.name)] = policy
        return made

    def _elsewhere(self, arns: Iterable[str], made: Collected) -> list[str]:
        """ARNs of policies that have a wanted name and another path than was guessed."""
        named = {name_of(arn) for arn in arns}
        missing = {name_key(n) for n in named if policy_address(n) not in made.unread}
        missing -= made.policies.keys()
        if not missing:
            return []
        try:
            listed = self._ask.pages("iam", "list_policies", "Policies", Scope="Local")
        except AwsError as error:
            if error.code in DENIED:
                return []
            raise
        return [p["Arn"] for p in listed if name_key(p["PolicyName"]) in missing]

    def _each(
        self,
        kind: str,
        read: Callable[[str], _L | None],
        names: Iterable[str],
        pool: ThreadPoolExecutor,
        made: Collected,
    ) -> list[_L]:
        started = [(name, pool.submit(read, name)) for name in names]
        found: list[_L] = []
        for name, future in started:
            try:
                entity = future.result()
            except AwsError as error:
                if error.code not in UNREADABLE:
                    raise
                made.unread[Address(kind, name_of(name))] = f"{error.call}: {error.code}"
                continue
            if entity is not None:
                found.append(entity)
        return found


def _seen_whole(read: Callable[[str], _L], name: str) -> _L | None:
    """``None`` where IAM shows none of that name, or not all of it yet."""
    try:
        return read(name)
    except AwsError as error:
        if error.code == "NoSuchEntity":
            return None
        raise
