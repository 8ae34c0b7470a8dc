"""A reader that waits out throttling, lost answers and lost connections, beyond what botocore
repeats: in the middle of a cut-over an instance may be without its profile, and must not stay so
for a refused read."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import TypeVar

from reconciler.errors import NO_CREDENTIALS, AwsError
from reconciler.executor.interrupt import Flights, Interrupt
from reconciler.executor.retry_rules import IN_FLIGHT_SECONDS, Told, Tries, not_told, way_budget
from reconciler.model.address import Address
from reconciler.model.launch_sources import LaunchSources
from reconciler.model.live import (
    AssociationRow,
    LiveEntity,
    LiveInstance,
    LivePrincipal,
    LiveProfile,
    LiveState,
)
from reconciler.model.ownership import InstanceKey
from reconciler.model.resources import Identity
from reconciler.ports import Clock, Facts, LaunchQuery, Reader, Scope, repeating

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class RetryingReader:
    """A ``Reader`` that retries another one. Repeated reads are harmless, so the effect of a lost
    call need not be checked."""

    reader: Reader
    clock: Clock
    stop: Interrupt
    flights: Flights = field(default_factory=Flights)
    told: Told = not_told

    @property
    def calls(self) -> Mapping[str, int]:
        return self.reader.calls

    def identity(self) -> Identity:
        # The first call of a run: what its credentials come from is wrong, not gone for a moment.
        return self._with_retries(self.reader.identity, NO_CREDENTIALS)

    def read(self, identity: Identity, scope: Scope) -> LiveState:
        return self._with_retries(lambda: self.reader.read(identity, scope))

    def enabled_regions(self, near: str) -> tuple[str, ...]:
        return self._with_retries(lambda: self.reader.enabled_regions(near))

    def quotas(self) -> Mapping[str, int]:
        return self._with_retries(self.reader.quotas)

    def users_and_groups(self) -> tuple[LivePrincipal, ...]:
        return self._with_retries(self.reader.users_and_groups)

    def read_regions(self, identity: Identity, regions: Collection[str]) -> LiveState:
        return self._with_retries(lambda: self.reader.read_regions(identity, regions))

    def consumers(
        self,
        identity: Identity,
        regions: Collection[str],
        arns: Collection[str],
        since: float | None = None,
    ) -> LiveState:
        return self._with_retries(lambda: self.reader.consumers(identity, regions, arns, since))

    def entity(self, address: Address, arn: str) -> LiveEntity | None:
        return self._with_retries(lambda: self.reader.entity(address, arn))

    def profile(self, name: str) -> LiveProfile | None:
        return self._with_retries(lambda: self.reader.profile(name))

    def role(self, name: str) -> Facts | None:
        return self._with_retries(lambda: self.reader.role(name))

    def role_names(self) -> Mapping[str, str]:
        return self._with_retries(self.reader.role_names)

    def profiles_with(self, role: str) -> tuple[str, ...]:
        return self._with_retries(lambda: self.reader.profiles_with(role))

    def policy(self, arn: str) -> Facts | None:
        return self._with_retries(lambda: self.reader.policy(arn))

    def instances(self, keys: Collection[InstanceKey]) -> tuple[LiveInstance, ...]:
        return self._with_retries(lambda: self.reader.instances(keys))

    def associations(
        self, keys: Collection[InstanceKey]
    ) -> Mapping[InstanceKey, tuple[AssociationRow, ...]]:
        return self._with_retries(lambda: self.reader.associations(keys))

    def launch_sources(self, queries: Collection[LaunchQuery]) -> LaunchSources:
        return self.reader.launch_sources(queries)

    @repeating()
    def _with_retries(self, read: Callable[[], _T], final: Collection[str] = ()) -> _T:
        """The answer. An error whose code is one of ``final`` is not retried."""
        tries = Tries(self.clock, self.stop, self.flights)
        while True:
            try:
                return read()
            except AwsError as error:
                if error.code in final:
                    raise
                patience = way_budget(error)
                if error.is_uncertain and self.flights:
                    # Nothing can be done for an instance in flight without seeing it, however its
                    # state is lost on the way.
                    patience = max(patience, IN_FLIGHT_SECONDS)
                if not tries.wait(error, patience, self.told):
                    raise
