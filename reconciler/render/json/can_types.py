"""The shape of the JSON of ``can``. Stable as those of ``types.py``."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, with_config
from typing_extensions import TypedDict

from reconciler.impact.allowed import Outcome
from reconciler.render.json.types import CLOSED, SourceShape, Time


@with_config(CLOSED)
class StatementShape(TypedDict):
    """A statement that decided."""

    policy: str
    statement: Annotated[str, Field(description="Its Sid, or its number.")]
    effect: Literal["Allow", "Deny"]
    condition_keys: Annotated[
        list[str], Field(description="What it depends on, where that is not given.")
    ]
    source: SourceShape | None


@with_config(CLOSED)
class CanAnswerShape(TypedDict):
    """Whether one action is allowed on one resource."""

    action: str
    resource: Annotated[str | None, Field(description="null for any.")]
    outcome: Annotated[
        Outcome, Field(description="partly: some of what the wildcards of the question match.")
    ]
    why: str
    resources: Annotated[
        list[str], Field(description="Where it is allowed, if it was asked for any resource.")
    ]
    statements: list[StatementShape]


@with_config(CLOSED)
class RoleAnswerShape(TypedDict):
    """The answers for the role in one target."""

    target: str
    role: str
    source: SourceShape | None
    by: Literal["specs", "simulator"]
    answers: list[CanAnswerShape]
    not_counted: Annotated[
        list[str], Field(description="What may change the answers and was not looked at.")
    ]


@with_config(CLOSED)
class CanShape(TypedDict):
    format_version: Literal["1.0"]
    reconciler: Annotated[str, Field(description="Version of the program.")]
    created_at: Time
    roles: list[RoleAnswerShape]
