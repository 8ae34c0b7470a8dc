"""The shape of the JSON of ``graph``. Stable as those of ``types.py``."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, with_config
from typing_extensions import TypedDict

from reconciler.render.json.explain_types import NotReadShape, StopShape
from reconciler.render.json.types import CLOSED, Address, Calls, Digest, Header, TargetHeader

Mark = Literal["unchanged", "added", "removed", "cutover", "changed"]
"""What the next apply does with it."""


@with_config(CLOSED)
class NodeShape(TypedDict):
    """A role, an instance profile or an instance (`association`)."""

    address: Address
    mark: Mark
    region: Annotated[str | None, Field(description="Only of an instance.")]
    label: Annotated[str | None, Field(description="The tag Name of an instance.")]
    reason: Annotated[
        str | None,
        Field(description="Why it changes, where the plan has no change of its own for it."),
    ]


@with_config(CLOSED)
class LinkShape(TypedDict):
    """A role in an instance profile, or an instance profile of an instance."""

    before: Address
    after: Address
    mark: Mark


@with_config(CLOSED)
class GraphTargetShape(TargetHeader):
    nodes: list[NodeShape]
    links: list[LinkShape]
    not_read: Annotated[
        list[NotReadShape], Field(description="What may be missing, each with the reason.")
    ]


@with_config(CLOSED)
class GraphShape(Header):
    """What ``graph --format json`` prints: nothing is folded."""

    digest: Annotated[Digest, Field(description="Of the plan.")]
    all: Annotated[bool, Field(description="Whether it has also what does not change.")]
    stops: Annotated[
        list[StopShape],
        Field(description="Guards and conflicts: with one, an apply changes nothing at all."),
    ]
    targets: list[GraphTargetShape]
    api_calls: Calls
