"""Which refusals pass by themselves, for how long they are waited out, and which mean *done*.

Codes and budgets are those of IAM's and EC2's eventual consistency. The text of a message is looked
at for one code alone, which AWS has both for what passes and for what stays.
Source: docs.aws.amazon.com/IAM/latest/UserGuide/troubleshoot_general.html
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from reconciler.errors import THROTTLED, AwsError
from reconciler.executor.interrupt import Flights, Interrupt
from reconciler.plan.calls import ApiCall
from reconciler.ports import Clock

PROPAGATION_SECONDS = 120.0
THROTTLE_SECONDS = 300.0
LOST_SECONDS = 60.0
"""For a call whose answer was lost, each time after reading what it did."""
UNREACHED_SECONDS = 60.0
"""For a call that was not sent, since there was no connection: to repeat it is always safe."""
IN_FLIGHT_SECONDS = 600.0
"""Seconds of retries while an instance is in flight. An interrupt does not shorten them: once the
network is back, only this run can restore the profile."""
STOPPING_SECONDS = 60.0
"""Patience of a call once a person asked to stop, and nothing is in flight."""
FIRST_SECONDS = 0.5
LONGEST_SECONDS = 20.0
THROTTLED_PAUSE_SECONDS = 1.0
"""The same after a throttle, for calls that are sent at a pace."""
UNREACHED_PAUSE_SECONDS = 2.0
"""The longest pause between two tries to connect, which cost AWS nothing."""


@dataclass(frozen=True, slots=True)
class RetryRule:
    """``code`` passes when an operation that begins with one of ``operations`` meets it."""

    code: str
    operations: tuple[str, ...]
    seconds: float
    only_fresh: bool = False
    """Only where this run made what the call refers to, or it can be read: otherwise the name is
    simply wrong."""
    says: str = ""
    """What the message has to say."""

    def covers(self, call: ApiCall, error: AwsError, is_fresh: bool) -> bool:
        return (
            error.code == self.code
            and self.says in error.message
            and call.operation.startswith(self.operations)
            and (is_fresh or not self.only_fresh)
        )


_ABOUT_NAMED = ("Attach", "Put", "Add", "Tag", "Untag", "Update", "CreatePolicyVersion")
RETRYABLE = (
    RetryRule(
        "MalformedPolicyDocument",
        ("CreateRole", "UpdateAssumeRolePolicy"),
        PROPAGATION_SECONDS,
        True,
        "Invalid principal",
    ),
    RetryRule("NoSuchEntity", _ABOUT_NAMED, PROPAGATION_SECONDS, True),
    RetryRule("InvalidParameterValue", ("Associate", "Replace"), PROPAGATION_SECONDS),
    RetryRule("IncorrectState", ("Associate",), PROPAGATION_SECONDS),
    RetryRule("IncorrectInstanceState", ("Associate", "Disassociate", "Replace"), 300.0),
    RetryRule("IncorrectInstanceState", ("StartInstances", "StopInstances"), 60.0),
    RetryRule(
        "DeleteConflict",
        ("DeleteRole", "DeleteInstanceProfile", "DeletePolicy"),
        PROPAGATION_SECONDS,
    ),
    RetryRule("ConcurrentModification", ("",), PROPAGATION_SECONDS),
    RetryRule("InvalidInstanceID.NotFound", ("CreateTags",), 30.0),
)

ALREADY_APPLIED_CODES = {
    "CreateRole": frozenset({"EntityAlreadyExists"}),
    "CreateInstanceProfile": frozenset({"EntityAlreadyExists"}),
    "CreatePolicy": frozenset({"EntityAlreadyExists"}),
    "AddRoleToInstanceProfile": frozenset({"LimitExceeded", "EntityAlreadyExists"}),
    "RemoveRoleFromInstanceProfile": frozenset({"NoSuchEntity"}),
    "DeleteRolePolicy": frozenset({"NoSuchEntity"}),
    "DetachRolePolicy": frozenset({"NoSuchEntity"}),
    "DeleteRolePermissionsBoundary": frozenset({"NoSuchEntity"}),
    "DeleteRole": frozenset({"NoSuchEntity"}),
    "DeleteInstanceProfile": frozenset({"NoSuchEntity"}),
    "DeletePolicy": frozenset({"NoSuchEntity"}),
    "DeletePolicyVersion": frozenset({"NoSuchEntity"}),
    "AssociateIamInstanceProfile": frozenset({"IncorrectState"}),
    "ReplaceIamInstanceProfileAssociation": frozenset(
        {"InvalidAssociationID.NotFound", "IncorrectState"}
    ),
    "DisassociateIamInstanceProfile": frozenset({"InvalidAssociationID.NotFound"}),
}
"""Refusals that may mean that the call's effect is there: then AWS is read and compared."""

REPEATABLE = (
    *("Tag", "Untag", "Put", "Attach", "Update", "SetDefault", "CreateTags", "DeleteTags"),
    *("StartInstances", "StopInstances"),
)
"""Operations that do the same when they are sent twice."""


def budget(call: ApiCall, error: AwsError, is_fresh: bool) -> float:
    """Seconds for which this refusal is waited out; 0 for one that stays."""
    if way := way_budget(error):
        return way
    if call.is_dry_run:
        return 0.0
    return max((p.seconds for p in RETRYABLE if p.covers(call, error, is_fresh)), default=0.0)


def way_budget(error: AwsError) -> float:
    """The same for what any call may meet on its way; 0 for an answer."""
    if error.code in THROTTLED:
        return THROTTLE_SECONDS
    if error.was_not_sent:
        return UNREACHED_SECONDS
    return LOST_SECONDS if error.is_uncertain else 0.0


STALE_SECONDS = 30.0
"""For a refusal that says *done* while a read says *not done*: one of the two is an old answer."""


def contradiction(call: ApiCall, error: AwsError, was_lost: bool) -> float:
    """Seconds for which a refusal that may mean *done*, and cannot be seen to be, is asked again.
    A create that meets its own name is none, unless an answer was lost before: something of that
    name may well have been there. EC2 shows its own associations as they are."""
    is_meant = call.service == "iam" and (was_lost or not call.operation.startswith("Create"))
    told_done = error.code in ALREADY_APPLIED_CODES.get(call.operation, frozenset())
    return STALE_SECONDS if not call.is_dry_run and is_meant and told_done else 0.0


def may_be_done(call: ApiCall, error: AwsError) -> bool:
    if call.is_dry_run:
        return False
    return error.is_uncertain or error.code in ALREADY_APPLIED_CODES.get(
        call.operation, frozenset()
    )


Told = Callable[[str, float, float], None]
"""Called before a call is tried again: with what is waited for, the seconds since the first such
failure, and the seconds after which it is not tried again."""


def not_told(_what: str, _seconds: float, _of: float) -> None:
    """For what nobody needs to see."""


def _awaited(error: AwsError) -> str:
    """What is waited for, as words after *waiting for*."""
    if error.was_not_sent:
        return f"the connection ({error.message or error.code})"
    if error.is_uncertain:
        return f"an answer to {error.call} ({error.code})"
    return f"AWS to accept {error.call} ({error.code})"


@dataclass
class Tries:
    """The tries of one call. The retry time counts from the first failure of its kind: a call that
    takes a minute to fail is still made twice, and one kind of failure does not use up the time of
    another."""

    clock: Clock
    stop: Interrupt
    flights: Flights
    _since: dict[str, float] = field(default_factory=dict)
    _pause: float = FIRST_SECONDS

    def wait(
        self,
        error: AwsError,
        seconds: float,
        told: Told = not_told,
        share: float = 1.0,
        longest: float = LONGEST_SECONDS,
    ) -> bool:
        """Waits before the next try, for ``share`` of the full pause. ``False`` if the ``seconds``
        of retries for such an error are over. The pause is at most ``longest``."""
        now = self.clock.now()
        kind = "lost" if error.is_uncertain else error.code
        since = self._since.setdefault("not sent" if error.was_not_sent else kind, now)
        patience = self._patience(error, seconds)
        left = since + patience - now
        if left <= 0:
            return False
        longest = UNREACHED_PAUSE_SECONDS if error.was_not_sent else longest
        pause = min(self._pause, longest, left) * share
        self._pause *= 2
        told(_awaited(error), now - since, patience)
        self.stop.rest(self.clock, pause)
        return True

    def _patience(self, error: AwsError, seconds: float) -> float:
        if self.flights:
            return max(seconds, IN_FLIGHT_SECONDS) if error.was_not_sent else seconds
        return min(seconds, STOPPING_SECONDS) if self.stop.is_set() else seconds
