"""The content of a sandbox as a seed, from which another one starts with the same."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

from moto.ec2.models import ec2_backends
from moto.iam.models import iam_backends

from reconciler.sandbox.plant import NO_ROLE, PARTITION
from reconciler.sandbox.seed import (
    AccountSeed,
    EventSeed,
    GroupSeed,
    InstanceSeed,
    PolicySeed,
    ProfileSeed,
    RoleSeed,
    Seed,
    UserSeed,
    UseSeed,
    VersionSeed,
)
from reconciler.sandbox.state import Row, World

MOST_EVENTS = 1000
_ENDS = {"pending": "running", "stopping": "stopped"}
"""What an instance that starts or stops comes to."""


def snapshot(world: World) -> Seed:
    """With everything in it under its id: policies with their versions, roles, profiles, and
    instances with the role that each is using; users and groups with what is attached to them;
    and the last changes. Other services are not part of it."""
    with world.lock:
        found = {
            account: AccountSeed(
                policies=dict(_policies(account)),
                users=dict(_users(account)),
                groups=dict(_groups(account)),
                roles=dict(_roles(world, account)),
                instance_profiles=dict(_profiles(account)),
                instances=list(_instances(world, account)),
            )
            for account in sorted({*iam_backends, *ec2_backends})
        }
        events = [
            EventSeed(
                service=change.logged.service,
                operation=change.logged.operation,
                account=change.logged.account,
                region=change.logged.region,
                user_agent=change.logged.user_agent,
                at=change.logged.at,
                resources=sorted(change.resources),
            )
            for change in world.changes[-MOST_EVENTS:]
        ]
        own = found.pop(world.account, AccountSeed())
        return Seed(
            **dict(own),
            account_id=world.account,
            regions=list(world.regions),
            accounts={name: seed for name, seed in found.items() if seed != AccountSeed()},
            events=events,
        )


def _policies(account: str) -> Iterator[tuple[str, PolicySeed]]:
    for policy in iam_backends[account][PARTITION].managed_policies.values():
        if ":iam::aws:" in policy.arn:
            continue
        versions = {
            v.version_id: VersionSeed(
                document=json.loads(v.document), created_at=_seconds(v.create_date)
            )
            for v in policy.versions
        }
        now = versions.pop(policy.default_version_id)
        yield (
            policy.name,
            PolicySeed(
                document=now.document,
                path=policy.path,
                description=policy.description or "",
                tags={tag["Key"]: tag["Value"] for tag in policy.tags.values()},
                id=policy.id,
                created_at=_seconds(policy.create_date),
                version=policy.default_version_id,
                updated_at=now.created_at,
                versions=versions,
            ),
        )


def _users(account: str) -> Iterator[tuple[str, UserSeed]]:
    for user in iam_backends[account][PARTITION].users.values():
        yield (
            user.name,
            UserSeed(
                path=user.path,
                managed_policies=list(user.managed_policies),
                id=user.id,
                permissions_boundary=getattr(user, "permissions_boundary_arn", None),
            ),
        )


def _groups(account: str) -> Iterator[tuple[str, GroupSeed]]:
    for group in iam_backends[account][PARTITION].groups.values():
        attached = list(group.managed_policies)
        yield group.name, GroupSeed(path=group.path, managed_policies=attached, id=group.id)


def _roles(world: World, account: str) -> Iterator[tuple[str, RoleSeed]]:
    for role in iam_backends[account][PARTITION].roles.values():
        yield (
            role.name,
            RoleSeed(
                trust_policy=json.loads(role.assume_role_policy_document),
                path=role.path,
                description=role.description or "",
                max_session_duration=int(role.max_session_duration or 3600),
                managed_policies=list(role.managed_policies),
                inline_policies={name: json.loads(text) for name, text in role.policies.items()},
                permissions_boundary=role.permissions_boundary_arn or None,
                tags={tag["Key"]: tag["Value"] for tag in role.tags},
                used={
                    what: UseSeed(at=use.at, region=use.region)
                    for what, use in world.used.get((account, role.id), {}).items()
                },
                id=role.id,
                created_at=_seconds(role.create_date),
            ),
        )


def _profiles(account: str) -> Iterator[tuple[str, ProfileSeed]]:
    for profile in iam_backends[account][PARTITION].instance_profiles.values():
        yield (
            profile.name,
            ProfileSeed(
                role=profile.roles[0].name if profile.roles else None,
                path=profile.path,
                tags={tag["Key"]: tag["Value"] for tag in profile.tags},
                id=profile.id,
                created_at=_seconds(profile.create_date),
            ),
        )


def _instances(world: World, account: str) -> Iterator[InstanceSeed]:
    if account not in ec2_backends:
        return
    profiles = {p.arn: p for p in iam_backends[account][PARTITION].instance_profiles.values()}
    for region, backend in ec2_backends[account].items():
        for instance in backend.all_instances():
            move = world.moves.get((account, region, instance.id))
            state = move[1] if move is not None else _ENDS.get(instance.state, instance.state)
            if state not in ("running", "stopped"):
                continue
            row = world.staying(account, region, instance.id)
            operator = (getattr(instance, "operator", None) or {}).get("Principal")
            yield InstanceSeed(
                region=region,
                tags=dict(backend.tags.get(instance.id, {})),
                state=state,
                operator=operator,
                hidden=operator is not None and (account, region) in world.hiding,
                unlisted=instance.id in world.unseen,
                windows=instance.id in world.windows,
                id=instance.id,
                launched_at=_seconds(instance.launch_time),
                **(_association(world, row, profiles, state) if row is not None else {}),
            )


def _association(world: World, row: Row, profiles: dict[str, Any], state: str) -> dict[str, Any]:
    held = profiles.get(row.profile_arn)
    made: dict[str, Any] = {
        "association": row.id,
        "instance_profile": held.name if held else row.profile_arn,
    }
    if held is None or held.id != row.profile_id:
        made["profile_id"] = row.profile_id
    if state == "stopped":
        made["associating"] = not row.settled
    elif row.settled:
        made["uses"] = world.served.get((row.account, row.region, row.instance)) or NO_ROLE
    return made


def _seconds(moment: datetime) -> float:
    return moment.replace(tzinfo=UTC).timestamp()
