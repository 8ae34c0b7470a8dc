"""Reads a whole account in few calls, and single resources during a cut-over.

``GetAccountAuthorizationDetails`` has nearly everything about roles and policies, ``ListRoles`` the
rest, ``ListInstanceProfiles`` the profiles, including empty ones.

Source: docs.aws.amazon.com/IAM/latest/APIReference/API_GetAccountAuthorizationDetails.html
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Container, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Any, TypeVar

from reconciler.aws import parse
from reconciler.aws.entities import Entities
from reconciler.aws.instances import Instances, Regions, Started
from reconciler.aws.launch_sources import LaunchReader
from reconciler.aws.paging import ApiReader, whole, why
from reconciler.aws.session import Clients, identity_of
from reconciler.aws.tag_index import FEW, PARTITION, TagIndex, read_index
from reconciler.errors import DENIED, UNREADABLE, AwsError
from reconciler.model import ownership
from reconciler.model.address import Address, by_name, name_key, name_of
from reconciler.model.launch_sources import LaunchSources
from reconciler.model.live import (
    AssociationRow,
    LiveEntity,
    LiveInstance,
    LivePolicy,
    LivePrincipal,
    LiveProfile,
    LiveRole,
    LiveState,
)
from reconciler.model.ownership import InstanceKey
from reconciler.model.resources import Identity
from reconciler.model.revocation import is_revoked
from reconciler.ports import Facts, LaunchQuery, Scope
from reconciler.threads import result_of, threads

_Answers = list[dict[str, Any]]
_Tags = dict[str, dict[str, str]]
_L = TypeVar("_L", LiveRole, LivePolicy, LiveProfile)
_T = TypeVar("_T", LivePolicy, LiveProfile)
_DETAILS = "iam:GetAccountAuthorizationDetails"


@dataclass(frozen=True, slots=True)
class _Account:
    """As it was answered in bulk; ``listed`` are roles by name."""

    listed: Mapping[str, Any]
    roles: _Answers
    policies: _Answers
    profiles: _Answers


class AwsReader:
    """A ``Reader`` over boto3. ``sleep`` passes the seconds until something is asked again."""

    def __init__(
        self,
        clients: Clients,
        prefix: str,
        threads: int = 10,
        sleep: Callable[[float], None] = time.sleep,
        *,
        uses_index: bool = True,
    ) -> None:
        self._clients = clients
        self._uses_index = uses_index
        self._ask = ApiReader(clients)
        self._regions = Regions(clients, self._ask)
        self._entities = Entities(self._ask, prefix, self._regions)
        self._instances = Instances(self._ask, prefix, sleep)
        self._launches = LaunchReader(self._ask)
        self._prefix = prefix
        self._threads = threads

    @property
    def calls(self) -> Mapping[str, int]:
        return self._ask.counts

    def identity(self) -> Identity:
        return identity_of(self._clients)

    def read(self, identity: Identity, scope: Scope) -> LiveState:
        with threads(self._threads) as pool:
            alias = pool.submit(self._alias)
            live = self._read(identity, scope, pool)
            return replace(live, identity=replace(identity, alias=result_of(alias)))

    def _alias(self) -> str | None:
        """Of the account, for people; nothing depends on it, so it may be denied.
        Source: docs.aws.amazon.com/IAM/latest/APIReference/API_ListAccountAliases.html
        """
        try:
            listed = self._ask.pages("iam", "list_account_aliases", "AccountAliases")
        except AwsError:
            return None
        return str(listed[0]) if listed else None

    def _read(self, identity: Identity, scope: Scope, pool: ThreadPoolExecutor) -> LiveState:
        regions = self._instances.start(scope.regions, pool)
        if scope.one_by_one:
            return self._named(identity, scope, pool, "not searched for with --only", regions)
        details = pool.submit(self._details)
        listed = pool.submit(self._ask.pages, "iam", "list_roles", "Roles")
        profiles = pool.submit(self._ask.pages, "iam", "list_instance_profiles", "InstanceProfiles")
        try:
            with whole("iam:ListRoles"):
                roles = {parse.name_of(r, "RoleName"): r for r in result_of(listed)}
            account = _Account(roles, *result_of(details), result_of(profiles))
        except AwsError as error:
            if error.code not in DENIED:
                raise
            return self._named(identity, scope, pool, f"{error.call}: {error.code}", regions)
        fleet = self._instances.fleet(identity, regions)
        return self._whole(scope, pool, account, fleet)

    def _named(
        self,
        identity: Identity,
        scope: Scope,
        pool: ThreadPoolExecutor,
        why: str,
        regions: Started,
    ) -> LiveState:
        """Only what the specs name, each thing by itself."""
        found = self._entities.collect(scope.named, pool)
        return replace(
            self._instances.fleet(identity, regions),
            roles=found.roles,
            policies=found.policies,
            profiles=found.profiles,
            unread=found.unread,
            not_whole=why,
        )

    def enabled_regions(self, near: str) -> tuple[str, ...]:
        regions = self._ask.pages("ec2", "describe_regions", "Regions", near, AllRegions=False)
        with whole("ec2:DescribeRegions"):
            found = tuple(sorted(parse.need(region, "RegionName") for region in regions))
        self._clients.session.enabled.update(found)
        return found

    def quotas(self) -> Mapping[str, int]:
        found: Mapping[str, int] = self._ask.one("get_account_summary", "SummaryMap")
        return found

    def users_and_groups(self) -> tuple[LivePrincipal, ...]:
        wanted = ["User", "Group"]
        found: list[LivePrincipal] = []
        pages = self._ask.raw_pages("iam", "get_account_authorization_details", Filter=wanted)
        with whole(_DETAILS):
            for page in pages:
                found += (parse.principal("user", u) for u in page.get("UserDetailList", ()))
                found += (parse.principal("group", g) for g in page.get("GroupDetailList", ()))
        return tuple(sorted(found, key=lambda one: (one.kind, one.name)))

    def read_regions(self, identity: Identity, regions: Collection[str]) -> LiveState:
        with threads(self._threads) as pool:
            return self._instances.fleet(identity, self._instances.start(regions, pool))

    def consumers(
        self,
        identity: Identity,
        regions: Collection[str],
        arns: Collection[str],
        since: float | None = None,
    ) -> LiveState:
        del since  # One that begins now serves everybody.
        with threads(self._threads) as pool:
            started = self._instances.start_consumers(regions, arns, pool)
            return self._instances.fleet(identity, started)

    def profile(self, name: str) -> LiveProfile | None:
        return self._entities.profile(name)

    def entity(self, address: Address, arn: str) -> LiveEntity | None:
        name = address.name
        match address.kind:
            case "role":
                return self._entities.role(name)
            case "policy":
                return self._entities.policy(arn)
            case _:
                return self._entities.profile(name)

    def role(self, name: str) -> Facts | None:
        role = self._ask.found("get_role", "Role", RoleName=name)
        if role is None:
            return None
        with whole("iam:GetRole"):
            return parse.facts(role, "RoleId")

    def role_names(self) -> Mapping[str, str]:
        listed = self._ask.pages("iam", "list_roles", "Roles")
        with whole("iam:ListRoles"):
            return {parse.need(r, "RoleId"): parse.name_of(r, "RoleName") for r in listed}

    def profiles_with(self, role: str) -> tuple[str, ...]:
        operation, key = "list_instance_profiles_for_role", "InstanceProfiles"
        try:
            found = self._ask.pages("iam", operation, key, RoleName=role)
        except AwsError as error:
            if error.code == "NoSuchEntity":
                return ()
            raise
        with whole("iam:ListInstanceProfilesForRole"):
            return tuple(sorted(parse.name_of(p, "InstanceProfileName") for p in found))

    def policy(self, arn: str) -> Facts | None:
        policy = self._ask.found("get_policy", "Policy", PolicyArn=arn)
        if policy is None:
            return None
        with whole("iam:GetPolicy"):
            default = parse.need(policy, "DefaultVersionId")
        try:
            document = self._entities.version(arn, default)["Document"]
        except AwsError as error:
            # A version that is not found yet: the policy cannot be seen whole.
            if error.code == "NoSuchEntity":
                return None
            raise
        with whole("iam:GetPolicy"):
            return parse.facts(policy, "PolicyId", document)

    def instances(self, keys: Collection[InstanceKey]) -> tuple[LiveInstance, ...]:
        return self._instances.some(keys)

    def associations(
        self, keys: Collection[InstanceKey]
    ) -> Mapping[InstanceKey, tuple[AssociationRow, ...]]:
        return self._instances.associations(keys)

    def launch_sources(self, queries: Collection[LaunchQuery]) -> LaunchSources:
        with threads(self._threads) as pool:
            return self._launches.read(queries, pool)

    def _details(self) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
        roles: list[dict[str, Any]] = []
        policies: list[dict[str, Any]] = []
        wanted = ["Role", "LocalManagedPolicy"]
        for page in self._ask.raw_pages("iam", "get_account_authorization_details", Filter=wanted):
            roles.extend(page.get("RoleDetailList", ()))
            policies.extend(page.get("Policies", ()))
        return roles, policies

    def _whole(
        self, scope: Scope, pool: ThreadPoolExecutor, account: _Account, fleet: LiveState
    ) -> LiveState:
        unread: dict[Address, str] = {}
        roles = self._roles(scope, pool, account, unread)
        # What is owed on a role that is taken over depends on the profiles of the owner before.
        owned = {r.id for r in roles if r.owner == scope.owner or is_revoked(r.resource)}
        marked = {
            i.row.profile_arn for i in fleet.instances.values() if i.row is not None and i.marks
        }

        # Progress of a cut-over that has not ended.
        held = (i for i in fleet.instances.values() if ownership.HOLDS in i.marks)
        refreshed = {i.row.profile_arn for i in held if i.row is not None}
        index = self._index(scope, roles, fleet.identity)

        def is_wanted(profile: LiveProfile) -> bool:
            # Tags cost a call each: read where the profile is named, or may be one of ours.
            if scope.all_tags or name_key(profile.resource.name) in scope.profiles:
                return True
            if profile.role_id is None or profile.role_id in owned or profile.arn in marked:
                return True
            return index.may_be_ours(profile.arn, scope.prefix, scope.owner)

        def is_named(policy: LivePolicy) -> bool:
            if scope.all_tags or name_key(policy.resource.name) in scope.policies:
                return True
            return index.may_be_ours(policy.arn, scope.prefix, scope.owner)

        def known(live: LiveProfile | LivePolicy) -> dict[str, str] | None:
            if live.arn in refreshed:
                return None
            return index.believed(live, scope.expected.get(live.resource.address), scope.prefix)

        profiles = self._profiles(pool, account, unread, is_wanted, known)
        policies = self._policies(pool, account, unread, is_named, known)
        return replace(
            fleet,
            roles=by_name((role.resource.name, role) for role in roles),
            policies=by_name((policy.resource.name, policy) for policy in policies),
            profiles=by_name((profile.resource.name, profile) for profile in profiles),
            unread=unread,
            tag_index=index.refused,
        )

    def _index(self, scope: Scope, roles: Iterable[LiveRole], identity: Identity) -> TagIndex:
        is_there = self._uses_index and identity.partition == PARTITION
        if not is_there or len(scope.expected) <= FEW:
            return TagIndex()
        marks = (role.marks.get(ownership.RELEASED) for role in roles if role.owner == scope.owner)
        released = (ownership.decode_released(mark) for mark in marks)
        if any(at is not None and at >= scope.released_since for at in released):
            return TagIndex(refused="a role has let instances go within the last hour")
        return read_index(self._ask, scope.prefix)

    def _roles(
        self, scope: Scope, pool: ThreadPoolExecutor, account: _Account, unread: dict[Address, str]
    ) -> list[LiveRole]:
        def made(detail: dict[str, Any]) -> LiveRole:
            listed = account.listed.get(parse.name_of(detail, "RoleName"), {})
            return parse.role(detail, listed, self._prefix)

        found, lacking = _parsed(account.roles, made, "RoleName", _DETAILS)
        named = {name_key(name) for name in scope.named.roles}
        # AWS gives the tags of every role here; an emulator may not.
        untold = [
            r
            for r in found
            if not r.tags_known and (scope.all_tags or name_key(r.resource.name) in named)
        ]
        lacking += [role.resource.name for role in untold]
        kept = [role for role in found if role not in untold]
        return kept + self._entities.each("role", self._entities.role, lacking, pool, unread)

    def _profiles(
        self,
        pool: ThreadPoolExecutor,
        account: _Account,
        unread: dict[Address, str],
        wants_tags: Callable[[LiveProfile], bool],
        known: Callable[[LiveProfile], dict[str, str] | None],
    ) -> list[LiveProfile]:
        def made(answer: dict[str, Any]) -> LiveProfile:
            return parse.profile(answer, None, self._prefix, self._regions)

        call, read = "iam:ListInstanceProfiles", self._entities.profile
        found, lacking = _parsed(account.profiles, made, "InstanceProfileName", call)
        found += self._entities.each("instance-profile", read, lacking, pool, unread)
        wanted = [p for p in found if not p.tags_known and wants_tags(p)]
        tags = {p.resource.name: there for p in wanted if (there := known(p)) is not None}
        names = [p.resource.name for p in wanted if p.resource.name not in tags]
        tags |= _tags(pool, self._entities.profile_tags, names, "instance-profile", unread)
        return [_with(p, tags.get(p.resource.name), self._prefix, self._regions) for p in found]

    def _policies(
        self,
        pool: ThreadPoolExecutor,
        account: _Account,
        unread: dict[Address, str],
        wants_tags: Callable[[LivePolicy], bool],
        known: Callable[[LivePolicy], dict[str, str] | None],
    ) -> list[LivePolicy]:
        def made(detail: dict[str, Any]) -> LivePolicy:
            return parse.policy(detail, None, self._prefix)

        found, lacking = _parsed(account.policies, made, "Arn", _DETAILS)
        found += self._entities.each("policy", self._entities.policy, lacking, pool, unread)
        wanted = [p for p in found if not p.tags_known and wants_tags(p)]
        tags = {p.arn: there for p in wanted if (there := known(p)) is not None}
        arns = [p.arn for p in wanted if p.arn not in tags]
        tags |= _tags(pool, self._entities.policy_tags, arns, "policy", unread)
        return [_with(p, tags.get(p.arn), self._prefix, self._regions) for p in found]


def _parsed(
    answers: _Answers, made: Callable[[dict[str, Any]], _L], key: str, call: str
) -> tuple[list[_L], list[str]]:
    """The complete entries, and the names of the incomplete ones: those are read one by one."""
    found: list[_L] = []
    lacking: list[str] = []
    for answer in answers:
        try:
            found.append(made(answer))
        except parse.IncompleteAnswerError:
            with whole(call):
                lacking.append(
                    parse.need(answer, "Arn") if key == "Arn" else parse.name_of(answer, key)
                )
    return found, lacking


def _with(live: _T, tags: dict[str, str] | None, prefix: str, regions: Container[str]) -> _T:
    return live if tags is None else parse.tagged(live, tags, prefix, regions)


def _tags(
    pool: ThreadPoolExecutor,
    read: Callable[[str], dict[str, str]],
    names: list[str],
    kind: str,
    unread: dict[Address, str],
) -> _Tags:
    """By name or ARN. Denied reads are in ``unread``, by address."""
    found: _Tags = {}
    for name, future in [(name, pool.submit(read, name)) for name in names]:
        try:
            found[name] = result_of(future)
        except AwsError as error:
            if error.code not in UNREADABLE:
                raise
            unread[Address(kind, name_of(name))] = why(error)
    return found
