"""The shapes of what a check-up prints: ``doctor --json``, the preflight of ``apply --json``."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field, with_config
from typing_extensions import TypedDict

from reconciler.doctor.checks import CheckName, Status

CLOSED = ConfigDict(extra="forbid")


@with_config(CLOSED)
class VerdictShape(TypedDict):
    """What is not allowed, or not known to be, and why."""

    action: str
    resource: str
    why: str


@with_config(CLOSED)
class QuotaShape(TypedDict):
    """A quota that leaves too little room: so many are ``needed`` besides the ``used`` ones."""

    what: str
    used: int
    quota: int
    needed: int


@with_config(CLOSED)
class PreflightMembers(TypedDict):
    """With anything in ``denied`` or ``quotas``, nothing is changed."""

    account_id: str
    allowed: Annotated[int, Field(description="Calls on resources that are allowed.")]
    denied: list[VerdictShape]
    unknown: Annotated[list[VerdictShape], Field(description="What the simulator cannot tell.")]
    quotas: list[QuotaShape]
    not_asked: Annotated[list[str], Field(description="Why something could not be asked.")]


@with_config(CLOSED)
class CheckShape(TypedDict):
    """One line of a check-up. ``unknown`` is what could not be asked."""

    check: CheckName
    target: Annotated[str | None, Field(description="Null for this machine, and without targets.")]
    status: Status
    message: str
    fix: Annotated[str | None, Field(description="What to do; null where nothing is to be done.")]
    data: Annotated[dict[str, Any], Field(description="By check: see the documentation.")]


@with_config(CLOSED)
class DoctorShape(TypedDict):
    """What ``doctor --json`` prints."""

    format_version: str
    reconciler: str
    created_at: Annotated[str, Field(description="UTC, as 2026-11-23T20:00:00Z.")]
    command: Annotated[
        Literal["plan", "apply", "drift", "import", "verify"],
        Field(description="What the permissions were asked for, by --for."),
    ]
    checks: list[CheckShape]
    summary: Annotated[dict[Status, int], Field(description="How many checks there are of each.")]
