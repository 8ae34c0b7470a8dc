"""Fills a sandbox from a seed.

What has no id is made by the calls of AWS, which refuse what AWS refuses. What has one is a copy of
something that exists: it is put in place as it is, even where a call would be refused today."""

from __future__ import annotations

import functools
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import boto3
from botocore.exceptions import BotoCoreError, ClientError
from moto.ec2.models import ec2_backends
from moto.iam.models import (
    InstanceProfile,
    ManagedPolicy,
    PolicyVersion,
    Role,
    iam_backends,
)
from moto.moto_api._internal import mock_random

from reconciler.diagnostics import Diagnostic, Near, in_order
from reconciler.errors import RefusedError
from reconciler.exit_codes import ExitCode
from reconciler.sandbox.iam import provide
from reconciler.sandbox.seed import (
    AccountSeed,
    GroupSeed,
    InstanceSeed,
    PolicySeed,
    ProfileSeed,
    RoleSeed,
    Seed,
    SeedFile,
    UserSeed,
    accounts,
)
from reconciler.sandbox.state import Change, Logged, RoleUse, Row, World
from reconciler.spec.desired import Place
from reconciler.spec.yaml.tree import Mapping as Tree

IMAGE = "ami-12c6146b"
PARTITION = "aws"
NO_ROLE = "-"
DAY_SECONDS = 86_400
PLANTING = "x-reconciler-planting"
"""The header of requests that fill a sandbox, which are answered before it is open."""


@dataclass(frozen=True, slots=True)
class Planted:
    region: str
    instances: tuple[str, ...]


def plant(
    seed: Seed,
    world: World,
    file: SeedFile | None = None,
    endpoint_url: str | None = None,
) -> tuple[Planted, ...]:
    """Returns the instances. ``file`` is what the seed was read from. Where the seed gives no ids
    they are the same on every start: they stand in the docs. Raises ``RefusedError`` with the
    place."""
    ids = sorted(_ids(seed))
    mock_random.seed("".join(ids) or 1)
    if ids:
        world.copied(ids)
    world.account = seed.account_id
    if seed.regions:
        world.regions = tuple(seed.regions)
    planted: list[Planted] = []
    for account, path in accounts(seed):
        number = path[-1] if path else seed.account_id
        place, sources = (file.place, file.sources) if file else (Place(Tree({}, {}), ()), {})
        planting = _Planting(world, number, place, path, endpoint_url, sources)
        planted += planting.all_of(account)
    if seed.events:
        world.changes[:] = [
            Change(
                Logged(e.service, e.operation, e.account, e.region, {}, e.user_agent, e.at),
                frozenset(e.resources),
            )
            for e in seed.events
        ]
    world.has_been_there()
    return tuple(planted)


def _ids(seed: Seed) -> Iterator[str]:
    """Those that the seed gives."""
    for account, _ in accounts(seed):
        named = (account.policies, account.users, account.groups, account.roles)
        for group in (*named, account.instance_profiles):
            yield from (entity.id for entity in group.values() if entity.id is not None)
        for instance in account.instances:
            yield from filter(None, (instance.id, instance.association))


@functools.cache
def _regions() -> tuple[str, ...]:
    """botocore reads the whole model of EC2 to tell."""
    return tuple(boto3.Session().get_available_regions("ec2", PARTITION))


@dataclass
class _Planting:
    """One account. ``path`` leads to it in the file."""

    world: World
    account: str
    place: Place
    path: tuple[str, ...]
    endpoint_url: str | None
    sources: Mapping[str, str]

    def all_of(self, seed: AccountSeed) -> Iterator[Planted]:
        self._iam = self._client("iam", "us-east-1")
        self._backend = iam_backends[self.account][PARTITION]
        arns: dict[str, str] = {}
        for name, policy in seed.policies.items():
            with self._at("policies", name):
                arns[name] = self._policy(name, policy)
        for name, user in seed.users.items():
            with self._at("users", name):
                self._user(name, user, arns)
        for name, group in seed.groups.items():
            with self._at("groups", name):
                self._group(name, group, arns)
        for name, role in seed.roles.items():
            with self._at("roles", name):
                self._role(name, role, arns)
                self._usage(name, role)
        for name, profile in seed.instance_profiles.items():
            with self._at("instance_profiles", name):
                self._profile(name, profile)
        for number, alike in enumerate(seed.instances):
            with self._at("instances", number):
                yield self._instances(alike, (*self.path, "instances", number))

    @contextmanager
    def _at(self, *path: str | int) -> Iterator[None]:
        try:
            yield
        except (ClientError, BotoCoreError) as error:
            code = getattr(error, "response", {}).get("Error", {})
            text = f"{code['Code']}: {code['Message']}" if code else str(error)
            raise self._refused(text, (*self.path, *path)) from error

    def _refused(
        self, message: str, path: tuple[str | int, ...], near: Near | None = None
    ) -> RefusedError:
        """``near`` is for a value that is wrong."""
        at = self.place.at(*path) if near is None else self.place.value(*path)
        wrong = in_order([Diagnostic("error", "seed-refused", message, at, near=near)])
        return RefusedError("the sandbox was not started", ExitCode.ERROR, wrong, self.sources)

    def _client(self, service: str, region: str) -> Any:
        client: Any = boto3.client
        made = client(
            service,
            region_name=region,
            endpoint_url=self.endpoint_url,
            aws_access_key_id="sandbox",
            aws_secret_access_key="sandbox",
        )

        def into(params: dict[str, Any], **_: Any) -> None:
            params["headers"]["x-moto-account-id"] = self.account
            params["headers"][PLANTING] = "1"

        made.meta.events.register("before-call", into)
        return made

    def _policy(self, name: str, policy: PolicySeed) -> str:
        if policy.id is None:
            made = self._iam.create_policy(
                PolicyName=name,
                Path=policy.path,
                PolicyDocument=json.dumps(policy.document),
                Description=policy.description,
                Tags=_listed(policy.tags),
            )
            return str(made["Policy"]["Arn"])
        copy: Any = ManagedPolicy(
            name,
            self.account,
            "us-east-1",
            policy.version,
            policy.description,
            json.dumps(policy.document),
            policy.path,
            _moment(policy.created_at),
            _moment(policy.updated_at),
            tags={key: {"Key": key, "Value": value} for key, value in policy.tags.items()},
        )
        copy.id = policy.id
        for number, other in policy.versions.items():
            made_at = _moment(other.created_at)
            version = PolicyVersion(copy.arn, json.dumps(other.document), False, number, made_at)
            copy.versions.append(version)
        copy.versions.sort(key=lambda v: int(v.version_id[1:]))
        copy.next_version_num = int(copy.versions[-1].version_id[1:]) + 1
        self._backend.managed_policies[copy.arn] = copy
        return str(copy.arn)

    def _user(self, name: str, user: UserSeed, arns: Mapping[str, str]) -> None:
        """``arns`` are those of the seed's own policies."""
        bound = user.permissions_boundary
        boundary = {"PermissionsBoundary": _arn(bound, arns)} if bound else {}
        self._iam.create_user(UserName=name, Path=user.path, **boundary)
        self._backend.get_user(name).id = user.id or self.world.unique_id("AIDA")
        for arn in self._provided(user, arns):
            self._iam.attach_user_policy(UserName=name, PolicyArn=arn)

    def _group(self, name: str, group: GroupSeed, arns: Mapping[str, str]) -> None:
        self._iam.create_group(GroupName=name, Path=group.path)
        self._backend.get_group(name).id = group.id or self.world.unique_id("AGPA")
        for arn in self._provided(group, arns):
            self._iam.attach_group_policy(GroupName=name, PolicyArn=arn)

    def _provided(self, holder: GroupSeed, arns: Mapping[str, str]) -> Iterator[str]:
        """ARNs of what is attached, where moto has it."""
        for policy in holder.managed_policies:
            arn = _arn(policy, arns)
            provide(self._backend, self.account, arn)
            yield arn

    def _role(self, name: str, role: RoleSeed, arns: Mapping[str, str]) -> None:
        bound = role.permissions_boundary
        boundary = _arn(bound, arns) if bound else None
        attached = [_arn(policy, arns) for policy in role.managed_policies]
        if role.id is not None:
            self._copied_role(name, role, attached, boundary)
            return
        self._iam.create_role(
            RoleName=name,
            Path=role.path,
            AssumeRolePolicyDocument=json.dumps(role.trust_policy),
            Description=role.description,
            MaxSessionDuration=role.max_session_duration,
            Tags=_listed(role.tags),
            **({"PermissionsBoundary": boundary} if boundary else {}),
        )
        for arn in attached:
            self._iam.attach_role_policy(RoleName=name, PolicyArn=arn)
        for title, document in role.inline_policies.items():
            inline = {"PolicyName": title, "PolicyDocument": json.dumps(document)}
            self._iam.put_role_policy(RoleName=name, **inline)

    def _usage(self, name: str, role: RoleSeed) -> None:
        now, role_id = self.world.clock.now(), self._backend.get_role(name).id
        for what, use in role.used.items():
            at = use.at if use.at is not None else now - use.days_ago * DAY_SECONDS
            held = self.world.used.setdefault((self.account, role_id), {})
            held[what] = RoleUse(at, use.region)

    def _copied_role(
        self, name: str, role: RoleSeed, attached: list[str], boundary: str | None
    ) -> None:
        copy: Any = Role(
            self.account,
            PARTITION,
            str(role.id),
            name,
            json.dumps(role.trust_policy),
            role.path,
            boundary,
            role.description,
            _listed(role.tags),
            str(role.max_session_duration),
        )
        copy.create_date = _moment(role.created_at) or copy.create_date
        for arn in attached:
            provide(self._backend, self.account, arn)
            if (policy := self._backend.managed_policies.get(arn)) is not None:
                policy.attach_to(copy)
        for title, document in role.inline_policies.items():
            copy.policies[title] = json.dumps(document)
        self._backend.roles[copy.id] = copy

    def _profile(self, name: str, profile: ProfileSeed) -> None:
        if profile.id is None:
            self._iam.create_instance_profile(
                InstanceProfileName=name, Path=profile.path, Tags=_listed(profile.tags)
            )
            if profile.role is not None:
                self._iam.add_role_to_instance_profile(
                    InstanceProfileName=name, RoleName=profile.role
                )
            return
        held = [role for role in self._backend.roles.values() if role.name == profile.role]
        if profile.role is not None and not held:
            message = f"the role {profile.role!r} is not in the file"
            near = Near(profile.role, tuple(role.name for role in self._backend.roles.values()))
            raise self._refused(message, (*self.path, "instance_profiles", name, "role"), near)
        tags = _listed(profile.tags)
        copy: Any = InstanceProfile(
            self.account, "us-east-1", profile.id, name, profile.path, held, tags
        )
        copy.create_date = _moment(profile.created_at) or copy.create_date
        self._backend.instance_profiles[name] = copy

    def _instances(self, group: InstanceSeed, path: tuple[str | int, ...]) -> Planted:
        regions = _regions()
        if group.region not in regions:
            message = f"there is no region {group.region!r}"
            raise self._refused(message, (*path, "region"), Near(group.region, regions))
        profile = self._associated(group, path)
        ec2 = self._client("ec2", group.region)
        if group.region not in self.world.regions:
            self.world.regions = (*self.world.regions, group.region)
        if group.hidden:
            ec2.modify_managed_resource_visibility(DefaultVisibility="hidden")
        managed = {"Operator": {"Principal": group.operator}} if group.operator else {}
        answer = ec2.run_instances(
            ImageId=IMAGE,
            MinCount=group.count,
            MaxCount=group.count,
            InstanceType="t3.nano",
            **managed,
        )
        ids = [str(instance["InstanceId"]) for instance in answer["Instances"]]
        backend = ec2_backends[self.account][group.region]
        for number, name in enumerate(ids):
            instance: Any = backend.get_instance(name)
            ids[number] = instance.id = group.id or name
            # AWS's own tags too, which CreateTags refuses.
            backend.tags.setdefault(instance.id, {}).update(group.tags)
            instance.launch_time = _moment(group.launched_at) or instance.launch_time
            if group.state == "stopped":
                instance.stop()
            if profile is not None:
                self._associate(group, instance, *profile)
        if group.unlisted:
            self.world.unseen.update(ids)
        if group.windows:
            self.world.windows.update(ids)
        return Planted(group.region, tuple(ids))

    def _associated(
        self, group: InstanceSeed, path: tuple[str | int, ...]
    ) -> tuple[str, str, Any] | None:
        """ARN and id of the profile that instances are associated with, and its role."""
        name = group.instance_profile
        if name is None:
            return None
        profiles = list(self._backend.instance_profiles.values())
        found = next((p for p in profiles if name in (p.name, p.arn)), None)
        if found is None and not (name.startswith("arn:") and group.profile_id):
            message = f"the instance profile {name!r} is not in the file"
            near = Near(name, tuple(p.name for p in profiles))
            raise self._refused(message, (*path, "instance_profile"), near)
        if found is None or group.profile_id not in (None, found.id):
            return name if found is None else found.arn, str(group.profile_id), None
        return found.arn, found.id, next(iter(found.roles), None)

    def _associate(
        self, group: InstanceSeed, instance: Any, arn: str, profile_id: str, role: Any
    ) -> None:
        here = (self.account, group.region, instance.id)
        made_at = self.world.clock.now() - self.world.lags.associating
        row = Row(
            group.association or self.world.new_id("iip-assoc-"), *here, arn, profile_id, made_at
        )
        self.world.rows.append(row)
        if group.associating:
            return
        if group.state == "running" and group.uses is None:
            self.world.settle(row, role, self.world.clock.now())
        else:
            row.settled = True
            uses = group.uses if group.state == "running" else None
            self.world.served[here] = None if uses == NO_ROLE else uses
            self.world.sessions.issue(here, self._backend.roles.get(uses), self.world.clock.now())


def _arn(policy: str, arns: Mapping[str, str]) -> str:
    """``policy`` is an ARN, the name of one of ``arns``, or that of one of AWS's."""
    if policy.startswith("arn:"):
        return policy
    return arns.get(policy, f"arn:{PARTITION}:iam::aws:policy/{policy}")


def _listed(tags: dict[str, str]) -> list[dict[str, str]]:
    return [{"Key": key, "Value": value} for key, value in tags.items()]


def _moment(seconds: float | None) -> datetime | None:
    """As moto keeps its dates."""
    if seconds is None:
        return None
    return datetime.fromtimestamp(seconds, tz=UTC).replace(tzinfo=None)
