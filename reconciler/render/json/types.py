"""The shapes of the JSON of plans, drifts and results. Those of the lines of ``apply --json`` are
in ``event_types.py``, that of ``explain`` in ``explain_types.py``. The functions that fill them are
in the modules beside this one, the JSON Schemas in ``schemas.py``.

Stable within a major ``format_version``: members are added, none goes or changes its meaning.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal, NotRequired

from pydantic import ConfigDict, Field, with_config
from typing_extensions import TypedDict

from reconciler.drift.findings import Status, Transition
from reconciler.drift.severity import Severity
from reconciler.model.launch_sources import LaunchKind
from reconciler.model.policy_widening import Kind
from reconciler.plan.blast_radius import ApartKind
from reconciler.plan.calls import Condition
from reconciler.plan.changes import Action, KeptStatus
from reconciler.render.json.impact_types import ImpactShape
from reconciler.render.json.session_types import OldSessions, Unproved

CLOSED = ConfigDict(extra="forbid")
Address = Annotated[str, Field(description="KIND/NAME, such as role/web or association/i-0abc.")]
Time = Annotated[str, Field(description="UTC, as 2026-11-23T20:00:00Z.")]
Attributes = Annotated[
    dict[str, Any] | None, Field(description="The attributes that differ; null for absent.")
]
Digest = Annotated[str, Field(pattern="^sha256:[0-9a-f]{64}$")]
Shard = Annotated[
    str,
    Field(
        pattern=r"^[0-9]{1,4}/[0-9]{1,4}$",
        description="Which part of the targets, as 2/8; left out for all of them.",
    ),
]
NotBegun = Annotated[list[str], Field(description="Targets that --max-failures left alone.")]
Calls = Annotated[dict[str, int], Field(description="Reads made, by call; pages one by one.")]


@with_config(CLOSED)
class SourceShape(TypedDict):
    """A place in a spec. Lines and columns count from 1; line 0 is the file as a whole."""

    file: str
    line: int
    column: int


@with_config(CLOSED)
class DifferenceShape(TypedDict):
    """One attribute; null stands for absent."""

    path: str
    before: Any
    after: Any


@with_config(CLOSED)
class OriginShape(TypedDict):
    """What started instances, according to the tags that AWS writes on them."""

    kind: LaunchKind
    name: str


@with_config(CLOSED)
class NamedShape(TypedDict):
    name: Annotated[str | None, Field(description="The tag Name.")]
    instances: list[str]


@with_config(CLOSED)
class ConsumersShape(TypedDict):
    """Running consumers of one region that one group started, or nobody that AWS names."""

    region: str
    started_by: OriginShape | None
    count: int
    names: list[NamedShape]


@with_config(CLOSED)
class OtherLaunchShape(TypedDict):
    """A source of new instances that gives them another profile than the specs give those of its
    instances that run."""

    kind: LaunchKind | Literal["launch-template"]
    name: str
    region: str
    starts_from: Annotated[str, Field(description="In words: a launch template and its version.")]
    instance_profile: str | None
    role: Annotated[str | None, Field(description="In that profile once the plan is applied.")]
    wanted: Annotated[str | None, Field(description="The profile of the running ones.")]
    wanted_role: str | None
    instances: Annotated[int, Field(description="Running ones.")]
    association: Annotated[str | None, Field(description="Selects the running ones by tags.")]


@with_config(CLOSED)
class ApartShape(TypedDict):
    """Running consumers of a profile that a cut-over does not refresh, or not before they have
    their profile back."""

    kind: ApartKind
    reason: Annotated[str, Field(description="Why nobody here may touch them; empty otherwise.")]
    instances: list[str]


@with_config(CLOSED)
class BlastRadiusShape(TypedDict):
    """Whom a change reaches, as far as the regions were read."""

    instances: Annotated[int, Field(description="Running ones.")]
    regions: list[str]
    consumers: list[ConsumersShape]
    new_instances: list[OtherLaunchShape]
    apart: NotRequired[
        Annotated[
            list[ApartShape], Field(description="Running ones that a cut-over does not refresh.")
        ]
    ]


@with_config(CLOSED)
class WideningShape(TypedDict):
    """Whom a change lets in, or what it allows, that was not so before."""

    kind: Kind
    text: str


@with_config(CLOSED)
class ChangeShape(TypedDict):
    """The difference between the specs and AWS for one resource."""

    address: Address
    kind: Literal["role", "policy", "instance-profile", "association"]
    name: str
    region: Annotated[str | None, Field(description="Region of an instance; null for IAM.")]
    actions: Annotated[list[Action], Field(min_length=1, max_length=2)]
    before: Attributes
    after: Attributes
    differences: list[DifferenceShape]
    reason: str | None
    consumers: Annotated[list[str], Field(description="Running instances that it affects.")]
    widens: NotRequired[
        Annotated[list[WideningShape], Field(description="What is relevant to security, if any.")]
    ]
    blast_radius: NotRequired[
        Annotated[BlastRadiusShape, Field(description="If it reaches running instances.")]
    ]
    impact: NotRequired[list[ImpactShape]]
    intent: Annotated[dict[str, Any], Field(description="Other decisions, such as limits.")]
    source: SourceShape | None


@with_config(CLOSED)
class CallShape(TypedDict):
    """A call that apply makes."""

    id: int
    address: Address
    call: Annotated[str, Field(pattern=r"^(iam|ec2):[A-Z]\w+$")]
    region: str | None
    params: dict[str, Any]
    after: Annotated[list[int], Field(description="Ids of the steps that must come before.")]
    note: NotRequired[Annotated[str, Field(description="In a cut-over, the purpose of the call.")]]


@with_config(CLOSED)
class WaitParams(TypedDict):
    seconds: float
    instance: str | None
    instance_profile: str | None


@with_config(CLOSED)
class WaitShape(TypedDict):
    """Something that must hold before the steps after it."""

    id: int
    address: Address
    wait: Condition
    region: str | None
    params: WaitParams
    after: list[int]
    note: NotRequired[str]


@with_config(CLOSED)
class KeptShape(TypedDict):
    """Something that is not changed, and why."""

    address: str
    reason: str
    status: KeptStatus


@with_config(CLOSED)
class ConflictShape(TypedDict):
    """A resource that is not ours."""

    address: Address
    reason: str
    owner: str | None
    lift: Annotated[str, Field(description="The flags that start managing it.")]
    source: SourceShape | None


@with_config(CLOSED)
class GuardShape(TypedDict):
    """Something that blocks apply."""

    key: str
    reason: str
    lift: Annotated[str, Field(description="The flag that overrides it, or what to do.")]
    addresses: list[str]


@with_config(CLOSED)
class UnreadShape(TypedDict):
    """Something that could not be read."""

    address: str
    region: str | None
    reason: str


@with_config(CLOSED)
class UnmetShape(TypedDict):
    """Something that the specs name and AWS does not have, or that cannot serve. ``needed_by`` is
    left as it is."""

    address: str
    region: str | None
    code: str
    reason: str
    needed_by: str | None
    source: SourceShape | None


@with_config(CLOSED)
class RuleShape(TypedDict):
    """A rule by which an association selects instances."""

    association: str
    instance_profile: str
    select: dict[str, list[str]]
    regions: list[str]
    only: NotRequired[list[str]]
    exclude: NotRequired[list[str]]


@with_config(CLOSED)
class SettingsShape(TypedDict):
    """Settings that the digest covers; the last two if a cut-over is planned, or may become
    necessary."""

    tag_prefix: str
    propagation: NotRequired[Annotated[int, Field(description="Seconds.")]]
    consumer_regions: NotRequired[list[str] | Literal["all"]]


@with_config(CLOSED)
class TargetHeader(TypedDict):
    target: str
    account_id: Annotated[
        str,
        Field(
            pattern=r"^([0-9]{12}|unknown)$",
            description="`unknown` where nobody could be asked, and the settings do not say.",
        ),
    ]
    partition: str
    account_alias: NotRequired[str | None]
    caller: NotRequired[Annotated[str, Field(description="ARN of the identity that planned.")]]
    regions: list[str]


@with_config(CLOSED)
class TargetShape(TargetHeader):
    """The plan for one account."""

    changes: list[ChangeShape]
    steps: list[CallShape | WaitShape]
    kept: list[KeptShape]
    ignored: list[KeptShape]
    conflicts: list[ConflictShape]
    guards: list[GuardShape]
    unread: list[UnreadShape]
    unmet: NotRequired[list[UnmetShape]]
    rules: list[RuleShape]
    settings: SettingsShape


@with_config(CLOSED)
class SummaryShape(TypedDict):
    adopt: int
    add: int
    change: int
    replace: int
    destroy: int
    cutover: int


@with_config(CLOSED)
class RequestShape(TypedDict):
    """The flags that the plan was made with, so that it can be planned again."""

    path: str
    targets: list[str]
    shard: NotRequired[Shard]
    only: list[str]
    exclude: list[str]
    regions: list[str]
    owner: str | None
    prune: bool | None
    adopt: bool
    take_over: bool
    refresh_adopted: bool
    refresh: NotRequired[list[str]]
    forget: NotRequired[list[str]]
    rotate: NotRequired[list[str]]
    rotation: NotRequired[Literal["fresh", "revoke", "revoke-first", "rest"]]
    allow: list[str]
    impact: NotRequired[Annotated[bool, Field(description="If --impact was given.")]]
    variables: dict[str, str]
    parallelism: int
    destroy: bool


@with_config(CLOSED)
class Header(TypedDict):
    format_version: Literal["1.0"]
    reconciler: Annotated[str, Field(description="Version of the program.")]
    created_at: Time
    owner: str


@with_config(CLOSED)
class RelatedShape(SourceShape):
    message: str


@with_config(CLOSED)
class DiagnosticShape(SourceShape):
    """One finding about specs; ``validate --format json`` prints a list of them."""

    severity: Literal["error", "warning"]
    code: str
    message: str
    suggestion: str | None
    related: list[RelatedShape]


@with_config(CLOSED)
class SecondsShape(TypedDict):
    """Estimated duration of the apply, without a roll-back."""

    about: NotRequired[int]
    least: int
    most: int


@with_config(CLOSED)
class FailureShape(TypedDict):
    """A step that failed or was skipped."""

    target: str | None
    address: str
    what: Annotated[str, Field(description="The call or the wait.")]
    status: Literal["failed", "skipped"]
    reason: str
    request_id: str
    remaining: Annotated[list[str], Field(description="What was not done.")]
    source: Annotated[
        SourceShape | None, Field(description="Of a failed step: its place in the specs.")
    ]


@with_config(CLOSED)
class StrandedShape(TypedDict):
    """Something that a run removed and that is not restored."""

    target: str | None
    address: Address
    region: Annotated[str | None, Field(description="Region of an instance.")]
    what: Literal["no_profile", "not_running", "no_role"]
    unknown: Annotated[str | None, Field(description="Why it is not certain.")]
    command: Annotated[str, Field(description="The AWS CLI command that restores it.")]


@with_config(CLOSED)
class OutcomeShape(TypedDict):
    """The result of the apply."""

    exit_code: int
    applied: int
    failed: int
    skipped: int
    interrupted: bool
    failures: list[FailureShape]
    left: Annotated[
        list[str] | None, Field(description="Addresses that still differ; null: not known.")
    ]
    stranded: list[StrandedShape]
    not_begun: NotRequired[NotBegun]
    old_sessions: NotRequired[OldSessions]
    unproved: NotRequired[Unproved]
    advice: Annotated[list[str], Field(description="What to do next.")]


@with_config(CLOSED)
class PlanShape(Header):
    """What ``plan --json`` prints and ``plan --out`` saves; ``outcome`` is present in a report of
    ``apply`` or ``destroy``."""

    digest: Digest
    targets: list[TargetShape]
    summary: SummaryShape
    seconds: SecondsShape
    outcome: NotRequired[OutcomeShape]
    api_calls: Calls
    diagnostics: Annotated[list[DiagnosticShape], Field(description="Warnings, and what is unmet.")]
    request: RequestShape
    specs_digest: Digest
    file_digest: Annotated[
        Digest,
        Field(description="Of everything but times and places; apply refuses a file with another."),
    ]


@with_config(CLOSED)
class ActorShape(TypedDict):
    """Who made the change, from CloudTrail; if ``unknown`` gives a reason, the rest is null."""

    arn: Annotated[str | None, Field(description="The principal, or the service.")]
    event: Annotated[str | None, Field(description="The call, such as UpdateAssumeRolePolicy.")]
    event_id: str | None
    time: Time | None
    run: Annotated[str | None, Field(description="Id of the run, if reconciler made the change.")]
    unknown: Annotated[str | None, Field(description="Why the identity is not known.")]


@with_config(CLOSED)
class CauseShape(TypedDict):
    """A rule that applies to a finding, and to what. The severity is the highest of them."""

    rule: Annotated[str, Field(description="One of the rules in docs/drift.md.")]
    text: str


@with_config(CLOSED)
class FindingShape(TypedDict):
    """One difference. The fingerprint stays the same as long as the difference does."""

    target: str
    address: str
    region: Annotated[str | None, Field(description="Region of an instance.")]
    status: Status
    severity: Severity
    causes: NotRequired[list[CauseShape]]
    differences: list[DifferenceShape]
    reason: str | None
    source: SourceShape | None
    fingerprint: Annotated[str, Field(pattern="^[0-9a-f]{16}$")]
    transition: Annotated[
        Transition | None, Field(description="Compared with --baseline; null without one.")
    ]
    first_seen: Annotated[Time | None, Field(description="From the baseline.")]
    actor: Annotated[ActorShape | None, Field(description="With --who; else null.")]


@with_config(CLOSED)
class DriftShape(Header):
    """What ``drift --json`` prints."""

    shard: NotRequired[Shard]
    targets: list[TargetHeader]
    findings: list[FindingShape]
    resolved: Annotated[
        list[FindingShape], Field(description="Findings of the baseline that are gone.")
    ]
    notes: Annotated[list[KeptShape], Field(description="Not known, or ignored.")]
    summary: dict[Status, int]
    api_calls: Calls
    diagnostics: list[DiagnosticShape]
