"""The shape of the JSON of ``verify``. Stable as those of ``types.py``."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, with_config
from typing_extensions import TypedDict

from reconciler.model.evidence import How, Source, Status
from reconciler.render.json.explain_types import NotReadShape, ServedShape
from reconciler.render.json.types import CLOSED, Calls, Header, TargetHeader, Time


@with_config(CLOSED)
class AssociationShape(TypedDict):
    """What AWS lists. ``role`` is the one in that profile now."""

    id: Annotated[str | None, Field(description="null while a run has taken the profile.")]
    state: str | None
    instance_profile: str | None
    role: str | None


@with_config(CLOSED)
class EvidenceShape(TypedDict):
    """What was seen, and where. ``issued_at`` is when the credentials were issued, ``seen_at`` when
    they were used or offered."""

    how: How
    because: str
    source: Source | None
    role: str | None
    issued_at: Time | None
    seen_at: Time | None
    call: Annotated[str | None, Field(description="As s3:ListBuckets.")]
    error: Annotated[str | None, Field(description="The code, if that call was refused.")]
    until: Annotated[Time | None, Field(description="When it is known at the latest.")]
    missing_permissions: Annotated[list[str], Field(description="Actions the caller lacks.")]


@with_config(CLOSED)
class VerifiedShape(TypedDict):
    instance: str
    region: str
    name: Annotated[str | None, Field(description="The tag Name.")]
    status: Status
    association: AssociationShape
    mark: ServedShape
    evidence: EvidenceShape


@with_config(CLOSED)
class LetGoShape(TypedDict):
    """A role whose credentials processes may hold on to."""

    role: str
    let_go_at: Time
    last_used_at: Annotated[Time | None, Field(description="By anybody; hours late.")]
    last_used_region: str | None
    unread: str | None


@with_config(CLOSED)
class VerifiedTargetShape(TargetHeader):
    instances: list[VerifiedShape]
    at_rest: Annotated[int, Field(description="Consumers that do not run.")]
    let_go: Annotated[list[LetGoShape], Field(description="With --source last-used.")]
    not_read: list[NotReadShape]


@with_config(CLOSED)
class VerifyShape(Header):
    """What ``verify --json`` prints."""

    sources: list[Source]
    targets: list[VerifiedTargetShape]
    summary: dict[Status, int]
    api_calls: Calls
