"""Reads roles, policies and profiles one by one: under ``--only``, where reading in bulk is denied,
and just before something is changed."""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, TypeVar

from reconciler.aws import parse
from reconciler.aws.paging import ApiReader, call_name, has_no_answer, whole, why
from reconciler.errors import DENIED, UNREADABLE, AwsError
from reconciler.model.address import Address, by_name, name_key, name_of, policy_address
from reconciler.model.live import LivePolicy, LiveProfile, LiveRole
from reconciler.model.ownership import Pending, temporary_name
from reconciler.ports import Named
from reconciler.threads import result_of

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
    """``None`` if it does not exist; raises ``AwsError``."""

    def __init__(self, ask: ApiReader, prefix: str, regions: Container[str]) -> None:
        self._ask = ask
        self._prefix = prefix
        self._regions = regions

    def role(self, name: str) -> LiveRole | None:
        return _seen_whole(self._role, name)

    def policy(self, arn: str) -> LivePolicy | None:
        return _seen_whole(self._policy, arn)

    def _role(self, name: str) -> LiveRole:
        ask, of = self._ask, {"RoleName": name}
        role = ask.one("get_role", "Role", **of)
        listed = ask.pages("iam", "list_attached_role_policies", "AttachedPolicies", None, **of)
        names = ask.pages("iam", "list_role_policies", "PolicyNames", None, **of)
        inline: list[dict[str, Any]] = []
        for policy in names:
            document = ask.one("get_role_policy", "PolicyDocument", PolicyName=str(policy), **of)
            inline.append({"PolicyName": policy, "PolicyDocument": document})
        detail = {**role, "AttachedManagedPolicies": listed, "RolePolicyList": inline}
        with whole("iam:GetRole"):
            return parse.single_role(detail, self._prefix)

    def profile(self, name: str) -> LiveProfile | None:
        answer = self._ask.found(
            "get_instance_profile", "InstanceProfile", InstanceProfileName=name
        )
        if answer is None:
            return None
        with whole("iam:GetInstanceProfile"):
            tags = parse.tags_of(answer.get("Tags"))
            return parse.profile(answer, tags, self._prefix, self._regions)

    def profile_tags(self, name: str) -> dict[str, str]:
        """From ``GetInstanceProfile`` where the call for tags alone has no answer."""
        of = {"InstanceProfileName": name}
        return self._tags("list_instance_profile_tags", "get_instance_profile", **of)

    def policy_tags(self, arn: str) -> dict[str, str]:
        return self._tags("list_policy_tags", "get_policy", PolicyArn=arn)

    def _tags(self, listing: str, getting: str, **of: str) -> dict[str, str]:
        try:
            listed = self._ask.pages("iam", listing, "Tags", **of)
        except AwsError as error:
            if not has_no_answer(error):
                raise
            member = "Policy" if "PolicyArn" in of else "InstanceProfile"
            listed = self._ask.one(getting, member, **of).get("Tags", [])
        with whole(call_name("iam", listing)):
            return parse.tags_of(listed)

    def _policy(self, arn: str) -> LivePolicy:
        ask, call = self._ask, "iam:GetPolicy"
        policy = ask.one("get_policy", "Policy", PolicyArn=arn)
        versions = ask.pages("iam", "list_policy_versions", "Versions", PolicyArn=arn)
        with whole(call):
            default_id = parse.need(policy, "DefaultVersionId")
        default = self.version(arn, default_id)
        listed = [{**v, **(default if v.get("VersionId") == default_id else {})} for v in versions]
        detail = {"Arn": arn, **policy, "PolicyVersionList": listed}
        with whole(call):
            return parse.policy(detail, parse.tags_of(policy.get("Tags")), self._prefix)

    def version(self, arn: str, version: str) -> dict[str, Any]:
        """With its document, and as the default one, which is the only one that is asked for."""
        answer = self._ask.one(
            "get_policy_version", "PolicyVersion", PolicyArn=arn, VersionId=version
        )
        with whole("iam:GetPolicyVersion"):
            document = parse.need(answer, "Document")
        return {**answer, "Document": document, "VersionId": version, "IsDefaultVersion": True}

    def collect(self, named: Named, pool: ThreadPoolExecutor) -> Collected:
        """The named resources, the roles in the profiles, and policies at any path."""
        made = Collected()
        profiles = self.each("instance-profile", self.profile, named.profiles, pool, made.unread)
        # A hop is in progress only while the profile is marked as pending.
        hopping = [temporary_name(p.resource.name) for p in profiles if isinstance(p.mark, Pending)]
        profiles += self.each("instance-profile", self.profile, hopping, pool, made.unread)
        made.profiles = by_name((p.resource.name, p) for p in profiles)
        inside = {p.resource.role for p in profiles if p.resource.role}
        wanted = {name_key(n): n for n in (*named.roles, *sorted(inside))}
        roles = self.each("role", self.role, sorted(wanted.values()), pool, made.unread)
        made.roles = by_name((r.resource.name, r) for r in roles)
        policies = self.each("policy", self.policy, named.policies, pool, made.unread)
        made.policies = by_name((p.resource.name, p) for p in policies)
        elsewhere = self._elsewhere(named.policies, made)
        for policy in self.each("policy", self.policy, elsewhere, pool, made.unread):
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
        with whole("iam:ListPolicies"):
            known = [(parse.need(p, "Arn"), parse.name_of(p, "PolicyName")) for p in listed]
        return [arn for arn, name in known if name_key(name) in missing]

    def each(
        self,
        kind: str,
        read: Callable[[str], _L | None],
        names: Iterable[str],
        pool: ThreadPoolExecutor,
        unread: dict[Address, str],
    ) -> list[_L]:
        """Those that exist; a denied read is reported in ``unread`` by its address."""
        started = [(name, pool.submit(read, name)) for name in names]
        found: list[_L] = []
        for name, future in started:
            try:
                entity = result_of(future)
            except AwsError as error:
                if error.code not in UNREADABLE:
                    raise
                unread[Address(kind, name_of(name))] = why(error)
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
