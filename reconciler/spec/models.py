"""The spec format, version 1, as Pydantic models: what a file may hold, and its JSON Schema."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, WithJsonSchema
from pydantic_core import PydanticCustomError

from reconciler.spec.build.scalars import Canary, Checkpoint, Count, MaxUnavailable, Seconds, Text
from reconciler.spec.yaml.policy_documents import is_wrapped


class SpecModel(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


Document = Annotated[
    dict[str, Any],
    WithJsonSchema(
        {
            "type": "object",
            "description": "A verbatim IAM policy document, or {file: NAME.json}.",
        }
    ),
]
Tags = dict[str, Text]
Version = Annotated[Literal["1"], WithJsonSchema({"enum": [1, "1"]})]


class Defaults(SpecModel):
    """Defaults for the resources of this file."""

    tags: Tags = Field(
        {}, description="Tags for every resource; a resource's own tags take precedence."
    )
    path: str | None = Field(None, description="IAM path of resources without one.")


class PolicySpec(SpecModel):
    """A customer-managed policy."""

    description: Text | None = Field(None, description="Cannot be changed after creation.")
    path: str | None = Field(
        None, description="IAM path. If omitted: created at /, and never changed."
    )
    document: Document = Field(description="The policy document.")
    tags: Tags = Field({}, description="Tags of the policy; exclusive.")


class ManagedPolicies(SpecModel):
    """Attached managed policies."""

    exclusive: bool = Field(True, description="Detach policies that are not listed.")
    policies: list[Text] = Field([], description="Names or ARNs of managed policies.")


class InlinePolicies(SpecModel):
    """Policies inside the role."""

    exclusive: bool = Field(True, description="Delete inline policies that are not listed.")
    policies: dict[str, Document] = Field({}, description="Documents by policy name.")


def _inline(value: Any) -> Any:
    is_short = isinstance(value, dict) and not is_wrapped(value)
    return {"policies": value} if is_short else value


def _managed(value: Any) -> Any:
    if isinstance(value, list):
        return {"policies": value}
    if not isinstance(value, dict):
        raise PydanticCustomError("wrong-type", "must be a list of names or ARNs")
    return value


def _texts(value: Any) -> Any:
    if isinstance(value, str):
        return [value]
    if not isinstance(value, list):
        raise PydanticCustomError("wrong-type", "must be text, or a list of texts")
    return value


_MANAGED = Annotated[
    ManagedPolicies,
    BeforeValidator(
        _managed,
        json_schema_input_type=list[str] | ManagedPolicies,
    ),
]
_INLINE = Annotated[
    InlinePolicies,
    BeforeValidator(_inline, json_schema_input_type=dict[str, Document] | InlinePolicies),
]
TextList = Annotated[
    list[Text],
    BeforeValidator(
        _texts,
        json_schema_input_type=str | list[str],
    ),
]


class RoleSpec(SpecModel):
    """An IAM role."""

    description: Text = Field("", description="Up to 1000 characters of Latin-1.")
    path: str | None = Field(
        None, description="IAM path. If omitted: created at /, and never changed."
    )
    trust: TextList | None = Field(
        None, description="Services that may assume the role: ec2, lambda, ecs-tasks.amazonaws.com."
    )
    trust_policy: Document | None = Field(None, description="The trust policy, in place of trust.")
    managed_policies: _MANAGED = Field(
        ManagedPolicies(), description="Managed policies attached to the role; exclusive."
    )
    inline_policies: _INLINE = Field(
        InlinePolicies(), description="Inline policies by name; exclusive."
    )
    permissions_boundary: str | None = Field(
        None,
        description="Name or ARN of a managed policy; null removes it. If omitted: never changed.",
    )
    max_session_duration: Seconds = Field(3600, description="1h to 12h.")
    tags: Tags = Field({}, description="Tags of the role; exclusive.")
    instance_profile: bool = Field(
        False, description="Create an instance profile with the same name, path and tags."
    )


class DeniedSpec(SpecModel):
    """Calls that AWS refuses to an instance after it got the new role."""

    max: Count = Field(
        0,
        description="Most denied calls of an instance; what was denied as long before as well "
        "(the same action on the same resource) is not counted.",
    )
    window: Seconds = Field(
        300, description="Time after and before an instance got the role whose calls count."
    )


class ChecksSpec(SpecModel):
    """What is watched before, during and after each batch."""

    alarms: list[Text] = Field(
        [],
        description="Names or ARNs of CloudWatch alarms, also composite ones, none of which may be "
        "in ALARM. A name is looked for in the target's regions.",
    )
    target_groups: list[Text] = Field(
        [],
        description="ARNs of target groups in which no instance with the new role may be "
        "unhealthy.",
    )
    denied: DeniedSpec | None = Field(
        None,
        description="Watch CloudTrail for calls that are refused to instances with the new role; "
        "{} for the defaults.",
    )


class VerifySpec(SpecModel):
    """Evidence of the role that the instances of a batch are served."""

    source: list[Literal["imds", "cloudtrail"]] = Field(
        [],
        description="Where it comes from: imds asks the metadata service of each instance by a "
        "command of Systems Manager, cloudtrail looks up its calls. Without any, nothing is "
        "verified.",
    )
    timeout: Seconds = Field(600, description="How long a batch is asked about until it is known.")
    on_unknown: Literal["continue", "stop"] = Field(
        "continue",
        description="What to do if it is not known by then: go on and say why, or end the run, "
        "without a roll-back.",
    )


class CutOverSpec(SpecModel):
    """What happens to running instances when the role in their profile changes."""

    strategy: Literal["reassociate", "hop", "restart", "wait"] = Field(
        "reassociate",
        description="Associate the profile again, use a temporary profile, restart the "
        "instance, or leave it to AWS.",
    )
    canary: Canary = Field("1", description="Size of the first batch: a count or a share.")
    max_unavailable: MaxUnavailable = Field(
        "1", description="Most running instances without a profile at a time: a count or a share."
    )
    pause: Seconds = Field(0, description="Time between batches.")
    on_failure: Literal["rollback", "stop"] = Field(
        "rollback", description="What to do when the first batch fails."
    )
    bake: Seconds = Field(
        0, description="Time for which the first batch is watched before anything follows it."
    )
    checkpoints: list[Checkpoint] = Field(
        [],
        description="Shares of the fleet at which an apply ends, and the next one goes on.",
    )
    checks: ChecksSpec = Field(
        ChecksSpec(), description="What is watched; a batch fails if one of it speaks against it."
    )
    verify: VerifySpec = Field(
        VerifySpec(),
        description="After each batch: evidence that its instances are served the new role; a "
        "batch fails if one is served another.",
    )


class InstanceProfileSpec(SpecModel):
    """An instance profile."""

    role: Text | None = Field(description="Name of the role in the profile; null: none.")
    path: str | None = Field(
        None, description="IAM path. If omitted: created at /, and never changed."
    )
    tags: Tags = Field({}, description="Tags of the profile; exclusive.")
    cutover: CutOverSpec = Field(CutOverSpec(), description="How running instances get a new role.")


class SelectSpec(SpecModel):
    """Selects instances by their tags."""

    tags: dict[str, TextList] = Field(
        description="All keys must match, each with any of its values."
    )


class AssociationSpec(SpecModel):
    """Instances that a profile is associated with."""

    instance_profile: Text = Field(description="Name of the profile.")
    instances: list[Text] | None = Field(None, description="Ids of instances.")
    select: SelectSpec | None = Field(None, description="Instances by tags, in place of ids.")
    regions: list[str] | None = Field(
        None, description="Regions of the instances; default: the target's regions."
    )


class FileSpec(SpecModel):
    """A file of resources."""

    version: Version = Field("1", description="Version of the format; 1 is the only one.")
    defaults: Defaults = Field(Defaults(), description="For the resources of this file.")
    policies: dict[str, PolicySpec] = Field({}, description="Customer-managed policies by name.")
    roles: dict[str, RoleSpec] = Field({}, description="Roles by name.")
    instance_profiles: dict[str, InstanceProfileSpec] = Field(
        {}, description="Instance profiles by name."
    )
    associations: dict[str, AssociationSpec] = Field(
        {}, description="Associations by a name of your choice."
    )
