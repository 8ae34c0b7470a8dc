"""The resources, frozen and canonical: desired and live alike, so that ``==`` decides."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from reconciler.model.address import (
    Address,
    Arns,
    instance_address,
    name_of,
    policy_address,
    profile_address,
    role_address,
)
from reconciler.model.checks import Checks, Verify
from reconciler.model.policy_document import PolicyDocument

Tags = Mapping[str, str]


def no_tags() -> Tags:
    return MappingProxyType({})


DEFAULT_SESSION_SECONDS = 3600


def frozen_tags(tags: Mapping[str, str]) -> Tags:
    return MappingProxyType(dict(sorted(tags.items())))


def _set(resource: object, **values: Any) -> None:
    for name, value in values.items():
        object.__setattr__(resource, name, value)


@dataclass(frozen=True, slots=True)
class Policy:
    """A customer-managed policy."""

    name: str
    document: PolicyDocument
    path: str = "/"
    description: str = ""
    tags: Tags = field(default_factory=no_tags)

    def __post_init__(self) -> None:
        _set(self, tags=frozen_tags(self.tags))

    @property
    def address(self) -> Address:
        return policy_address(self.name)

    def attributes(self) -> dict[str, Any]:
        return {
            "path": self.path,
            "description": self.description,
            "document": self.document.value,
            "tags": dict(self.tags),
        }


@dataclass(frozen=True, slots=True)
class Role:
    """``managed_policies`` are ARNs; ``inline_policies`` are pairs of name and document."""

    name: str
    trust_policy: PolicyDocument
    path: str = "/"
    description: str = ""
    managed_policies: tuple[str, ...] = ()
    inline_policies: tuple[tuple[str, PolicyDocument], ...] = ()
    permissions_boundary: str | None = None
    max_session_seconds: int = DEFAULT_SESSION_SECONDS
    tags: Tags = field(default_factory=no_tags)

    def __post_init__(self) -> None:
        _set(
            self,
            managed_policies=tuple(sorted(set(self.managed_policies))),
            inline_policies=tuple(sorted(self.inline_policies, key=lambda pair: pair[0])),
            tags=frozen_tags(self.tags),
        )

    @property
    def address(self) -> Address:
        return role_address(self.name)

    @property
    def policies(self) -> frozenset[str]:
        """ARNs of every managed policy that it has, its boundary among them."""
        boundary = () if self.permissions_boundary is None else (self.permissions_boundary,)
        return frozenset((*self.managed_policies, *boundary))

    def attributes(self) -> dict[str, Any]:
        return {
            "path": self.path,
            "description": self.description,
            "trust_policy": self.trust_policy.value,
            "managed_policies": {name_of(arn): arn for arn in self.managed_policies},
            "inline_policies": {name: document.value for name, document in self.inline_policies},
            "permissions_boundary": self.permissions_boundary,
            "max_session_duration": self.max_session_seconds,
            "tags": dict(self.tags),
        }


@dataclass(frozen=True, slots=True)
class InstanceProfile:
    """``role`` is a role's name, ``None`` an empty profile."""

    name: str
    role: str | None = None
    path: str = "/"
    tags: Tags = field(default_factory=no_tags)

    def __post_init__(self) -> None:
        _set(self, tags=frozen_tags(self.tags))

    @property
    def address(self) -> Address:
        return profile_address(self.name)

    def attributes(self) -> dict[str, Any]:
        return {"path": self.path, "role": self.role, "tags": dict(self.tags)}


@dataclass(frozen=True, slots=True)
class Association:
    """``profile`` is a profile's name."""

    instance: str
    region: str
    profile: str

    @property
    def name(self) -> str:
        return self.instance

    @property
    def address(self) -> Address:
        return instance_address(self.instance)

    def attributes(self) -> dict[str, Any]:
        return {"instance_profile": self.profile}


Resource = Policy | Role | InstanceProfile | Association


@dataclass(frozen=True, slots=True)
class RollOut:
    """How a cut-over goes about: ``canary``, the size of the first batch, and ``max_unavailable``
    are counts or shares such as ``25%``. ``bake_seconds`` pass after the first batch before the
    next, or the end; ``checkpoints`` are percents of the fleet, ascending."""

    max_unavailable: str = "1"
    pause_seconds: int = 0
    propagation_seconds: int = 60
    on_failure: str = "rollback"
    strategy: str = "reassociate"
    canary: str = "1"
    bake_seconds: int = 0
    checkpoints: tuple[int, ...] = ()
    checks: Checks = field(default_factory=Checks)
    verify: Verify = field(default_factory=Verify)

    def at_once(self, running: int, *, is_first: bool = False) -> int:
        """How many of ``running`` consumers may be away at a time, in the first batch or later; at
        least one."""
        most = _count(self.max_unavailable, running)
        return min(most, _count(self.canary, running)) if is_first else most


def _count(text: str, whole: int) -> int:
    if text.endswith("%"):
        return max(1, whole * int(text[:-1]) // 100)
    return int(text)


@dataclass(frozen=True, slots=True)
class Identity:
    """The identity of the caller, from ``sts:GetCallerIdentity``.
    Source: docs.aws.amazon.com/STS/latest/APIReference/API_GetCallerIdentity.html
    """

    account_id: str
    partition: str
    arn: str = ""
    alias: str | None = field(default=None, compare=False)
    """Of the account, where it has one that may be read."""

    @property
    def arns(self) -> Arns:
        """The ARNs of this account."""
        return Arns(self.partition, self.account_id)
