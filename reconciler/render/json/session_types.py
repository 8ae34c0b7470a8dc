"""The shapes of what is told of a cut-over that has ended: credentials that processes may go on
using, and what is not known of the roles that its instances are served."""

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


@with_config(ConfigDict(extra="forbid"))
class UnprovedShape(TypedDict):
    """Evidence that a roll-out went on without."""

    target: str | None
    address: str
    text: Annotated[str, Field(description="A sentence, with the reason.")]


Unproved = Annotated[
    list[UnprovedShape],
    Field(description="What cutover.verify could not find out, if anything."),
]
OldSessions = Annotated[
    list[OldSessionsShape],
    Field(description="Credentials that processes may hold after the cut-overs, if any."),
]
