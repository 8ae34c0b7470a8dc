"""The shapes of what ``rehearse --json`` prints."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field, with_config
from typing_extensions import TypedDict

CLOSED = ConfigDict(extra="forbid")


@with_config(CLOSED)
class NotAppliedShape(TypedDict):
    """A step that was not applied on the copy."""

    address: str
    what: str
    status: Literal["failed", "skipped"]
    reason: str


@with_config(CLOSED)
class RehearsedInstanceShape(TypedDict):
    """What an instance goes through. The roles are those that it is served."""

    region: str
    instance: str
    after_seconds: Annotated[float, Field(description="Since the apply began.")]
    without_profile_seconds: float
    stopped_seconds: float
    role_before: str | None
    role_before_unknown: Annotated[
        str | None, Field(description="Why it is not known; null if it is.")
    ]
    role_after: str | None


@with_config(CLOSED)
class UnrecoveredShape(TypedDict):
    """A death after which the next apply did not end well."""

    write: int
    call: str
    problem: str


@with_config(CLOSED)
class CrashesShape(TypedDict):
    deaths: int
    longest_without_profile_seconds: float
    unrecovered: list[UnrecoveredShape]


@with_config(CLOSED)
class StepShape(TypedDict):
    address: str
    what: str


@with_config(CLOSED)
class DenialShape(TypedDict):
    """An action on a resource that the policies do not allow."""

    action: str
    resource: str
    why: str
    explicit: Annotated[bool, Field(description="By a statement that denies.")]
    needed: Annotated[bool, Field(description="False if the result is the same without it.")]
    phase: Annotated[
        Literal["apply", "beyond", "recovery"],
        Field(
            description="beyond: after what was denied; recovery: of an apply that follows a death."
        ),
    ]
    times: int
    calls: Annotated[list[str], Field(description="What asked for it.")]
    steps: Annotated[list[StepShape], Field(description="What failed by it.")]


@with_config(CLOSED)
class AccessShape(TypedDict):
    """What an identity with the given policies may do."""

    source: str
    questions: Annotated[int, Field(description="How many were asked of the policies.")]
    denied: list[DenialShape]
    allowing: Annotated[
        list[dict[str, Any]], Field(description="Policies that allow what is needed.")
    ]
    unknown_keys: Annotated[
        list[str], Field(description="Condition keys of the policies, taken to be absent.")
    ]
    remaining: Annotated[
        list[str], Field(description="Addresses that differ from the specs afterwards.")
    ]


@with_config(CLOSED)
class RehearsedShape(TypedDict):
    """The rehearsal of one target."""

    target: str
    account_id: str
    is_same_plan: bool
    exit_code: Annotated[int, Field(description="Of the apply.")]
    stopped: Annotated[
        str | None, Field(description="Why apply would not begin with the policies.")
    ]
    is_empty_afterwards: bool
    writes: int
    seconds: float
    estimated_seconds: float
    failures: list[NotAppliedShape]
    instances: list[RehearsedInstanceShape]
    crashes: CrashesShape | None
    access: Annotated[AccessShape | None, Field(description="With --as-policy.")]


@with_config(CLOSED)
class RehearsalShape(TypedDict):
    """What ``rehearse --json`` prints."""

    format_version: str
    created_at: Annotated[str, Field(description="UTC, as 2026-11-23T20:00:00Z.")]
    targets: list[RehearsedShape]
