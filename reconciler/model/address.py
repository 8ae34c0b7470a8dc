"""Addresses: what a resource is called in a spec, in a plan, on the command line and in JSON.

The only place that compares names, and the only one that builds or takes apart the ARNs of IAM.
IAM keeps names in the case in which they were made and compares them without it; ids of instances
are compared as they are.
Source: docs.aws.amazon.com/IAM/latest/UserGuide/reference_identifiers.html
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Final, TypeVar

_V = TypeVar("_V")

POLICY: Final = "policy"
ROLE: Final = "role"
PROFILE: Final = "instance-profile"
ASSOCIATION: Final = "association"


def name_key(name: str | None) -> str:
    """What IAM compares names by; the empty string for no name."""
    return (name or "").casefold()


def same_name(left: str | None, right: str | None) -> bool:
    """Whether IAM takes the two for one name; two absent names are one."""
    return name_key(left) == name_key(right)


def by_name(items: Iterable[tuple[str, _V]]) -> dict[str, _V]:
    """Keyed by ``name_key``."""
    return {name_key(name): item for name, item in items}


def named(items: Mapping[str, _V], name: str | None) -> _V | None:
    """From a mapping made by ``by_name``."""
    return items.get(name_key(name))


_MEANT = {
    **{kind: kind for kind in (ROLE, POLICY, PROFILE, ASSOCIATION)},
    "roles": ROLE,
    "policies": POLICY,
    "profile": PROFILE,
    "instance_profile": PROFILE,
    "instance_profiles": PROFILE,
    "instance": ASSOCIATION,
    "associations": ASSOCIATION,
}
"""Kinds by what people write instead of them: as in the specs, as in an ARN."""
_INSTANCE_ID = re.compile(r"i-[0-9a-f]{8,17}", re.IGNORECASE)


def meant_by(text: str) -> str | None:
    """The address that somebody means who has written none: an ARN, another case, a kind as the
    specs have it. ``None`` if that is not clear."""
    resource = text.strip()
    if resource.startswith("arn:"):
        resource = resource.split(":", 5)[-1]
        kind, _, path = resource.partition("/")
        resource = f"{kind}/{name_of(path)}"
    if _INSTANCE_ID.fullmatch(resource):
        return resource.lower()
    kind, _, name = resource.partition("/")
    known = _MEANT.get(kind.strip().casefold())
    if known is None or not name:
        return None
    if known == ASSOCIATION:
        return name.lower() if _INSTANCE_ID.fullmatch(name) else None
    return f"{known}/{name}"


@dataclass(frozen=True, slots=True, eq=False)
class Address:
    """``KIND/NAME``. The name keeps the case in which it is written; equality, order and hash do
    not look at it, but for instances. Without a name it stands for more than one resource: a kind,
    or ``*`` for all there is."""

    kind: str
    name: str = ""

    @staticmethod
    def parse(text: str) -> Address:
        """From ``KIND/NAME``."""
        kind, _, name = text.partition("/")
        return Address(kind, name)

    @property
    def key(self) -> tuple[str, str]:
        """What two addresses of one resource share."""
        return self.kind, self.name if self.kind == ASSOCIATION else name_key(self.name)

    @property
    def is_instance(self) -> bool:
        """Whether the name is the id of an instance."""
        return self.kind == ASSOCIATION

    def matches(self, pattern: str) -> bool:
        """Whether a glob such as ``role/ci-*`` covers it; the case of IAM's names does not count,
        in the pattern neither."""
        if self.is_instance:
            return fnmatchcase(str(self), pattern)
        return fnmatchcase("/".join(self.key), name_key(pattern))

    def __str__(self) -> str:
        return f"{self.kind}/{self.name}" if self.name else self.kind

    def __eq__(self, other: object) -> bool:
        return self.key == other.key if isinstance(other, Address) else NotImplemented

    def __hash__(self) -> int:
        return hash(self.key)

    def __lt__(self, other: Address) -> bool:
        return self.key < other.key


EVERYTHING = Address("*")
"""The address of notes about the whole account."""
ANY_INSTANCE = Address(ASSOCIATION, "*")


def role_address(name: str) -> Address:
    return Address(ROLE, name)


def policy_address(name: str) -> Address:
    return Address(POLICY, name)


def profile_address(name: str) -> Address:
    return Address(PROFILE, name)


def instance_address(instance: str) -> Address:
    return Address(ASSOCIATION, instance)


def matches_any(address: Address, patterns: Iterable[str]) -> bool:
    return any(address.matches(pattern) for pattern in patterns)


@dataclass(frozen=True, slots=True)
class Arns:
    """The ARNs of one account's IAM resources. ``arn:PARTITION:iam::ACCOUNT:KIND/PATH/NAME``."""

    partition: str
    account_id: str

    def of(self, kind: str, path: str, name: str) -> str:
        """``path`` begins and ends with a slash."""
        return f"{self._start(kind)}{path}{name}"

    def aws_managed(self, path: str, name: str) -> str:
        """Of a policy that AWS manages."""
        return f"arn:{self.partition}:iam::aws:{POLICY}{path}{name}"

    def is_aws_managed(self, arn: str) -> bool:
        """Whether the ARN is of a policy that AWS manages, in this account's partition."""
        return arn.startswith(self.aws_managed("/", ""))

    def has(self, arn: str, kind: str) -> bool:
        """Whether the ARN is one of this account's, of that kind."""
        return arn.startswith(f"{self._start(kind)}/")

    def address(self, arn: str) -> Address | None:
        """Of a role, policy or profile of this account; ``None`` for all else."""
        for kind in (ROLE, POLICY, PROFILE):
            if self.has(arn, kind):
                return Address(kind, name_of(arn))
        return None

    def _start(self, kind: str) -> str:
        return f"arn:{self.partition}:iam::{self.account_id}:{kind}"


def name_of(arn: str) -> str:
    """The name at the end of an ARN, whatever the path; a bare name is its own."""
    return arn.rpartition("/")[2]


def same_resource(left: str, right: str) -> bool:
    """Whether two ARNs name one resource: names are unique in an account, whatever the path."""
    return resource_key(left) == resource_key(right)


def resource_key(arn: str) -> tuple[str, str, str]:
    """What two ARNs of one resource share: account, kind and name."""
    account, _, resource = arn.partition(":iam::")[2].partition(":")
    kind, _, rest = resource.partition("/")
    return account, kind, name_key(name_of(rest))
