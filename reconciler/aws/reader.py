"""Reads a whole account in few calls, and single things while a cut-over goes on.

``GetAccountAuthorizationDetails`` gives nearly all of a role and of a policy, ``ListRoles`` the
rest, ``ListInstanceProfiles`` the profiles, empty ones too.
Source: docs.aws.amazon.com/IAM/latest/APIReference/API_GetAccountAuthorizationDetails.html
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Any

from reconciler.address import Address, by_name, name_key, name_of
from reconciler.aws import parse
from reconciler.aws.asking import Asking
from reconciler.aws.entities import Entities
from reconciler.aws.regions import Regions
from reconciler.aws.session import Clients, identity_of
from reconciler.live import AssociationRow, LiveEntity, LiveInstance, LiveProfile, LiveState
from reconciler.model import Identity
from reconciler.ownership import InstanceKey
from reconciler.ports import DENIED, UNREADABLE, AwsError, Facts, Scope

IDS_AT_ONCE = 100
_ALIVE = ["pending", "running", "stopping", "stopped"]

_Rows = dict[str, list[AssociationRow]]
_Tags = dict[str, dict[str, str]]


@dataclass(frozen=True, slots=True)
class _Account:
    listed: Mapping[str, Any]
    roles: list[dict[str, Any]]
    policies: list[dict[str, Any]]
    profiles: list[dict[str, Any]]


class AwsReader:
    """A ``Reader`` over boto3."""

    def __init__(self, clients: Clients, prefix: str, threads: int = 10) -> None:
        self._clients = clients
        self._ask = Asking(clients)
        self._regions = Regions(clients, self._ask)
        self._entities = Entities(self._ask, prefix, self._regions)
        self._prefix = prefix
        self._threads = threads

    @property
    def calls(self) -> Mapping[str, int]:
        return self._ask.counts

    def identity(self) -> Identity:
        return identity_of(self._clients)

    def read(self, identity: Identity, scope: Scope) -> LiveState:
        with ThreadPoolExecutor(self._threads) as pool:
            regions = self._start_regions(scope.regions, pool)
            if scope.one_by_one:
                return self._named(identity, scope, pool, "not looked for under --only", regions)
            details = pool.submit(self._details)
            listed = pool.submit(self._ask.pages, "iam", "list_roles", "Roles")
            profiles = pool.submit(
                self._ask.pages, "iam", "list_instance_profiles", "InstanceProfiles"
            )
            try:
                roles = {r["RoleName"]: r for r in listed.result()}
                account = _Account(roles, *details.result(), profiles.result())
            except AwsError as error:
                if error.code not in DENIED:
                    raise
                return self._named(identity, scope, pool, f"{error.call}: {error.code}", regions)
            return self._whole(scope, pool, account, self._fleet(identity, regions))

    def _named(
        self,
        identity: Identity,
        scope: Scope,
        pool: ThreadPoolExecutor,
        why: str,
        regions: _Started,
    ) -> LiveState:
        """Only what the specs name, each thing by itself."""
        found = self._entities.collect(scope.named, pool)
        return replace(
            self._fleet(identity, regions),
            roles=found.roles,
            policies=found.policies,
            profiles=found.profiles,
            unread=found.unread,
            not_whole=why,
        )

    def enabled_regions(self, near: str) -> tuple[str, ...]:
        regions = self._ask.pages("ec2", "describe_regions", "Regions", near, AllRegions=False)
        return tuple(sorted(region["RegionName"] for region in regions))

    def quotas(self) -> Mapping[str, int]:
        found: Mapping[str, int] = self._ask.call("iam", "get_account_summary")["SummaryMap"]
        return found

    def read_regions(self, identity: Identity, regions: Collection[str]) -> LiveState:
        with ThreadPoolExecutor(self._threads) as pool:
            return self._fleet(identity, self._start_regions(regions, pool))

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
        answer = self._ask.found("get_role", RoleName=name)
        if answer is None:
            return None
        role = answer["Role"]
        return Facts(role["RoleId"], role["Arn"], parse.tags_of(role.get("Tags")))

    def policy(self, arn: str) -> Facts | None:
        answer = self._ask.found("get_policy", PolicyArn=arn)
        if answer is None:
            return None
        policy = answer["Policy"]
        # A version that is not found yet: the policy cannot be seen whole.
        version = self._ask.found(
            "get_policy_version", PolicyArn=arn, VersionId=policy["DefaultVersionId"]
        )
        if version is None:
            return None
        tags = parse.tags_of(policy.get("Tags"))
        return Facts(policy["PolicyId"], policy["Arn"], tags, version["PolicyVersion"]["Document"])

    def instances(self, keys: Collection[InstanceKey]) -> tuple[LiveInstance, ...]:
        found: list[LiveInstance] = []
        for region in sorted({key.region for key in keys}):
            wanted = sorted(key.instance for key in keys if key.region == region)
            for start in range(0, len(wanted), IDS_AT_ONCE):
                found.extend(self._some(region, wanted[start : start + IDS_AT_ONCE]))
        return tuple(sorted(found, key=lambda i: i.key))

    def _some(self, region: str, ids: list[str]) -> Iterator[LiveInstance]:
        """By filter, since asking by id is an error when one of them is gone."""
        filters = [{"Name": "instance-id", "Values": ids}]
        rows = self._rows(region, Filters=filters)
        for answer in self._instances(region, Filters=filters):
            yield parse.instance(answer, region, rows.get(answer["InstanceId"], ()), self._prefix)

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
        prefix = self._prefix
        roles = [
            parse.role(d, account.listed.get(d["RoleName"], {}), prefix) for d in account.roles
        ]
        owned = {role.id for role in roles if role.owner == scope.owner}
        marked = _marked_profiles(fleet.instances.values())
        unread: dict[Address, str] = {}
        names = [
            p["InstanceProfileName"]
            for p in account.profiles
            if _wants_tags(p, scope, owned, marked)
        ]
        profile_tags = _tags(pool, self._profile_tags, names, "instance-profile", unread)
        arns = [p["Arn"] for p in account.policies if _is_named(p, scope)]
        policy_tags = _tags(pool, self._policy_tags, arns, "policy", unread)
        profiles = [
            parse.profile(p, profile_tags.get(p["InstanceProfileName"]), prefix, self._regions)
            for p in account.profiles
        ]
        policies = [parse.policy(p, policy_tags.get(p["Arn"]), prefix) for p in account.policies]
        return replace(
            fleet,
            roles=by_name((role.resource.name, role) for role in roles),
            policies=by_name((policy.resource.name, policy) for policy in policies),
            profiles=by_name((profile.resource.name, profile) for profile in profiles),
            unread=unread,
        )

    def _profile_tags(self, name: str) -> dict[str, str]:
        operation = "list_instance_profile_tags"
        return parse.tags_of(self._ask.pages("iam", operation, "Tags", InstanceProfileName=name))

    def _policy_tags(self, arn: str) -> dict[str, str]:
        return parse.tags_of(self._ask.pages("iam", "list_policy_tags", "Tags", PolicyArn=arn))

    def _start_regions(self, regions: Collection[str], pool: ThreadPoolExecutor) -> _Started:
        return {
            region: (
                pool.submit(self._rows, region),
                pool.submit(self._instances, region, Filters=[_alive()]),
            )
            for region in sorted(set(regions))
        }

    def _fleet(self, identity: Identity, started: _Started) -> LiveState:
        """Instances alone. A region that refuses is told apart from one without instances."""
        instances: dict[InstanceKey, LiveInstance] = {}
        unread: dict[str, str] = {}
        for region, (rows, answers) in started.items():
            try:
                by_id = rows.result()
                for answer in answers.result():
                    there = by_id.get(answer["InstanceId"], ())
                    found = parse.instance(answer, region, there, self._prefix)
                    instances[found.key] = found
            except AwsError as error:
                unread[region] = f"{error.call}: {error.code}"
        read = tuple(r for r in started if r not in unread)
        return LiveState(
            identity=identity, instances=instances, regions=read, unread_regions=unread
        )

    def _rows(self, region: str, **params: Any) -> _Rows:
        rows: _Rows = {}
        operation = "describe_iam_instance_profile_associations"
        for answer in self._ask.pages(
            "ec2", operation, "IamInstanceProfileAssociations", region, **params
        ):
            rows.setdefault(answer["InstanceId"], []).append(parse.row(answer))
        return rows

    def _instances(self, region: str, **params: Any) -> list[dict[str, Any]]:
        operation = "describe_instances"
        reservations = self._ask.pages("ec2", operation, "Reservations", region, **params)
        return [instance for r in reservations for instance in r["Instances"]]


_Started = dict[str, tuple[Future[_Rows], Future[list[dict[str, Any]]]]]


def _alive() -> dict[str, Any]:
    return {"Name": "instance-state-name", "Values": _ALIVE}


def _tags(
    pool: ThreadPoolExecutor,
    read: Callable[[str], dict[str, str]],
    names: list[str],
    kind: str,
    unread: dict[Address, str],
) -> _Tags:
    """By name or ARN. What is denied is among ``unread``, by its address."""
    found: _Tags = {}
    for name, future in [(name, pool.submit(read, name)) for name in names]:
        try:
            found[name] = future.result()
        except AwsError as error:
            if error.code not in UNREADABLE:
                raise
            unread[Address(kind, name_of(name))] = f"{error.call}: {error.code}"
    return found


def _is_named(policy: Mapping[str, Any], scope: Scope) -> bool:
    return scope.all_tags or name_key(policy["PolicyName"]) in scope.policies


def _marked_profiles(instances: Iterable[LiveInstance]) -> frozenset[str]:
    """ARNs of the profiles of instances that carry a tag of ours."""
    return frozenset(i.row.profile_arn for i in instances if i.row is not None and i.marks)


def _wants_tags(
    profile: Mapping[str, Any], scope: Scope, owned: set[str], marked: frozenset[str]
) -> bool:
    """Tags cost a call each: read where the profile is named, or may be one of ours."""
    if scope.all_tags or name_key(profile["InstanceProfileName"]) in scope.profiles:
        return True
    roles = {role["RoleId"] for role in profile.get("Roles", ())}
    return not roles or bool(roles & owned) or profile["Arn"] in marked
