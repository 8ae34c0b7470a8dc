"""Reads a whole account in few calls, and single things while a cut-over goes on.

``GetAccountAuthorizationDetails`` gives nearly all of a role and of a policy, ``ListRoles`` the
rest, ``ListInstanceProfiles`` the profiles, empty ones too.
Source: docs.aws.amazon.com/IAM/latest/APIReference/API_GetAccountAuthorizationDetails.html
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from reconciler.aws import parse
from reconciler.aws.errors import translated
from reconciler.aws.session import Clients, identity_of
from reconciler.live import AssociationRow, LiveInstance, LiveProfile, LiveState
from reconciler.model import Identity, by_name
from reconciler.ownership import InstanceKey
from reconciler.ports import AwsError, Facts, Scope

PAGE = 1000
IDS_AT_ONCE = 100
_READS = re.compile(r"(get|list|describe)_\w+")
_ALIVE = ["pending", "running", "stopping", "stopped"]


_Rows = dict[str, list[AssociationRow]]


@dataclass(frozen=True, slots=True)
class _Account:
    listed: Mapping[str, Any]
    roles: list[dict[str, Any]]
    policies: list[dict[str, Any]]
    profiles: list[dict[str, Any]]


@dataclass(frozen=True, slots=True)
class _Fleet:
    instances: Mapping[InstanceKey, LiveInstance]
    regions: tuple[str, ...]
    unread: Mapping[str, str]


class AwsReader:
    """A ``Reader`` over boto3. It makes no call whose name is not Get, List or Describe."""

    def __init__(self, clients: Clients, prefix: str, threads: int = 10) -> None:
        self._clients = clients
        self._prefix = prefix
        self._threads = threads

    @property
    def calls(self) -> Mapping[str, int]:
        return dict(sorted(self._clients.counts.items()))

    def identity(self) -> Identity:
        return identity_of(self._clients)

    def read(self, identity: Identity, scope: Scope) -> LiveState:
        with ThreadPoolExecutor(self._threads) as pool:
            details = pool.submit(self._details)
            listed = pool.submit(self._pages, "iam", "list_roles", "Roles")
            profiles = pool.submit(self._pages, "iam", "list_instance_profiles", "InstanceProfiles")
            regions = self._start_regions(scope.regions, pool)
            roles = {r["RoleName"]: r for r in listed.result()}
            found, policies = details.result()
            fleet = self._fleet(regions)
            account = _Account(roles, found, policies, profiles.result())
            return self._state(identity, scope, pool, account, fleet)

    def enabled_regions(self, near: str) -> tuple[str, ...]:
        regions = self._pages("ec2", "describe_regions", "Regions", near, AllRegions=False)
        return tuple(sorted(region["RegionName"] for region in regions))

    def quotas(self) -> Mapping[str, int]:
        found: Mapping[str, int] = self._call("iam", "get_account_summary")["SummaryMap"]
        return found

    def read_regions(self, identity: Identity, regions: Collection[str]) -> LiveState:
        with ThreadPoolExecutor(self._threads) as pool:
            fleet = self._fleet(self._start_regions(regions, pool))
        return LiveState(
            identity=identity,
            instances=fleet.instances,
            regions=fleet.regions,
            unread_regions=fleet.unread,
        )

    def profile(self, name: str) -> LiveProfile | None:
        answer = self._found("iam", "get_instance_profile", InstanceProfileName=name)
        if answer is None:
            return None
        profile = answer["InstanceProfile"]
        return parse.profile(profile, parse.tags_of(profile.get("Tags")), self._prefix)

    def role(self, name: str) -> Facts | None:
        answer = self._found("iam", "get_role", RoleName=name)
        if answer is None:
            return None
        role = answer["Role"]
        return Facts(role["RoleId"], role["Arn"], parse.tags_of(role.get("Tags")))

    def policy(self, arn: str) -> Facts | None:
        answer = self._found("iam", "get_policy", PolicyArn=arn)
        if answer is None:
            return None
        policy = answer["Policy"]
        version = self._call(
            "iam", "get_policy_version", PolicyArn=arn, VersionId=policy["DefaultVersionId"]
        )["PolicyVersion"]
        tags = parse.tags_of(policy.get("Tags"))
        return Facts(policy["PolicyId"], policy["Arn"], tags, version["Document"])

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
        for page in self._raw_pages("iam", "get_account_authorization_details", Filter=wanted):
            roles.extend(page.get("RoleDetailList", ()))
            policies.extend(page.get("Policies", ()))
        return roles, policies

    def _state(
        self,
        identity: Identity,
        scope: Scope,
        pool: ThreadPoolExecutor,
        account: _Account,
        fleet: _Fleet,
    ) -> LiveState:
        prefix = self._prefix
        roles = [
            parse.role(d, account.listed.get(d["RoleName"], {}), prefix) for d in account.roles
        ]
        owned = {role.id for role in roles if role.owner == scope.owner}
        marked = _marked_profiles(fleet.instances.values())
        named = [p for p in account.profiles if _wants_tags(p, scope, owned, marked)]
        local = [p for p in account.policies if _is_named(p, scope)]
        profile_tags = _tags(pool, self._profile_tags, [p["InstanceProfileName"] for p in named])
        policy_tags = _tags(pool, self._policy_tags, [p["Arn"] for p in local])
        profiles = [
            parse.profile(p, profile_tags.get(p["InstanceProfileName"]), prefix)
            for p in account.profiles
        ]
        policies = [parse.policy(p, policy_tags.get(p["Arn"]), prefix) for p in account.policies]
        return LiveState(
            identity=identity,
            roles=by_name((role.resource.name, role) for role in roles),
            policies=by_name((policy.resource.name, policy) for policy in policies),
            profiles=by_name((profile.resource.name, profile) for profile in profiles),
            instances=fleet.instances,
            regions=fleet.regions,
            unread_regions=fleet.unread,
        )

    def _profile_tags(self, name: str) -> dict[str, str]:
        tags = self._pages("iam", "list_instance_profile_tags", "Tags", InstanceProfileName=name)
        return parse.tags_of(tags)

    def _policy_tags(self, arn: str) -> dict[str, str]:
        return parse.tags_of(self._pages("iam", "list_policy_tags", "Tags", PolicyArn=arn))

    def _start_regions(
        self, regions: Collection[str], pool: ThreadPoolExecutor
    ) -> dict[str, tuple[Future[_Rows], Future[list[dict[str, Any]]]]]:
        return {
            region: (
                pool.submit(self._rows, region),
                pool.submit(self._instances, region, Filters=[_alive()]),
            )
            for region in sorted(set(regions))
        }

    def _fleet(
        self, started: Mapping[str, tuple[Future[_Rows], Future[list[dict[str, Any]]]]]
    ) -> _Fleet:
        """A region that refuses is told apart from one without instances."""
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
        return _Fleet(instances, tuple(r for r in started if r not in unread), unread)

    def _rows(self, region: str, **params: Any) -> _Rows:
        rows: _Rows = {}
        operation = "describe_iam_instance_profile_associations"
        for answer in self._pages(
            "ec2", operation, "IamInstanceProfileAssociations", region, **params
        ):
            rows.setdefault(answer["InstanceId"], []).append(parse.row(answer))
        return rows

    def _instances(self, region: str, **params: Any) -> list[dict[str, Any]]:
        reservations = self._pages("ec2", "describe_instances", "Reservations", region, **params)
        return [instance for r in reservations for instance in r["Instances"]]

    def _pages(
        self, service: str, operation: str, key: str, region: str | None = None, **params: Any
    ) -> list[dict[str, Any]]:
        pages = self._raw_pages(service, operation, region, **params)
        return [item for page in pages for item in page.get(key, ())]

    def _raw_pages(
        self, service: str, operation: str, region: str | None = None, **params: Any
    ) -> Iterator[dict[str, Any]]:
        client = self._reading(service, operation, region)
        with translated(f"{service}:{_camel(operation)}"):
            config = {"PageSize": PAGE}
            if client.can_paginate(operation):
                yield from client.get_paginator(operation).paginate(
                    **params, PaginationConfig=config
                )
            else:
                yield getattr(client, operation)(**params)

    def _call(self, service: str, operation: str, **params: Any) -> dict[str, Any]:
        client = self._reading(service, operation, None)
        with translated(f"{service}:{_camel(operation)}"):
            answer: dict[str, Any] = getattr(client, operation)(**params)
            return answer

    def _found(self, service: str, operation: str, **params: Any) -> dict[str, Any] | None:
        try:
            return self._call(service, operation, **params)
        except AwsError as error:
            if error.code == "NoSuchEntity":
                return None
            raise

    def _reading(self, service: str, operation: str, region: str | None) -> Any:
        if not _READS.fullmatch(operation):
            raise AssertionError(f"a reader does not call {operation}")
        return self._clients.get(service, region)


def _alive() -> dict[str, Any]:
    return {"Name": "instance-state-name", "Values": _ALIVE}


def _camel(operation: str) -> str:
    return "".join(word.capitalize() for word in operation.split("_"))


def _tags(
    pool: ThreadPoolExecutor, read: Callable[[str], dict[str, str]], names: list[str]
) -> dict[str, dict[str, str]]:
    return dict(zip(names, pool.map(read, names), strict=True))


def _is_named(policy: Mapping[str, Any], scope: Scope) -> bool:
    return scope.all_tags or policy["PolicyName"].casefold() in scope.policies


def _marked_profiles(instances: Iterable[LiveInstance]) -> frozenset[str]:
    """ARNs of the profiles of instances that carry a tag of ours."""
    return frozenset(i.row.profile_arn for i in instances if i.row is not None and i.marks)


def _wants_tags(
    profile: Mapping[str, Any], scope: Scope, owned: set[str], marked: frozenset[str]
) -> bool:
    """Tags cost a call each: read where the profile is named, or may be one of ours."""
    if scope.all_tags or profile["InstanceProfileName"].casefold() in scope.profiles:
        return True
    roles = {role["RoleId"] for role in profile.get("Roles", ())}
    return not roles or bool(roles & owned) or profile["Arn"] in marked
