"""What AWS says now: resources of the model with what only AWS knows about them."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal, TypeVar

from reconciler.model import ownership
from reconciler.model.address import (
    Address,
    name_of,
    named,
    resource_key,
    same_name,
    same_resource,
)
from reconciler.model.ownership import Flight, InstanceKey, MalformedMark, OwnerTag
from reconciler.model.resources import Identity, InstanceProfile, Policy, Role, Tags, no_tags

_K = TypeVar("_K")

RUNNING = frozenset({"pending", "running"})
SELECTABLE = frozenset({"pending", "running", "stopping", "stopped"})
UNKNOWN = "unknown"
"""The state of an instance that has an association and that ``DescribeInstances`` does not show."""
_PROTECTED_PATHS = ("/aws-service-role/", "/aws-reserved/")


@dataclass(frozen=True, slots=True, kw_only=True)
class Entity:
    """What every IAM resource has.

    ``marks`` are our tags without their prefix, ``aws_tags`` those that AWS writes,
    ``malformed_marks`` invalid values of our tags; ``tags_known`` is false if tags were not read.
    """

    resource: Policy | Role | InstanceProfile
    id: str
    arn: str
    marks: Tags = field(default_factory=no_tags)
    aws_tags: Tags = field(default_factory=no_tags)
    malformed_marks: tuple[MalformedMark, ...] = ()
    tags_known: bool = True

    @property
    def owner_tag(self) -> OwnerTag | None:
        return ownership.decode_owner(self.marks.get(ownership.OWNER))

    @property
    def owner(self) -> str | None:
        """Whose it is. A tag that names another resource was copied from there, and says nothing
        of this one."""
        tag = self.owner_tag
        return tag.owner if tag is not None and self._is_own(tag) else None

    def _is_own(self, tag: OwnerTag) -> bool:
        return tag.is_of(self.resource.name)

    @property
    def claimed_by(self) -> str | None:
        """The owner that the tag names, also in the form of the first release. That form could have
        been copied, so it gives no ownership; yet the resource is not adopted without a flag."""
        tag = self.owner_tag
        return tag.owner if tag is not None and tag.name is None else self.owner

    @property
    def managed_by(self) -> Literal["AWS", "CloudFormation"] | None:
        """A manager besides us, because of which this resource is never touched."""
        if self.resource.path.startswith(_PROTECTED_PATHS):
            return "AWS"
        stack = [k for k in self.aws_tags if k.casefold().startswith("aws:cloudformation:")]
        return "CloudFormation" if stack else None

    @property
    def protected(self) -> str | None:
        """Why this resource is never touched, or ``None``."""
        match self.managed_by:
            case "AWS":
                return f"AWS manages the resources at {self.resource.path}"
            case "CloudFormation":
                return "CloudFormation manages it"
            case None:
                return None


@dataclass(frozen=True, slots=True, kw_only=True)
class LiveRole(Entity):
    resource: Role
    created_at: float = 0.0
    """Seconds of the epoch; 0 where AWS does not tell."""


@dataclass(frozen=True, slots=True)
class PolicyVersion:
    """``document`` is as AWS answered it; ``None`` where it was not asked for."""

    id: str
    is_default: bool
    created_at: float
    document: Any = field(default=None, compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class LivePrincipal:
    """A user or a group: no kind of resource, but it may use the account's policies."""

    kind: Literal["user", "group"]
    name: str
    id: str
    path: str = "/"
    managed_policies: tuple[str, ...] = ()
    """ARNs, sorted."""
    permissions_boundary: str | None = None
    """An ARN; groups have none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LivePolicy(Entity):
    """``attachments`` counts the users, groups and roles that it is attached to, ``boundaries`` the
    users and roles whose permissions boundary it is."""

    resource: Policy
    versions: tuple[PolicyVersion, ...] = ()
    """Sorted, the one made first at the head."""
    attachments: int = 0
    boundaries: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class LiveProfile(Entity):
    resource: InstanceProfile
    role_id: str | None = None
    created_at: float = 0.0
    """Seconds of the epoch."""

    def _is_own(self, tag: OwnerTag) -> bool:
        """The name of a temporary profile says what it is for, whatever form its tag has."""
        name, of = self.resource.name, self.temporary_of
        is_temporary = of is not None and same_name(ownership.temporary_name(of), name)
        return tag.is_of(name) or (tag.name is None and is_temporary)

    @property
    def mark(self) -> ownership.RoleMark | None:
        return ownership.decode_role_mark(self.marks.get(ownership.ROLE_ID))

    @property
    def swapped(self) -> ownership.Swapped | None:
        return ownership.decode_swapped(self.marks.get(ownership.SWAPPED))

    @property
    def left_with(self) -> str | None:
        """The id of the role that every consumer was left with when a cut-over was rolled back.
        ``None`` if the last cut-over was not, or if that was not known of every consumer."""
        mark, swapped = self.mark, self.swapped
        if not isinstance(mark, ownership.Failed) or swapped is None:
            return None
        return swapped.role_id if swapped.role_id != mark.role_id else None

    @property
    def flights(self) -> frozenset[Flight]:
        return ownership.decode_in_flight(self.marks)

    @property
    def in_flight(self) -> frozenset[InstanceKey]:
        return frozenset(flight.key for flight in self.flights)

    @property
    def to_start(self) -> frozenset[InstanceKey]:
        """Those in flight that a run stopped, or is about to."""
        return frozenset(flight.key for flight in self.flights if flight.is_stop)

    @property
    def temporary_of(self) -> str | None:
        """The name of the profile that this one stands in for during a hop."""
        return ownership.decode_temporary_of(self.marks)


LiveEntity = LivePolicy | LiveRole | LiveProfile


@dataclass(frozen=True, slots=True)
class AssociationRow:
    """``state`` is ``associating``, ``associated`` or ``disassociating``."""

    id: str
    profile_arn: str
    profile_id: str
    state: str

    @property
    def profile_name(self) -> str:
        return name_of(self.profile_arn)


@dataclass(frozen=True, slots=True)
class LiveInstance:
    """An instance. ``launched_at`` is the last start in EC2, in seconds of the epoch.

    An instance that only an association names has the state ``UNKNOWN``: it is a consumer, and
    counts as running wherever use is checked.
    """

    key: InstanceKey
    state: str
    launched_at: float = 0.0
    rows: tuple[AssociationRow, ...] = ()
    tags: Tags = field(default_factory=no_tags)
    marks: Tags = field(default_factory=no_tags)
    unstoppable: str | None = None
    """Why it must not be stopped and started, or ``None``."""
    malformed_marks: tuple[MalformedMark, ...] = ()
    """Values of our tags that are not valid marks."""
    operator: str | None = None
    """The AWS service that manages it, as ``ecs.amazonaws.com``; ``None`` for an instance of the
    account's own. Source: docs.aws.amazon.com/AWSEC2/latest/APIReference/API_OperatorResponse.html
    """

    @property
    def auto_scaling_group(self) -> str | None:
        """The Auto Scaling group that it is a member of."""
        return self.tags.get("aws:autoscaling:groupName") or None

    @property
    def untouchable(self) -> str | None:
        """Why we never associate, disassociate, stop or start it, or ``None``."""
        if self.operator is not None:
            return f"{self.operator} manages it"
        return "DescribeInstances does not show it" if self.is_unknown else None

    @property
    def is_unknown(self) -> bool:
        return self.state == UNKNOWN

    @property
    def row(self) -> AssociationRow | None:
        """The association that counts; during a replace the one that is leaving is listed too."""
        staying = [row for row in self.rows if row.state != "disassociating"]
        return staying[0] if staying else None

    @property
    def is_running(self) -> bool:
        """Whether it runs, or may run: an unknown state counts as running."""
        return self.state in RUNNING or self.is_unknown

    @property
    def is_gone(self) -> bool:
        return self.state in ("shutting-down", "terminated")

    @property
    def in_transition(self) -> bool:
        return self.state in ("pending", "stopping")

    def names(self, profile_arn: str) -> bool:
        """Whether a row that stays names the profile, by whatever id or path it had."""
        return self.row is not None and same_resource(self.row.profile_arn, profile_arn)


@dataclass(frozen=True, slots=True)
class _Index:
    """Instances by what they are looked for, each list sorted, and roles by their ids."""

    by_profile: Mapping[tuple[str, str, str], tuple[LiveInstance, ...]]
    """By the profile of the association that counts; without those that are gone."""
    by_region: Mapping[str, tuple[LiveInstance, ...]]
    by_tag: Mapping[tuple[str, str, str], tuple[LiveInstance, ...]]
    """By region, key and value."""
    roles: Mapping[str, LiveRole]


def _index(live: LiveState) -> _Index:
    profiles: dict[tuple[str, str, str], list[LiveInstance]] = {}
    regions: dict[str, list[LiveInstance]] = {}
    tags: dict[tuple[str, str, str], list[LiveInstance]] = {}
    for instance in sorted(live.instances.values(), key=lambda i: i.key):
        region = instance.key.region
        regions.setdefault(region, []).append(instance)
        for key, value in instance.tags.items():
            tags.setdefault((region, key, value), []).append(instance)
        if instance.row is not None and not instance.is_gone:
            profiles.setdefault(resource_key(instance.row.profile_arn), []).append(instance)
    roles = {role.id: role for role in live.roles.values()}
    return _Index(_fixed(profiles), _fixed(regions), _fixed(tags), roles)


def _fixed(found: Mapping[_K, list[LiveInstance]]) -> dict[_K, tuple[LiveInstance, ...]]:
    return {key: tuple(instances) for key, instances in found.items()}


@dataclass(frozen=True, slots=True)
class LiveState:
    """One read of an account.

    Roles, policies and profiles are keyed by ``name_key``; ``regions`` are those whose instances
    were read. ``instances`` are those that AWS shows and those that only an association names
    (state ``UNKNOWN``), so ``consumers`` has both. ``unseen`` has only the second kind.
    """

    identity: Identity
    roles: Mapping[str, LiveRole] = field(default_factory=dict)
    policies: Mapping[str, LivePolicy] = field(default_factory=dict)
    profiles: Mapping[str, LiveProfile] = field(default_factory=dict)
    instances: Mapping[InstanceKey, LiveInstance] = field(default_factory=dict)
    regions: tuple[str, ...] = ()
    unread_regions: Mapping[str, str] = field(default_factory=dict)
    """Regions that could not be read, each with the reason."""
    unlisted: str | None = None
    """Why it is not known which regions are enabled, where all of them matter and were not given:
    others than those that were read may have consumers."""
    unread: Mapping[Address, str] = field(default_factory=dict)
    """Addresses of roles, policies and profiles that could not be read, each with the reason."""
    absent: frozenset[str] = frozenset()
    """ARNs of AWS-managed policies that were asked for and that AWS does not have."""
    of_aws: Mapping[str, Any] = field(default_factory=dict)
    """Documents of AWS-managed policies that were asked for, by ARN."""
    tag_index: str | None = None
    """Why tags were read one by one although AWS's index was asked for them."""
    listed_at: float | None = None
    """When the regions were asked, in seconds of the epoch, where others may share the answer."""
    not_whole: str | None = None
    """Why only what the specs name was read, so that what left them is not known."""

    shadows: Mapping[str, LiveProfile] = field(default_factory=dict)
    """Profiles that stand in for others during a hop, by those others' names in lower case; they
    are not among ``profiles``."""
    on_temporary_profile: Mapping[InstanceKey, LiveInstance] = field(default_factory=dict)
    """Instances on a temporary profile, as they are; in ``instances`` they have the original
    profile."""

    _index: list[_Index] = field(default_factory=list, init=False, repr=False, compare=False)
    """Made when it is first asked for; a copy makes its own."""

    def role(self, name: str | None) -> LiveRole | None:
        return named(self.roles, name)

    def role_with(self, role_id: str | None) -> LiveRole | None:
        """The role of that id."""
        return self._indexed().roles.get(role_id) if role_id is not None else None

    def policy(self, name: str) -> LivePolicy | None:
        return named(self.policies, name)

    def profile(self, name: str) -> LiveProfile | None:
        return named(self.profiles, name)

    def entity(self, address: Address) -> LiveEntity | None:
        """The policy, the role or the profile of that address."""
        match address.kind:
            case "policy":
                return self.policy(address.name)
            case "role":
                return self.role(address.name)
            case _:
                return self.profile(address.name)

    def entities(self) -> tuple[LiveEntity, ...]:
        return (*self.policies.values(), *self.roles.values(), *self.profiles.values())

    def consumers(self, profile_arn: str) -> tuple[LiveInstance, ...]:
        """Instances whose association names the profile, sorted; those as well that AWS does not
        show (``is_unknown``) and those that another service manages (``operator``)."""
        return self._indexed().by_profile.get(resource_key(profile_arn), ())

    def in_region(self, region: str) -> tuple[LiveInstance, ...]:
        """Every instance there, sorted."""
        return self._indexed().by_region.get(region, ())

    def tagged(self, region: str, key: str, values: Collection[str]) -> tuple[LiveInstance, ...]:
        """The instances in the region with one of the values in their tag, sorted."""
        by_tag = self._indexed().by_tag
        found = [i for value in {*values} for i in by_tag.get((region, key, value), ())]
        return tuple(sorted(found, key=lambda i: i.key))

    def _indexed(self) -> _Index:
        if not self._index:
            self._index.append(_index(self))
        return self._index[0]

    def unseen(self) -> tuple[LiveInstance, ...]:
        """Instances that only an association names, sorted: their state is not known."""
        unknown = [i for i in self.instances.values() if i.is_unknown]
        return tuple(sorted(unknown, key=lambda i: i.key))

    def with_instances(self, other: LiveState) -> LiveState:
        """The same account with the instances of more regions."""
        return replace(
            self,
            instances={**self.instances, **other.instances},
            regions=tuple(sorted({*self.regions, *other.regions})),
            unread_regions={**self.unread_regions, **other.unread_regions},
        )

    @property
    def has_unread_instances(self) -> bool:
        """Whether there may be instances, in regions that could not be read or listed."""
        return bool(self.unread_regions) or self.unlisted is not None
