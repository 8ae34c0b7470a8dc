"""The shapes of what ``probe`` writes, and ``sandbox --calibrate`` reads."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import ConfigDict, Field, with_config
from typing_extensions import TypedDict

CLOSED = ConfigDict(extra="forbid")
Seconds = Annotated[float, Field(ge=0, le=86_400, allow_inf_nan=False)]


@with_config(CLOSED)
class ObservedChangeShape(TypedDict):
    """From then on something looked so."""

    seconds: Seconds
    value: str


@with_config(CLOSED)
class SeenShape(TypedDict):
    """What one side did."""

    value: Annotated[
        str | float | list[str] | None,
        Field(description="An outcome, a fact, states in order, or seconds; null: not seen."),
    ]
    why: Annotated[
        str | None, Field(description="Why it was not seen, or in which words it was refused.")
    ]
    looks: Annotated[int, Field(description="How often it was asked.")]
    timeline: list[ObservedChangeShape]


@with_config(CLOSED)
class ObservationShape(TypedDict):
    """One question. ``verdict`` is time where nothing is judged."""

    name: str
    kind: Literal["outcome", "fact", "states", "seconds"]
    asks: str
    aws: SeenShape | None
    sandbox: SeenShape | None
    verdict: Literal["agrees", "differs", "unknown", "time"]


@with_config(CLOSED)
class SideShape(TypedDict):
    status: Literal["done", "failed", "skipped"]
    why: str | None


@with_config(CLOSED)
class ExperimentShape(TypedDict):
    experiment: str
    does: str
    aws: SideShape
    sandbox: SideShape
    observations: list[ObservationShape]


@with_config(CLOSED)
class TimesShape(TypedDict):
    """Seconds, by the flag of ``sandbox`` that they are for; null: not known."""

    ec2_lag: Seconds | None
    associating: Seconds | None
    disassociating: Seconds | None
    restarting: Seconds | None
    trail_lag: Seconds | None
    stale_gets: Seconds | None
    stale_lists: Seconds | None
    stale_index: Seconds | None
    unknown: Seconds | None


@with_config(CLOSED)
class ProbeSummaryShape(TypedDict):
    """How many observations of each verdict."""

    agrees: int
    differs: int
    unknown: int
    time: int


@with_config(CLOSED)
class ProbeShape(TypedDict):
    """What ``probe`` writes. It has no id, ARN or name of the account."""

    format_version: Literal["1.0"]
    reconciler: str
    created_at: Annotated[str, Field(description="UTC, as 2026-11-23T20:00:00Z.")]
    partition: str
    region: str
    local: Annotated[bool, Field(description="An emulator on this machine, and not AWS.")]
    seconds: Seconds
    complete: Annotated[bool, Field(description="False: stopped before its end.")]
    restored: Annotated[
        bool | None,
        Field(description="The instance has what it had before; null while it is probed."),
    ]
    times: TimesShape
    experiments: list[ExperimentShape]
    summary: ProbeSummaryShape
