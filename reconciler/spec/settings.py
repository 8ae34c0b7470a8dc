"""``reconciler.yaml`` at the root of a spec set."""

from __future__ import annotations

from datetime import date
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, WithJsonSchema
from pydantic_core import PydanticCustomError

from reconciler.model.ownership import DEFAULT_PREFIX, OWNER_PATTERN
from reconciler.spec.build.scalars import Seconds, Share, Text
from reconciler.spec.check import aws_limits
from reconciler.spec.models import SpecModel, TextList, Version

SETTINGS_FILE = "reconciler.yaml"

Account = Annotated[
    str, Field(pattern=f"^{aws_limits.ACCOUNT_ID.pattern}$", json_schema_extra={"type": "string"})
]
Region = Annotated[str, Field(pattern=f"^{aws_limits.REGION.pattern}$")]
Regions = Annotated[list[Region], Field(min_length=1)]
"""An empty list is a mistake: it could mean no region, or all."""
Count = Annotated[int, Field(ge=0)]


class Guards(SpecModel):
    """Guards: what blocks apply until overridden with --allow."""

    max_delete: Share = Field(30, description="Share of the owner's resources that may be deleted.")
    max_change: Share = Field(50, description="Share of them that may change.")
    min_existing: Count = Field(10, description="Below this many, shares do not apply.")
    protected: list[str] = Field([], description="Globs of addresses that need --allow protected=.")


class Quotas(SpecModel):
    """AWS's adjustable quotas, as this account has them."""

    managed_policies_per_role: Count = Field(10, description="Attached policies of a role.")
    trust_policy_size: Count = Field(2048, description="Characters of a trust policy.")


class IgnoreRule(SpecModel):
    """Differences to ignore; without attributes, whole resources that no spec names."""

    match: str = Field(description="Glob of addresses.")
    attributes: Annotated[list[str], Field(min_length=1)] | None = Field(
        None,
        description="Names such as description or tags.last-scanned; left out: resources that no "
        "spec names are neither reported nor pruned.",
    )
    only: Literal["plan", "drift"] | None = Field(
        None, description="Only in plan and apply, or only in drift. If omitted: in both."
    )
    reason: Text = Field(description="Why.")
    expires: date | None = Field(None, description="The rule is ignored from this day on.")


class Allow(SpecModel):
    """Guards overridden for one change, reviewed with it."""

    delete: Count | None = Field(None, description="As --allow delete=N.")
    change: Count | None = Field(None, description="As --allow change=N.")
    protected: Text | None = Field(None, description="As --allow protected=ADDR.")
    replace: Text | None = Field(None, description="As --allow replace=ADDR.")
    strip: Text | None = Field(None, description="As --allow strip=ADDR.")
    boundary: Text | None = Field(None, description="As --allow boundary=ADDR.")
    retry: Text | None = Field(None, description="As --allow retry=ADDR.")
    consumers: Text | None = Field(None, description="As --allow consumers=ADDR.")
    self: Text | None = Field(None, description="As --allow self=ADDR.")
    growth: Text | None = Field(None, description="As --allow growth=ADDR.")
    impact: Text | None = Field(None, description="As --allow impact=ADDR.")
    release: Text | None = Field(None, description="As --allow release=ADDR.")
    reason: Text = Field(description="Why.")
    expires: date = Field(description="The entry is ignored from this day on.")


class TargetSpec(SpecModel):
    """One account and its regions."""

    account_id: Account | None = Field(None, description="Refuse any other account.")
    role_arn: str | None = Field(None, description="Role to assume.")
    external_id: Text | None = Field(None, description="External id for assuming the role.")
    regions: Regions | None = Field(None, description="Regions in which associations are managed.")
    variables: dict[str, Text] = Field({}, description="Variables for this target.")
    specs: list[str] | None = Field(None, description="Parts of the set; default: all of it.")


def account_of(arn: str | None) -> str | None:
    """The account that an ARN names, if it does."""
    return arn.split(":")[4] if arn is not None and arn.count(":") >= 5 else None


Unit = Annotated[str, Field(pattern=r"^(?:r-[0-9a-z]{4,32}|ou-[0-9a-z]{4,32}-[0-9a-z]{8,32})$")]
"""Source: docs.aws.amazon.com/organizations/latest/APIReference/API_ListAccountsForParent.html"""
_NAMED = "${account_id}"


class FromOrganizations(SpecModel):
    """Active accounts of an organization, each a target with the account's id as its name."""

    role: Annotated[
        str, Field(pattern=r"^(?:[\w+=,.@-]|\$\{account_id\})(?:[\w+=,.@/-]|\$\{account_id\})*$")
    ] = Field(
        description="Name of the role to assume, after its path: ci/reconciler. ${account_id} "
        "stands for the account's id."
    )
    units: Annotated[list[Unit], Field(min_length=1)] | None = Field(
        None, description="Only accounts in these units or roots, or below them; default: all."
    )
    tags: dict[str, TextList] = Field(
        {}, description="Only accounts with all of these tags; a list is any of its values."
    )
    exclude: list[Account] = Field([], description="Not these accounts.")
    external_id: Text | None = Field(None, description="External id for assuming the role.")
    regions: Regions | None = Field(None, description="Regions in which associations are managed.")
    variables: dict[str, Text] = Field({}, description="Variables for these targets.")
    specs: list[str] | None = Field(None, description="Parts of the set; default: all of it.")

    def target(self, account_id: str | None = None, partition: str = "aws") -> TargetSpec:
        """The target of an account; without an id, that of any."""
        return TargetSpec(
            account_id=account_id,
            role_arn=self.role_arn(account_id or "", partition),
            external_id=self.external_id,
            regions=self.regions,
            variables=self.variables,
            specs=self.specs,
        )

    def role_arn(self, account_id: str, partition: str) -> str:
        """The role to assume in an account; ``*`` for the id makes a pattern of all of them."""
        role = self.role.replace(_NAMED, account_id)
        return f"arn:{partition}:iam::{account_id}:role/{role}"


class TargetsFrom(SpecModel):
    """Where further targets come from. Asked once in each run."""

    organizations: FromOrganizations = Field(description="AWS Organizations.")


ImpactMode = Literal["off", "warn", "guard"]

PREFIX_LENGTH = (4, 64)


def _prefix(value: Any) -> Any:
    """Short ones, and ones without an end, are those of other people's tags."""
    if not isinstance(value, str):
        return value
    least, most = PREFIX_LENGTH
    if not least <= len(value) <= most:
        what = f"must have {least} to {most} characters"
    elif not value.endswith((":", "/")):
        what = "must end in : or /"
    elif value.casefold().startswith("aws:"):
        what = "must not begin with aws:, which is AWS's own"
    elif not aws_limits.is_tag_text(value) or not value[:-1].strip(" :/"):
        what = "must consist of letters, digits, blanks and _.:/=+-@"
    else:
        return value
    raise PydanticCustomError("invalid-value", "{what}", {"what": what})


Prefix = Annotated[
    str,
    BeforeValidator(_prefix),
    WithJsonSchema(
        {
            "type": "string",
            "minLength": PREFIX_LENGTH[0],
            "maxLength": PREFIX_LENGTH[1],
            "pattern": "^(?![aA][wW][sS]:).*[:/]$",
        }
    ),
]


class Settings(SpecModel):
    """Settings of a spec set."""

    version: Version = Field("1", description="Version of the format; 1 is the only one.")
    owner: Annotated[str, Field(pattern=f"^{OWNER_PATTERN.pattern}$")] = Field(
        "default",
        description="Name of this spec set; written to a tag of every resource that it manages.",
    )
    account_id: Account | None = Field(None, description="Refuse any other account.")
    regions: Regions | None = Field(
        None,
        description="Regions in which associations are managed; default: the session's region.",
    )
    consumer_regions: Annotated[
        Regions | None,
        BeforeValidator(
            lambda value: None if value == "all" else value,
            json_schema_input_type=Literal["all"] | list[str],
        ),
    ] = Field(
        None,
        description="Regions that a cut-over searches for consumers; all: every enabled region.",
    )
    variables: dict[str, Text] = Field({}, description="Values for ${name}.")
    prune: bool = Field(False, description="Delete owned resources that left the specs.")
    adopt: bool = Field(False, description="Start managing existing resources without an owner.")
    tag_prefix: Prefix = Field(
        DEFAULT_PREFIX,
        description="Prefix of our own tags: at least 4 characters, ends in : or /, is not aws:.",
    )
    propagation: Seconds = Field(
        60, le=3600, description="Time until EC2 sees a role change in IAM; at most an hour."
    )
    max_cutovers: Annotated[int, Field(ge=1, le=200)] = Field(
        10, description="Profiles that are cut over at a time, in each account."
    )
    impact: ImpactMode = Field(
        "off",
        description="What happens if a role in use would lose permissions that it used: off does "
        "not ask AWS, warn warns, guard blocks apply.",
    )
    guards: Guards = Field(Guards(), description="What blocks apply.")
    quotas: Quotas = Field(Quotas(), description="AWS's adjustable quotas.")
    ignore: list[IgnoreRule] = Field([], description="Differences to ignore.")
    allow: list[Allow] = Field([], description="Guards overridden for one change.")
    targets: dict[str, TargetSpec] = Field({}, description="Accounts; default: the caller's.")
    targets_from: TargetsFrom | None = Field(None, description="Further accounts.")
