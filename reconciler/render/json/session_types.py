"""The shape of what is told of credentials that processes may go on using after a cut-over."""

from __future__ import annotations

from typing import Annotated, NotRequired

from pydantic import ConfigDict, Field, with_config
from typing_extensions import TypedDict


@with_config(ConfigDict(extra="forbid"))
class OldSessionsShape(TypedDict):
    """Credentials of a role that processes on instances may hold."""

    target: str | None
    role: str
    until: Annotated[str, Field(description="UTC, as 2026-11-23T20:00:00Z.")]
    command: NotRequired[Annotated[str, Field(description="What denies them everything.")]]


OldSessions = Annotated[
    list[OldSessionsShape],
    Field(description="Credentials that processes may hold after the cut-overs, if any."),
]
