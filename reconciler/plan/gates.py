"""What a cut-over watches while it goes on, as it was answered: nothing is judged here."""

from __future__ import annotations

from dataclasses import dataclass

from reconciler.model.ownership import InstanceKey


@dataclass(frozen=True, slots=True)
class AlarmState:
    """``state`` is ``OK``, ``ALARM`` or ``INSUFFICIENT_DATA``; ``reason`` is CloudWatch's."""

    region: str
    name: str
    state: str
    reason: str = ""


@dataclass(frozen=True, slots=True)
class TargetState:
    """A target of a load balancer. ``group`` is the ARN of its target group; ``target`` is the id
    of an instance, or an address or an ARN in groups of another type."""

    group: str
    region: str
    target: str
    state: str
    reason: str = ""


@dataclass(frozen=True, slots=True)
class WatchedSession:
    """An instance whose calls are looked at. What was denied since ``before`` and before
    ``began_at`` is compared with what is denied from then on until ``until``; all in seconds of
    the epoch."""

    key: InstanceKey
    before: float
    began_at: float
    until: float


@dataclass(frozen=True, slots=True)
class DeniedCall:
    """A call that AWS refused to a session of the instance. ``role_id`` is the id of the role whose
    session it was, ``issued_at`` is when that was issued, if it is known; ``action`` is
    ``s3:PutObject``, ``resource`` is ``*`` if AWS does not name it.
    """

    key: InstanceKey
    at: float
    action: str
    resource: str
    role_id: str
    issued_at: float | None = None

    @property
    def what(self) -> tuple[str, str]:
        return self.action, self.resource


@dataclass(frozen=True, slots=True)
class DeniedCalls:
    """``is_whole`` says whether all calls were looked through."""

    calls: tuple[DeniedCall, ...]
    is_whole: bool = True


@dataclass(frozen=True, slots=True)
class UnreadGate:
    """Something that could not be asked: what, why, and what to do about it."""

    what: str
    reason: str
    advice: str = ""


@dataclass(frozen=True, slots=True)
class GateAnswers:
    """``asked_at`` is when the first of them was asked, in seconds of the epoch, ``answered_at``
    when all had answered."""

    asked_at: float
    answered_at: float
    alarms: tuple[AlarmState, ...] = ()
    targets: tuple[TargetState, ...] = ()
    sessions: tuple[WatchedSession, ...] = ()
    """Of which instances calls were looked for."""
    denied: tuple[DeniedCall, ...] = ()
    unread: tuple[UnreadGate, ...] = ()
