"""Waits as steps: each polls until its condition holds, or says why it never will."""

from __future__ import annotations

from dataclasses import dataclass

from reconciler.errors import AwsError, StoppedError
from reconciler.executor.idempotency import taken
from reconciler.executor.interrupt import Interrupt
from reconciler.model.address import Address, same_name
from reconciler.model.live import LiveInstance
from reconciler.model.ownership import InstanceKey
from reconciler.plan.calls import POLL_SECONDS, Wait
from reconciler.ports import Clock, Progress, Reader

FIRST_LOOK_SECONDS = 0.25
"""Most conditions hold within a second; from there it is looked at less and less often."""
OTHERS_SECONDS = 10.0
"""Seconds after which the only remaining association, with another profile, was made by another
actor, and is not the state before our own call."""

TEXT = {
    "gone": "the disassociation to complete",
    "associated": "the association to complete",
    "propagated": "EC2 to see the change in IAM",
    "stable": "the instance to finish starting or stopping",
}


@dataclass
class Waiter:
    reader: Reader
    clock: Clock
    progress: Progress
    stop: Interrupt

    def wait(self, address: Address, wait: Wait, *, to_the_end: bool = False) -> None:
        """Returns when the condition holds. Raises ``AwsError`` with code ``TimedOut``, and
        ``StoppedError`` when a person asked to stop, unless it must be waited ``to_the_end``. Then
        it
        returns at once where there is a hurry, and the call that comes next is sent until AWS takes
        it."""
        began, pause = self.clock.now(), FIRST_LOOK_SECONDS
        while True:
            # Taken before the read: a process that was suspended reads once more.
            elapsed = self.clock.now() - began
            if self._holds(wait, began):
                return
            if elapsed >= OTHERS_SECONDS and (why := self._taken(wait)):
                raise AwsError(f"wait:{wait.condition}", "ChangedSincePlanned", why)
            if elapsed >= wait.seconds and wait.condition != "propagated":
                raise AwsError(f"wait:{wait.condition}", "TimedOut", self._why(wait))
            if self.stop.hurries and to_the_end and wait.condition != "associated":
                return
            if self.stop.hurries or (self.stop.is_set() and not to_the_end):
                raise StoppedError
            of = wait.seconds if wait.condition == "propagated" else None
            self.progress.waiting(address, TEXT[wait.condition], elapsed, of)
            self.stop.rest(self.clock, min(pause, max(wait.seconds - elapsed, 0.01)))
            pause = min(pause * 2, POLL_SECONDS)

    def _holds(self, wait: Wait, began: float) -> bool:
        if wait.condition == "propagated":
            return self.clock.now() >= began + wait.seconds
        instance = self._instance(wait)
        if instance is None or instance.is_gone:
            return True
        match wait.condition:
            case "gone":
                return not instance.rows
            case "stable":
                return not instance.in_transition
            case _:
                return is_taken_on(instance, wait.profile)

    def _instance(self, wait: Wait) -> LiveInstance | None:
        key = InstanceKey(wait.region or "", wait.instance or "")
        return next(iter(self.reader.instances([key])), None)

    def _taken(self, wait: Wait) -> str | None:
        """Whether another actor has associated the instance with another profile."""
        instance = self._instance(wait) if wait.profile and wait.instance else None
        row = instance.row if instance else None
        if row is None or same_name(row.profile_name, wait.profile):
            return None
        return taken(wait.instance or "", row)

    def _why(self, wait: Wait) -> str:
        if wait.condition != "associated":
            return f"{wait.instance}: waited {wait.seconds:.0f} s for {TEXT[wait.condition]}"
        profile = self.reader.profile(wait.profile or "")
        if profile is not None and profile.role_id is None:
            return (
                f"{wait.instance} stays in 'associating': instance-profile/{wait.profile} is empty"
            )
        return (
            f"{wait.instance} stays in 'associating': the role in instance-profile/{wait.profile} "
            "probably does not trust ec2.amazonaws.com"
        )


def is_taken_on(instance: LiveInstance, profile: str | None) -> bool:
    """One association, with the profile, in effect; for a stopped instance that is when it
    starts."""
    row = instance.row
    if row is None or len(instance.rows) > 1 or not same_name(row.profile_name, profile):
        return False
    return row.state == "associated" or not instance.is_running
