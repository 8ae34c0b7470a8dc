"""The shapes of what ``drift`` prints as JSON."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, with_config
from typing_extensions import TypedDict

from reconciler.drift.findings import Severity, Status, Transition
from reconciler.render.json.types import (
    CLOSED,
    Calls,
    DiagnosticShape,
    DifferenceShape,
    Header,
    KeptShape,
    SourceShape,
    TargetHeader,
    Time,
)


@with_config(CLOSED)
class ActorShape(TypedDict):
    """Who did it, as CloudTrail has it; all but ``unknown`` is null where that says why not."""

    arn: Annotated[str | None, Field(description="The principal, or the service.")]
    event: Annotated[str | None, Field(description="The call, such as UpdateAssumeRolePolicy.")]
    event_id: str | None
    time: Time | None
    run: Annotated[str | None, Field(description="Id of a run of reconciler's own.")]
    unknown: Annotated[str | None, Field(description="Why nobody is named.")]


@with_config(CLOSED)
class FindingShape(TypedDict):
    """One thing that differs. The fingerprint is the same as long as the same is wrong."""

    target: str
    address: str
    region: Annotated[str | None, Field(description="Of an instance.")]
    status: Status
    severity: Severity
    differences: list[DifferenceShape]
    reason: str | None
    source: SourceShape | None
    fingerprint: Annotated[str, Field(pattern="^[0-9a-f]{16}$")]
    transition: Annotated[
        Transition | None, Field(description="Against --baseline; null without one.")
    ]
    first_seen: Annotated[Time | None, Field(description="By the baseline.")]
    actor: Annotated[ActorShape | None, Field(description="With --who; else null.")]


@with_config(CLOSED)
class DriftShape(Header):
    """What ``drift --json`` prints."""

    targets: list[TargetHeader]
    findings: list[FindingShape]
    resolved: Annotated[
        list[FindingShape], Field(description="Those of the baseline that are gone.")
    ]
    notes: Annotated[list[KeptShape], Field(description="Not known, or passed over.")]
    summary: dict[Status, int]
    api_calls: Calls
    diagnostics: list[DiagnosticShape]
