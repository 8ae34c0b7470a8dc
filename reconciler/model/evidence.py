"""Evidence of the role that EC2 serves an instance, and what it proves. Pure.

One sentence is judged: *EC2 serves this instance the credentials of the role that its profile
holds.* ``judge`` finds it ``proved``, ``contradicted`` or ``unknown``.

What is evidence. EC2 names the session of a role after the instance, so CloudTrail shows which role
issued the credentials of a call, and when (``RoleSession``). Anybody who may assume a role can name
a session after an instance: only credentials that the metadata service has delivered count
(``ec2RoleDelivery``). The metadata service itself says which role it offers (``Metadata``).

What is none. A process holds credentials for up to six hours, whatever EC2 serves meanwhile. So the
time of a *call* says nothing about EC2; the time at which its credentials were *issued* does:

* issued by the role of the profile, after the association began and after the role was put into
  the profile: ``proved``, whatever other processes go on with;
* issued by another role after both: EC2 has served what the profile does not hold, which is
  ``contradicted`` for as long as such credentials last; then EC2 has served others, which no call
  has shown;
* issued before the association began, by whatever role: nothing. An old process goes on, or the
  instance was on the way;
* issued by another role after the association began, but before the role was put into the profile:
  ``unknown``. EC2 goes on with them until it renews them; a cut-over has not come to it yet, or its
  strategy is to wait.

Of several sessions the one that was issued last counts, wherever it stands among the calls. What
the metadata service says is of the moment in which it is asked.

AWS does not say when an association began: it is the newest of the last start and of the calls that
CloudTrail has. That may be a quarter of an hour late, so a call that made the association is only
certain if it names its id; without it, credentials of a role that its consumers have let go of are
old, unless they were issued well after (``Expectation.spread``).

Source: docs.aws.amazon.com/awscloudtrail/latest/userguide, the page
``cloudtrail-event-reference-user-identity``, and
docs.aws.amazon.com/AWSEC2/latest/UserGuide/iam-roles-for-amazon-ec2.html
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Literal, get_args

from reconciler.model.address import same_name
from reconciler.model.hours import hour_of
from reconciler.model.ownership import CREDENTIALS_SECONDS, InstanceKey

Source = Literal["cloudtrail", "imds", "last-used"]
SOURCES: tuple[Source, ...] = get_args(Source)
LOOKUP_SECONDS = 0.5
"""CloudTrail takes two lookups a second for an account and region. Source:
docs.aws.amazon.com/awscloudtrail/latest/APIReference/API_LookupEvents.html"""
METADATA_SECONDS = 60.0
"""How late the metadata service may be with a new association; a few seconds are usual."""

Status = Literal["proved", "unknown", "contradicted"]
STATUSES: tuple[Status, ...] = get_args(Status)
How = Literal[
    "session",
    "metadata",
    "other-role",
    "no-credentials",
    "no-call",
    "earlier-session",
    "not-renewed",
    "expired-session",
    "young-association",
    "not-asked",
    "denied",
    "unreadable",
    "no-agent",
    "no-answer",
    "not-served",
]
"""How a judgement is known, or why it is not."""


@dataclass(frozen=True, slots=True)
class RoleSession:
    """A call that was made with credentials that EC2 delivered to the instance. Times are AWS's, in
    seconds of the epoch; ``call`` is such as ``s3:ListBuckets``, ``error`` AWS's code if it was
    refused, which proves as much."""

    role_id: str
    role: str
    issued_at: float
    used_at: float
    call: str
    error: str | None = None


@dataclass(frozen=True, slots=True)
class Metadata:
    """What the metadata service of the instance said. ``role`` is the name of the role that it
    offers, ``None`` for none; ``updated_at`` is when it got its credentials; ``code`` is its own
    word, ``Success`` or what is wrong."""

    asked_at: float
    role: str | None
    profile_id: str | None = None
    updated_at: float | None = None
    code: str = "Success"


@dataclass(frozen=True, slots=True)
class Silence:
    """A source that says nothing of the instance, and why. ``permission`` is the action that the
    caller lacks; ``is_final`` means that to ask again soon is of no use."""

    source: Source
    how: How
    because: str
    permission: str | None = None
    is_final: bool = False


@dataclass(frozen=True, slots=True)
class Associated:
    """A call in CloudTrail that gave the instance a profile; ``association`` is the id that AWS
    answered, where it is told."""

    at: float
    association: str | None = None


@dataclass(frozen=True, slots=True)
class LastUsed:
    """When a role was last used by anybody, as IAM says: hours late, and no more often than it
    notes it."""

    at: float
    region: str | None = None


@dataclass(frozen=True, slots=True)
class Evidence:
    """All that was found about one instance. ``associated`` is the newest that CloudTrail shows,
    ``None`` for none since its newest session was issued."""

    seen: tuple[RoleSession | Metadata, ...] = ()
    silences: tuple[Silence, ...] = ()
    associated: Associated | None = None

    def __add__(self, other: Evidence) -> Evidence:
        associated = other.associated or self.associated
        return Evidence((*self.seen, *other.seen), (*self.silences, *other.silences), associated)


@dataclass(frozen=True, slots=True)
class Expectation:
    """What EC2 should serve an instance, and since when. ``role_id`` is that of the role in its
    profile, ``None`` for an empty one.

    ``put_in`` is when that role was put into the profile, ``let_go`` when the consumers of other
    roles let go of them, by role id, ``renewed_after`` when this very run has associated the
    instance: by our clock, each only where it is known. ``spread`` is what EC2 may be late with a
    change of IAM, and our clock wrong. ``obstacle`` is why it cannot be judged.
    """

    key: InstanceKey
    role_id: str | None
    role: str | None
    association: str | None = None
    launched_at: float = 0.0
    role_created_at: float = 0.0
    put_in: float | None = None
    renewed_after: float | None = None
    let_go: Mapping[str, float] = field(default_factory=dict)
    spread: float = 360.0
    obstacle: str | None = None


@dataclass(frozen=True, slots=True)
class Judgement:
    """``because`` continues the sentence. ``role`` is the one that was seen, ``issued_at`` and
    ``seen_at`` when its credentials were issued and used, or when the metadata service said so;
    ``until`` is when it will be known at the latest. ``silences`` are of sources that said nothing,
    whatever others say."""

    status: Status
    how: How
    because: str
    source: Source | None = None
    role: str | None = None
    issued_at: float | None = None
    seen_at: float | None = None
    call: str | None = None
    error: str | None = None
    until: float | None = None
    silences: tuple[Silence, ...] = ()

    @property
    def may_change(self) -> bool:
        """Whether it is unknown, and another answer may come of asking again soon."""
        if self.status != "unknown" or self.how == "not-asked":
            return False
        return self.how != "denied" or not all(s.is_final for s in self.silences)

    @property
    def permissions(self) -> tuple[str, ...]:
        """Actions that the caller lacks, sorted."""
        return tuple(sorted({s.permission for s in self.silences if s.permission is not None}))


def judge(expected: Expectation, found: Evidence, now: float) -> Judgement:
    """Whether EC2 serves the instance what its profile holds. ``now`` is by our clock."""
    if expected.obstacle is not None:
        return Judgement("unknown", "not-served", expected.obstacle, silences=found.silences)
    if not found.seen and not found.silences:
        return Judgement("unknown", "not-asked", "no source was asked")
    if not found.seen:
        because = "; ".join(dict.fromkeys(silence.because for silence in found.silences))
        return Judgement("unknown", found.silences[0].how, because, silences=found.silences)
    newest = max(found.seen, key=_of_moment)
    if isinstance(newest, Metadata):
        return _by_metadata(expected, newest, found)
    return _by_session(expected, newest, found, now)


def _of_moment(seen: RoleSession | Metadata) -> float:
    """When EC2 served it, for all that is known."""
    return seen.asked_at if isinstance(seen, Metadata) else seen.issued_at


def _by_session(expected: Expectation, seen: RoleSession, found: Evidence, now: float) -> Judgement:
    associated = found.associated
    began = max(expected.launched_at, associated.at if associated else 0.0)
    put_in = expected.put_in or 0.0
    is_wanted = seen.role_id == expected.role_id

    def judged(status: Status, how: How, rest: str, until: float | None = None) -> Judgement:
        return Judgement(
            status,
            how,
            f"{_used(seen, expected)}{rest}",
            "cloudtrail",
            seen.role,
            seen.issued_at,
            seen.used_at,
            seen.call,
            seen.error,
            until,
            found.silences,
        )

    newest = associated.association if associated else None
    # The newest call that CloudTrail shows made another association than the instance has.
    if newest is not None and expected.association not in (None, newest):
        return judged(
            "unknown", "young-association", "; CloudTrail has no call that made its association yet"
        )
    ends_at = seen.issued_at + CREDENTIALS_SECONDS
    is_doubtful = began > expected.launched_at and seen.issued_at == began and not is_wanted
    if seen.issued_at < began or is_doubtful:
        rest = f", before its association began at {hour_of(began)}"
        if not is_wanted and now < ends_at:
            rest += f": a process may use them until {hour_of(ends_at)}"
        return judged("unknown", "earlier-session", rest)
    if is_wanted:
        if seen.issued_at >= put_in:
            return judged("proved", "session", "")
        rest = f", before the role was put into its profile at {hour_of(put_in)}"
        return judged("unknown", "earlier-session", rest)
    if now >= ends_at:
        return judged(
            "unknown", "expired-session", ", which have ended; no call since shows others"
        )
    if seen.issued_at < _since(expected, seen, associated, began):
        rest = f", which may be from before {_named(expected.role)} took effect: EC2 renews them by"
        return judged("unknown", "not-renewed", f"{rest} {hour_of(ends_at)}", ends_at)
    rest = f", although its profile holds {_named(expected.role)}"
    return judged("contradicted", "other-role", rest)


def _since(
    expected: Expectation, seen: RoleSession, associated: Associated | None, began: float
) -> float:
    """From when on credentials of another role contradict."""
    floor = expected.put_in or 0.0
    is_certain = associated is not None and associated.association == expected.association
    if not is_certain:
        let_go = expected.let_go.get(seen.role_id, 0.0)
        floor = max(floor, let_go, expected.renewed_after or 0.0)
    return floor + expected.spread if floor > began else began


def _by_metadata(expected: Expectation, seen: Metadata, found: Evidence) -> Judgement:
    at = hour_of(seen.asked_at)

    def judged(status: Status, how: How, because: str, until: float | None = None) -> Judgement:
        return Judgement(
            status,
            how,
            because,
            "imds",
            seen.role,
            seen.updated_at,
            seen.asked_at,
            until=until,
            silences=found.silences,
        )

    if seen.role is None:
        none = f"its metadata service offered no role's credentials at {at}"
        none += "" if seen.code == "Success" else f" ({seen.code})"
        if expected.role_id is None:
            return judged("proved", "metadata", none)
        if _is_too_early(expected, seen):
            return judged("unknown", "not-renewed", none)
        return judged("contradicted", "no-credentials", none)
    offered = f"its metadata service offered {_named(seen.role)} at {at}"
    if expected.role is not None and same_name(seen.role, expected.role):
        # The service knows roles by name, and one may have been deleted and made again.
        least = seen.asked_at - CREDENTIALS_SECONDS
        got_at = least if seen.updated_at is None else seen.updated_at
        if got_at >= expected.role_created_at:
            return judged("proved", "metadata", offered)
        return judged("contradicted", "other-role", f"{offered}, of an earlier role of that name")
    if _is_too_early(expected, seen):
        until = None
        if seen.updated_at is not None:
            until = seen.updated_at + CREDENTIALS_SECONDS
        rest = f", perhaps from before {_named(expected.role)} took effect"
        return judged("unknown", "not-renewed", f"{offered}{rest}", until)
    rest = f", although its profile holds {_named(expected.role)}"
    return judged("contradicted", "other-role", f"{offered}{rest}")


def _is_too_early(expected: Expectation, seen: Metadata) -> bool:
    """Whether EC2 may go on with what it served before."""
    if expected.renewed_after is not None:
        return seen.asked_at < expected.renewed_after + METADATA_SECONDS
    if expected.put_in is None:
        return False
    return seen.updated_at is None or seen.updated_at < expected.put_in + expected.spread


def _named(role: str | None) -> str:
    return "no role" if role is None else f"role/{role}"


def _used(seen: RoleSession, expected: Expectation) -> str:
    """``used role/web-v2 at … (s3:ListBuckets), with credentials issued at …``."""
    is_other = seen.role_id != expected.role_id and expected.role is not None
    earlier = (
        " (an earlier role of that name)"
        if is_other and same_name(seen.role, expected.role or "")
        else ""
    )
    refused = f", refused: {seen.error}" if seen.error else ""
    issued = f"with credentials issued at {hour_of(seen.issued_at)}"
    return (
        f"it used {_named(seen.role)}{earlier} at {hour_of(seen.used_at)} ({seen.call}{refused}), "
        f"{issued}"
    )


def counts(judgements: Iterable[Judgement]) -> dict[Status, int]:
    found = [one.status for one in judgements]
    return {status: found.count(status) for status in STATUSES}
