"""From live state to specs: existing resources as spec files."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from reconciler.importer.managers import manager_of
from reconciler.model.address import (
    Address,
    name_key,
    policy_address,
    profile_address,
    role_address,
)
from reconciler.model.live import (
    LiveEntity,
    LivePolicy,
    LiveProfile,
    LiveRole,
    LiveState,
)
from reconciler.model.ownership import InstanceKey
from reconciler.model.resources import DEFAULT_SESSION_SECONDS
from reconciler.model.trust import trusts_ec2
from reconciler.spec.build.variables import escaped
from reconciler.spec.check import aws_managed_policies
from reconciler.spec.format.dump import document_as_spec, duration_as_spec, trust_as_spec
from reconciler.spec.settings import SETTINGS_FILE

OWNED = "with another owner"
"""A reason to leave a resource out."""


@dataclass(frozen=True, slots=True)
class Selection:
    """Which resources to import: those that match any field. Names are compared without case, as
    IAM does; of ``tags`` a resource must have all. With ``is_exact`` nothing comes with them: no
    role with its profile, no policy with its only role, and no other ``instances``."""

    roles: tuple[str, ...] = ()
    profiles: tuple[str, ...] = ()
    policies: tuple[str, ...] = ()
    instances: frozenset[str] = frozenset()
    is_exact: bool = False
    path_prefix: str | None = None
    tags: Mapping[str, str] = field(default_factory=dict)
    everything: bool = False

    def takes(self, entity: LiveEntity) -> bool:
        """Whether the resource is selected."""
        resource = entity.resource
        names = {
            LiveRole: self.roles,
            LiveProfile: self.profiles,
            LivePolicy: self.policies,
        }.get(type(entity), ())
        if self.everything or name_key(resource.name) in {name_key(n) for n in names}:
            return True
        if self.path_prefix is not None and resource.path.startswith(self.path_prefix):
            return True
        return bool(self.tags) and self.tags.items() <= resource.tags.items()


@dataclass(frozen=True, slots=True)
class Imported:
    """``files`` are specs by file name. ``skipped`` are the names of what was left out, by reason.
    ``missing`` are addresses that were selected and do not exist. ``managers`` are the addresses
    that another tool seems to manage, by its name: imported all the same, but for those that are
    never touched. ``regions`` are those of the imported instances, sorted; ``addresses`` are those
    of the IAM resources that have a spec now."""

    files: Mapping[str, dict[str, Any]]
    skipped: Mapping[str, tuple[str, ...]]
    missing: tuple[str, ...] = ()
    managers: Mapping[str, tuple[Address, ...]] = field(default_factory=dict)
    regions: tuple[str, ...] = ()
    addresses: frozenset[Address] = frozenset()
    owned: Mapping[Address, str] = field(default_factory=dict)
    """The other owner of each resource that was left out for that."""

    @property
    def size(self) -> int:
        """Number of resources, with the profiles that a role has by ``instance_profile: true``."""
        kinds = ("policies", "roles", "instance_profiles", "associations")
        made = [file.get(kind, {}) for file in self.files.values() for kind in kinds]
        short = sum(
            bool(role.get("instance_profile"))
            for file in self.files.values()
            for role in file.get("roles", {}).values()
        )
        return sum(len(part) for part in made) + short


def imported(
    live: LiveState,
    selection: Selection,
    owner: str,
    without: frozenset[Address] = frozenset(),
    known: frozenset[Address] = frozenset(),
    regions: tuple[str, ...] | None = None,
) -> Imported:
    """Specs for the selected resources of ``live`` that ``owner`` may manage.

    ``without`` are addresses to leave out because their spec would be invalid; ``known`` are those
    that the specs already have; ``regions`` are those in which the set looks for instances, so that
    an association names any other, ``None`` if they will follow from what is imported."""
    making = _Importing(live, selection, owner, without, known, regions)
    files = making.files()
    return Imported(
        files,
        {reason: tuple(sorted(making.skipped[reason])) for reason in sorted(making.skipped)},
        tuple(making.missing()),
        making.managers(),
        tuple(sorted(making.regions)),
        making.addresses(),
        dict(sorted(making.owned.items())),
    )


class _Importing:
    """The resources to import, chosen when it is created, and the specs made of them."""

    def __init__(
        self,
        live: LiveState,
        selection: Selection,
        owner: str,
        without: frozenset[Address],
        known: frozenset[Address],
        planned: tuple[str, ...] | None,
    ) -> None:
        self.live = live
        self.planned = planned
        self.regions: set[str] = set()
        self.seen: dict[Address, LiveEntity] = {}
        self.selection = selection
        self.owner = owner
        self.without = without
        self.known = known
        self.skipped: defaultdict[str, list[str]] = defaultdict(list)
        self.owned: dict[Address, str] = {}
        chosen = {e.resource.address: e for e in live.entities() if selection.takes(e)}
        self.profiles = self._kept(self._profiles(chosen))
        self.roles = self._kept(self._roles(chosen))
        self.policies = self._kept(self._policies(chosen))

    def _kept(self, entities: dict[str, Any]) -> dict[str, Any]:
        return {name: e for name, e in sorted(entities.items()) if self._may(e)}

    def _may(self, entity: LiveEntity) -> bool:
        name = str(entity.resource.address)
        self.seen[entity.resource.address] = entity
        if entity.managed_by is not None:
            self.skipped[f"managed by {entity.managed_by}"].append(name)
        elif entity.claimed_by not in (None, self.owner):
            self.skipped[OWNED].append(name)
            self.owned[entity.resource.address] = str(entity.claimed_by)
        elif entity.resource.address in self.known:
            self.skipped["already in the specs"].append(name)
        elif entity.resource.address in self.without:
            self.skipped["not valid in a spec"].append(name)
        else:
            return True
        return False

    def _roles(self, chosen: Mapping[Address, LiveEntity]) -> dict[str, LiveEntity]:
        """The chosen roles, and those of the chosen profiles."""
        names = {name_key(e.resource.name) for e in chosen.values() if isinstance(e, LiveRole)}
        profiles = [] if self.selection.is_exact else chosen.values()
        inside = (p.resource.role for p in profiles if isinstance(p, LiveProfile))
        names |= {name_key(name) for name in inside if name}
        return {n: self.live.roles[n] for n in names if n in self.live.roles}

    def _profiles(self, chosen: Mapping[Address, LiveEntity]) -> dict[str, LiveEntity]:
        """The chosen profiles, and those of the chosen roles. A spec may not have a profile whose
        role does not trust EC2."""
        along = [] if self.selection.is_exact else chosen.values()
        roles = {e.id for e in along if isinstance(e, LiveRole)}
        found: dict[str, LiveEntity] = {}
        for name, profile in self.live.profiles.items():
            if profile.resource.address not in chosen and profile.role_id not in roles:
                continue
            role = self.live.role(profile.resource.role)
            if role and not trusts_ec2(role.resource.trust_policy.value):
                self.skipped["the role does not trust EC2"].append(str(profile.resource.address))
                continue
            found[name] = profile
        return found

    def _policies(self, chosen: Mapping[Address, LiveEntity]) -> dict[str, LiveEntity]:
        """The chosen policies, and those that only imported roles use."""
        used: Counter[str] = Counter()
        for role in self.roles.values():
            used.update(role.resource.managed_policies)
        return {
            name: policy
            for name, policy in self.live.policies.items()
            if policy.resource.address in chosen
            or (
                not self.selection.is_exact
                and policy.attachments
                and used[policy.arn] == policy.attachments
            )
        }

    def addresses(self) -> frozenset[Address]:
        found = (*self.policies.values(), *self.roles.values(), *self.profiles.values())
        return self.known | {entity.resource.address for entity in found}

    def managers(self) -> dict[str, tuple[Address, ...]]:
        """Of what was chosen, imported or not; sorted."""
        found: dict[str, list[Address]] = {}
        for address, entity in sorted(self.seen.items()):
            if (tool := self._manager(entity)) is not None and address not in self.known:
                found.setdefault(tool, []).append(address)
        return {tool: tuple(found[tool]) for tool in sorted(found)}

    def _manager(self, entity: LiveEntity) -> str | None:
        """By its own tags, or by those of the instances that use it."""
        tool = manager_of({**entity.resource.tags, **entity.aws_tags})
        if tool is None and isinstance(entity, LiveProfile):
            tools = {manager_of(i.tags) for i in self.live.consumers(entity.arn)}
            return "EKS" if "EKS" in tools else None
        return tool

    def missing(self) -> Iterator[str]:
        for name in self.selection.roles:
            if self.live.role(name) is None:
                yield str(role_address(name))
        for name in self.selection.profiles:
            if self.live.profile(name) is None:
                yield str(profile_address(name))
        for name in self.selection.policies:
            if self.live.policy(name) is None:
                yield str(policy_address(name))

    def files(self) -> dict[str, dict[str, Any]]:
        """A file for each role, with its profiles, their instances, and the policies that no other
        imported role uses."""
        made: dict[str, dict[str, Any]] = {}
        for policy in self.policies.values():
            home, name = self._home_of(policy), policy.resource.name
            self._put(made, home, "policies", name, self._policy(policy))
        shorthand = {p.resource.name for p in self.profiles.values() if self._is_shorthand(p)}
        for role in self.roles.values():
            value = self._role(role, role.resource.name in shorthand)
            self._put(made, _file(role.resource.name), "roles", role.resource.name, value)
        for profile in self.profiles.values():
            resource = profile.resource
            held = self.roles.get(name_key(resource.role or ""))
            file = _file(held.resource.name) if held else "instance-profiles.yaml"
            if resource.name not in shorthand:
                value = {"role": resource.role, **_path(profile), **_tags(profile)}
                self._put(made, file, "instance_profiles", resource.name, value)
            if instances := self._instances(profile):
                value = {
                    "instance_profile": resource.name,
                    "instances": [key.instance for key in instances],
                    **self._elsewhere(instances),
                }
                self._put(made, file, "associations", resource.name, value)
        return {
            name: {"version": 1, **{part: file[part] for part in _SECTIONS if part in file}}
            for name, file in sorted(made.items())
        }

    def _put(
        self, made: dict[str, dict[str, Any]], file: str, part: str, name: str, value: Any
    ) -> None:
        made.setdefault(file, {}).setdefault(part, {})[name] = value

    def _home_of(self, policy: LivePolicy) -> str:
        """The file of the role that uses it, or ``policies.yaml`` if none or several do."""
        arn = policy.arn
        users = [
            role.resource.name
            for role in self.roles.values()
            if arn in (*role.resource.managed_policies, role.resource.permissions_boundary)
        ]
        return _file(users[0]) if len(users) == 1 else "policies.yaml"

    def _is_shorthand(self, profile: LiveProfile) -> bool:
        """Whether ``instance_profile: true`` at the role describes this profile, and no instance
        uses it: to give instances another role, the profile has to be written out."""
        resource = profile.resource
        if self.live.unread_regions or self.live.consumers(profile.arn):
            return False
        role = self.roles.get(name_key(resource.name))
        if role is None or {resource.name, resource.role} != {role.resource.name}:
            return False
        same = role.resource
        return (resource.path, dict(resource.tags)) == (same.path, dict(same.tags))

    def _policy(self, policy: LivePolicy) -> dict[str, Any]:
        resource = policy.resource
        made: dict[str, Any] = {}
        if resource.description:
            made["description"] = escaped(resource.description)
        return {
            **made,
            **_path(policy),
            "document": document_as_spec(resource.document),
            **_tags(policy),
        }

    def _role(self, role: LiveRole, has_profile: bool) -> dict[str, Any]:
        resource = role.resource
        made: dict[str, Any] = {}
        if resource.description:
            made["description"] = escaped(resource.description)
        made |= {**_path(role), **trust_as_spec(resource.trust_policy)}
        if resource.managed_policies:
            made["managed_policies"] = [self._reference(a) for a in resource.managed_policies]
        if resource.inline_policies:
            made["inline_policies"] = {n: document_as_spec(d) for n, d in resource.inline_policies}
        if resource.permissions_boundary:
            made["permissions_boundary"] = self._reference(resource.permissions_boundary)
        if resource.max_session_seconds != DEFAULT_SESSION_SECONDS:
            made["max_session_duration"] = duration_as_spec(resource.max_session_seconds)
        return {**made, **_tags(role), **({"instance_profile": True} if has_profile else {})}

    def _reference(self, arn: str) -> str:
        """The policy's name if it is unambiguous (imported, or managed by AWS), else the ARN."""
        name = arn.rpartition("/")[2]
        mine = self.policies.get(name_key(name))
        if mine is not None:
            return mine.resource.name if mine.arn == arn else arn
        return name if aws_managed_policies.arn_of(name, self.live.identity.arns) == arn else arn

    def _instances(self, profile: LiveProfile) -> list[InstanceKey]:
        """The instances that have this profile. Members of Auto Scaling groups are left out, since
        their group replaces them, and the ids change; and what plan would not touch."""
        found = []
        for instance in self.live.consumers(profile.arn):
            if self.selection.is_exact and instance.key.instance not in self.selection.instances:
                continue
            if instance.auto_scaling_group is not None:
                self.skipped["members of an Auto Scaling group"].append(instance.key.instance)
            elif instance.untouchable is not None:
                self.skipped[f"instances: {instance.untouchable}"].append(instance.key.instance)
            elif instance.row is not None and instance.row.profile_id == profile.id:
                found.append(instance.key)
        self.regions.update(key.region for key in found)
        return found

    def _elsewhere(self, instances: list[InstanceKey]) -> dict[str, list[str]]:
        """The key ``regions``, if some are where the set does not look by itself."""
        regions = {key.region for key in instances}
        if self.planned is None or regions <= set(self.planned):
            return {}
        return {"regions": sorted(regions)}


_RESERVED = ("policies", "instance-profiles", SETTINGS_FILE.partition(".")[0])


def _file(role: str) -> str:
    """The file of a role: its name, with a prefix if the name is reserved or would be hidden."""
    is_taken = name_key(role) in _RESERVED or role.startswith((".", "-"))
    return f"{'role-' if is_taken else ''}{role}.yaml"


_SECTIONS = ("policies", "roles", "instance_profiles", "associations")


def _path(entity: LiveEntity) -> dict[str, Any]:
    path = entity.resource.path
    return {} if path == "/" else {"path": path}


def _tags(entity: LiveEntity) -> dict[str, Any]:
    tags = {key: escaped(value) for key, value in entity.resource.tags.items()}
    return {"tags": tags} if tags else {}
