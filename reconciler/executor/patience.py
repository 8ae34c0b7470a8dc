"""A reader that waits out throttling and lost answers, beyond what botocore repeats: in the middle
of a cut-over an instance may be without its profile, and must not stay so for a refused read."""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import TypeVar

from reconciler.address import Address
from reconciler.executor.retries import LOST_SECONDS, THROTTLE_SECONDS
from reconciler.executor.sending import FIRST_SECONDS, LONGEST_SECONDS, STOPPING_SECONDS
from reconciler.live import LiveEntity, LiveInstance, LiveProfile, LiveState
from reconciler.model import Identity
from reconciler.ownership import InstanceKey
from reconciler.ports import THROTTLED, AwsError, Clock, Facts, Reader, Scope

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class PatientReader:
    """A ``Reader`` in front of another. Reading does no harm twice, so it need not be asked what a
    lost call did."""

    reader: Reader
    clock: Clock
    stop: threading.Event

    @property
    def calls(self) -> Mapping[str, int]:
        return self.reader.calls

    def identity(self) -> Identity:
        return self._patiently(self.reader.identity)

    def read(self, identity: Identity, scope: Scope) -> LiveState:
        return self._patiently(lambda: self.reader.read(identity, scope))

    def enabled_regions(self, near: str) -> tuple[str, ...]:
        return self._patiently(lambda: self.reader.enabled_regions(near))

    def quotas(self) -> Mapping[str, int]:
        return self._patiently(self.reader.quotas)

    def read_regions(self, identity: Identity, regions: Collection[str]) -> LiveState:
        return self._patiently(lambda: self.reader.read_regions(identity, regions))

    def entity(self, address: Address, arn: str) -> LiveEntity | None:
        return self._patiently(lambda: self.reader.entity(address, arn))

    def profile(self, name: str) -> LiveProfile | None:
        return self._patiently(lambda: self.reader.profile(name))

    def role(self, name: str) -> Facts | None:
        return self._patiently(lambda: self.reader.role(name))

    def policy(self, arn: str) -> Facts | None:
        return self._patiently(lambda: self.reader.policy(arn))

    def instances(self, keys: Collection[InstanceKey]) -> tuple[LiveInstance, ...]:
        return self._patiently(lambda: self.reader.instances(keys))

    def _patiently(self, read: Callable[[], _T]) -> _T:
        began, pause = self.clock.now(), FIRST_SECONDS
        while True:
            try:
                return read()
            except AwsError as error:
                left = began + self._patience(error) - self.clock.now()
                if left <= 0:
                    raise
                self.clock.sleep(min(pause, LONGEST_SECONDS, left))
                pause *= 2

    def _patience(self, error: AwsError) -> float:
        """Seconds for which this refusal is waited out."""
        if error.code in THROTTLED:
            patience = THROTTLE_SECONDS
        else:
            patience = LOST_SECONDS if error.is_uncertain else 0.0
        return min(patience, STOPPING_SECONDS) if self.stop.is_set() else patience
