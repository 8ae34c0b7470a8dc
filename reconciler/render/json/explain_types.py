"""The shape of the JSON of ``explain``. Stable as those of ``types.py``."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, with_config
from typing_extensions import TypedDict

from reconciler.explain.explanation import Hold, PolicyKind, Presence, Relation
from reconciler.model.launch_sources import LaunchKind
from reconciler.planner.served import How, Status
from reconciler.render.json.types import (
    CLOSED,
    Address,
    ApartShape,
    Calls,
    ChangeShape,
    ConflictShape,
    ConsumersShape,
    DifferenceShape,
    GuardShape,
    Header,
    KeptShape,
    OriginShape,
    SourceShape,
    TargetHeader,
    Time,
    UnmetShape,
    UnreadShape,
)


@with_config(CLOSED)
class InstanceShape(TypedDict):
    id: str
    region: str
    name: Annotated[str | None, Field(description="The tag Name.")]
    state: Annotated[str, Field(description="As EC2 has it; unknown if EC2 does not show it.")]
    launched_at: Time | None
    started_by: OriginShape | None
    managed_by: Annotated[str | None, Field(description="An AWS service, as ecs.amazonaws.com.")]


@with_config(CLOSED)
class ServedShape(TypedDict):
    """Whose credentials EC2 serves the instance. ``role`` is set only where that is known;
    ``candidates`` only where it is not."""

    status: Status
    role: str | None
    how: How
    because: str
    candidates: list[str]
    until: Annotated[Time | None, Field(description="When it is known at the latest.")]


@with_config(CLOSED)
class MarkShape(TypedDict):
    """One of our tags."""

    key: str
    value: str
    meaning: str


@with_config(CLOSED)
class ElsewhereShape(TypedDict):
    """An association of the specs that would be about the instance in another region."""

    named: str
    selected: Annotated[bool, Field(description="By tags, not by its id.")]
    regions: list[str]


@with_config(CLOSED)
class AssociationPartShape(TypedDict):
    """``id``, ``state`` and ``instance_profile`` are what AWS has; ``wanted`` and ``named`` what an
    association of the specs gives the instance."""

    id: str | None
    state: str | None
    instance_profile: str | None
    wanted: str | None
    named: str | None
    selected: Annotated[bool, Field(description="By tags, not by its id.")]
    rival: Annotated[str | None, Field(description="Another association that claims it too.")]
    elsewhere: list[ElsewhereShape]
    marks: list[MarkShape]
    source: SourceShape | None


@with_config(CLOSED)
class PartShape(TypedDict):
    """One resource of the chain. In ``differences``, ``before`` is what AWS has, and ``after`` what
    the specs want."""

    address: Address
    arn: str | None
    in_aws: Presence
    ownership: str
    differences: list[DifferenceShape]
    marks: list[MarkShape]
    why: Annotated[str, Field(description="Why it is in the chain, where there is a choice.")]
    unread: str | None
    source: SourceShape | None


@with_config(CLOSED)
class ProfilePartShape(PartShape):
    role: Annotated[str | None, Field(description="The role inside now.")]
    wanted_role: Annotated[str | None, Field(description="The role that the specs want inside.")]


@with_config(CLOSED)
class PolicyOfRoleShape(TypedDict):
    """``document`` is null if neither AWS nor the specs tell it."""

    kind: PolicyKind
    name: str
    arn: str | None
    held: Annotated[Hold, Field(description="Who gives it to the role.")]
    document: Any
    unread: str | None
    differs: Annotated[bool, Field(description="Whether the specs have another document.")]
    source: SourceShape | None


@with_config(CLOSED)
class RolePartShape(PartShape):
    policies: list[PolicyOfRoleShape]
    instance_profiles: Annotated[
        list[Address],
        Field(description="Profiles that hold it or are to hold it, or whose mark names it."),
    ]
    trusts_ec2: Annotated[
        bool | None, Field(description="Whether EC2 may serve it; null if it is not in AWS.")
    ]


@with_config(CLOSED)
class PolicyPartShape(PartShape):
    roles: list[Address]
    boundary_of: Annotated[
        list[Address], Field(description="Those of them that have it as their boundary alone.")
    ]
    others: Annotated[int, Field(description="Users and groups that have it.")]
    document: Any


@with_config(CLOSED)
class StopShape(TypedDict):
    """A guard or a conflict. One stops the whole apply."""

    target: str
    key: Annotated[str | None, Field(description="Of the guard; null for a conflict.")]
    reason: str
    lift: Annotated[str, Field(description="The flag that lifts it, or what to do.")]
    addresses: list[Address]
    brings: Annotated[str, Field(description="What an adoption brings with it.")]
    later: Annotated[bool, Field(description="Whether it comes once the others are lifted.")]


@with_config(CLOSED)
class NextShape(TypedDict):
    """What the plan of this moment has about the chain."""

    changes: list[ChangeShape]
    conflicts: list[ConflictShape]
    guards: list[GuardShape]
    kept: list[KeptShape]
    unread: list[UnreadShape]
    unmet: list[UnmetShape]
    blocked: Annotated[
        bool,
        Field(description="Whether an apply changes nothing before guards and conflicts are gone."),
    ]
    elsewhere: Annotated[
        list[StopShape],
        Field(description="What stops the apply too, and is about something else."),
    ]
    stops: Annotated[
        list[StopShape],
        Field(description="Everything that stops the apply, what is about the chain first."),
    ]
    command: Annotated[str | None, Field(description="The apply that lifts it, where flags can.")]
    untouched: Annotated[
        str | None,
        Field(description="Why a cut-over of its profile leaves this instance as it is."),
    ]
    then: Annotated[
        list[ChangeShape],
        Field(description="What that apply changes of the chain; without stops as in changes."),
    ]


@with_config(CLOSED)
class NewInstancesShape(TypedDict):
    """What new instances of a group, a fleet, a provider or a launch template get."""

    kind: LaunchKind | Literal["launch-template"]
    name: str
    region: str
    relation: Relation
    auto_scaling_group: Annotated[str | None, Field(description="Of a capacity provider.")]
    launch_template: str | None
    launch_template_id: str | None
    version: Annotated[str | None, Field(description="As it is referred to: $Latest, $Default, 3.")]
    version_number: int | None
    launch_configuration: str | None
    instance_profile: Annotated[
        str | None, Field(description="Null for none, or where unknown says why.")
    ]
    role: Annotated[str | None, Field(description="In that profile now.")]
    role_after: Annotated[
        str | None,
        Field(description="In that profile once the plan is applied; see blocked in next."),
    ]
    unknown: Annotated[str | None, Field(description="Why it is not known.")]
    replaces: Annotated[bool, Field(description="Whether it replaces instances that are lost.")]
    missing: Annotated[bool, Field(description="Whether the profile does not exist.")]
    wanted: Annotated[
        str | None, Field(description="The profile that the specs give those it has started.")
    ]
    differs: bool
    instances: Annotated[int, Field(description="Running consumers that it has started.")]


@with_config(CLOSED)
class NotReadShape(TypedDict):
    what: str
    reason: Annotated[str, Field(description="The call that was refused, and AWS's code.")]


@with_config(CLOSED)
class AnswerShape(TargetHeader):
    """The explanation for one account. ``instance``, ``served`` and ``association`` are null unless
    it is of an instance."""

    address: Address
    instance: InstanceShape | None
    served: ServedShape | None
    association: AssociationPartShape | None
    instance_profiles: list[ProfilePartShape]
    roles: list[RolePartShape]
    policies: list[PolicyPartShape]
    consumers: list[ConsumersShape]
    apart: Annotated[
        list[ApartShape],
        Field(description="Those of them that a cut-over does not refresh, or not at once."),
    ]
    searched_regions: list[str]
    next: NextShape
    new_instances: list[NewInstancesShape]
    not_read: list[NotReadShape]


@with_config(CLOSED)
class ExplainShape(Header):
    """What ``explain --json`` prints."""

    asked: str
    answers: list[AnswerShape]
    api_calls: Calls
