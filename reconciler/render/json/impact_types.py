"""The shape of what a change takes from roles in use, as plan JSON has it."""

from __future__ import annotations

from typing import Annotated

from pydantic import ConfigDict, Field, with_config
from typing_extensions import TypedDict

from reconciler.plan.impact import LossKind

CLOSED = ConfigDict(extra="forbid")


@with_config(CLOSED)
class LossShape(TypedDict):
    """Something that a role used and that whoever has it will not be allowed."""

    kind: Annotated[
        LossKind,
        Field(
            description="denied: nowhere; fewer-resources: not on those in detail; conditions: "
            "only under conditions, whose keys are in detail; service, part-of-service: AWS does "
            "not record which actions, and all or those in detail are lost."
        ),
    ]
    what: Annotated[str, Field(description="An action, or the prefix of a service's actions.")]
    detail: list[str]
    used_at: Annotated[str, Field(description="UTC, as 2026-11-23T20:00:00Z.")]
    region: str | None


@with_config(CLOSED)
class ImpactShape(TypedDict):
    """What a change takes from a role in use."""

    role: Annotated[str, Field(description="The role that used it.")]
    role_after: Annotated[str, Field(description="The role in its place, or the same role.")]
    losses: list[LossShape]
    unknown: Annotated[list[str], Field(description="What could not be found out, and why.")]
