"""Before the first step of a change: is what it is about still as it was when it was planned?

IAM has no compare-and-swap, so two who write at once overwrite each other; what was changed since
the plan was read is left alone and said. Instances need none of this: their calls name an
association, and AWS refuses one that is not the active one any more.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from reconciler.address import Address
from reconciler.live import LiveEntity
from reconciler.model import InstanceProfile, Policy, Role
from reconciler.policy_document import dangling_principals
from reconciler.ports import AwsError, Clock, Reader

LAG_SECONDS = 10.0
"""IAM's reads may be older than those that the plan was made from."""
AGAIN_SECONDS = 2.0
CHANGED = "ChangedSincePlanned"


@dataclass
class Comparison:
    """``planned`` is what was read, by address."""

    reader: Reader
    clock: Clock
    planned: Mapping[Address, LiveEntity]
    _seen: set[Address] = field(default_factory=set)

    def check(self, address: Address) -> None:
        """Once for each address. Raises ``AwsError`` with the code ``ChangedSincePlanned``."""
        before = self.planned.get(address)
        if before is None or address in self._seen:
            return
        began = self.clock.now()
        while (what := self._difference(address, before)) is not None:
            if self.clock.now() - began >= LAG_SECONDS:
                message = f"{address} {what} since it was planned; plan again"
                raise AwsError(f"compare:{address}", CHANGED, message)
            self.clock.sleep(AGAIN_SECONDS)
        self._seen.add(address)

    def passed(self, address: Address) -> None:
        """What begins with a cut-over decides from what it sees, and changes the profile itself."""
        self._seen.add(address)

    def _difference(self, address: Address, before: LiveEntity) -> str | None:
        now = self.reader.entity(address, before.arn)
        if now is None:
            return "was deleted"
        if now.id != before.id:
            return "was deleted and made again"
        if now.owner != before.owner:
            other = now.claimed_by
            return f"was taken over by the owner {other!r}" if other else "lost its owner's tag"
        return None if _same(now.resource, before.resource) else "was changed by another hand"


def _same(now: Policy | Role | InstanceProfile, before: Policy | Role | InstanceProfile) -> bool:
    """Two reads of one thing. A policy's description is in some answers and not in others; and AWS
    itself rewrites a trust when a role that it names is deleted, as this very plan may do."""
    if isinstance(now, Policy) and isinstance(before, Policy):
        return replace(now, description=before.description) == before
    if isinstance(now, Role) and dangling_principals(now.trust_policy.value):
        return isinstance(before, Role) and replace(now, trust_policy=before.trust_policy) == before
    return now == before
