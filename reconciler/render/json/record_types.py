"""The shape of a record: what became of the cut-overs of one apply."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field
from typing_extensions import TypedDict

from reconciler.render.json.verify_types import EvidenceShape


class WithoutShape(TypedDict):
    """A time in which an instance had no profile, or did not run."""

    since: str
    until: str | None
    seconds: Annotated[float | None, Field(description="null if it has not got it back.")]


class TurnShape(TypedDict):
    """What an instance went through once."""

    role: Annotated[str | None, Field(description="The role that it was to be served.")]
    batch: int
    lost: Annotated[
        Literal["profile", "running", "nothing"],
        Field(description="nothing: its profile was replaced in one call."),
    ]
    without: WithoutShape | None
    given_at: str | None
    in_effect_at: Annotated[
        str | None, Field(description="When its association was seen in effect, and noted.")
    ]


class InstanceRecordShape(TypedDict):
    instance: str
    region: str
    turns: list[TurnShape]
    failure: str | None


class InstanceEvidenceShape(TypedDict):
    """What was known last of the role that an instance of the batch is served."""

    instance: str
    region: str
    status: Literal["proved", "unknown", "contradicted"]
    evidence: EvidenceShape


class WatchedAlarmShape(TypedDict):
    name: str
    region: str
    state: str
    reason: str | None


class UnhealthyShape(TypedDict):
    target_group: str
    region: str
    target: str
    reason: str | None


class DeniedShape(TypedDict):
    instance: str
    region: str
    action: str
    resource: str
    at: str


class BatchRecordShape(TypedDict):
    """A batch, and the last answers of what was watched."""

    number: int
    ended_at: str
    passed_at: Annotated[str | None, Field(description="null if something spoke against it.")]
    asked: Annotated[int, Field(description="How often everything that is watched was asked.")]
    alarms: list[WatchedAlarmShape]
    unhealthy: list[UnhealthyShape]
    denied: Annotated[
        list[DeniedShape], Field(description="Before it got the role as well as afterwards.")
    ]
    command: Annotated[
        str | None, Field(description="What --check found wrong; empty for nothing.")
    ]
    evidence: Annotated[
        list[InstanceEvidenceShape], Field(description="Of each instance, with cutover.verify.")
    ]


class CutOverRecordShape(TypedDict):
    address: str
    before: str | None
    after: str | None
    strategy: str
    began_at: str
    ended_at: str
    status: Literal["applied", "failed", "skipped"]
    reason: str | None
    advice: str | None
    rolled_back: bool
    batches: list[BatchRecordShape]
    instances: list[InstanceRecordShape]


class TargetRecordShape(TypedDict):
    target: str
    account_id: str
    caller: Annotated[str, Field(description="The ARN of the identity that applied.")]
    cutovers: list[CutOverRecordShape]


class RecordShape(TypedDict):
    """What became of the cut-overs of one apply."""

    format_version: str
    reconciler: str
    run: str
    digest: Annotated[str, Field(description="Of the plan that was applied.")]
    written_at: str
    exit_code: int
    targets: list[TargetRecordShape]
