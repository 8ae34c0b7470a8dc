"""Where a policy is for, and the ARNs and conditions that follow from it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from reconciler.model import ownership
from reconciler.model.address import Arns, name_of
from reconciler.plan.authorization import (
    ASSOCIATED,
    PASSED_TO,
    REGION,
    TAG_KEYS,
)

ANY = "*"
"""In place of an account that is not known: an identity reaches IAM's resources of its own account
alone, so it allows no more."""
_SERVICES = {"aws-cn": ("ec2.amazonaws.com", "ec2.amazonaws.com.cn")}


@dataclass(frozen=True, slots=True)
class PermissionScope:
    """An account, and what plans of it ask for. ``regions`` are those of instances, ``None`` for
    all."""

    partition: str
    account_id: str
    regions: tuple[str, ...] | None
    owner: str
    prefix: str
    asks_impact: bool = False
    """Whether plans ask what roles in use would lose."""

    @property
    def arns(self) -> Arns:
        return Arns(self.partition, self.account_id)

    def named(self, kind: str, names: Iterable[str]) -> tuple[str, ...]:
        """Of resources by name, whatever their path, which AWS may have another of: names are
        unique in an account, so the second form covers the same resource as the first."""
        return tuple(
            arn
            for name in sorted(set(names))
            for arn in (self.arns.of(kind, "/", name), self.arns.of(kind, "/*/", name))
        )

    def every(self, kind: str) -> tuple[str, ...]:
        return (self.arns.of(kind, "/", "*"),)

    def policies(self, references: Iterable[str]) -> tuple[str, ...]:
        """Of managed policies by name or ARN: an ARN of this account's counts by its name."""
        found: set[str] = set()
        for reference in references:
            is_foreign = reference.startswith("arn:") and ":iam::aws:" in reference
            found |= {reference} if is_foreign else {*self.named("policy", [name_of(reference)])}
        return tuple(sorted(found))

    def instances(self, names: Iterable[str] = ("*",)) -> tuple[str, ...]:
        """Instances in every region of the scope."""
        return tuple(
            f"arn:{self.partition}:ec2:{region}:{self.account_id}:instance/{name}"
            for region in self.regions or ("*",)
            for name in names
        )

    def aws_document(self, name: str) -> str:
        """Of Systems Manager, that AWS has in every region."""
        return f"arn:{self.partition}:ssm:*::document/{name}"

    def in_regions(self) -> dict[str, dict[str, tuple[str, ...]]]:
        return {} if self.regions is None else {"StringEquals": {REGION: self.regions}}

    def passing(self) -> dict[str, Mapping[str, tuple[str, ...]]]:
        """To EC2 alone. AWS takes no region and no id in the ARN of the instance, and the caller's
        own account: unknown, it is left out.
        Source: docs.aws.amazon.com/IAM/latest/APIReference/API_AddRoleToInstanceProfile.html"""
        services = _SERVICES.get(self.partition, ("ec2.amazonaws.com",))
        made: dict[str, Mapping[str, tuple[str, ...]]] = {"StringEquals": {PASSED_TO: services}}
        if self.account_id != ANY:
            arn = f"arn:{self.partition}:ec2:*:{self.account_id}:instance/*"
            made["ArnLike"] = {ASSOCIATED: (arn,)}
        return made

    def our_tags(self) -> dict[str, dict[str, tuple[str, ...]]]:
        return {"ForAllValues:StringLike": {TAG_KEYS: (f"{self.prefix}*",)}}

    def owned(self) -> dict[str, dict[str, tuple[str, ...]]]:
        """What has the owner's tag, in both of its forms."""
        key = f"aws:ResourceTag/{self.prefix}{ownership.OWNER}"
        return {"StringLike": {key: (self.owner, f"{self.owner}/*")}}
