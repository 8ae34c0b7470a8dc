"""What a sandbox holds at its start, as a file of ``--seed`` or ``--state`` has it: accounts with
their policies, roles, instance profiles and instances, as if made outside of reconciler."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Self

from pydantic import Field, model_validator
from pydantic_core import PydanticCustomError

from reconciler.diagnostics import Diagnostic, Location, has_errors, in_order
from reconciler.errors import RefusedError, UnreadableError
from reconciler.exit_codes import ExitCode
from reconciler.model.policy_document import PolicyDocument
from reconciler.spec.build.validation import validated_model
from reconciler.spec.check import policy_checks
from reconciler.spec.check.spots import Spot
from reconciler.spec.desired import Place
from reconciler.spec.models import Document, SpecModel
from reconciler.spec.yaml import tree as tree_of
from reconciler.spec.yaml.parser import parse, read_text

MOST_BYTES = 100 * 1024 * 1024
ACCOUNT = "123456789012"
USED = r"^[a-z0-9-]+(:[A-Za-z0-9]+)?$"
"""An action or a service."""
EC2_TRUST: dict[str, Any] = {
    "Version": "2012-10-17",
    "Statement": [
        {
            "Effect": "Allow",
            "Principal": {"Service": "ec2.amazonaws.com"},
            "Action": "sts:AssumeRole",
        }
    ],
}


def _id(start: str) -> Any:
    """The id that AWS gave. What has one exists elsewhere, and is taken as it is."""
    return Field(None, pattern=f"^{start}[A-Z0-9]{{12,124}}$", description="Its id in AWS.")


def _seconds() -> Any:
    return Field(None, ge=0, description="Seconds of the epoch.")


class VersionSeed(SpecModel):
    """An earlier version of a policy, or a later one that is not in effect."""

    document: Document
    created_at: float | None = _seconds()


class PolicySeed(SpecModel):
    """``document`` is a policy document as AWS has it, that of the ``version``."""

    document: Document
    path: str = "/"
    description: str = ""
    tags: dict[str, str] = Field({})
    id: str | None = _id("A")
    created_at: float | None = _seconds()
    version: str = Field("v1", pattern="^v[1-9][0-9]{0,8}$")
    updated_at: float | None = Field(None, ge=0, description="When that version was made.")
    versions: dict[str, VersionSeed] = Field({}, description="The other versions.")


class GroupSeed(SpecModel):
    """Nobody is in it. ``managed_policies`` as those of a role."""

    path: str = "/"
    managed_policies: list[str] = Field([])
    id: str | None = _id("A")


class UserSeed(GroupSeed):
    """It has no keys and no password."""

    permissions_boundary: str | None = None


class UseSeed(SpecModel):
    """The last use of an action, or of a service: some days ago, or at a time."""

    days_ago: int = Field(0, ge=0, le=100_000)
    at: float | None = _seconds()
    region: str = "us-east-1"


class RoleSeed(SpecModel):
    """``managed_policies`` are ARNs, names of the file's policies, or names of AWS's; ``used`` are
    actions such as ``s3:PutObject``, and services of which AWS does not record single actions, such
    as ``sqs``."""

    trust_policy: Document = Field(EC2_TRUST)
    path: str = "/"
    description: str = ""
    max_session_duration: int = Field(3600, description="Seconds.")
    managed_policies: list[str] = Field([])
    inline_policies: dict[str, Document] = Field({})
    permissions_boundary: str | None = None
    tags: dict[str, str] = Field({})
    used: dict[Annotated[str, Field(pattern=USED)], UseSeed] = Field({})
    id: str | None = _id("A")
    created_at: float | None = _seconds()


class ProfileSeed(SpecModel):
    role: str | None = None
    path: str = "/"
    tags: dict[str, str] = Field({})
    id: str | None = _id("A")
    created_at: float | None = _seconds()


class InstanceSeed(SpecModel):
    """Some instances alike, or one with its ``id``."""

    region: str = "us-east-1"
    count: int = Field(1, ge=1, le=1000)
    tags: dict[str, str] = Field({})
    instance_profile: str | None = None
    """The name of a profile of the file, or the ARN of one that is gone."""
    state: str = Field("running", pattern="^(running|stopped)$")
    operator: str | None = None
    """The AWS service that manages them, such as ``ecs.amazonaws.com``."""
    hidden: bool = False
    """From now on the region lists managed instances only when it is asked to."""
    unlisted: bool = False
    """``DescribeInstances`` never shows them, and their associations are listed all the same."""
    windows: bool = False
    """They run Windows."""
    id: str | None = Field(None, pattern="^i-[0-9a-f]{8,17}$")
    association: str | None = Field(None, pattern="^iip-assoc-[0-9a-f]{8,17}$")
    """The id of its association."""
    profile_id: str | None = _id("A")
    """The id of the profile that it was associated with, if there is another of that name now."""
    uses: str | None = None
    """The id of the role whose credentials it uses; by default that in its profile. ``-`` for
    none."""
    associating: bool = False
    """The association was made while the instance was stopped: it takes effect at the next
    start."""
    launched_at: float | None = _seconds()

    @model_validator(mode="after")
    def _is_one(self) -> Self:
        if self.count > 1 and (self.id or self.association):
            raise PydanticCustomError("invalid-value", "count must be 1 for an instance with an id")
        about = (self.association, self.profile_id, self.uses, self.associating)
        if self.instance_profile is None and any(about):
            message = "association, profile_id, uses and associating need an instance_profile"
            raise PydanticCustomError("invalid-value", message)
        return self


class AccountSeed(SpecModel):
    """What is in one account, by name."""

    policies: dict[str, PolicySeed] = Field({})
    users: dict[str, UserSeed] = Field({})
    groups: dict[str, GroupSeed] = Field({})
    roles: dict[str, RoleSeed] = Field({})
    instance_profiles: dict[str, ProfileSeed] = Field({})
    instances: list[InstanceSeed] = Field([])


class EventSeed(SpecModel):
    """A change that CloudTrail tells of: a request, and the names in it."""

    service: str
    operation: str
    account: str
    region: str
    user_agent: str
    at: float
    resources: list[str]


class Seed(AccountSeed):
    """A file of ``--seed`` or ``--state``: the account that callers are in, and others."""

    account_id: str = Field(ACCOUNT, pattern="^[0-9]{12}$")
    regions: list[str] = Field([], description="The enabled regions.")
    accounts: dict[str, AccountSeed] = Field({}, description="Other accounts by their ids.")
    events: list[EventSeed] = Field([])


DEFAULT = Seed(
    instances=[
        InstanceSeed(count=3, tags={"app": "web", "env": "prod"}),
        InstanceSeed(count=1, tags={"app": "batch", "env": "prod"}, state="stopped"),
        InstanceSeed(region="eu-west-1", count=2, tags={"app": "web", "env": "prod"}),
    ]
)


@dataclass(frozen=True, slots=True)
class SeedFile:
    """Where a seed stands: ``place`` finds the places of its parts, ``sources`` has the text."""

    place: Place
    sources: Mapping[str, str]


def load(path: Path, *, may_be_empty: bool = True) -> tuple[Seed, SeedFile]:
    """The seed, and where it stands.

    Raises ``RefusedError`` with all mistakes of the file, each with its place."""
    name, problems = str(path), list[Diagnostic]()
    try:
        text = read_text(path, name, MOST_BYTES)
        tree = parse(text, name, problems)
    except UnreadableError as error:
        raise _refused(name, [error.diagnostic]) from error
    sources = {name: text}
    is_empty = tree is None or (isinstance(tree, tree_of.Scalar) and tree.text is None)
    if is_empty and may_be_empty:
        return Seed(), SeedFile(Place(tree_of.Mapping({}, {}), ()), sources)
    if is_empty:
        raise _refused(name, [Diagnostic("error", "empty-file", "is empty", Location(name))])
    if not isinstance(tree, tree_of.Mapping):
        message = "must be a mapping of policies, roles, instance_profiles and instances"
        at = tree.location if tree is not None else Location(name)
        wrong = Diagnostic("error", "wrong-type", message, at)
        raise _refused(name, [wrong], sources)
    seed, place = validated_model(Seed, tree, problems), Place(tree, ())
    if seed is not None:
        problems.extend(_wrong_documents(seed, place))
    if seed is None or has_errors(problems):
        raise _refused(name, problems, sources)
    return seed, SeedFile(place, sources)


def _refused(
    name: str, problems: list[Diagnostic], sources: dict[str, str] | None = None
) -> RefusedError:
    found = in_order([d for d in problems if d.severity == "error"])
    return RefusedError(f"{name} cannot be used", ExitCode.ERROR, found, sources)


def _wrong_documents(seed: Seed, place: Place) -> Iterator[Diagnostic]:
    """What AWS would refuse in documents. What has an id has been accepted by AWS."""
    for account, path in accounts(seed):
        for name, policy in account.policies.items():
            if policy.id is None:
                spot = Spot(place, (*path, "policies", name, "document"))
                yield from policy_checks.managed_policy(PolicyDocument.of(policy.document), spot)
        for name, role in account.roles.items():
            if role.id is not None:
                continue
            here = (*path, "roles", name)
            trust = PolicyDocument.of(role.trust_policy)
            yield from policy_checks.trust_policy(trust, Spot(place, (*here, "trust_policy")))
            for title, inline in role.inline_policies.items():
                spot = Spot(place, (*here, "inline_policies", title))
                yield from policy_checks.inline_policy(PolicyDocument.of(inline), spot)


def accounts(seed: Seed) -> Iterator[tuple[AccountSeed, tuple[str, ...]]]:
    """Each account with its path in the file."""
    yield seed, ()
    for number, account in seed.accounts.items():
        yield account, ("accounts", number)
