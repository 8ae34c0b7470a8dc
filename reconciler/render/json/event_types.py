"""The shapes of JSON that is written line by line: the events of ``apply --json``, and the log.

Stable within a major ``format_version``, as in ``types.py``.
"""

from __future__ import annotations

from typing import Annotated, Literal, NotRequired

from pydantic import Field, with_config
from typing_extensions import TypedDict

from reconciler.render.json.checkup_types import PreflightMembers
from reconciler.render.json.session_types import OldSessions, Unproved
from reconciler.render.json.types import (
    CLOSED,
    Address,
    ChangeShape,
    KeptShape,
    NotBegun,
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
    """``target`` is present if there are several."""

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
    region: NotRequired[Annotated[str, Field(description="Of an instance in a cut-over.")]]
    what: str


@with_config(CLOSED)
class ApplyProgress(OfTarget):
    """Something is in progress, or has ended; ``seconds`` is its duration so far, ``left`` what is
    left of a wait that ends by itself."""

    type: Literal["apply_progress", "apply_complete"]
    address: Address
    what: str
    seconds: float
    left: NotRequired[float]


@with_config(CLOSED)
class ApplyErrored(OfTarget):
    type: Literal["apply_errored"]
    address: Address
    what: str
    reason: str


@with_config(CLOSED)
class SummaryMembers(TypedDict):
    """Counts of steps, and of what remains: changes, and resources that could not be deleted."""

    applied: int
    failed: int
    skipped: int
    remaining: int
    kept: Annotated[list[KeptShape], Field(description="What a destroy or a prune had to keep.")]
    stranded: list[StrandedShape]
    not_begun: NotRequired[NotBegun]
    old_sessions: NotRequired[OldSessions]
    unproved: NotRequired[Unproved]
    advice: Annotated[list[str], Field(description="What to do next.")]


@with_config(CLOSED)
class ApplySummary(Envelope, SummaryMembers):
    """The last line."""

    type: Literal["apply_summary"]


@with_config(CLOSED)
class PreflightEvent(OfTarget, PreflightMembers):
    """With ``--preflight``, of each target that has something to do."""

    type: Literal["preflight"]


Event = (
    VersionEvent
    | PlannedChange
    | ChangeSummary
    | PreflightEvent
    | ApplyStart
    | ApplyProgress
    | ApplyErrored
    | ApplySummary
)


@with_config(CLOSED)
class LogShape(TypedDict):
    """One attempt of a call to AWS."""

    time: Annotated[str, Field(description="When it was sent: UTC, as 2026-11-23T20:00:00.123Z.")]
    run: Annotated[str, Field(description="Id of the run, as in the user agent of the call.")]
    call: Annotated[str, Field(pattern=r"^[a-z0-9-]+:\w+$")]
    region: Annotated[str | None, Field(description="Of IAM, aws-global.")]
    attempt: Annotated[
        int, Field(ge=1, description="Counts the tries of this call, those of botocore included.")
    ]
    ms: Annotated[int, Field(ge=0, description="Milliseconds until it ended.")]
    status: Annotated[
        int | None, Field(description="HTTP status; null if there was no whole response.")
    ]
    code: Annotated[
        str | None,
        Field(description="AWS's error code, or the class of a failure to get a response."),
    ]
    request_id: str | None
