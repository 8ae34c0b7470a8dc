"""The shapes of the lines of ``apply --json``."""

from __future__ import annotations

from typing import Annotated, Literal, NotRequired

from pydantic import Field, with_config
from typing_extensions import TypedDict

from reconciler.render.json.types import (
    CLOSED,
    Address,
    ChangeShape,
    KeptShape,
    StrandedShape,
    SummaryShape,
)

Envelope = TypedDict(
    "Envelope",
    {"@level": Literal["info", "error"], "@message": str, "@timestamp": str},
)
"""What every line of ``apply --json`` has."""


@with_config(CLOSED)
class OfTarget(Envelope):
    """``target`` is there where there are several."""

    target: NotRequired[str]


@with_config(CLOSED)
class VersionEvent(Envelope):
    type: Literal["version"]
    reconciler: str
    ui: str


@with_config(CLOSED)
class PlannedChange(OfTarget):
    type: Literal["planned_change"]
    change: ChangeShape


@with_config(CLOSED)
class ChangeSummary(Envelope):
    type: Literal["change_summary"]
    changes: SummaryShape
    digest: str


@with_config(CLOSED)
class ApplyStart(OfTarget):
    type: Literal["apply_start"]
    address: Address
    what: str


@with_config(CLOSED)
class ApplyProgress(OfTarget):
    """Something goes on, or has ended; ``seconds`` is for how long it has."""

    type: Literal["apply_progress", "apply_complete"]
    address: Address
    what: str
    seconds: float


@with_config(CLOSED)
class ApplyErrored(OfTarget):
    type: Literal["apply_errored"]
    address: Address
    what: str
    reason: str


@with_config(CLOSED)
class SummaryMembers(TypedDict):
    """Steps, and what remains: changes, and what was to go and had to stay."""

    applied: int
    failed: int
    skipped: int
    remaining: int
    kept: Annotated[list[KeptShape], Field(description="What a destroy or a prune had to leave.")]
    stranded: list[StrandedShape]
    advice: Annotated[list[str], Field(description="What to do next.")]


@with_config(CLOSED)
class ApplySummary(Envelope, SummaryMembers):
    """The last line."""

    type: Literal["apply_summary"]


Event = (
    VersionEvent
    | PlannedChange
    | ChangeSummary
    | ApplyStart
    | ApplyProgress
    | ApplyErrored
    | ApplySummary
)
