"""From live state to a seed: the account as a file for ``reconciler sandbox --seed``."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from reconciler.model.address import name_key
from reconciler.model.live import (
    LiveInstance,
    LivePolicy,
    LivePrincipal,
    LiveProfile,
    LiveRole,
    LiveState,
)
from reconciler.model.ownership import with_prefix
from reconciler.model.policy_document import PolicyDocument
from reconciler.model.resources import DEFAULT_SESSION_SECONDS
from reconciler.spec.check import aws_managed_policies
from reconciler.spec.format.dump import rendered

_Entity = TypeVar("_Entity", LivePolicy, LiveRole, LiveProfile)
_STOPPED = ("stopping", "stopped")
HEADER = """\
# The account {account}, as `reconciler import --seed` read it, for `reconciler sandbox --seed`.
# Of users and groups it has the names, the managed policies attached to them and the boundaries.
# Which role an instance was using is not known, so each begins with the one in its profile.
"""


@dataclass(frozen=True, slots=True)
class SeedDocument:
    """``skipped`` counts what is left out, by reason."""

    text: str
    size: int
    skipped: Mapping[str, int]


def seed_of(live: LiveState, principals: Iterable[LivePrincipal], tag_prefix: str) -> SeedDocument:
    """Everything of ``live``, under its ids, with the users and groups that may use its policies;
    ``tag_prefix`` is that by which it was read."""
    making = _Seed(live, tuple(principals), tag_prefix)
    made = {name: part for name, part in making.sections() if part}
    text = HEADER.format(account=live.identity.account_id) + rendered(made)
    size = sum(len(part) for name, part in made.items() if name not in ("account_id", "regions"))
    return SeedDocument(text, size, making.skipped)


class _Seed:
    def __init__(
        self, live: LiveState, principals: tuple[LivePrincipal, ...], tag_prefix: str
    ) -> None:
        self.live = live
        self.principals = principals
        self.prefix = tag_prefix
        self.own = {policy.arn: policy.resource.name for policy in live.policies.values()}
        self.names = {name_key(name) for name in self.own.values()}
        hidden = sum(instance.is_unknown for instance in live.instances.values())
        self.skipped = {"instances that DescribeInstances does not show": hidden} if hidden else {}

    def sections(self) -> Iterator[tuple[str, Any]]:
        live = self.live
        yield "account_id", live.identity.account_id
        yield "regions", sorted({*live.regions, *live.unread_regions})
        yield "policies", {p.resource.name: self._policy(p) for p in _sorted(live.policies)}
        for kind in ("user", "group"):
            yield (
                f"{kind}s",
                {p.name: self._principal(p) for p in self.principals if p.kind == kind},
            )
        yield "roles", {r.resource.name: self._role(r) for r in _sorted(live.roles)}
        yield (
            "instance_profiles",
            {p.resource.name: self._profile(p) for p in _sorted(live.profiles)},
        )
        shown = (live.instances[key] for key in sorted(live.instances))
        yield "instances", [self._instance(i) for i in shown if not (i.is_unknown or i.is_gone)]

    def _policy(self, policy: LivePolicy) -> dict[str, Any]:
        resource = policy.resource
        version = next((v.id for v in policy.versions if v.is_default), "v1")
        return {
            "id": policy.id,
            **({"description": resource.description} if resource.description else {}),
            **_path(policy),
            **({"version": version} if version != "v1" else {}),
            "document": resource.document.value,
            **_versions(policy),
            **self._tags(policy),
        }

    def _principal(self, principal: LivePrincipal) -> dict[str, Any]:
        made: dict[str, Any] = {"id": principal.id}
        if principal.path != "/":
            made["path"] = principal.path
        if principal.managed_policies:
            made["managed_policies"] = [self._named(arn) for arn in principal.managed_policies]
        if principal.permissions_boundary:
            made["permissions_boundary"] = self._named(principal.permissions_boundary)
        return made

    def _role(self, role: LiveRole) -> dict[str, Any]:
        resource = role.resource
        made: dict[str, Any] = {"id": role.id}
        if resource.description:
            made["description"] = resource.description
        made |= {**_path(role), **_made_at(role), "trust_policy": resource.trust_policy.value}
        if resource.managed_policies:
            made["managed_policies"] = [self._named(arn) for arn in resource.managed_policies]
        if resource.inline_policies:
            made["inline_policies"] = {name: d.value for name, d in resource.inline_policies}
        if resource.permissions_boundary:
            made["permissions_boundary"] = self._named(resource.permissions_boundary)
        if resource.max_session_seconds != DEFAULT_SESSION_SECONDS:
            made["max_session_duration"] = resource.max_session_seconds
        return {**made, **self._tags(role)}

    def _named(self, arn: str) -> str:
        """The policy's name where the sandbox takes it for this ARN."""
        name = arn.rpartition("/")[2]
        if arn in self.own:
            return self.own[arn]
        is_plain = arn == aws_managed_policies.arn_of(name, self.live.identity.arns)
        return name if is_plain and name_key(name) not in self.names else arn

    def _profile(self, profile: LiveProfile) -> dict[str, Any]:
        held = {"role": profile.resource.role} if profile.resource.role else {}
        made_at = _made_at(profile)
        return {"id": profile.id, **held, **_path(profile), **made_at, **self._tags(profile)}

    def _instance(self, instance: LiveInstance) -> dict[str, Any]:
        return {
            "id": instance.key.instance,
            "region": instance.key.region,
            **({"state": "stopped"} if instance.state in _STOPPED else {}),
            **({"operator": instance.operator} if instance.operator else {}),
            # A cut-over takes what was launched after its swap for done.
            **({"launched_at": instance.launched_at} if instance.launched_at else {}),
            **self._association(instance),
            **self._tags(instance),
        }

    def _association(self, instance: LiveInstance) -> dict[str, Any]:
        row = instance.row
        if row is None:
            return {}
        held = self.live.profile(row.profile_name)
        is_there = held is not None and held.arn == row.profile_arn
        made: dict[str, Any] = {
            "instance_profile": row.profile_name if is_there else row.profile_arn,
            "association": row.id,
        }
        if row.state == "associating" and instance.state in _STOPPED:
            made["associating"] = True
        is_same = is_there and held is not None and held.id == row.profile_id
        return made if is_same else {**made, "profile_id": row.profile_id}

    def _tags(self, entity: LivePolicy | LiveRole | LiveProfile | LiveInstance) -> dict[str, Any]:
        """All of them as they are: the user's, ours and those of AWS."""
        if isinstance(entity, LiveInstance):
            tags = dict(entity.tags)
        else:
            tags = {**entity.resource.tags, **entity.aws_tags}
        made = tags | with_prefix(entity.marks, self.prefix)
        for mark in entity.malformed_marks:
            valid = made.get(mark.key)
            made[mark.key] = mark.value if valid is None else f"{valid} {mark.value}"
        return {"tags": dict(sorted(made.items()))} if made else {}


def _versions(policy: LivePolicy) -> dict[str, Any]:
    """All others with their times, which give their order: an update deletes the oldest."""
    made: dict[str, Any] = {}
    others: dict[str, Any] = {}
    for version in policy.versions:
        if version.is_default:
            made["updated_at"] = version.created_at
        elif version.document is not None:
            document = PolicyDocument.of(version.document).value
            others[version.id] = {"document": document, "created_at": version.created_at}
    return {**made, "versions": others} if others else {}


def _path(entity: LivePolicy | LiveRole | LiveProfile) -> dict[str, str]:
    path = entity.resource.path
    return {} if path == "/" else {"path": path}


def _made_at(entity: LiveRole | LiveProfile) -> dict[str, float]:
    return {"created_at": entity.created_at} if entity.created_at else {}


def _sorted(part: Mapping[str, _Entity]) -> Iterator[_Entity]:
    return (part[name] for name in sorted(part))
